from dataclasses import replace

import pytest

from components.messagelog.builders import OWNER, PART, plain_record, writing
from protocol.soap.envelopes import fields, message
from sild.components.messagelog.off import NoLog
from sild.components.messagelog.policy import BodyPolicy
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.errors import LoggingFailed
from sild.protocol.ids import ClientId
from sild.protocol.rest.message import build_rest_response, read_rest_request
from sild.protocol.soap.message import read_soap

pytestmark = pytest.mark.anyio

PROVIDER = ClientId("DEV", "GOV", "M2", "S2")
REQUEST = (
    b"POST\r\n/r1/DEV/GOV/M2/S2/service/secret?secret=1\r\nx-secret:secret\r\n"
    b"X-Road-Client:DEV/GOV/M1/S1\r\nx-road-request-id:1\r\nx-road-id:DEV-1\r\n"
)
RESPONSE = build_rest_response(
    read_rest_request(REQUEST), 200, b"OK", [(b"x-secret", b"secret")], "aGFzaA=="
).part
SOAP = message(fields(), "<get>secret</get>")
SOAP_PROVIDER = read_soap(SOAP, "text/xml").header.service.provider


def record(owner=OWNER, message=REQUEST, *, is_response=False):
    return replace(plain_record(), owner=owner, message=message, is_response=is_response)


def is_whole(record, **settings):
    kept = BodyPolicy(MessageLogSettings(**settings)).apply(record)
    assert (b"secret" in kept.record.message) == kept.with_body
    return kept.with_body


@pytest.mark.parametrize(
    "kept", [record(), record(message=RESPONSE, is_response=True), record(message=SOAP)]
)
def test_bodies_are_kept_or_are_not(kept):
    assert BodyPolicy(MessageLogSettings()).apply(kept).record is kept
    assert not is_whole(kept, message_body_logging=False)


def test_what_is_left_of_a_message_says_who_asked_whom():
    off = BodyPolicy(MessageLogSettings(message_body_logging=False))
    left = off.apply(record()).record.message
    assert left.splitlines()[:2] == [b"POST", b"/r1/DEV/GOV/M2/S2/service"]
    assert read_rest_request(left).client == OWNER
    left = off.apply(record(message=SOAP)).record.message
    assert read_soap(left, "text/xml").header == read_soap(SOAP, "text/xml").header


def test_no_exception_is_for_a_message_that_names_no_service():
    lines = RESPONSE.split(b"\r\n")
    nameless = b"\r\n".join(line for line in lines if not line.startswith(b"x-road-service"))
    given = record(PROVIDER, nameless, is_response=True)
    excepted = {"enabled_body_logging_local_producer_subsystems": [PROVIDER.short]}
    assert is_whole(replace(given, message=RESPONSE), message_body_logging=False, **excepted)
    assert not is_whole(given, message_body_logging=False, **excepted)


@pytest.mark.parametrize("message", [REQUEST, RESPONSE, SOAP], ids=["request", "response", "soap"])
@pytest.mark.parametrize("by_default", [True, False])
@pytest.mark.parametrize("side", ["local", "remote"])
def test_exceptions_are_by_provider_and_by_the_side_that_logs(message, by_default, side):
    provider = SOAP_PROVIDER if message is SOAP else PROVIDER
    verb = "disabled" if by_default else "enabled"
    name = f"{verb}_body_logging_{side}_producer_subsystems"
    settings = {"message_body_logging": by_default, name: ("DEV/X/Y/Z", provider.short)}
    at_provider = record(provider, message, is_response=message is RESPONSE)
    at_consumer = record(OWNER, message, is_response=message is RESPONSE)
    excepted, other = (at_provider, at_consumer) if side == "local" else (at_consumer, at_provider)
    assert is_whole(excepted, **settings) != by_default
    assert is_whole(other, **settings) == by_default


def test_a_subsystem_that_calls_itself_needs_both_sides_to_agree():
    own = REQUEST.replace(b"M1/S1", b"M2/S2")
    only = {"enabled_body_logging_local_producer_subsystems": (PROVIDER.short,)}
    assert not is_whole(record(PROVIDER, own), message_body_logging=False, **only)
    both = only | {"enabled_body_logging_remote_producer_subsystems": (PROVIDER.short,)}
    assert is_whole(record(PROVIDER, own), message_body_logging=False, **both)


def test_what_cannot_be_read_is_not_logged_whole_by_mistake():
    with pytest.raises(LoggingFailed):
        BodyPolicy(MessageLogSettings(message_body_logging=False)).apply(record(message=b"secret"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"enabled_body_logging_local_producer_subsystems": ("DEV/GOV/M2/S2",)},
        {
            "message_body_logging": False,
            "disabled_body_logging_remote_producer_subsystems": ("DEV/GOV/M2/S2",),
        },
        {"disabled_body_logging_local_producer_subsystems": ("DEV/GOV/M2",)},
        {"disabled_body_logging_local_producer_subsystems": ("DEV/GOV//S2",)},
    ],
)
def test_exceptions_that_mean_nothing_are_refused_with_the_settings(wrong):
    with pytest.raises(ValueError):
        MessageLogSettings(**wrong)


SOME = {
    "message_body_logging": False,
    "enabled_body_logging_remote_producer_subsystems": (PROVIDER.short,),
    "max_loggable_message_body_size": 10,
}


async def test_where_some_bodies_are_kept_only_those_are_limited(tmp_path):
    async with writing(tmp_path, **SOME) as writer:
        assert writer.log.body_limit is None
        # So that what is larger than the limit can be told from what fills it.
        assert writer.log.body_kept == 11
        await writer.log.save(record(), b"0123456789")
        with pytest.raises(LoggingFailed):
            await writer.log.save(record(), b"0123456789a")
        await writer.log.save(record(PROVIDER), b"0123456789a")
    first, second = [entry for entry in writer.entries if hasattr(entry, "record")]
    assert (first.record.body, first.body_may_be_cut) == (b"0123456789", False)
    assert (second.record.body, second.body_size) == (None, None)


async def test_a_body_that_is_cut_is_known_to_be_perhaps_so(tmp_path):
    async with writing(tmp_path, **SOME, truncated_body_allowed=True) as writer:
        assert writer.log.body_kept == 10
        await writer.log.save(record(), b"0123456789a")
    entry = writer.entries[-1]
    assert (entry.record.body, entry.body_may_be_cut) == (b"0123456789", True)


async def test_a_log_that_is_off_keeps_nothing_and_refuses_nothing():
    log = NoLog()
    assert log.body_limit is None
    assert log.body_kept == 0
    await log.save(record(message=PART), b"body")
