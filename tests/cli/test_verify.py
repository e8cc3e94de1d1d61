import json
import os
import pty
import shutil
import subprocess
import sys
import zipfile

import pytest

from evidence_builder import REQUEST, Evidence, entries_in, rezipped, stamped_together
from signing_builder import ATTACHMENT, MESSAGE, TestSigner
from sild.cli import main

EVIDENCE = Evidence.create()
BODY = b"the body"
GOOD = EVIDENCE.container({MESSAGE: REQUEST, ATTACHMENT: BODY})
TOGETHER = EVIDENCE.container({MESSAGE: REQUEST}, stamp=stamped_together)
BAD = rezipped(entries_in(TOGETHER) | {"message.xml": REQUEST + b"a:b\r\n"})
WITHOUT_BODY = rezipped({n: d for n, d in entries_in(GOOD).items() if n != "attachment1"})
OTHER_BODY = rezipped(entries_in(GOOD) | {"attachment1": b"the bod"})
SIGNER = "SUBSYSTEM:DEV/GOV/M1/S1"


@pytest.fixture
def conf(tmp_path):
    return EVIDENCE.write_conf(tmp_path / "conf")


@pytest.fixture
def verify(tmp_path, conf, capsys):
    """Runs the command; gives its exit code and what it printed."""

    def run(data, *options, conf=conf):
        path = tmp_path / "some.asice"
        path.write_bytes(data)
        code = main(["verify", str(path), "--conf", str(conf), *map(str, options)])
        return code, capsys.readouterr().out

    return run


@pytest.fixture
def verdict(verify):
    def run(data, *options, **wish):
        code, said = verify(data, "--json", *options, **wish)
        return code, json.loads(said)

    return run


def process(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "sild", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )


