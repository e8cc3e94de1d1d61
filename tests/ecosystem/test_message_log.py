"""What the message log keeps, when it is time-stamped, and when messages may not go on for it."""

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from ecosystem.duo import OWN_FAULT, PORTAL, REGISTER, Duo, plan_at, topology_at
from protocol.pki.test_secretkeys import PASSWORD, TODAY
from sild.components.confclient.cache import read_cached
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.errors import TimestampingServiceNotFound
from sild.protocol.asic.container import read_container
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import TimestampRefused
from sild.protocol.globalconf.shared_parameters import CostType
from sild.protocol.rest.message import read_rest_request

NETWORK = "127.0.12"
FAILED = "server.clientproxy.timestamping_failed"
ON, OFF = "true", "false"
# How long a silent authority is waited for.
IMPATIENT = (
    ("timestamper-client-connect-timeout", "1000"),
    ("timestamper-client-read-timeout", "4000"),
)


@pytest.fixture(scope="module")
async def duo(tmp_path_factory, anyio_backend):
    plan = plan_at(NETWORK, tmp_path_factory.mktemp("message-log"))
    topology = replace(topology_at(NETWORK), tsas=("tsa", "second"))
    async with Duo(replace(plan, topology=topology, message_log=IMPATIENT)) as duo:
        yield duo


@pytest.fixture(autouse=True)
async def answering(duo):
    """Authorities that answer, before and after each test."""
    yield
    for tsa in duo.authorities.tsas.values():
        tsa.silent = False


def silence(duo, *names):
    for name in names or duo.authorities.tsas:
        duo.authorities.tsas[name].silent = True


async def called(duo, path="/echo", **request):
    """Call the service; the id under which both logs know it."""
    answer = await duo.call(path, **request)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-road-id"]


async def exported(duo, server, query_id, tmp_path, *, is_response=False):
    """The container of a message, and what its verification by the server's configuration says."""
    owner = PORTAL if server is duo.consumer else REGISTER
    path = tmp_path / f"{query_id}-{is_response}-{server.plan.id.server_code}"
    written = await server.control.export_container(query_id, owner, is_response, str(path))
    return read_container(await asyncio.to_thread(Path(written).read_bytes))


def verified(server, container):
    conf = read_cached(server.layout.globalconf, None).conf
    return verify_container(container, conf.trusts)


async def restart(duo, server, *settings):
    """Start a server again with these settings of its message log, or as it was."""
    await duo.restart(server, message_log=(*IMPATIENT, *settings))


async def log_of(server):
    return (await server.control.status()).message_log


@pytest.mark.feature("TS-05")
async def test_what_waits_is_stamped_together_and_each_message_proves_itself(duo, tmp_path):
    ids = [await called(duo, content=b"%d" % number) for number in range(5)]
    for server in (duo.consumer, duo.provider):
        await server.control.stamp_waiting()
        assert (await log_of(server)).waiting == 0
        for query_id in ids:
            for is_response in (False, True):
                container = await exported(duo, server, query_id, tmp_path, is_response=is_response)
                assert container.timestamp is not None
                assert container.timestamp_hash_chain is not None
                assert verified(server, container).tsa.name


@pytest.mark.feature("TS-07")
async def test_the_authorities_that_were_chosen_are_asked_top_to_bottom(duo, tmp_path):
    control = duo.consumer.control
    first, second = chosen(duo)
    with pytest.raises(TimestampingServiceNotFound):
        await control.choose_timestamping_services((ChosenService("Nobody", "http://nobody/"),))
    try:
        for order in ((second, first), (first, second)):
            await control.choose_timestamping_services(order)
            assert await control.timestamping_services() == order
            assert await stamped_by(duo, tmp_path) == order[0].name
        silence(duo, "tsa")
        assert await stamped_by(duo, tmp_path) == second.name
        await control.choose_timestamping_services((first,))
        await called(duo)
        with pytest.raises(TimestampRefused):
            await control.stamp_waiting()
    finally:
        await control.choose_timestamping_services(chosen(duo))


