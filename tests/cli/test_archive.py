"""Archives are listed, and taken away: each is removed only when the other side has it."""

import fcntl
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from evidence_builder import linked
from receivers import ACCESS_KEY, REGION, SECRET, Receiver
from sild.cli import main
from sild.protocol.asic.archive import START, archive_name

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def directory(tmp_path):
    """A directory of archives, of which two are finished, and what is none."""
    made = tmp_path / "archive"
    made.mkdir()
    head = START
    for number in range(2):
        data, head = linked(head, {f"{number}.asice": b"%d" % number})
        name = archive_name((MOMENT.replace(minute=number), MOMENT), head.digest)
        head = type(head)(head.digest, name)
        (made / name).write_bytes(data)
    (made / "mlog-1-2-3.zip.unfinished").write_bytes(b"not finished")
    (made / "notes.txt").write_bytes(b"none")
    return made


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["archive", *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def store(monkeypatch):
    """A store, and its credentials in the environment."""
    for name, value in (
        ("ACCESS_KEY_ID", ACCESS_KEY),
        ("SECRET_ACCESS_KEY", SECRET),
        ("REGION", REGION),
    ):
        monkeypatch.setenv(f"AWS_{name}", value)
    with Receiver().running() as receiver:
        yield receiver


@pytest.fixture
def endpoint():
    with Receiver().running() as receiver:
        yield receiver


def archives_in(directory):
    return {path.name: path.read_bytes() for path in directory.glob("mlog-*.zip")}


# To list


def test_archives_are_listed_in_the_order_of_their_chain(directory, run):
    code, out, _ = run("list", "--from", directory, "--json")
    first, second = json.loads(out)["archives"]
    assert code == 0
    assert (first["previous_file"], first["containers"]) == (None, 1)
    assert second["previous_file"] == first["file"]
    assert second["previous_digest"] == first["last_digest"]
    assert (first["first"], first["last"]) == ("2026-01-02T03:00:05Z", "2026-01-02T03:04:05Z")
    _, out, _ = run("list", "--from", directory)
    assert out.index(first["file"]) < out.index(second["file"])
    assert "begins the chain" in out
    (directory / first["file"]).unlink()
    _, out, _ = run("list", "--from", directory)
    assert "which is not here" in out


def test_the_order_is_not_that_of_names(directory, run, tmp_path):
    data, head = linked(START, {"a.asice": b"a"})
    late = archive_name((MOMENT.replace(year=2030),) * 2, head.digest)
    other, _ = linked(type(head)(head.digest, late), {"b.asice": b"b"})
    early = archive_name((MOMENT.replace(year=2020),) * 2, "0" * 64)
    for path in directory.iterdir():
        path.unlink()
    (directory / late).write_bytes(data)
    (directory / early).write_bytes(other)
    _, out, _ = run("list", "--from", directory, "--json")
    assert [each["file"] for each in json.loads(out)["archives"]] == [late, early]


def test_what_cannot_be_read_is_named_and_encrypted_archives_are_known_by_name(directory, run):
    (first, second) = sorted(archives_in(directory))
    (directory / first).write_bytes(b"no zip")
    (directory / f"{second}.gpg").write_bytes(b"secret")
    code, out, _ = run("list", "--from", directory, "--json")
    listed = {each["file"]: each for each in json.loads(out)["archives"]}
    assert code == 1
    assert "cannot be read" in listed[first]["error"]
    assert listed[f"{second}.gpg"]["encrypted"]
    assert listed[f"{second}.gpg"]["containers"] is None


def test_a_server_without_archives_has_an_empty_list_and_no_directory_is_an_error(tmp_path, run):
    assert run("list", "--home", tmp_path)[0] == 0
    assert run("list", "--from", tmp_path / "nowhere")[0] == 2


# To a folder


def test_archives_are_moved_to_a_folder_and_nothing_else_is(directory, run, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    before = archives_in(directory)
    code, out, _ = run("transfer", away, "--from", directory, "--json")
    told = json.loads(out)
    assert (code, told["left"], told["error"]) == (0, 0, None)
    assert {path.name: path.read_bytes() for path in away.iterdir()} == before
    assert sorted(path.name for path in directory.iterdir()) == [
        "mlog-1-2-3.zip.unfinished",
        "notes.txt",
    ]
    assert {each["sha256"] for each in told["archives"]} == {
        hashlib.sha256(content).hexdigest() for content in before.values()
    }
    assert run("transfer", away, "--from", directory)[0] == 0


def test_archives_may_be_copied_and_copied_again(directory, run, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    before = archives_in(directory)
    for _ in range(2):
        assert run("transfer", away, "--from", directory, "--keep")[0] == 0
    assert archives_in(directory) == archives_in(away) == before


def test_an_archive_that_is_there_otherwise_is_not_replaced(directory, run, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    first = min(archives_in(directory))
    (away / first).write_bytes(b"another")
    code, _, err = run("transfer", away, "--from", directory)
    assert code == 1
    assert "is there already, and is another file" in err
    assert (away / first).read_bytes() == b"another"
    assert len(archives_in(directory)) == 2


@pytest.mark.parametrize("way", ["directory", "link"])
def test_an_archive_is_not_removed_for_a_copy_that_it_is_itself(directory, run, tmp_path, way):
    away = directory
    before = archives_in(directory)
    if way == "link":
        away = tmp_path / "away"
        away.mkdir()
        for name in before:
            (away / name).symlink_to(directory / name)
    code, _, err = run("transfer", away, "--from", directory)
    assert code == 1
    assert "is the file itself" in err
    assert archives_in(directory) == before


def test_a_folder_that_is_not_there_is_not_made(directory, run, tmp_path):
    code, _, err = run("transfer", tmp_path / "not mounted", "--from", directory)
    assert code == 2
    assert "make or mount it first" in err
    assert len(archives_in(directory)) == 2


def test_what_was_broken_off_is_begun_again(directory, run, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    before = archives_in(directory)
    (away / f".{min(before)}.part").write_bytes(b"half of it")
    assert run("transfer", away, "--from", directory)[0] == 0
    assert {path.name: path.read_bytes() for path in away.iterdir()} == before


def test_only_one_transfer_takes_archives_away(directory, run, tmp_path):
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        code, _, err = run("transfer", tmp_path, "--from", directory)
    finally:
        os.close(descriptor)
    assert code == 1
    assert "is under way" in err
    assert len(archives_in(directory)) == 2


def test_a_transfer_that_is_killed_anywhere_loses_nothing(directory, tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    for number in range(200):
        (directory / f"mlog-{number}.zip").write_bytes(b"%d" % number * 5000)
    before = archives_in(directory)
    command = [sys.executable, "-m", "sild", "archive", "transfer", str(away)]
    for _ in range(3):
        process = subprocess.Popen(command, cwd=directory, stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert archives_in(directory) | archives_in(away) == before
    assert archives_in(away)
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    assert archives_in(away) == before
    assert archives_in(directory) == {}


# To an endpoint


def test_archives_are_posted_as_files_of_a_form(directory, run, endpoint):
    before = archives_in(directory)
    assert run("transfer", endpoint.url + "/upload", "--from", directory)[0] == 0
    assert endpoint.received == before
    assert archives_in(directory) == {}


@pytest.mark.parametrize("fault", [503, "hang up"])
def test_an_endpoint_that_fails_is_tried_again(directory, run, endpoint, fault):
    before = archives_in(directory)
    endpoint.faults = [fault]
    assert run("transfer", endpoint.url, "--from", directory, "--attempts", "2")[0] == 0
    assert endpoint.received == before


@pytest.mark.parametrize(
    ("fault", "requests", "said"),
    [
        (403, 2, "answered 403"),
        (302, 2, "answered 302"),
        (500, 3, "answered 500"),
    ],
)
def test_an_archive_that_is_not_confirmed_stays(directory, run, endpoint, fault, requests, said):
    first, second = sorted(archives_in(directory))
    endpoint.faults = [None, fault, fault]
    target = endpoint.url.replace("//", "//user:password@")
    code, out, err = run("transfer", target, "--from", directory, "--attempts", "2")
    assert code == 1
    assert said in err
    assert "password" not in out + err
    assert endpoint.requests == requests
    assert list(archives_in(directory)) == [second]
    assert list(endpoint.received) == [first]
    endpoint.faults = []
    assert run("transfer", endpoint.url, "--from", directory)[0] == 0
    assert sorted(endpoint.received) == [first, second]


def test_a_silent_endpoint_is_given_up(directory, run):
    with listening() as port:
        options = ("--timeout", "0.1", "--attempts", "1", "--from", directory)
        code, _, err = run("transfer", f"http://127.0.0.1:{port}/", *options)
    assert code == 1
    assert "was silent for 0.1 s" in err
    assert len(archives_in(directory)) == 2


@contextmanager
def listening():
    """A port that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


# To a bucket


def test_archives_are_put_into_a_bucket_whose_store_verifies_the_signature(directory, run, store):
    before = archives_in(directory)
    target = "s3://evidence/of ss1/ä"
    code, _, err = run("transfer", target, "--endpoint", store.url, "--from", directory)
    assert (code, err) == (0, "")
    assert store.received == {f"/evidence/of ss1/ä/{name}": data for name, data in before.items()}
    assert store.tokens == {None}
    assert archives_in(directory) == {}


def test_the_token_of_a_session_goes_along(directory, run, store, monkeypatch):
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of the session")
    assert run("transfer", "s3://b", "--endpoint", store.url, "--from", directory)[0] == 0
    assert store.tokens == {"of the session"}


def test_a_store_that_refuses_is_quoted_and_archives_stay(directory, run, store, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another secret")
    code, out, err = run("transfer", "s3://b", "--endpoint", store.url, "--from", directory)
    assert code == 1
    assert "answered 403 (SignatureDoesNotMatch)" in err
    assert "another secret" not in out + err
    assert store.requests == 1
    assert len(archives_in(directory)) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("s3:///x",), "names no bucket"),
        (("s3://b", "--endpoint", "ftp://x"), "no URL of http"),
        (("s3://b", "--endpoint", "http://a:b@x"), "do not belong"),
        (("http://",), "no URL of http"),
        (("ftp://host/",), "cannot be taken to ftp"),
        (("/tmp", "--endpoint", "http://x"), "goes with"),
        (("http://x", "--cert", "x"), "go together"),
        (("http://x", "--cacert", "/nowhere"), "cannot be used"),
    ],
)
def test_what_makes_no_sense_is_refused(run, store, arguments, said):
    code, _, err = run("transfer", *arguments)
    assert code == 2
    assert said in err


def test_a_bucket_needs_credentials(run, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    code, _, err = run("transfer", "s3://b")
    assert code == 2
    assert "must be in the environment" in err


def test_archives_stream_in_constant_memory(tmp_path, store):
    directory = tmp_path / "archive"
    directory.mkdir()
    with (directory / "mlog-large.zip").open("wb") as file:
        file.truncate(128 * 1024**2)
    measured = (
        "import sys; from sild.cli import main; code = main(sys.argv[1:]);"
        "print(*[l for l in open('/proc/self/status') if 'VmHWM' in l]); sys.exit(code)"
    )
    store.take_object = lambda path, headers, body: (200, b"")
    store.take_form = store.take_object
    for target in (("s3://b", "--endpoint", store.url), (store.url,)):
        options = ("archive", "transfer", *target, "--keep", "--from", str(directory))
        done = subprocess.run(
            (sys.executable, "-c", measured, *options), capture_output=True, text=True, check=True
        )
        kilobytes = int(done.stdout.split("VmHWM:")[1].split()[0])
        assert kilobytes < 110 * 1024


def test_the_help_teaches(capsys):
    with pytest.raises(SystemExit):
        main(["archive", "transfer", "--help"])
    said = capsys.readouterr().out
    for word in ("archive-transfer-command", "AWS_SECRET_ACCESS_KEY", "exit status", "s3://"):
        assert word in said
