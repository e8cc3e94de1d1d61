import json
import subprocess
import sys

import pytest

from evidence_builder import entries_in, linked, rezipped
from sild.cli import main
from sild.protocol.asic.archive import START


@pytest.fixture
def archives(tmp_path):
    """Three archives that follow one another, and their last digests."""
    head, paths, digests = START, [], []
    for number in range(3):
        containers = {f"{number}{letter}.asice": b"%d" % number for letter in "ab"}
        data, head = linked(head, containers)
        paths.append(tmp_path / f"mlog-{number}.zip")
        paths[-1].write_bytes(data)
        digests.append(head.digest)
    return paths, digests


@pytest.fixture
def verify(capsys):
    def run(*arguments):
        code = main(["verify-archive", *map(str, arguments)])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def verdict(verify):
    def run(*arguments):
        code, said = verify("--json", *arguments)
        return code, json.loads(said)

    return run


@pytest.mark.feature("ML-14")
def test_archives_prove_that_none_was_changed_removed_or_moved(archives):
    def process(*arguments):
        command = [sys.executable, "-m", "sild", "verify-archive", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    paths, digests = archives
    done = process("--first", *reversed(paths))
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ UNBROKEN" in done.stdout
    assert done.stdout.splitlines()[-1] == digests[-1]
    assert process("--previous-digest", digests[0], *paths[1:]).returncode == 0
    removed = process("--first", paths[0], paths[2])
    assert removed.returncode == 1
    assert "the chain breaks after mlog-0.zip" in removed.stdout
    assert digests[1][:90] in removed.stdout
    entries = entries_in(paths[1].read_bytes())
    paths[1].write_bytes(rezipped(entries | {"1b.asice": b"changed"}))
    changed = process("--first", *paths)
    assert changed.returncode == 1
    assert "the chain breaks at 1b.asice" in changed.stdout


def test_a_chain_as_json(verdict, archives):
    paths, digests = archives
    code, found = verdict("--first", paths[1], paths[0])
    assert code == 0
    assert found == {
        "verdict": "valid",
        "error": None,
        "start_proven": True,
        "last_digest": digests[1],
        "archives": [
            {
                "file": "mlog-0.zip",
                "containers": 2,
                "algorithm": "SHA-512",
                "previous_digest": None,
                "previous_file": None,
                "last_digest": digests[0],
            },
            {
                "file": "mlog-1.zip",
                "containers": 2,
                "algorithm": "SHA-512",
                "previous_digest": digests[0],
                "previous_file": f"mlog-{digests[0][:16]}.zip",
                "last_digest": digests[1],
            },
        ],
    }


def test_what_came_before_is_proven_only_where_it_is_said(verify, verdict, archives):
    paths, _ = archives
    code, said = verify(*paths[1:])
    assert code == 0
    assert "! NOT PROVEN" in said
    assert not verdict(*paths[1:])[1]["start_proven"]
    assert "NOT PROVEN" not in verify("--first", *paths)[1]


@pytest.mark.parametrize("start", [("--first",), ("--previous-digest", "ab" * 64)])
def test_archives_that_do_not_begin_where_they_must_are_refused(verdict, archives, start):
    paths, _ = archives
    code, found = verdict(*start, *paths[1:])
    assert (code, found["verdict"], found["last_digest"]) == (1, "invalid", None)
    assert "mlog-1.zip goes on from" in found["error"]


def test_what_was_removed_from_the_end_is_missed_by_a_last_digest(verdict, archives):
    paths, digests = archives
    for digest in digests:
        assert verdict("--first", "--last-digest", digest, *paths)[0] == 0
    code, found = verdict("--first", "--last-digest", digests[2], *paths[:2])
    assert (code, found["verdict"]) == (1, "invalid")
    assert f"ends with mlog-1.zip, whose last digest is {digests[1]}" in found["error"]
    assert f"no archive ends with {digests[2]}" in found["error"]


def test_a_digest_may_be_in_capitals(verdict, archives):
    paths, digests = archives
    assert verdict("--previous-digest", digests[0].upper(), *paths[1:])[0] == 0


@pytest.mark.parametrize("digest", ["", "abc", "xy" * 64, "ab" * 65])
def test_what_is_no_digest_is_not_understood(archives, digest):
    with pytest.raises(SystemExit) as stopped:
        main(["verify-archive", "--previous-digest", digest, str(archives[0][0])])
    assert stopped.value.code == 2


def test_where_a_chain_begins_is_said_once(archives):
    with pytest.raises(SystemExit) as stopped:
        main(["verify-archive", "--first", "--previous-digest", "ab" * 64, str(archives[0][0])])
    assert stopped.value.code == 2


def test_every_archive_that_is_not_whole_is_named(verify, archives):
    paths, _ = archives
    paths[0].write_bytes(b"no zip")
    paths[2].write_bytes(rezipped({"a.asice": b""}))
    code, said = verify("--first", *paths)
    assert code == 1
    assert "✗ mlog-0.zip\n      it cannot be read as a zip archive" in said
    assert "✗ mlog-2.zip\n      it has no linking info" in said
    assert "✗ BROKEN\n  not whole: mlog-0.zip, mlog-2.zip" in said


@pytest.mark.parametrize("head", [b"\x85\x01\x0c", b"-----BEGIN PGP MESSAGE-----\n", b"\xd2\xc0"])
def test_an_encrypted_archive_must_be_decrypted_first(verdict, archives, head):
    paths, _ = archives
    paths[0].write_bytes(head + bytes(100))
    code, found = verdict("--first", paths[0])
    assert code == 1
    assert "gpg --output FILE.zip --decrypt FILE.zip.gpg" in found["error"]


def test_a_file_that_cannot_be_read_is_unknown(verdict, archives, tmp_path, capsys):
    for path in (tmp_path / "absent.zip", tmp_path):
        code, found = verdict("--first", archives[0][0], path)
        assert (code, found["verdict"]) == (2, "unknown")


def test_the_help_says_how_a_chain_goes_on(capsys):
    with pytest.raises(SystemExit):
        main(["verify-archive", "--help"])
    said = capsys.readouterr().out
    for word in ("--previous-digest", "--first", "exit status", "decrypted first"):
        assert word in said