@pytest.mark.feature("TS-08")
async def test_a_strategy_decides_by_cost(duo, tmp_path):
    before = duo.registry
    dear, free = services(duo)
    listed = (replace(dear, cost=CostType.PAID), replace(free, cost=CostType.FREE))
    duo.publish(replace(before, timestamping_services=listed))
    try:
        for strategy, name in (("FREE_FIRST", free.name), ("ONLY_PAID", dear.name)):
            setting = ("timestamping-prioritization-strategy", f'"{strategy}"')
            await restart(duo, duo.consumer, setting)
            await duo.consumer.control.refresh()
            assert await stamped_by(duo, tmp_path) == name
        silence(duo, "tsa")
        await called(duo)
        with pytest.raises(TimestampRefused):
            await duo.consumer.control.stamp_waiting()
    finally:
        duo.publish(before)
        await restart(duo, duo.consumer)
        await duo.consumer.control.refresh()


@pytest.mark.feature("TS-10")
async def test_a_chosen_authority_is_followed_to_its_new_address_where_that_is_wanted(
    duo, tmp_path
):
    before = duo.registry
    first, second = services(duo)
    old = replace(first, url=f"{first.url}-moved-away")
    duo.publish(replace(before, timestamping_services=(old, second)))
    control = duo.consumer.control
    try:
        await control.refresh()
        await control.choose_timestamping_services((ChosenService(old.name, old.url),))
        duo.publish(before)
        await control.refresh()
        await called(duo)
        with pytest.raises(TimestampRefused):
            await control.stamp_waiting()
        await restart(duo, duo.consumer, ("auto-update-timestamp-service-url", ON))
        assert await stamped_by(duo, tmp_path) == first.name
        followed = ChosenService(first.name, first.url)
        assert await control.timestamping_services() == (followed,)
    finally:
        duo.publish(before)
        await control.choose_timestamping_services(chosen(duo))
        await restart(duo, duo.consumer)
        await control.refresh()


def chosen(duo):
    """Both, as what a server uses."""
    return tuple(ChosenService(each.name, each.url) for each in services(duo))


def services(duo):
    """The two authorities, as the global configuration approves them."""
    return duo.authorities.timestamping_services()


async def stamped_by(duo, tmp_path):
    """Who stamps what the consumer logs now."""
    query_id = await called(duo)
    # The server itself may be faster, when it has just begun.
    await duo.consumer.control.stamp_waiting()
    container = await exported(duo, duo.consumer, query_id, tmp_path)
    return verified(duo.consumer, container).tsa.name


@pytest.mark.feature("TS-09")
async def test_messages_are_refused_once_nobody_has_stamped_for_too_long(duo):
    await restart(duo, duo.consumer, ("acceptable-timestamp-failure-period", "10"))
    control = duo.consumer.control
    await control.stamp_waiting()
    silence(duo)
    await called(duo)
    with pytest.raises(TimestampRefused):
        await control.stamp_waiting()
    assert (await log_of(duo.consumer)).failing_since is not None
    ids = [await called(duo)]
    async with asyncio.timeout(120):
        while (answer := await duo.call("/echo")).status_code == 200:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    assert answer.status_code == 500
    assert answer.headers["x-road-error"] == FAILED
    waiting = (await log_of(duo.consumer)).waiting
    for tsa in duo.authorities.tsas.values():
        tsa.silent = False
    # The journal may have held more.
    assert await control.stamp_waiting() >= waiting >= 4
    assert await log_of(duo.consumer) == replace(
        await log_of(duo.consumer), failing_since=None, waiting=0
    )
    await duo.until_served(60)
    ids.append(await called(duo))
    for query_id in ids[:1]:
        (request, response) = await control.find_records(query_id)
        assert request.timestamped_at is not None
        assert response.timestamped_at is not None
    await restart(duo, duo.consumer)