@pytest.mark.feature("ML-13")
def test_a_container_is_verified_offline_and_its_message_extracted(tmp_path, conf):
    path = tmp_path / "answer.asice"
    path.write_bytes(GOOD)
    done = process("verify", path, "--conf", conf, "--extract", tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("✓ VALID", SIGNER, "2026-01-15 12:05:00 UTC", "CN=Test TSA", "CN=Test CA"):
        assert said in done.stdout
    assert (tmp_path / "out/message.xml").read_bytes() == REQUEST
    assert (tmp_path / "out/attachment1").read_bytes() == BODY
    path.write_bytes(BAD)
    done = process("verify", path, "--conf", conf)
    assert done.returncode == 1
    assert "invalid_signature_value: /message.xml is not what was signed" in done.stdout


# As JSON


def test_a_valid_container_as_json(verdict):
    code, found = verdict(GOOD)
    assert code == 0
    steps = found.pop("steps")
    assert found == {
        "verdict": "valid",
        "code": None,
        "signer": SIGNER,
        "signed_at": "2026-01-15T12:00:00Z",
        "timestamped_at": "2026-01-15T12:05:00Z",
        "unverified": [],
    }
    assert [step["number"] for step in steps] == [1, 2, 3, 4, 5, 6, 7]
    assert all(step["held"] and step["question"] and step["answer"] for step in steps)


def test_an_invalid_container_as_json_vouches_for_nothing(verdict):
    code, found = verdict(BAD)
    assert code == 1
    steps = found.pop("steps")
    assert found == {
        "verdict": "invalid",
        "code": "invalid_signature_value",
        "signer": None,
        "signed_at": None,
        "timestamped_at": None,
        "unverified": [],
    }
    assert [step["held"] for step in steps] == [True] * 5 + [False]
    assert steps[-1]["answer"] == "/message.xml is not what was signed"


@pytest.mark.parametrize("data", [b"", b"no zip", GOOD[:-100], b"\x85\x01\x0c" + bytes(90)])
def test_a_file_that_is_no_zip_is_invalid(verdict, data):
    code, found = verdict(data)
    assert (code, found["verdict"]) == (1, "invalid")
    assert found["code"] == "asic_mime_type_not_found"


def test_an_unknown_instance_is_invalid_with_the_reference_s_code(verdict):
    (signed,) = EVIDENCE.signer.sign({MESSAGE: REQUEST})
    other = REQUEST.replace(b"Client:DEV", b"Client:XX")
    data = EVIDENCE.container({MESSAGE: other})
    code, found = verdict(data)
    assert (code, found["verdict"], found["code"]) == (1, "invalid", "internal_error")
    assert signed.signature


@pytest.mark.parametrize("data", [WITHOUT_BODY, OTHER_BODY])
def test_an_attachment_that_is_not_verified_leaves_the_verdict_and_is_named(verdict, data):
    code, found = verdict(data)
    assert (code, found["verdict"], found["unverified"]) == (0, "valid", ["/attachment1"])


@pytest.mark.parametrize("data", [WITHOUT_BODY, OTHER_BODY])
def test_an_attachment_that_is_not_verified_is_invalid_strictly(verdict, data):
    code, found = verdict(data, "--strict")
    assert (code, found["verdict"], found["code"]) == (1, "invalid", "not_strict")
    assert (found["unverified"], found["signer"]) == (["/attachment1"], SIGNER)


def test_a_good_container_is_valid_strictly(verdict):
    assert verdict(GOOD, "--strict")[1]["verdict"] == "valid"
    assert verdict(TOGETHER, "--strict")[1]["verdict"] == "valid"


def test_an_authority_s_sha_1_is_taken_for_old_evidence_but_not_strictly(verdict):
    data = EVIDENCE.container({MESSAGE: REQUEST}, content_digest="sha1", digest="sha1")
    assert verdict(data)[1]["verdict"] == "valid"
    assert verdict(data, "--strict")[1]["code"] == "malformed_signature"


# What cannot be read


def test_a_container_that_cannot_be_read_is_unknown(tmp_path, conf, capsys):
    for path in (tmp_path / "absent.asice", tmp_path):
        assert main(["verify", str(path), "--conf", str(conf), "--json"]) == 2
        said = capsys.readouterr()
        assert json.loads(said.out)["verdict"] == "unknown"
        assert str(path) in said.err


def test_a_configuration_that_cannot_be_read_is_unknown(tmp_path, verdict, conf):
    empty = tmp_path / "empty"
    empty.mkdir()
    no_zip = tmp_path / "file"
    no_zip.write_bytes(b"no zip")
    broken = shutil.copytree(conf, tmp_path / "broken")
    (broken / "DEV/shared-params.xml").write_bytes(b"<conf/>")
    foreign = shutil.copytree(conf, tmp_path / "foreign")
    (foreign / "instance-identifier").write_text("XX")
    for unusable in (empty, no_zip, broken, foreign, tmp_path / "absent"):
        code, found = verdict(GOOD, conf=unusable)
        assert (code, found["verdict"], found["code"]) == (2, "unknown", None)


# Configurations


def packed(conf, path, prefix):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(conf.rglob("*")):
            if file.is_file():
                archive.write(file, f"{prefix}{file.relative_to(conf)}")
    return path


@pytest.mark.parametrize("prefix", ["verificationconf/", ""])
def test_the_configuration_may_be_the_zip_file_that_a_server_gives(verdict, conf, tmp_path, prefix):
    path = packed(conf, tmp_path / "conf.zip", prefix)
    assert verdict(GOOD, conf=path)[1]["verdict"] == "valid"


@pytest.mark.parametrize("name", ["verificationconf", "current"])
def test_the_configuration_may_be_one_folder_below(verdict, conf, tmp_path, name):
    above = tmp_path / "above"
    above.mkdir()
    shutil.copytree(conf, above / name)
    assert verdict(GOOD, conf=above)[1]["verdict"] == "valid"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/evil", "DEV/..", "a/b/c", "a\\b"])
def test_a_configuration_with_names_of_tricks_is_refused(verdict, conf, tmp_path, name):
    path = packed(conf, tmp_path / "conf.zip", "")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, b"x")
    assert verdict(GOOD, conf=path)[0] == 2
    assert not (tmp_path / "evil").exists()


def test_whom_the_configuration_does_not_name_is_not_trusted(verdict, tmp_path):
    other_ca = TestSigner.create("rsa", name="Another CA")
    conf = Evidence(other_ca, EVIDENCE.tsa).write_conf(tmp_path / "ca")
    code, found = verdict(GOOD, conf=conf)
    assert (code, found["code"]) == (1, "internal_error")
    other_tsa = Evidence.create("rsa", name="Another CA").tsa
    conf = Evidence(EVIDENCE.signer, other_tsa).write_conf(tmp_path / "tsa")
    code, found = verdict(GOOD, conf=conf)
    assert (code, found["code"]) == (1, "mlog.tsp_certificate_not_found")


# For people


def test_each_step_is_numbered_and_the_verdict_is_plain(verify):
    code, said = verify(GOOD)
    lines = said.splitlines()
    assert code == 0
    assert lines[0] == "Verifying some.asice"
    assert [line.split()[1] for line in lines if line.startswith("  ✓")] == [
        f"{number}." for number in range(1, 8)
    ]
    assert "✓ VALID" in lines
    assert all(len(line) <= 100 for line in lines)
    assert "\x1b" not in said


