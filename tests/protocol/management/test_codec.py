from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from management_builder import CLIENT, OTHER, SERVER, SERVICES, TestSender
from sild.protocol.errors import (
    InconsistentHeaders,
    InconsistentResponse,
    InvalidRequest,
    InvalidSoap,
    PeerFault,
    ProtocolError,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.codec import (
    RequestHeader,
    read_request,
    read_response,
    write_request,
    write_response,
)
from sild.protocol.management.requests import (
    REQUEST_CLASSES,
    AddressChange,
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
    RequestType,
)
from sild.protocol.safexml import Schema, children, get_child, read_xml
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.message import read_soap

HEADER = RequestHeader(SERVER.owner, SERVICES, "message-1")
REQUESTS = [
    AuthCertRegistration(SERVER, b"\x30\x00cert", "ss1.example.org"),
    AuthCertRegistration(SERVER, b"", None, dry_run=True),
    AuthCertDeletion(SERVER, b"\x30\x00cert"),
    ClientRegistration(SERVER, CLIENT, "The <portal>"),
    ClientRegistration(SERVER, OTHER),
    ClientDeletion(SERVER, CLIENT),
    ClientDisable(SERVER, CLIENT),
    ClientEnable(SERVER, CLIENT),
    ClientRename(SERVER, CLIENT, "Portal"),
    OwnerChange(SERVER, OTHER),
    AddressChange(SERVER, "10.0.0.1"),
    MaintenanceEnable(SERVER, "until noon"),
    MaintenanceEnable(SERVER),
    MaintenanceDisable(SERVER),
]


def message(soap):
    return read_soap(soap, "text/xml")


def test_every_type_of_request_is_tried():
    assert {request.type for request in REQUESTS} == set(RequestType) == set(REQUEST_CLASSES)


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_is_read_as_it_was_written(request_):
    assert read_request(message(write_request(request_, HEADER))) == request_


@pytest.mark.parametrize("request_", REQUESTS)
def test_a_request_fits_the_published_schema(request_):
    body = get_child(read_xml(write_request(request_, HEADER)), "{*}Body")
    Schema.load("management-requests.xsd").check(next(children(body)))


def test_the_header_names_owner_service_and_message():
    header = message(write_request(REQUESTS[-1], HEADER)).header
    assert header.client == SERVER.owner
    assert header.service.provider == SERVICES
    assert header.service.service_code == "maintenanceModeDisable"
    assert (header.message_id, header.protocol_version) == ("message-1", "4.0")


TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=60)
PART = TEXT.filter(lambda text: text.strip() and text.isprintable())


@given(PART, PART, TEXT)
def test_any_identifier_and_name_comes_back(code, subsystem, name):
    server = SecurityServerId(ClientId("DEV", "GOV", code), subsystem)
    request = ClientRename(server, ClientId("DEV", "COM", code, subsystem), name)
    try:
        written = write_request(request, RequestHeader(server.owner, SERVICES, "m"))
    except ProtocolError:
        return
    assert read_request(message(written)) == request


def changed(request, old, new):
    soap = write_request(request, HEADER)
    assert old in soap
    return message(soap.replace(old, new))


def test_an_unknown_service_is_refused():
    with pytest.raises(InvalidRequest):
        read_request(changed(MaintenanceDisable(SERVER), b"maintenanceModeDisable", b"getRich"))


