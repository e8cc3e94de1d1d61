import asyncio
import json
import shutil
import subprocess
import sys

import pytest

from components.messagelog.builders import (
    PART,
    SIGNER,
    TSA,
    keeping,
    plain_record,
    records_of,
    writing,
)
from evidence_builder import Evidence, rezipped
from pki_builder import NOON
from sild.cli import main
from sild.protocol.asic.container import Container, write_container
from sild.runtime.database import Database

EVIDENCE = Evidence(SIGNER, TSA)
PEERS = PART.replace(b"DEV-1", b"DEV-9")


class Server:
    """The home of a server with a log, and what can be done to it."""

    def __init__(self, home):
        self.home = home

    def take(self, *query_ids, stamped=True, message=PART):
        asyncio.run(self._take(query_ids, stamped, message))

    async def _take(self, query_ids, stamped, message):
        async with keeping(self.home) as kept, writing(self.home) as writer:
            (signed,) = records_of(None)
            for query_id in query_ids:
                record = plain_record(query_id, signed.signature)
                for each in (record, plain_record(query_id, signed.signature, is_response=True)):
                    object.__setattr__(each, "message", message)
                    await writer.log.save(each, b"body")
            await kept.taker.take_all()
            if stamped:
                await kept.timestamping.stamp_waiting()

    def opened(self):
        return Database.open(f"sqlite:///{self.home / 'messagelog.db'}")

    def change(self, *statements):
        async def act():
            async with self.opened() as database, database.transaction() as connection:
                for statement in statements:
                    await connection.exec_driver_sql(statement)

        asyncio.run(act())


@pytest.fixture
def server(tmp_path):
    made = Server(tmp_path / "home")
    made.take("one", "two", "three")
    EVIDENCE.write_conf(made.home / "globalconf/current")
    return made


@pytest.fixture
def conf(tmp_path):
    return EVIDENCE.write_conf(tmp_path / "conf")


