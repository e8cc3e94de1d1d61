import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ports import base_port
from sild.devnet.portraits import portrait


def sild(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sild", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


@pytest.mark.feature("PX-10")
def test_the_story_is_told_and_every_step_gives_what_it_must(tmp_path):
    with sild(
        "demo", "--once", "--dir", str(tmp_path / "demo"), "--base-port", str(base_port())
    ) as demo:
        said, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, said
    for line in (
        "1. A message that is evidence",
        "2. The evidence, and a verdict without either server",
        "valid  signed by SUBSYSTEM:DEV/GOV/79990002/register",
        "3. Once only: a form filled from two registers",
        "4. An older service: SOAP, and a photo attached",
        "<personalCode>99001010011</personalCode>",
        "licencePhotoResponse with one attachment: photo-99001010011.png, image/png, 288 bytes",
        "valid  the answer that health-1 holds: signed by SUBSYSTEM:DEV/GOV/79990001/register",
        "valid  the answer that police-1 holds: signed by SUBSYSTEM:DEV/GOV/79990001/register",
        "server.serverproxy.access_denied",
        "server.serverproxy.signature_verification.invalid_signature_value",
        "server.clientproxy.cannot_create_signature",
        "invalid_cert_path.cert_validation",
        "Every step gave what it must",
    ):
        assert line in said
    assert "✗" not in said
    evidence = tmp_path / "demo" / "evidence"
    for name in ("answer.asice", "photo-health-1.asice", "photo-police-1.asice"):
        assert (evidence / name).read_bytes().startswith(b"PK")
    assert (evidence / "photo-99001010011.png").read_bytes() == portrait("99001010011")


def test_it_stays_up_until_it_is_told_to_stop_and_leaves_nothing_running(tmp_path):
    home = tmp_path / "demo"
    with sild("demo", "--dir", str(home), "--base-port", str(base_port())) as demo:
        said = ""
        while "Everything else" not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        assert "curl -H 'X-Road-Client: DEV/GOV/79990001/portal'" in said
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=120)
    assert demo.returncode == 0
    assert processes_naming(home) == []


def processes_naming(path):
    deadline = time.monotonic() + 60
    found = list(_processes_naming(path))
    while found and time.monotonic() < deadline:
        time.sleep(0.1)
        found = list(_processes_naming(path))
    return found


def _processes_naming(path):
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if os.fsencode(path) in (entry / "cmdline").read_bytes():
                yield entry.name


def test_settings_are_checked_and_printed(tmp_path):
    with sild("security-server", "--home", str(tmp_path), "--check") as checked:
        said, _ = checked.communicate(timeout=120)
    assert checked.returncode == 0
    assert "server-port = 5500" in said


def test_an_unknown_setting_is_refused_with_the_nearest_known_one(tmp_path):
    (tmp_path / "sild.toml").write_text("[proxy]\nserver-prt = 5501\n")
    with sild("security-server", "--home", str(tmp_path), "--check") as checked:
        said, _ = checked.communicate(timeout=120)
    assert checked.returncode == 2
    assert "server-prt" in said
    assert "server-port" in said