def test_a_body_of_another_service_is_refused():
    request = ClientDisable(SERVER, CLIENT)
    with pytest.raises(InconsistentHeaders):
        changed(request, b"xroad:clientDisable>", b"xroad:clientEnable>")
    with pytest.raises(InvalidSoap):
        read_request(changed(request, b"xroad:clientDisable>", b"xroad:clientDisableNow>"))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<xroad:server ", b"<xroad:other "),
        (b'id:objectType="SERVER"', b'id:objectType="MEMBER"'),
        (b"<id:serverCode>SS1</id:serverCode>", b""),
        (b"</xroad:clientDisable>", b"<xroad:extra/></xroad:clientDisable>"),
        (b"</xroad:clientDisable>", b"<xroad:requestId>1</xroad:requestId></xroad:clientDisable>"),
    ],
)
def test_what_is_against_the_schema_is_refused(old, new):
    soap = write_request(ClientDisable(SERVER, CLIENT), HEADER)
    start, _, body = soap.partition(b"<SOAP-ENV:Body>")
    assert old in body
    broken = body.replace(old, new).replace(b"</xroad:server>", _closing(new), 1)
    with pytest.raises(InvalidSoap):
        read_request(message(start + b"<SOAP-ENV:Body>" + broken))


def _closing(new):
    return b"</xroad:other>" if b"other" in new else b"</xroad:server>"


def test_a_body_in_another_namespace_is_refused():
    with pytest.raises(InvalidSoap):
        read_request(
            changed(
                MaintenanceDisable(SERVER),
                b"<xroad:maintenanceModeDisable>",
                b'<xroad:maintenanceModeDisable xmlns:xroad="urn:other">',
            )
        )


def test_a_certificate_that_is_no_base64_is_refused():
    with pytest.raises(InvalidSoap):
        read_request(changed(AuthCertDeletion(SERVER, b"cert"), b">Y2VydA==<", b">Y2VydA<"))


def test_an_endless_text_is_refused():
    for request in (
        ClientRegistration(SERVER, CLIENT, "x" * 256),
        AddressChange(SERVER, "x" * 256),
        MaintenanceEnable(SERVER, "x" * 256),
    ):
        with pytest.raises(InvalidRequest):
            read_request(message(write_request(request, HEADER)))


@pytest.mark.parametrize("request_", REQUESTS)
def test_the_answer_repeats_the_request_and_adds_its_id(request_):
    soap = write_request(request_, HEADER)
    answer = write_response(message(soap), 394)
    assert read_response(answer, "text/xml;charset=UTF-8", soap) == 394
    assert message(answer).is_response
    body = next(children(get_child(read_xml(answer), "{*}Body")))
    asked = next(children(get_child(read_xml(soap), "{*}Body")))
    assert [child.tag for child in body][:-1] == [child.tag for child in asked]


def test_an_answer_to_another_request_is_refused():
    soap = write_request(REQUESTS[0], HEADER)
    other = write_request(REQUESTS[0], RequestHeader(SERVER.owner, SERVICES, "message-2"))
    with pytest.raises(InconsistentResponse):
        read_response(write_response(message(other), 1), "text/xml", soap)


def test_a_request_is_no_answer():
    soap = write_request(REQUESTS[0], HEADER)
    with pytest.raises(InvalidSoap):
        read_response(soap, "text/xml", soap)


@pytest.mark.parametrize("number", [b"", b"-1", b"one", b"9" * 30, "²".encode()])
def test_an_answer_without_an_id_is_refused(number):
    soap = write_request(REQUESTS[0], HEADER)
    answer = write_response(message(soap), 394).replace(b">394<", b">" + number + b"<")
    with pytest.raises(InvalidSoap):
        read_response(answer, "text/xml", soap)


def test_a_fault_is_raised_as_it_came():
    with pytest.raises(PeerFault) as fault:
        read_response(write_fault("invalid_request", "no", "a1"), "text/xml", b"")
    assert (fault.value.fault, fault.value.message) == ("invalid_request", "no")


@given(st.data())
def test_any_change_of_a_request_gives_a_request_or_a_protocol_error(data):
    soap = bytearray(write_request(data.draw(st.sampled_from(REQUESTS)), HEADER))
    for _ in range(data.draw(st.integers(1, 4))):
        soap[data.draw(st.integers(0, len(soap) - 1))] = data.draw(st.integers(0, 255))
    with suppress(ProtocolError):
        read_request(message(bytes(soap)))


def test_the_sender_of_tests_writes_what_peers_write():
    assert TestSender.create().soap(REQUESTS[0]).startswith(b"<?xml")