@pytest.mark.feature("TS-06")
async def test_a_message_waits_for_a_time_stamp_of_its_own(duo, tmp_path):
    await restart(duo, duo.consumer, ("timestamp-immediately", ON))
    # Not to be stamped with others by what a server does first.
    await duo.consumer.control.stamp_waiting()
    ids = await asyncio.gather(*[called(duo, content=b"%d" % number) for number in range(4)])
    for query_id in ids:
        records = await duo.consumer.control.find_records(query_id)
        assert len(records) == 2
        assert all(each.timestamped_at is not None for each in records)
        container = await exported(duo, duo.consumer, query_id, tmp_path)
        assert container.timestamp_hash_chain is None
        assert verified(duo.consumer, container)
    before = await duo.provider.control.record_count()
    silence(duo)
    answer = await duo.call("/echo", content=b"refused")
    assert answer.headers["x-road-error"] == FAILED
    assert await duo.provider.control.record_count() == before
    await restart(duo, duo.consumer)


@pytest.mark.feature("ML-02")
async def test_bodies_are_logged_for_whom_the_policy_says(duo, tmp_path):
    """The consumer logs no bodies, the provider those of its own subsystem alone."""
    await restart(duo, duo.consumer, ("message-body-logging", OFF))
    own = f'["{REGISTER.short}"]'
    except_own = ("enabled-body-logging-local-producer-subsystems", own)
    await restart(duo, duo.provider, ("message-body-logging", OFF), except_own)
    query_id = await called(duo, content=b"the body", params={"secret": "1"})
    for is_response in (False, True):
        kept = await exported(duo, duo.provider, query_id, tmp_path, is_response=is_response)
        assert b"the body" in kept.attachments["/attachment1"]
        assert verified(duo.provider, kept)
        reduced = await exported(duo, duo.consumer, query_id, tmp_path, is_response=is_response)
        assert reduced.attachments == {}
    asked = await exported(duo, duo.consumer, query_id, tmp_path / "..")
    left = read_rest_request(asked.message)
    assert (left.client, left.service.provider) == (PORTAL, REGISTER)
    assert b"secret" not in asked.message
    assert b"/echo" not in asked.message
    await restart(duo, duo.consumer)
    await restart(duo, duo.provider)


@pytest.mark.feature("ML-03")
async def test_a_server_without_a_log_exchanges_messages_and_says_so(duo):
    await restart(duo, duo.consumer, ("enabled", OFF))
    before = await duo.consumer.control.record_count()
    silence(duo)
    query_id = await called(duo, content=bytes(20 * 1024))
    assert await duo.consumer.control.record_count() == before
    assert not (await log_of(duo.consumer)).enabled
    assert (await log_of(duo.provider)).enabled
    assert len(await duo.provider.control.find_records(query_id)) == 2
    await restart(duo, duo.consumer)


@pytest.mark.feature("ML-04")
async def test_a_body_beyond_the_limit_is_refused_or_cut(duo, tmp_path):
    limit = ("max-loggable-message-body-size", "1000")
    await restart(duo, duo.consumer, limit)
    answer = await duo.call("/sink", content=bytes(1001))
    assert answer.headers["x-road-error"] == OWN_FAULT
    await called(duo, "/sink", content=bytes(1000))
    await restart(duo, duo.consumer, limit, ("truncated-body-allowed", ON))
    query_id = await called(duo, "/sink", content=bytes(1001))
    (request, _) = await duo.consumer.control.find_records(query_id)
    assert request.body_size == 1000
    container = await exported(duo, duo.consumer, query_id, tmp_path)
    assert [len(kept) for kept in container.attachments.values()] == [1000]
    (unverified,) = verified(duo.consumer, container).unverified
    assert unverified.uri == "/attachment1"
    await restart(duo, duo.consumer)