@pytest.fixture
def sild(capsys):
    """Runs a command; gives its exit code, what it printed and what it complained of."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def process(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "sild", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_message_is_proven_to_whoever_has_the_proof_alone(tmp_path, server, conf):
    proof = tmp_path / "proof.json"
    done = process("log", "prove", "two", "--home", server.home, "--out", proof)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 records, head of 6 records" in done.stdout
    done = process("verify-proof", proof, "--conf", conf)
    assert (done.returncode, done.stderr) == (0, "")
    for said in (
        "The request two of SUBSYSTEM:DEV/GOV/M1/S1 is record 2 of the log",
        "The response two of SUBSYSTEM:DEV/GOV/M1/S1 is record 3 of the log",
        "exists since 2026-01-15 12:05:00 UTC: Test TSA",
        "VALID",
    ):
        assert said in done.stdout
    found = json.loads(proof.read_bytes())
    found["records"][0]["leaf"]["time_ms"] += 1
    proof.write_text(json.dumps(found))
    done = process("verify-proof", proof)
    assert done.returncode == 1
    assert "INVALID" in done.stdout


def test_the_log_is_proven_to_have_only_grown(tmp_path, server, sild, conf):
    first, proof = tmp_path / "head.json", tmp_path / "proof.json"
    assert sild("log", "head", "--home", server.home, "--out", first)[0] == 0
    server.take("four")
    code, out, _ = sild(
        "log", "consistency", "--home", server.home, "--from", first, "--out", proof
    )
    assert (code, "grown from 6 records: head of 8" in out) == (0, True)
    code, out, _ = sild("verify-proof", proof, "--conf", conf, "--head", first, "--json")
    assert (code, json.loads(out)["verdict"]) == (0, "valid")
    assert "The log grew from 6 to 8 records" in out
    # A proof is a head that was kept, too.
    server.take("five", stamped=False)
    code, out, _ = sild("log", "consistency", "--home", server.home, "--from", proof)
    assert (code, json.loads(out)["second"]["head"]["size"]) == (0, 8)
    code, out, _ = sild("log", "head", "--home", server.home, "--current", "--json")
    current = json.loads(out)
    assert (current["head"]["size"], current["stamp"]) == (10, None)
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"head": {"size": 6, "root": "00" * 32}, "stamp": None}))
    code, _, err = sild("log", "consistency", "--home", server.home, "--from", other)
    assert (code, "does not bear out" in err) == (1, True)
    assert sild("verify-proof", proof, "--head", other)[0] == 1


@pytest.mark.parametrize(
    ("statement", "kind", "record"),
    [
        ("UPDATE messagelog_record SET message = body WHERE id = 3", "altered", 3),
        ("DELETE FROM messagelog_record WHERE id = 4", "deleted", 4),
    ],
)
def test_what_was_changed_by_hand_is_named(server, statement, kind, record):
    done = process("log", "audit", "--home", server.home)
    assert (done.returncode, done.stderr) == (0, "")
    assert "All is as it was." in done.stdout
    assert "1 heads, the time-stamps of 1 verified" in done.stdout
    server.change(statement)
    done = process("log", "audit", "--home", server.home, "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert report["verdict"] == "altered"
    assert [(each["kind"], each["record_id"]) for each in report["findings"]] == [(kind, record)]


def test_a_cut_end_is_found_by_a_head_or_a_container_kept_elsewhere(tmp_path, server, sild):
    container, head = tmp_path / "peer.asice", tmp_path / "head.json"
    container.write_bytes(write_container(Container(PEERS, b"signature"), NOON))
    before = shutil.copytree(server.home, tmp_path / "before")
    server.take("last", message=PEERS)
    known = ("--head", head, "--container", container)
    sild("log", "head", "--home", server.home, "--out", head)
    assert sild("log", "audit", "--home", server.home, *known)[0] == 0
    # An older copy of the database is put back, which its journal does not fit to; then of both.
    for path in server.home.glob("messagelog.db*"):
        path.unlink()
    shutil.copy(before / "messagelog.db", server.home)
    code, out, _ = sild("log", "audit", "--home", server.home)
    assert (code, "JOURNAL: " in out) == (1, True)
    assert f"{server.home / 'journal/worker-0'}/0000000001.journal is missing" in out
    shutil.rmtree(server.home / "journal")
    shutil.copytree(before / "journal", server.home / "journal")
    assert sild("log", "audit", "--home", server.home)[0] == 0
    code, out, _ = sild("log", "audit", "--home", server.home, *known)
    assert code == 1
    assert f"TRUNCATED: the head in {head} is of 8 records, and the log has 6" in out
    assert f"TRUNCATED: no record has the message of {container}" in out


def test_a_proof_is_of_the_message_in_a_container(tmp_path, server, sild):
    proof = tmp_path / "proof.json"
    sild("log", "prove", "one", "--home", server.home, "--out", proof)
    for message, expected in ((PART, 0), (PEERS, 1)):
        path = tmp_path / "some.asice"
        path.write_bytes(write_container(Container(message, b"signature"), NOON))
        assert sild("verify-proof", proof, "--container", path)[0] == expected
    path.write_bytes(rezipped({"mimetype": b"x"}))
    assert sild("verify-proof", proof, "--container", path)[0] == 2


@pytest.fixture
def proofs(tmp_path, server, sild):
    """A proof that a message is in the log, one that the log grew, and the head that it grew from."""
    inclusion, growth, head = (tmp_path / f"{name}.json" for name in ("in", "grown", "head"))
    sild("log", "prove", "one", "--home", server.home, "--out", inclusion)
    sild("log", "head", "--home", server.home, "--out", head)
    server.take("four")
    sild("log", "consistency", "--home", server.home, "--from", head, "--out", growth)
    return inclusion, growth, head


def test_proofs_are_verified_as_containers_are(proofs, conf, sild):
    inclusion, growth, head = proofs
    code, out, _ = sild("verify", inclusion, "--conf", conf)
    assert (code, "request one of SUBSYSTEM:DEV/GOV/M1/S1" in out, "✓ VALID" in out) == (0, 1, 1)
    code, out, _ = sild("verify", growth, "--conf", conf, "--head", head)
    assert (code, "grew from 6 to 8 records" in out, "✓ VALID" in out) == (0, 1, 1)
    code, out, _ = sild("verify", growth, "--conf", conf, "--json")
    found = json.loads(out)
    steps = found.pop("steps")
    assert [(step["number"], step["held"]) for step in steps] == [(1, True), (2, True), (3, True)]
    stamped_at = "2026-01-15T12:05:00Z"
    facts = {"signer": None, "signed_at": None, "timestamped_at": stamped_at, "unverified": []}
    assert (code, found) == (0, {"verdict": "valid", "code": None, **facts})


def test_a_proof_that_does_not_hold_is_invalid(tmp_path, proofs, conf, sild):
    inclusion, growth, head = proofs
    for proof, name, member in ((inclusion, "records", "number"), (growth, "second", "head")):
        changed = json.loads(proof.read_bytes())
        place = changed[name][0] if member == "number" else changed[name][member]
        place["number" if member == "number" else "size"] += 1
        spoilt = tmp_path / "spoilt.json"
        spoilt.write_text(json.dumps(changed))
        code, out, _ = sild("verify", spoilt, "--conf", conf, "--json")
        found = json.loads(out)
        assert (code, found["verdict"], found["code"]) == (1, "invalid", "internal_error")
        assert [step["held"] for step in found["steps"]] == [False]
    assert sild("verify", inclusion, "--conf", conf, "--head", head)[0] == 0
    assert sild("verify", inclusion, "--conf", conf, "--head", growth)[0] == 1
    strangers = Evidence.create().write_conf(tmp_path / "strangers")
    assert sild("verify", inclusion, "--conf", strangers)[0] == 1


def test_a_proof_is_verified_to_be_of_a_message(tmp_path, proofs, conf, sild):
    inclusion, _, head = proofs
    path = tmp_path / "some.asice"
    for message, expected in ((PART, 0), (PEERS, 1)):
        path.write_bytes(write_container(Container(message, b"signature"), NOON))
        assert sild("verify", inclusion, "--conf", conf, "--of", path)[0] == expected
    code, _, err = sild("verify", path, "--conf", conf, "--head", head)
    assert (code, "are for proofs" in err) == (2, True)
    code, _, err = sild("verify", inclusion, "--conf", conf, "--of", tmp_path / "none")
    assert (code, str(tmp_path / "none") in err) == (2, True)
    code, out, _ = sild("verify", head, "--conf", conf, "--json")
    assert (code, json.loads(out)["code"]) == (1, "asic_mime_type_not_found")


def test_what_is_not_there_is_said(tmp_path, server, sild):
    code, _, err = sild("log", "prove", "none", "--home", server.home)
    assert (code, "no record with the id 'none'" in err) == (1, True)
    code, _, err = sild("log", "audit", "--home", tmp_path / "nowhere")
    assert (code, "holds no message log" in err) == (2, True)
    assert not (tmp_path / "nowhere").exists()
    assert sild("log", "audit", "--home", server.home, "--head", tmp_path / "no.json")[0] == 2
    assert sild("verify-proof", tmp_path / "no.json")[0] == 2
    junk = tmp_path / "junk.json"
    junk.write_text("junk")
    assert sild("verify-proof", junk)[0] == 1


def test_the_home_of_a_running_server_is_not_changed(server, sild):
    before = (server.home / "messagelog.db").read_bytes()
    for arguments in (["audit"], ["head"], ["prove", "one"]):
        assert sild("log", *arguments, "--home", server.home)[0] == 0
    assert (server.home / "messagelog.db").read_bytes() == before
