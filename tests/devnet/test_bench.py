import argparse
import asyncio
import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from sild.cli.bench import add_parser
from sild.devnet.bench import (
    ALL_CASES,
    EVIDENCE,
    PUBLISHING,
    QUICK_CASES,
    chosen,
    first_of,
    run_bench,
)
from sild.devnet.benchmark.backend import Backend, body_of
from sild.devnet.benchmark.evidence import EvidenceBench
from sild.devnet.benchmark.figures import (
    CONSUMER,
    NGINX,
    PROVIDER,
    RATIO_CASE,
    SILD,
    Body,
    Case,
    Engine,
    Load,
    Results,
    Run,
    Spent,
    goals,
    percentile,
    summary,
)
from sild.devnet.benchmark.letters import Letters, answer_to, soap_path
from sild.devnet.benchmark.load import Generator, Order
from sild.devnet.benchmark.nginx import find_nginx
from sild.devnet.benchmark.postgres import find_postgres, temporary_postgres
from sild.devnet.benchmark.processes import cpu_seconds, family, memory_bytes, peak_memory_bytes
from sild.devnet.benchmark.report import to_json, to_text
from sild.devnet.benchmark.runs import Bench, Extent
from sild.devnet.benchmark.servers import ServerPair
from sild.devnet.benchmark.signatory import BATCH, Authorities, Signatory
from sild.devnet.benchmark.stages import (
    STAGES,
    Place,
    archive_records,
    log_records,
    stamp_records,
    verify_containers,
)
from sild.devnet.errors import DevnetError
from sild.model.tokens import KeyAlgorithm
from sild.protocol.soap.message import check_consistency, read_soap
from sild.protocol.soap.package import read_package
from sild.protocol.soap.parts import AttachmentEnd
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.runtime.http_server import Endpoint, Limits, serve

MIB = 1024 * 1024


def run(messages, cpu=(1.0, 2.0), memory=(100, 120)):
    return Run(
        Load(messages, 2.0, 5.0, 9.0),
        dict(zip((CONSUMER, PROVIDER), cpu, strict=True)),
        {name: size * MIB for name, size in zip((CONSUMER, PROVIDER), memory, strict=True)},
    )


def results(ours, theirs=(), idle=(100, 110)):
    found = Results()
    for messages in ours:
        found.add(RATIO_CASE, SILD, run(messages))
    for messages in theirs:
        found.add(RATIO_CASE, NGINX, run(messages, memory=(8, 8)))
    for who in (SILD, NGINX):
        found.tls[RATIO_CASE.key, who] = "TLSv1.3 TLS_AES_256_GCM_SHA384"
        found.idle[RATIO_CASE.key, who] = {
            CONSUMER: idle[0] * MIB,
            PROVIDER: idle[1] * MIB,
        }
    return found


# Figures


def test_a_summary_takes_medians_and_the_most_memory():
    found = summary([run(100), run(400, memory=(140, 90)), run(200)])
    assert found.rate == 100.0
    assert found.cpu == {CONSUMER: 5000.0, PROVIDER: 10_000.0}
    assert found.memory == {CONSUMER: 140 * MIB, PROVIDER: 120 * MIB}


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 6), (0.99, 10), (1.0, 10)])
def test_a_percentile_is_a_value_that_occurred(share, value):
    assert percentile(range(1, 11), share) == value


def test_the_ratio_is_of_medians():
    assert results([100, 300, 200], [1000, 9000, 2000]).ratio(RATIO_CASE) == 0.1
    assert results([100]).ratio(RATIO_CASE) is None


@pytest.mark.parametrize(
    ("found", "reached"),
    [
        (results([100], [1000]), [True, True, True, None, None]),
        (results([79], [1000]), [False, True, True, None, None]),
        (results([100], [1000], idle=(140, 151)), [True, False, True, None, None]),
        (results([100], idle=(151, 1)), [None, False, True, None, None]),
        (Results(), [None] * 5),
    ],
)
def test_goals_are_reached_missed_or_not_measured(found, reached):
    assert [goal.reached for goal in goals(found)] == reached


def test_memory_under_load_is_that_of_every_run():
    found = results([100], [1000])
    found.add(RATIO_CASE, SILD, run(100, memory=(301, 100)))
    assert [goal.reached for goal in goals(found)][:3] == [True, True, False]


@pytest.mark.parametrize(
    ("by_soap", "reached"), [((700, 900), True), ((800, 690), False), ((), None)]
)
def test_the_share_of_rest_is_the_least_of_the_keys(by_soap, reached):
    found = Results()
    for key, messages in zip((KeyAlgorithm.RSA_2048, KeyAlgorithm.EC_P256), by_soap, strict=False):
        found.add(Case(key, Body.SOAP, 64), SILD, run(messages))
        found.add(Case(key, Body.REST, 64), SILD, run(1000))
    assert [goal.reached for goal in goals(found)][3:] == [reached, None]
    assert found.share_of_rest(Body.SOAP, Body.REST) == (min(by_soap) / 1000 if by_soap else None)


