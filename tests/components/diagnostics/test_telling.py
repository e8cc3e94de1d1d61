"""What diagnostics tell, and what they keep to themselves."""

import json
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.components.diagnostics.advice import advice_on
from sild.components.diagnostics.contacts import Contacts
from sild.components.diagnostics.proxy_calls import (
    _Answer,
    _check_told,
    write_methods_request,
)
from sild.components.diagnostics.reaching import with_port
from sild.components.diagnostics.report import gather, write_report
from sild.components.diagnostics.values import (
    Memory,
    MemoryUse,
    ProtocolKind,
    ProviderQuestion,
    trouble_of,
)
from sild.protocol.errors import (
    GlobalConfMissingPart,
    NetworkError,
    PeerFault,
    ProtocolError,
    UnknownHost,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.soap.message import read_soap
from sild.runtime.clock import TurnedClock

# Advice.


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("unknown_host", "Check the host name"),
        ("server.serverproxy.service_failed.unknown_member", "Check the identifier"),
        ("server.clientproxy.ssl_authentication_failed", "Look at the authentication"),
        (GlobalConfMissingPart.code, "Tell the operator of the Central Server"),
        ("malformed_anchor", "Tell the operator of the Central Server"),
        ("something_else", "The log of this server"),
        ("", "The log of this server"),
    ],
)
def test_there_is_advice_on_everything(code, said):
    assert advice_on(code).startswith(said)


def test_the_fault_of_another_is_told_by_its_code_as_it_is_written_today():
    trouble = trouble_of(PeerFault("Server.ServerProxy.UnknownMember", "nobody"))
    assert trouble.code == "server.serverproxy.unknown_member"
    assert trouble.details == ("nobody", advice_on("unknown_member"))
    assert trouble_of(UnknownHost("where?")).code == "unknown_host"


# Contacts.


def test_the_last_contact_counts():
    contacts = Contacts(TurnedClock())
    contacts.note("http://a/", NetworkError("away"))
    contacts.note("http://a/", None)
    assert contacts.find("http://a/").error is None
    assert contacts.find("http://b/") is None


def test_contacts_are_not_kept_without_end():
    contacts = Contacts(TurnedClock())
    contacts.note("http://kept/", None)
    for number in range(1999):
        contacts.note(f"http://{number}/", None)
        contacts.note("http://kept/", None)
    assert contacts.find("http://kept/") is not None
    assert contacts.find("http://0/") is None
    assert len(contacts._last) == 1000


# The report.


class Colour(Enum):
    RED = "red"


async def _facts():
    return {
        "when": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        "which": Colour.RED,
        "where": Path("/srv"),
        "use": MemoryUse(Memory(10, 9, 8), None),
        "list": (1, None, True),
    }


async def _broken():
    raise ValueError("canary")


async def _refused():
    raise NetworkError("nobody is there")


@pytest.mark.anyio
async def test_a_report_tells_values_and_what_could_not_be_found_out():
    sections = [("facts", _facts), ("broken", _broken), ("refused", _refused)]
    assert json.loads(write_report(await gather(sections))) == [
        {
            "name": "facts",
            "value": {
                "when": "2026-01-02T03:04:05.000Z",
                "which": "red",
                "where": "/srv",
                "use": {"memory": {"limit": 10, "peak": 9, "used": 8}},
                "list": [1, None, True],
            },
        },
        {"name": "broken", "errorMessage": "ValueError"},
        {"name": "refused", "errorMessage": "nobody is there"},
    ]


def test_a_percentage_of_nothing_is_no_error():
    use = MemoryUse(Memory(0, 0, 5), 90)
    assert (use.percent, use.is_over) == (500, True)
    assert not MemoryUse(Memory(100, 0, 90), 90).is_over


# Addresses and messages.


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://cs/internalconf", "http://cs:80/internalconf"),
        ("https://cs/internalconf", "https://cs:443/internalconf"),
        ("http://cs:8080/internalconf", "http://cs:8080/internalconf"),
        ("http://[::1]/internalconf", "http://[::1]:80/internalconf"),
    ],
)
def test_an_address_is_told_with_its_port(url, told):
    assert with_port(url) == told


_CODES = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=":;/\\%\ufffe\uffff"),
    min_size=1,
    max_size=20,
).filter(lambda text: text.strip() == text and text not in {".", ".."})


@given(_CODES, _CODES, _CODES)
def test_the_question_for_methods_can_be_read_back(code, subsystem, server_code):
    client = ClientId("DEV", "GOV", code)
    provider = ClientId("DEV", "COM", code, subsystem)
    server = SecurityServerId(client, server_code)
    question = ProviderQuestion(ProtocolKind.SOAP, client, provider, server)
    header = read_soap(write_methods_request(question, "id-1"), "text/xml").header
    assert (header.client, header.security_server) == (client, server)
    assert (header.service.provider, header.service.service_code) == (provider, "listMethods")


@given(st.integers(100, 599), st.binary(max_size=100))
def test_whatever_answers_gives_no_other_error_than_ours(status, body):
    try:
        _check_told(_Answer(status, "", body))
    except ProtocolError:
        assert status != 200
