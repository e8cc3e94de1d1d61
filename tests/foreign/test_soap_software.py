"""SOAP between a client and a server that others wrote: zeep, and fastapi-xroad-soap."""

import hashlib
import random
from base64 import b64encode
from datetime import date
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest
import zeep
from zeep.wsdl.attachments import MessagePack

from foreign.information_system import InformationSystem
from foreign.plan import CLERK, REGISTER, STRANGER

HOW_TO = Path(__file__).parents[2] / "docs/how-to/soap-clients.md"
BORN = date(1990, 2, 28)


def identifier(subsystem):
    """A subsystem as zeep writes it."""
    return {
        "xRoadInstance": subsystem.instance,
        "memberClass": subsystem.member_class,
        "memberCode": subsystem.member_code,
        "subsystemCode": subsystem.subsystem_code,
    }


@pytest.fixture
def clerk(road_url):
    """An information system that may call all services of the register."""
    return InformationSystem(road_url, identifier(CLERK), identifier(REGISTER))


def binary(size):
    """Bytes of all values, line ends and what looks like a boundary among them."""
    noise = random.Random(size).randbytes(size)
    return b"%PDF-1.7\r\n\0\xff\r\n--" + bytes(range(256)) + noise + b"\r\n--\r\n%%EOF"


DOCUMENTS = {
    "application.pdf": binary(1_000),
    "letter.txt": "Tere, Jüri!\r\n.\r\nÄra vasta.".encode(),
    "scan.pdf": binary(200_000),
}


def attachments(answer):
    """The contents of the attachments of an answer; the provider nests them when there are more."""
    if not isinstance(answer, MessagePack):
        return []
    found = []
    for attachment in answer.attachments:
        if attachment.content_type.startswith("multipart/mixed"):
            head = f"Content-Type: {attachment.content_type}\r\n\r\n".encode()
            nested = BytesParser(policy=HTTP).parsebytes(head + attachment._part.content)
            found += [each.get_payload(decode=True) for each in nested.iter_parts()]
        else:
            found.append(attachment.content)
    return found


def sha256(content):
    return hashlib.sha256(content).hexdigest()


@pytest.mark.feature("PX-02")
def test_values_and_headers_go_there_and_back(clerk):
    answer = clerk.ask("findPerson", name="Jüri Õun & <pojad>", born=BORN)
    assert (answer.body.name, answer.body.born) == ("Jüri Õun & <pojad>", BORN)
    assert answer.body.asker == answer.header.userId == "EE60001019906"
    assert answer.header.client.subsystemCode == "clerk"
    assert answer.header.service.serviceCode == "findPerson"
    assert answer.header.protocolVersion == "4.0"


@pytest.mark.feature("PX-02")
def test_the_response_holds_the_hash_of_the_request_as_it_was_sent(clerk):
    answer = clerk.ask("findPerson", name="Mari", born=BORN)
    said = answer.header.requestHash
    assert said.algorithmId == "http://www.w3.org/2001/04/xmlenc#sha512"
    assert said._value_1 == b64encode(hashlib.sha512(clerk.transport.soap).digest()).decode()


@pytest.mark.feature("PX-02")
@pytest.mark.feature("PX-03")
@pytest.mark.parametrize("copies", [0, 1, 2])
@pytest.mark.parametrize("names", [(), ("application.pdf",), ("scan.pdf",), tuple(DOCUMENTS)])
def test_attachments_arrive_with_the_bytes_that_were_sent(clerk, names, copies):
    contents = [DOCUMENTS[name] for name in names]
    references = [clerk.transport.attach(name, DOCUMENTS[name]) for name in names]
    answer = clerk.ask("copyDocuments", copies=copies, document=references)
    assert attachments(answer) == contents * copies
    said = answer.root if isinstance(answer, MessagePack) else answer
    assert said.body.sha256 == [sha256(content) for content in contents]
    assert len(said.body.document) == len(contents) * copies
    hash_of_request = b64encode(hashlib.sha512(clerk.transport.soap).digest()).decode()
    assert said.header.requestHash._value_1 == hash_of_request


@pytest.mark.feature("PX-02")
def test_a_fault_of_the_provider_arrives_as_it_was_raised(clerk):
    with pytest.raises(zeep.exceptions.Fault) as caught:
        clerk.ask("findPerson", name="Nobody", born=BORN)
    fault = caught.value
    assert (fault.code, fault.message, fault.actor) == (
        "Client.NotFound",
        "no such person",
        "register",
    )


@pytest.mark.feature("PX-02")
@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("documents", [{}, DOCUMENTS], ids=["alone", "package"])
def test_a_refusal_of_the_road_arrives_as_a_fault(road_url, documents):
    stranger = InformationSystem(road_url, identifier(STRANGER), identifier(REGISTER))
    references = [stranger.transport.attach(*document) for document in documents.items()]
    with pytest.raises(zeep.exceptions.Fault) as caught:
        stranger.ask("copyDocuments", copies=1, document=references)
    assert caught.value.code == "server.serverproxy.access_denied"


def test_the_how_to_shows_what_runs_here():
    source = Path(__file__).with_name("information_system.py").read_text(encoding="utf-8")
    blocks = HOW_TO.read_text(encoding="utf-8").split("```python\n")[1:]
    assert blocks
    for block in blocks:
        assert block.partition("```")[0].strip() in source