def test_a_report_tells_each_case_the_ratio_and_the_goals():
    text = to_text(results([79], [1000]))
    assert "RSA-2048 1 kB x64  sild " in text
    assert "0.079" in text
    assert "MISSED   share of the nginx chain's rate" in text
    assert "reached  memory of a server at rest: 110 MiB" in text


def test_json_has_every_run():
    found = to_json(results([100, 200], [1000, 1000]))
    (case,) = found["cases"]
    assert [each["load"]["messages"] for each in case["runs"][SILD]] == [100, 200]
    assert case["ratio"] == 0.15


def measured_evidence():
    found = Results()
    found.evidence[Engine.SQLITE, "archive"] = Spent(500, 2.5, 1.25, 90 * MIB)
    found.absent.append(Engine.POSTGRESQL)
    return found


def test_evidence_is_told_without_a_message_path():
    text = to_text(measured_evidence())
    assert "SQLite      archive            500      2.5        200    1.2          90" in text
    assert "PostgreSQL  not installed" in text
    assert "messages/s" not in text


def test_evidence_is_told_after_the_message_path():
    found = measured_evidence()
    found.add(RATIO_CASE, SILD, run(100))
    assert to_text(found).index("messages/s") < to_text(found).index("records/s")


def test_json_has_every_stage_and_what_is_absent():
    told = to_json(measured_evidence())
    assert told["evidence"] == [
        {
            "engine": "SQLite",
            "stage": "archive",
            "records": 500,
            "seconds": 2.5,
            "cpu": 1.25,
            "memory": 90 * MIB,
            "rate": 200.0,
        }
    ]
    assert told["absent"] == ["PostgreSQL"]
    assert json.dumps(told)


# Choosing


def test_all_cases_are_every_key_and_size_and_what_is_compared_under_load():
    assert len(ALL_CASES) == len(set(ALL_CASES)) == 2 * (2 * 3 + 4)
    assert {case.body for case in QUICK_CASES} == set(Body)
    assert set(QUICK_CASES) < set(ALL_CASES)
    assert RATIO_CASE in QUICK_CASES


def test_cases_are_chosen_by_all_words_of_their_names():
    assert chosen(ALL_CASES, ["rsa-2048", "1 kB", "x64"]) == (RATIO_CASE,)
    assert {case.body for case in chosen(ALL_CASES, ["10 MB"])} == {Body.LARGE}
    assert chosen(ALL_CASES, ["x6"]) == ()


def test_a_word_of_no_case_is_answered_with_all_names(capsys):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    assert run_bench(parser.parse_args(["bench", "--only", EVIDENCE, "x64"])) == 2
    told = capsys.readouterr().err.split("\n  ")
    assert told[1:] == [*map(str, ALL_CASES), EVIDENCE, f"{PUBLISHING}\n"]


@pytest.mark.parametrize("arguments", [["--runs", "0"], ["--workers", "x"], ["--only"]])
def test_the_command_refuses_what_it_cannot_do(arguments, capsys):
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers())
    with pytest.raises(SystemExit):
        parser.parse_args(["bench", *arguments])


def test_the_first_of_several_errors_is_told():
    lone = ValueError("lone")
    assert first_of(lone) is lone
    assert first_of(ExceptionGroup("a", [ExceptionGroup("b", [lone]), OSError()])) is lone


# SOAP messages


@pytest.mark.parametrize("kind", [Body.SOAP, Body.SOAP_PACKAGE])
def test_letters_are_soap_messages_of_the_size_that_repeat_each_others_header(kind):
    letters = Letters(kind, ServerPair.soap_header(kind))
    (asked, attached), (answered, returned) = (
        read_letter(*letters.request(12)),
        read_letter(*answer_to(kind, letters.request(12)[1])),
    )
    check_consistency(asked, answered)
    assert (asked.is_request, answered.is_response) == (True, True)
    assert asked.header.message_id == "bench-000000000012"
    assert attached == returned == (2 if kind is Body.SOAP_PACKAGE else 0)
    assert len(letters.request(1)[1]) == len(letters.request(99)[1]) == kind.size
    assert len(answer_to(kind, letters.request(1)[1])[1]) == kind.size
    assert letters.request(1) != letters.request(2)


def read_letter(content_type, data):
    """The message, and how many attachments it has."""
    first, *attached = read_package(content_type.decode(), data)
    ends = [each for each in attached if isinstance(each, AttachmentEnd)]
    return read_soap(first.raw, first.content_type), len(ends)


# Processes


