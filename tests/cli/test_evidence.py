import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from evidence_builder import REQUEST, Evidence, entries_in, rezipped, stamped_together
from pki_builder import NOON, TestCa, TestTsa
from signing_builder import ATTACHMENT, MESSAGE, TestSigner
from sild.cli import main
from sild.cli.verify_conf import read_conf
from sild.cli.verify_renewals import follow_renewals
from sild.protocol.asic.augment import with_entries
from sild.protocol.asic.container import read_container
from sild.protocol.asic.judge import judge_strictly
from sild.protocol.evidence.archive_manifest import (
    NEWEST,
    prepare_renewal,
    read_archive_manifest,
)
from sild.protocol.pki.signed import Strength

LONG = {"not_before": NOON - timedelta(days=30), "not_after": datetime(2120, 1, 1, tzinfo=UTC)}
EVIDENCE = Evidence(TestSigner.create(), TestTsa.create(**LONG))
OTHER_TSA = TestTsa.create("Other TSA", ca=TestCa.create("Another CA"), **LONG)
PARTS = {MESSAGE: REQUEST, ATTACHMENT: b"the body"}
ONE = EVIDENCE.container(PARTS)
TOGETHER = EVIDENCE.container(PARTS, stamp=stamped_together)
FIRST, SECOND = NOON + timedelta(days=100), NOON + timedelta(days=200)


class Authority:
    """A time-stamping authority on a port, at a time of its own."""

    def __init__(self, tsa):
        self.tsa, self.at, self.asked = tsa, FIRST, 0
        self.stamp = {}

    @contextmanager
    def serving(self):
        authority = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                request = self.rfile.read(int(self.headers["content-length"]))
                assert self.headers["content-type"] == "application/timestamp-query"
                authority.asked += 1
                answer = authority.tsa.answer(request, at=authority.at, **authority.stamp)
                self.send_response(200)
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            self.url = f"http://127.0.0.1:{server.server_port}/"
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


@pytest.fixture
def authority():
    with Authority(EVIDENCE.tsa).serving() as serving:
        yield serving


@pytest.fixture
def conf(tmp_path):
    return EVIDENCE.write_conf(tmp_path / "conf")


@pytest.fixture
def evidence(authority, conf, capsys):
    """Runs the command with this trust; gives its exit code and what came of each file."""

    def run(action, *arguments, trust=("--conf", conf)):
        stamping = ("--tsa", authority.url) if action == "renew" else ()
        code = main(["evidence", action, *map(str, (*arguments, *stamping, *trust)), "--json"])
        return code, json.loads(capsys.readouterr().out or "[]")

    return run


