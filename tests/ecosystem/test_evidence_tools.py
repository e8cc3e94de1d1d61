"""The log of a running server proves itself, and a container of it is renewed by the devnet's TSA."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from ecosystem.duo import REGISTER, Duo, plan_at

NETWORK = "127.0.23"
pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def duo(tmp_path_factory, anyio_backend):
    async with Duo(plan_at(NETWORK, tmp_path_factory.mktemp("evidence-tools"))) as duo:
        yield duo


async def sild(*arguments):
    """Runs a command as a process; gives its exit code and what it said."""

    def run():
        command = [sys.executable, "-m", "sild", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = await asyncio.to_thread(run)
    return done.returncode, done.stdout + done.stderr


async def called(duo):
    answer = await duo.call("/echo")
    assert answer.status_code == 200, answer.text
    return answer.headers["x-road-id"]


async def test_the_logs_of_both_servers_prove_themselves(duo, tmp_path):
    query_id = await called(duo)
    head = tmp_path / "head.json"
    for server in (duo.consumer, duo.provider):
        await server.control.stamp_waiting()
        assert (await sild("log", "audit", "--home", server.layout.home))[0] == 0
        proof = tmp_path / "proof.json"
        code, said = await sild(
            "log", "prove", query_id, "--home", server.layout.home, "--out", proof
        )
        assert (code, "2 records" in said) == (0, True), said
        conf = server.layout.home / "globalconf"
        code, said = await sild("verify-proof", proof, "--conf", conf)
        assert (code, "exists since" in said) == (0, True), said
    await sild("log", "head", "--home", duo.consumer.layout.home, "--out", head)
    await called(duo)
    await duo.consumer.control.stamp_waiting()
    grown = tmp_path / "grown.json"
    home = ("--home", duo.consumer.layout.home)
    assert (await sild("log", "consistency", *home, "--from", head, "--out", grown))[0] == 0
    code, said = await sild("verify-proof", grown, "--head", head, "--conf", conf)
    assert (code, "The log grew from 2 to 4" in said) == (0, True), said


async def test_a_container_is_renewed_and_verifies_as_before(duo, tmp_path):
    query_id = await called(duo)
    path = tmp_path / "answer.asice"
    await duo.provider.control.export_container(query_id, REGISTER, True, str(path))
    conf = duo.provider.layout.home / "globalconf"
    _, report = await sild("verify", path, "--conf", conf, "--json")
    before = json.loads(report)
    assert before["verdict"] == "valid"
    url = f"{duo.authorities.url}/tsa"
    for _ in range(2):
        code, said = await sild("evidence", "renew", path, "--tsa", url, "--conf", conf)
        assert code == 0, said
    code, said = await sild("verify", path, "--conf", conf, "--strict", "--json")
    assert (code, json.loads(said)["timestamped_at"]) == (0, before["timestamped_at"])
    assert (await sild("evidence", "verify", path, "--conf", conf))[0] == 0


async def test_a_message_that_was_taken_from_one_log_is_shown_by_the_container_of_the_other(
    duo, tmp_path
):
    query_id = await called(duo)
    path = tmp_path / "peer.asice"
    await duo.provider.control.export_container(query_id, REGISTER, False, str(path))
    await duo.consumer.control.record_count()
    arguments = ("log", "audit", "--home", duo.consumer.layout.home, "--container", path)
    assert (await sild(*arguments))[0] == 0
    with closing(sqlite3.connect(duo.consumer.layout.home / "messagelog.db")) as database:
        database.execute("DELETE FROM messagelog_record WHERE query_id = ?", [query_id])
        database.commit()
    code, said = await sild(*arguments)
    assert code == 1
    assert f"no record has the message of {path}" in said
    assert "was deleted by hand" in said