def test_what_is_not_verified_is_shown_loudly(verify):
    _, said = verify(OTHER_BODY)
    assert "✓ VALID" in said
    assert "! NOT VERIFIED\n  attachment1: the one in the container is not the one" in said


def test_an_invalid_container_says_which_step_did_not_hold(verify):
    _, said = verify(BAD)
    assert "  ✗  6. Is this what was signed?" in said
    assert "✗ INVALID\n  invalid_signature_value" in said
    assert "VALID" not in said.replace("INVALID", "")


def test_control_characters_of_a_message_do_not_reach_the_terminal(verify):
    hostile = REQUEST.replace(b"x-road-id:DEV-1", b"x-road-id:\xc2\x9b2J\xe2\x80\xae")
    _, said = verify(EVIDENCE.container({MESSAGE: hostile}))
    assert "\x9b" not in said
    assert "\u202e" not in said
    assert "\\x9b2J\\u202e" in said


def test_long_identifiers_are_wrapped_behind_their_separators(verify):
    long = REQUEST.replace(b"/service", b"/" + b"service-" * 30)
    _, said = verify(EVIDENCE.container({MESSAGE: long}))
    assert all(len(line) <= 100 for line in said.splitlines())
    assert "service-\n" in said


def test_a_file_that_holds_containers_or_is_encrypted_is_told_so(verify):
    assert "sild verify-archive" in verify(rezipped({"a-request-1.asice": GOOD}))[1]
    assert "gpg --output" in verify(b"\x85\x01\x0c" + bytes(90))[1]
    assert "gpg --output" not in verify(b"no zip")[1]


def test_colours_are_for_terminals_only(tmp_path, conf):
    path = tmp_path / "some.asice"
    path.write_bytes(TOGETHER)
    command = [sys.executable, "-m", "sild", "verify", str(path), "--conf", str(conf)]
    environment = {k: v for k, v in os.environ.items() if k != "NO_COLOR"}
    ours, theirs = pty.openpty()
    subprocess.run(command, stdout=theirs, env=environment, check=True)
    os.close(theirs)
    said = b""
    try:
        while piece := os.read(ours, 65536):
            said += piece
    except OSError:  # how a terminal says that it was closed
        pass
    os.close(ours)
    assert b"\x1b[1;32m\xe2\x9c\x93 VALID\x1b[0m" in said


def test_a_terminal_without_these_letters_gets_others(tmp_path, conf):
    path = tmp_path / "some.asice"
    path.write_bytes(TOGETHER)
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = process("verify", path, "--conf", conf, env=environment)
    assert done.returncode == 0
    assert "+ VALID" in done.stdout


@pytest.mark.parametrize("option", [[], ["--json"]])
def test_whoever_reads_no_further_does_not_change_the_verdict(tmp_path, conf, option):
    path = tmp_path / "some.asice"
    path.write_bytes(TOGETHER)
    command = [sys.executable, "-m", "sild", "verify", str(path), "--conf", str(conf), *option]
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


def test_the_help_says_what_the_exit_status_means(capsys):
    with pytest.raises(SystemExit):
        main(["verify", "--help"])
    said = capsys.readouterr().out
    for word in ("verificationconf", "exit status", "NOT\nVERIFIED", "--strict", "examples:"):
        assert word in said


# Extracting


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_is_not_verified_cannot_be_taken_for_what_is(verify, tmp_path):
    code, said = verify(OTHER_BODY, "--extract", tmp_path / "out")
    assert code == 0
    assert names_in(tmp_path / "out") == ["attachment1.unverified", "message.xml"]
    assert "attachment1.unverified" in said


def test_nothing_is_extracted_from_an_invalid_container(verify, tmp_path):
    code, said = verify(BAD, "--extract", tmp_path / "out")
    assert code == 1
    assert not (tmp_path / "out").exists()
    assert "Nothing was extracted" in said
    assert verify(OTHER_BODY, "--strict", "--extract", tmp_path / "out")[0] == 1
    assert not (tmp_path / "out").exists()


def test_no_other_file_is_overwritten(verify, tmp_path):
    out = tmp_path / "out"
    assert verify(GOOD, "--extract", out)[0] == 0
    assert verify(GOOD, "--extract", out)[0] == 0
    (out / "message.xml").write_bytes(b"mine")
    code, said = verify(GOOD, "--extract", out)
    assert (code, "VALID" in said) == (3, True)
    assert (out / "message.xml").read_bytes() == b"mine"
    (out / "message.xml").unlink()
    (out / "message.xml").symlink_to(out / "elsewhere")
    assert verify(GOOD, "--extract", out)[0] == 3
    assert not (out / "elsewhere").exists()
