"""The settings of a security server: from its file, and over that from the environment."""

import os
import subprocess
import sys

import pytest

USUAL = ("server-port = 5500", "ocsp-responder-port = 5577", 'connector-host = "0.0.0.0"')


def checked(home, **environment):
    """What `--check` says of a server's settings, and its exit code."""
    command = (sys.executable, "-m", "sild", "security-server", "--home", str(home), "--check")
    done = subprocess.run(
        command,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    return done.returncode, done.stdout + done.stderr


def write(home, text):
    path = home / "sild.toml"
    path.write_text(text)
    path.chmod(0o600)


@pytest.mark.feature("SP-09")
def test_a_file_says_what_is_otherwise_usual_and_the_environment_goes_before_it(tmp_path):
    code, said = checked(tmp_path)
    assert code == 0
    assert all(line in said for line in USUAL)
    write(
        tmp_path,
        '[proxy]\nserver-port = 15500\nconnector-host = "127.0.0.1"\n'
        "[configuration-client]\nupdate-interval = 30\n",
    )
    code, said = checked(tmp_path, SILD_PROXY_SERVER_PORT="25500")
    assert code == 0
    for line in (
        "server-port = 25500",
        'connector-host = "127.0.0.1"',
        "update-interval = 30.0",
        "ocsp-responder-port = 5577",
    ):
        assert line in said


@pytest.mark.feature("SP-09")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[proxy]\nserver-prt = 5501\n", "server-port"),
        ("[prxy]\nserver-port = 5501\n", "prxy"),
        ('[proxy]\nserver-port = "many"\n', "server-port"),
        ("[configuration-client]\nupdate-interval = 0\n", "update-interval"),
        ("[proxy\n", "sild.toml"),
    ],
    ids=["unknown", "unknown section", "another type", "out of range", "no TOML"],
)
def test_what_no_setting_can_be_is_refused(tmp_path, text, told):
    write(tmp_path, text)
    code, said = checked(tmp_path)
    assert code == 2
    assert told in said
    assert "Traceback" not in said