def file_of(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    path.chmod(0o640)
    return path


def verdicts(outcomes):
    return [outcome["verdict"] for outcome in outcomes]


def moments(outcome):
    return [datetime.fromisoformat(each["stamped_at"]) for each in outcome["renewals"]]


def process(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "sild", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("data", [ONE, TOGETHER], ids=["one", "together"])
def test_a_container_is_renewed_twice_and_every_verifier_says_what_it_said(
    tmp_path, authority, conf, data
):
    path = file_of(tmp_path, "answer.asice", data)
    before = process("verify", path, "--conf", conf, "--json")
    assert before.returncode == 0
    for authority.at in (FIRST, SECOND):
        done = process("evidence", "renew", path, "--tsa", authority.url, "--conf", conf)
        assert (done.returncode, done.stderr) == (0, "")
        assert "RENEWED" in done.stdout
    assert path.stat().st_mode & 0o777 == 0o640
    entries = entries_in(path.read_bytes())
    assert entries.items() >= entries_in(data).items()
    assert len(entries) == len(entries_in(data)) + 4
    assert read_container(path.read_bytes()) == read_container(data)
    after = json.loads(process("verify", path, "--conf", conf, "--json").stdout)
    unchanged = {name: after[name] for name in ("verdict", "signer", "signed_at", "timestamped_at")}
    assert json.loads(before.stdout).items() >= unchanged.items()
    done = process("evidence", "verify", path, "--conf", conf)
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("VALID", "2026-04-25 12:00:00 UTC", "2026-08-03 12:00:00 UTC", "until 2120-01-01"):
        assert said in done.stdout


def test_verify_follows_the_renewals(tmp_path, evidence, conf, capsys):
    path = file_of(tmp_path, "a.asice", ONE)

    def verify(*options):
        code = main(["verify", str(path), "--conf", str(conf), "--json", *options])
        return code, json.loads(capsys.readouterr().out)

    count = len(verify()[1]["steps"])
    assert evidence("renew", path)[0] == 0
    code, found = verify()
    assert (code, len(found["steps"])) == (0, count + 1)
    assert "yes, at 2026-04-25 12:00:00 UTC" in found["steps"][-1]["answer"]
    assert verify("--strict")[0] == 0
    entries = entries_in(path.read_bytes())
    path.write_bytes(rezipped(entries | {NEWEST: entries[NEWEST] + b" "}))
    code, found = verify()
    assert (code, found["verdict"], found["steps"][-1]["held"]) == (0, "valid", False)
    assert "prove nothing" in found["steps"][-1]["answer"]
    code, found = verify("--strict")
    assert (code, found["verdict"], found["code"]) == (1, "invalid", "not_strict")


def test_strictly_every_flip_in_a_renewed_container_is_noticed(tmp_path, evidence, conf):
    path = file_of(tmp_path, "a.asice", ONE)
    assert evidence("renew", path)[0] == 0
    entries, trusts = entries_in(path.read_bytes()), read_conf(conf, Strength.CURRENT)

    def is_valid(changed):
        data = rezipped(entries | changed)
        return follow_renewals(judge_strictly(data, trusts), data, trusts, strict=True).is_valid

    assert is_valid({})
    token = read_archive_manifest(entries[NEWEST]).token
    for name, content in entries.items():
        for place in range(0, len(content), 11 if name == token else 307):
            flipped = bytearray(content)
            flipped[place] ^= 1 << place % 8
            assert not is_valid({name: bytes(flipped)}), (name, place)


def test_archives_are_renewed_together_and_each_is_proven_alone(tmp_path, authority, evidence):
    paths = [file_of(tmp_path, f"mlog-{n}.zip", b"archive %d" % n * 50_000) for n in range(3)]
    held = [path.read_bytes() for path in paths]
    for asked, (authority.at, digest) in enumerate(((FIRST, "SHA-256"), (SECOND, "SHA-512")), 1):
        code, outcomes = evidence("renew", *paths, "--digest", digest)
        assert (code, verdicts(outcomes)) == (0, ["renewed"] * 3)
        assert authority.asked == asked
    assert [path.read_bytes() for path in paths] == held
    for path in paths:
        code, (outcome,) = evidence("verify", path)
        assert (code, outcome["verdict"]) == (0, "valid")
        assert moments(outcome) == [FIRST, SECOND]
        assert path.with_name(path.name + ".ers").stat().st_mode & 0o777 == 0o640
    # As where a shell names all that there is: a record is no file to be protected.
    code, outcomes = evidence("verify", *sorted(tmp_path.glob("mlog-*")))
    assert (code, verdicts(outcomes)) == (0, ["valid"] * 3)
    changed = file_of(tmp_path, "mlog-1.zip", held[1][:-1])
    code, (outcome,) = evidence("verify", changed)
    assert (code, outcome["verdict"]) == (1, "invalid")
    code, (outcome,) = evidence("renew", changed)
    assert (code, outcome["verdict"]) == (1, "invalid")


def test_a_container_that_is_not_valid_is_not_renewed(tmp_path, evidence):
    bad = rezipped(entries_in(ONE) | {"message.xml": REQUEST + b"a:b\r\n"})
    path = file_of(tmp_path, "bad.asice", bad)
    code, (outcome,) = evidence("renew", path)
    assert (code, outcome["verdict"]) == (1, "invalid")
    assert path.read_bytes() == bad


def test_a_container_whose_renewal_was_tampered_with_is_not_renewed_again(tmp_path, evidence):
    path = file_of(tmp_path, "a.asice", ONE)
    assert evidence("renew", path)[0] == 0
    spoilt = rezipped(entries_in(path.read_bytes()) | {"more.txt": b"more"})
    path.write_bytes(spoilt)
    for action in ("verify", "renew"):
        code, (outcome,) = evidence(action, path)
        assert (code, outcome["verdict"]) == (1, "invalid")
        assert "does not cover more.txt" in outcome["reason"]
    assert path.read_bytes() == spoilt
    gone = {name: data for name, data in entries_in(spoilt).items() if name != NEWEST}
    path.write_bytes(rezipped(gone))
    assert evidence("verify", path)[1][0]["verdict"] == "invalid"


def test_files_fail_each_by_itself(tmp_path, evidence):
    good = file_of(tmp_path, "good.asice", ONE)
    none = tmp_path / "none.zip"
    archive = file_of(tmp_path, "a.zip", b"archive")
    code, outcomes = evidence("renew", none, good, archive)
    assert (code, verdicts(outcomes)) == (2, ["unknown", "renewed", "renewed"])


def test_an_authority_that_nobody_approved_renews_nothing(tmp_path, authority, evidence):
    authority.tsa = OTHER_TSA
    paths = [file_of(tmp_path, "a.asice", ONE), file_of(tmp_path, "a.zip", b"archive")]
    code, outcomes = evidence("renew", *paths)
    assert (code, verdicts(outcomes)) == (1, ["failed", "failed"])
    assert paths[0].read_bytes() == ONE
    assert not (tmp_path / "a.zip.ers").exists()


def test_another_authority_counts_by_its_certificate(tmp_path, authority, evidence, conf):
    authority.tsa = OTHER_TSA
    certificate = file_of(tmp_path, "tsa.der", OTHER_TSA.signer.certificate.der)
    path = file_of(tmp_path, "a.asice", ONE)
    code, (outcome,) = evidence("renew", path, trust=("--tsa-cert", certificate))
    assert (code, outcome["verdict"]) == (0, "renewed")
    assert "were not verified" in outcome["reason"]
    assert evidence("verify", path)[1][0]["verdict"] == "invalid"
    both = ("--conf", conf, "--tsa-cert", certificate)
    assert evidence("verify", path, trust=both)[1][0]["verdict"] == "valid"


@pytest.mark.parametrize("stamp", [{"nonce": 5}, {"status": "rejection"}, {"imprint": b"x" * 64}])
def test_an_answer_to_something_else_renews_nothing(tmp_path, authority, evidence, stamp):
    authority.stamp = stamp
    path = file_of(tmp_path, "a.asice", ONE)
    code, (outcome,) = evidence("renew", path)
    assert (code, outcome["verdict"]) == (1, "failed")
    assert path.read_bytes() == ONE


def test_a_silent_authority_renews_nothing(tmp_path, conf, capsys):
    path = file_of(tmp_path, "a.asice", ONE)
    arguments = ["renew", str(path), "--tsa", "http://127.0.0.1:1/", "--conf", str(conf), "--json"]
    assert main(["evidence", *arguments]) == 1
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "failed"


def test_a_renewal_after_the_containers_own_stamp_has_ended_is_refused(tmp_path, authority, capsys):
    brief = Evidence(TestSigner.create(), TestTsa.create())
    conf, path = brief.write_conf(tmp_path / "brief"), tmp_path / "a.asice"
    data = brief.container(PARTS)
    path.write_bytes(data)
    certificate = file_of(tmp_path, "tsa.der", EVIDENCE.tsa.signer.certificate.der)
    authority.at = NOON + timedelta(days=400)
    arguments = ["renew", path, "--tsa", authority.url, "--conf", conf, "--tsa-cert", certificate]
    assert main(["evidence", *map(str, arguments), "--json"]) == 1
    (outcome,) = json.loads(capsys.readouterr().out)
    assert "had ended" in outcome["reason"]
    assert path.read_bytes() == data


@pytest.mark.parametrize(("days", "in_time"), [(29, True), (31, False)])
def test_verify_believes_no_renewal_of_a_stamp_whose_authority_had_ended(
    tmp_path, capsys, days, in_time
):
    """Whoever made it: `sild evidence renew` would have refused."""
    brief = TestTsa.create(**LONG | {"not_after": NOON + timedelta(days=30)})
    both = Evidence(EVIDENCE.signer, brief, others=(OTHER_TSA,))
    at, data = NOON + timedelta(days=days), both.container(PARTS)
    prepared = prepare_renewal(entries_in(data))
    added = prepared.finish(OTHER_TSA.token(prepared.manifest, at=at))
    path = file_of(tmp_path, "a.asice", with_entries(data, added, prepared.renamed, at))
    conf = both.write_conf(tmp_path / "conf")
    for strictly, code in (((), 0), (("--strict",), int(not in_time))):
        assert main(["verify", str(path), "--conf", str(conf), "--json", *strictly]) == code
        step = json.loads(capsys.readouterr().out)["steps"][-1]
        assert step["held"] is in_time
        assert ("had ended" in step["answer"]) is not in_time


def test_what_was_not_renewed_in_time_has_lapsed(tmp_path, authority, capsys):
    ended = TestTsa.create(not_before=NOON - timedelta(days=9), not_after=NOON + timedelta(days=9))
    certificate = file_of(tmp_path, "tsa.der", ended.signer.certificate.der)
    authority.tsa, authority.at = ended, NOON
    path = file_of(tmp_path, "a.zip", b"archive")
    trust = ["--tsa-cert", str(certificate), "--json"]
    assert main(["evidence", "renew", str(path), "--tsa", authority.url, *trust]) == 0
    capsys.readouterr()
    assert main(["evidence", "verify", str(path), *trust]) == 1
    assert json.loads(capsys.readouterr().out)[0]["verdict"] == "lapsed"


def test_what_was_never_renewed_is_not_protected(tmp_path, evidence):
    paths = [file_of(tmp_path, "a.asice", ONE), file_of(tmp_path, "a.zip", b"archive")]
    code, outcomes = evidence("verify", *paths)
    assert (code, verdicts(outcomes)) == (1, ["unprotected", "unprotected"])


def test_without_anybody_to_trust_nothing_is_done(tmp_path, authority, capsys):
    path = file_of(tmp_path, "a.asice", ONE)
    assert main(["evidence", "renew", str(path), "--tsa", authority.url]) == 2
    assert "whose time-stamps count" in capsys.readouterr().err
    assert main(["evidence", "verify", str(path), "--conf", str(tmp_path / "none")]) == 2
    assert authority.asked == 0
