"""Anchors are tried over a socket, without a server; the exit codes are the reference's."""

import io
import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from protocol.globalconf.publisher import (
    FETCHINTERVAL,
    MONITORING,
    NEXTUPDATE,
    Publisher,
    sample_private,
    signing_key,
)
from sild.cli import main
from sild.components.confclient.cache import read_verification_conf
from sild.protocol.globalconf.anchor import Source, write_anchor
from sild.protocol.globalconf.fetch import Answer, Get
from sild.protocol.globalconf.private_parameters import write_private_parameters


@contextmanager
def serving(*publishers):
    """Answer for publishers, each at a port of its own."""
    servers = []
    try:
        for publisher in publishers:
            server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(publisher))
            servers.append(server)
            publisher.address = f"127.0.0.1:{server.server_port}"
            threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def _handler_of(publisher):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer = publisher.get(Get(f"http://{publisher.address}{self.path}", 10**8))
            assert isinstance(answer, Answer)
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *arguments):
            pass

    return Handler


def publishing(**changes):
    return Publisher(now=datetime.now(UTC), **changes)


@pytest.fixture
def publisher():
    made = publishing(parts={"FETCHINTERVAL": FETCHINTERVAL})
    with serving(made):
        yield made


@pytest.fixture
def run(tmp_path, capsys):
    """Run an act by an anchor; gives the exit code and what was printed."""

    def run(act, anchor, *arguments):
        file = tmp_path / "anchor.xml"
        if anchor is not None:
            file.write_bytes(anchor if isinstance(anchor, bytes) else write_anchor(anchor))
        code = main(["configuration", act, str(file), *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


@pytest.mark.feature("CLI-03")
def test_configuration_is_downloaded_into_a_folder(publisher, run, tmp_path):
    folder = tmp_path / "deep" / "conf"
    code, out, _ = run("download", publisher.anchor(), folder)
    assert code == 0
    assert out.startswith("DEV: version 6, until 20")
    assert "PRIVATE-PARAMETERS" in out
    assert (folder / "instance-identifier").read_text() == "DEV"
    shared = (folder / "DEV" / "shared-params.xml").read_bytes()
    assert shared == publisher.contents()["SHARED-PARAMETERS"]
    metadata = json.loads((folder / "DEV" / "shared-params.xml.metadata").read_text())
    assert metadata["configurationVersion"] == "6"
    assert set(read_verification_conf(folder)) == {"DEV"}


@pytest.mark.feature("CLI-03")
def test_what_is_published_no_more_goes_and_what_is_of_others_stays(publisher, run, tmp_path):
    run("download", publisher.anchor(), tmp_path)
    other = tmp_path / "EE" / "shared-params.xml"
    other.parent.mkdir()
    other.write_bytes(b"theirs")
    part = tmp_path / "DEV" / "fetchinterval-params.xml"
    assert part.read_bytes() == FETCHINTERVAL
    publisher.parts = {}
    assert run("download", publisher.anchor(), tmp_path)[0] == 0
    assert not part.exists()
    assert not part.with_name("fetchinterval-params.xml.metadata").exists()
    assert other.read_bytes() == b"theirs"


@pytest.mark.feature("CLI-03")
def test_a_version_can_be_asked_for(publisher, run, tmp_path):
    publisher.versions = (2, 3, 6)
    code, out, _ = run("download", publisher.anchor(), tmp_path, "--version", 3, "--json")
    assert code == 0
    assert json.loads(out)["instances"][0]["version"] == 3
    assert run("verify", publisher.anchor(), "--version", 5)[0] == 122


@pytest.mark.feature("CLI-03")
def test_another_version_than_was_asked_for_is_refused(publisher, run):
    publisher.spoil_contents = lambda contents: replace(contents, version=5)
    code, _, err = run("verify", publisher.anchor(), "--version", 6)
    assert (code, "version 5" in err) == (125, True)


@pytest.mark.feature("CLI-03")
def test_partners_are_taken_where_that_is_asked_for(run, tmp_path):
    partner = publishing(instance="EE", directory="externalconf")
    mine = publishing()
    with serving(mine, partner):
        mine.private = sample_private(anchors=(partner.anchor(),))
        for asked, found in (("none", ["DEV"]), ("all", ["DEV", "EE"]), ("ee", ["DEV", "EE"])):
            folder = tmp_path / asked
            assert run("download", mine.anchor(), folder, "--federations", asked)[0] == 0
            assert sorted(each.name for each in folder.iterdir() if each.is_dir()) == found
        # A partner that fails costs no more than itself, and that is told.
        mine.private = sample_private(anchors=(partner.anchor(signing_key()),))
        code, out, err = run("verify", mine.anchor(), "--federations", "all")
        assert (code, out.count("version 6")) == (0, 1)
        assert partner.url in err


@pytest.mark.feature("CLI-03")
def test_internal_and_external_anchors_are_told_apart(publisher, run):
    external = publishing(directory="externalconf")
    with serving(external):
        assert run("verify", publisher.anchor())[0] == 0
        assert run("verify", publisher.anchor(), "--internal")[0] == 0
        assert run("verify", publisher.anchor(), "-p")[0] == 0
        assert run("verify", publisher.anchor(), "--external")[0] == 117
        assert run("verify", external.anchor())[0] == 0
        assert run("verify", external.anchor(), "-s")[0] == 0
        code, _, err = run("verify", external.anchor(), "--internal")
        assert (code, err) == (121, "the anchor leads to no private parameters\n")
        assert run("download", external.anchor(), "/proc/nowhere")[0] == 125


@pytest.mark.feature("CLI-03")
def test_a_partner_whose_name_is_no_folder_is_passed_over(publisher, run, tmp_path):
    hostile = replace(publisher.anchor(), instance="..")
    publisher.private = sample_private(anchors=(hostile,))
    code, out, _ = run("download", publisher.anchor(), tmp_path / "conf", "--federations", "all")
    assert (code, out.count("version 6")) == (0, 1)
    assert [each.name for each in tmp_path.iterdir() if each.is_dir()] == ["conf"]
    assert run("verify", replace(publisher.anchor(), instance=".."))[0] == 125


def without_shared(contents):
    kept = [each for each in contents.parts if each.identifier != "SHARED-PARAMETERS"]
    return replace(contents, parts=tuple(kept))


@pytest.mark.feature("CLI-03")
def test_configuration_without_shared_parameters_is_refused(publisher, run):
    publisher.spoil_contents = without_shared
    assert run("verify", publisher.anchor())[0] == 125
    assert run("verify", publisher.anchor(), "--external")[0] == 117
    assert run("verify", publisher.anchor(), "--internal")[0] == 121


@pytest.mark.feature("CLI-03")
def test_internal_configuration_with_a_broken_part_is_not_taken_for_external(publisher, run):
    publisher.spoil_part = lambda name, data: data + b" " if name.startswith("PRIVATE") else data
    assert run("verify", publisher.anchor())[0] == 125
    assert run("verify", publisher.anchor(), "--external")[0] == 125


@pytest.mark.feature("CLI-03")
def test_the_exit_code_says_what_is_wrong(publisher, run, tmp_path):
    good = publisher.anchor()
    assert run("verify", None)[0] == 115
    assert run("verify", b"<no anchor/>")[0] == 116
    code, out, _ = run("verify", b" " * 2_000_000, "--json")
    assert code == json.loads(out)["exit_status"] == 116
    assert run("verify", publisher.anchor(signing_key()))[0] == 124
    publisher.spoil_directory = lambda data: data.replace(b"SHARED-PARAM", b"SHAREB-PARAM")
    assert run("verify", good)[0] == 124
    publisher.spoil_directory = lambda data: b"nothing"
    assert run("verify", good)[0] == 125
    publisher.spoil_directory = lambda data: data
    publisher.spoil_part = lambda identifier, data: data + b" "
    assert run("verify", good)[0] == 125
    publisher.spoil_part = lambda identifier, data: data
    publisher.now -= timedelta(hours=1)
    assert run("verify", good)[0] == 123
    unreachable = replace(
        good, sources=(Source("http://127.0.0.1:1/conf", good.sources[0].certificates),)
    )
    assert run("verify", unreachable)[0] == 122
    publisher.versions = ()
    folder = tmp_path / "conf"
    code, out, err = run("download", good, folder)
    assert (code, out) == (122, "")
    assert "answered with status 404" in err
    assert not folder.exists()


PARTS = {"monitoring": MONITORING, "fetchinterval": FETCHINTERVAL, "nextupdate": NEXTUPDATE}


@pytest.mark.feature("CLI-08")
@pytest.mark.parametrize(("part", "code"), [("fetchinterval", 0), ("nextupdate", 1)])
def test_the_command_checks_a_part_offline(tmp_path, part, code):
    file = tmp_path / "part.xml"
    file.write_bytes(FETCHINTERVAL)
    command = [sys.executable, "-m", "sild", "configuration", "check-part", part, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("FETCHINTERVAL" in done.stdout) == (code == 0)
    assert bool(done.stderr) == (code == 1)


def test_parts_are_checked_before_they_are_uploaded(tmp_path, capsys, monkeypatch):
    def check(part, content):
        file = tmp_path / "part.xml"
        file.write_bytes(content)
        return main(["configuration", "check-part", part, str(file)])

    for part in PARTS:
        for other, content in PARTS.items():
            assert check(part, content) == (0 if part == other else 1)
            out, err = capsys.readouterr()
            assert (part.upper() in out) == (part == other)
            assert bool(err) == (part != other)
    for content in (b"", b"<conf/>", FETCHINTERVAL.replace(b"500", b"soon"), b" " * 2_000_000):
        assert check("fetchinterval", content) == 1
    assert main(["configuration", "check-part", "monitoring", str(tmp_path / "none")]) == 1
    for content, code in (
        (NEXTUPDATE, 0),
        (b"<conf/>", 1),
        (NEXTUPDATE + b" " * 2_000_000, 1),
    ):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        assert main(["configuration", "check-part", "nextupdate", "-"]) == code


def test_a_part_that_nobody_knows_is_not_understood():
    with pytest.raises(SystemExit) as stopped:
        main(["configuration", "check-part", "private-parameters", "x.xml"])
    assert stopped.value.code == 2


def test_private_parameters_are_not_printed(publisher, run):
    _, out, err = run("verify", publisher.anchor())
    assert write_private_parameters(publisher.private).decode() not in out + err