def test_a_family_is_a_process_and_its_descendants():
    with subprocess.Popen(
        ["/bin/sh", "-c", "sleep 600 & echo; wait"], stdout=subprocess.PIPE
    ) as sh:
        try:
            sh.stdout.readline()
            pids = family(sh.pid)
            assert pids[0] == sh.pid
            assert len(pids) == 2
            assert set(pids) < set(family(os.getpid()))
        finally:
            for pid in pids:
                os.kill(pid, 9)
    assert family(sh.pid) == (sh.pid,)
    # Whoever inherits the other one sees its end, but not at once.
    deadline = time.monotonic() + 60
    while memory_bytes(pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert cpu_seconds(pids) == memory_bytes(pids) == 0


def test_cpu_time_and_memory_are_counted():
    command = (
        "import sys; bytearray(b'x' * 50_000_000); [i for i in range(3_000_000)]; print(); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as busy:
        busy.stdout.readline()
        assert 0.02 < cpu_seconds([busy.pid]) < 100
        assert 2 * MIB < memory_bytes([busy.pid]) < 500 * MIB


def test_the_most_memory_stays_known_when_it_was_given_back():
    command = "x = bytearray(b'x' * 50_000_000); del x; print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as busy:
        busy.stdout.readline()
        assert peak_memory_bytes(busy.pid) > 45 * MIB
    assert peak_memory_bytes(busy.pid) == 0


# The load generator


@pytest.mark.parametrize("size", [0, 1, 1000, 1_000_000])
def test_a_body_has_its_size(size):
    assert len(body_of(size)) == size


def order(port, path, size=1000, messages=7):
    return Order("127.0.0.1", port, path, {"X-Road-Client": "a"}, size, 3, 5.0, messages)


async def served(orders):
    server = await serve(Backend().handle, Endpoint("127.0.0.1"), Limits(), SystemClock())
    generator = Generator()
    try:
        return [await generator.carry_out(order(server.port, *each)) for each in orders]
    finally:
        generator.close()
        await server.close(1)


def test_the_generator_sends_as_many_messages_as_are_ordered():
    small, large = asyncio.run(served([("/1000",), ("/some/100000", 100_000, 4)]))
    assert (Load(**small).messages, Load(**large).messages) == (7, 4)
    assert 0 < small["p50"] <= small["p99"]


@pytest.mark.parametrize(
    ("path", "why"), [("/nothing", "HTTP 404"), ("/99999999999", "HTTP 404"), ("/10", "10 bytes")]
)
def test_the_generator_tells_of_a_wrong_answer(path, why):
    (answer,) = asyncio.run(served([(path,)]))
    assert why in answer["failed"]


@pytest.mark.parametrize("kind", [Body.SOAP, Body.SOAP_PACKAGE])
def test_the_generator_posts_soap_messages(kind):
    async def posted(path):
        server = await serve(Backend().handle, Endpoint("127.0.0.1"), Limits(), SystemClock())
        generator = Generator()
        soap = (kind.value, ServerPair.soap_header(kind))
        try:
            order = Order("127.0.0.1", server.port, path, {}, kind.size, 3, 5.0, 7, *soap)
            return await generator.carry_out(order)
        finally:
            generator.close()
            await server.close(1)

    assert Load(**asyncio.run(posted(soap_path(kind)))).messages == 7
    assert "bytes" in asyncio.run(posted("/100"))["failed"]


def test_the_generator_tells_when_nobody_listens():
    answer = asyncio.run(Generator().carry_out(order(1, "/")))
    assert "refused" in answer["failed"]


# Evidence


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where five records were logged, time-stamped and archived."""
    place = stored_at(tmp_path_factory.mktemp("evidence"), 5)
    spent, told = asyncio.run(lived(place, [log_records, stamp_records, archive_records]))
    assert [each.records for each in spent] == [5] * 3
    assert all(each.seconds > 0 and each.memory > MIB for each in spent)
    assert "logged and taken 5 of 5 messages" in told
    return place


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """The directory of other authorities."""
    directory = tmp_path_factory.mktemp("strangers")
    Authorities.at(directory, SystemClock())
    return directory


def stored_at(path, records):
    return Place(path, f"sqlite:///{path / 'messagelog.db'}", records)


async def lived(place, stages):
    told = []
    return [await stage(place, told.append) for stage in stages], told


def test_authorities_are_the_same_for_every_process(place, strangers):
    clock = SystemClock()
    made, again = (place.authorities(clock) for _ in range(2))
    assert made.trust == again.trust != Authorities.at(strangers, clock).trust
    assert made.approved_tsa == again.approved_tsa


def test_records_are_of_about_4_kb_and_share_signatures_as_under_load(strangers):
    clock = SystemClock()
    records = list(Signatory(Authorities.at(strangers, clock), clock).records(BATCH + 2))
    assert len({record.query_id for record in records}) == BATCH + 2
    assert [len({r.signature for r in part}) for part in (records[:BATCH], records[BATCH:])] == [
        1,
        1,
    ]
    assert records[0].signature != records[BATCH].signature
    assert all(4000 <= len(record.body) + len(record.message) < 4500 for record in records)
    assert len({record.body for record in records}) == BATCH + 2


def test_all_containers_of_all_archives_are_verified(place):
    ((spent,), told) = asyncio.run(lived(place, [verify_containers]))
    assert spent.records == 5
    assert told == ["verified 0 of 5 containers"]


@pytest.mark.parametrize(
    ("stage", "why"),
    [
        (stamp_records, "0 of 5 records were time-stamped"),
        (archive_records, "0 of 5 records were archived"),
    ],
)
def test_a_stage_that_finds_nothing_to_do_fails(place, stage, why):
    with pytest.raises(DevnetError, match=why):
        asyncio.run(lived(place, [stage]))


def test_a_missing_container_fails(place):
    with pytest.raises(DevnetError, match="5 of 6 records were verified"):
        asyncio.run(lived(replace(place, records=6), [verify_containers]))


def test_a_container_that_nobody_trusts_fails(tmp_path, place, strangers):
    shutil.copytree(strangers, tmp_path / "authorities")
    shutil.copytree(place.archives, tmp_path / "archive")
    with pytest.raises(DevnetError, match=r"asice: .* no approved authority"):
        asyncio.run(lived(stored_at(tmp_path, 5), [verify_containers]))


def running_below(pid, programs):
    """The processes below one, of these programs: those that a test may have begun itself."""
    found = set()
    for each in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if re.search(programs, Path(f"/proc/{each}/cmdline").read_bytes()):
                found.add(each)
    return found


def test_a_temporary_postgres_takes_evidence_and_goes(tmp_path):
    programs = find_postgres()
    if programs is None:
        pytest.skip("no PostgreSQL is installed")

    def at_work(url):
        """The server's processes: every one works in the directory with its data."""
        home, found = Path(url.rpartition("=")[2]), []
        for each in Path("/proc").glob("[0-9]*/cwd"):
            with contextlib.suppress(OSError):
                if each.readlink().is_relative_to(home):
                    found.append(each)
        return found

    async def used():
        async with temporary_postgres(programs) as url:
            await lived(Place(tmp_path, url, 3), STAGES.values())
            assert at_work(url)
            async with Database.open(url) as database, database.reading() as connection:
                durable = (await connection.exec_driver_sql("SHOW fsync")).scalar()
            return url, durable

    url, durable = asyncio.run(used())
    assert durable == "on"
    assert not at_work(url)
    assert not Path(url.rpartition("=")[2]).exists()


def test_evidence_is_measured_in_processes_of_its_own(tmp_path):
    results, told = Results(), []
    bench = EvidenceBench(3, told.append, [Engine.SQLITE])
    asyncio.run(bench.run(tmp_path, results))
    assert list(results.evidence) == [(Engine.SQLITE, stage) for stage in STAGES]
    assert "SQLite: signing 3 messages" in told


def test_a_stage_that_fails_is_told(tmp_path):
    with pytest.raises(DevnetError, match="SQLite, log: 0 of -1 records were logged"):
        asyncio.run(EvidenceBench(-1, lambda _: None).run(tmp_path, Results()))


# All of it


def test_both_are_driven_alike(tmp_path_factory):
    """A tiny run: two servers, two nginx, both driven, all stopped again."""
    bodies = (Body.SMALL, Body.SOAP, Body.SOAP_PACKAGE)
    cases = [Case(KeyAlgorithm.EC_P256, body, 2) for body in bodies]
    extent = Extent(runs=1, seconds=0.2, warm_seconds=0.1, rest_seconds=0.0, large_runs=0)
    bench = Bench(extent, cases, lambda _: None)
    before = running_below(os.getpid(), rb"sild|nginx")
    # A socket's path has 107 bytes at most.
    asyncio.run(bench.run(tmp_path_factory.mktemp("b"), workers=1))
    assert running_below(os.getpid(), rb"sild|nginx") <= before
    for case in cases:
        ours = bench.results.find(case, SILD)
        assert ours.rate > 0
        assert all(
            ours.cpu[server] > 0 and ours.memory[server] > MIB for server in (CONSUMER, PROVIDER)
        )
    if find_nginx() is None:
        pytest.skip("nginx is not installed")
    for case in cases:
        assert bench.results.ratio(case) > 0
        assert bench.results.tls[case.key, SILD] == bench.results.tls[case.key, NGINX]
        assert asdict(bench.results.find(case, NGINX))["memory"][CONSUMER] > MIB