def rows(server, *statements):
    """Run statements in a server's SQLite file; what the last one gives."""
    with closing(sqlite3.connect(server.layout.message_database, timeout=60)) as database:
        for statement in statements:
            found = database.execute(statement).fetchall()
        database.commit()
    return found


@pytest.mark.feature("ML-05")
async def test_messages_are_sealed_in_the_store_and_opened_for_containers(duo, tmp_path):
    plain = await called(duo, content=b"plain to see")
    await duo.consumer.control.record_count()
    keystore = tmp_path / "keys.p12"
    keystore.write_bytes(TODAY)
    sealing = (
        ("messagelog-encryption-enabled", ON),
        ("messagelog-keystore", f'"{keystore}"'),
        ("messagelog-keystore-password", f'"{PASSWORD}"'),
        ("messagelog-key-id", '"key1"'),
    )
    await restart(duo, duo.consumer, *sealing)
    sealed = await called(duo, content=b"hidden from sight")
    for query_id in (plain, sealed):
        for is_response in (False, True):
            container = await exported(
                duo, duo.consumer, query_id, tmp_path, is_response=is_response
            )
            assert container.attachments
            assert verified(duo.consumer, container)
    kept = "SELECT key_id, body, message FROM messagelog_record WHERE query_id = '{}'"
    for key_id, body, message in rows(duo.consumer, kept.format(sealed)):
        assert key_id == "key1"
        assert b"hidden" not in body
        assert b"x-road" not in message.lower()
    assert {row[0] for row in rows(duo.consumer, kept.format(plain))} == {None}
    await restart(duo, duo.consumer)


@pytest.mark.feature("ML-10")
async def test_what_was_archived_long_ago_is_deleted(duo):
    query_id, other = [await called(duo, content=b"old") for _ in range(2)]
    await duo.consumer.control.stamp_waiting()
    old = f"UPDATE messagelog_record SET archived = 1, time_ms = 0 WHERE query_id = '{query_id}'"
    rows(duo.consumer, old)
    await restart(duo, duo.consumer, ("clean-interval", '"* * * * * ?"'))
    await until_gone(duo.consumer, query_id)
    assert len(await duo.consumer.control.find_records(other)) == 2
    assert len(await duo.provider.control.find_records(query_id)) == 2
    await restart(duo, duo.consumer)


async def until_gone(server, query_id):
    async with asyncio.timeout(120):
        while await server.control.find_records(query_id):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)


@pytest.mark.feature("ML-15")
async def test_records_are_kept_on_a_postgresql_elsewhere_whose_commit_lets_messages_go(
    duo, postgres, tmp_path
):
    url = postgres.new_database()
    await restart(duo, duo.consumer, ("database", f'"{url}"'), ("commit-to-database", ON))
    # A new log has nobody chosen.
    await duo.consumer.control.choose_timestamping_services(chosen(duo))
    await duo.until_served(60)
    ids = await asyncio.gather(*[called(duo, content=b"%d" % number) for number in range(10)])
    committed = postgres.sql(url, "SELECT query_id, is_response FROM messagelog_record")
    assert set(committed.splitlines()) >= {f"{i}|{r}" for i in ids for r in "ft"}
    body = os.urandom(3_000_000)
    large = await called(duo, "/sink", content=body)
    container = await exported(duo, duo.consumer, large, tmp_path)
    assert container.attachments == {"/attachment1": body}
    assert verified(duo.consumer, container)
    await duo.consumer.control.stamp_waiting()
    assert (await log_of(duo.consumer)).waiting == 0
    before = await duo.provider.control.record_count()
    postgres.stop()
    try:
        answer = await duo.call("/echo", content=b"not committed")
        assert answer.headers["x-road-error"] == OWN_FAULT
        assert await duo.provider.control.record_count() == before
    finally:
        postgres.start()
    await duo.until_served(120)
    # What was refused is in the journal, and so in the log, as what was answered is.
    assert await duo.consumer.control.record_count() >= 25
    await restart(duo, duo.consumer)
