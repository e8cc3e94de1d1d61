"""SOAP messages through two running security servers, as information systems see them."""

import hashlib
import itertools
import uuid

import pytest

from ecosystem.envelopes import (
    TEXT_XML,
    TOKEN,
    Envelope,
    hash_in,
    package,
    represented_xml,
    server_xml,
    without_hash,
)
from ecosystem.held import SERVICE
from ecosystem.letters import OCSP, SIGNATURE, Letter, Pen, as_response, leaf_of
from ecosystem.plan import HAND, HEALTH_SERVER, LICENCES, NOBODY, POLICE_SERVER, PORTAL, REGISTER
from sild.devnet.exercises import blob
from sild.protocol.errors import AccessDenied, InvalidProtocolVersion, UnknownMember
from sild.protocol.faults import told_of
from sild.protocol.soap.fault import find_fault, write_fault
from sild.protocol.soap.message import read_soap, with_request_hash
from sild.protocol.transport import headers as names
from sild.protocol.transport.writer import write_content_type
from sild.runtime.http_server import Response

BOUNDARIES = (f"b{number}" for number in itertools.count())


@pytest.fixture
def soap(devnet, http):
    """Post a SOAP message to the police server; gives the HTTP answer."""

    def post(content, content_type=TEXT_XML, headers=(), verb="POST", url=None):
        fields = [("Content-Type", content_type), *headers]
        return http.request(verb, url or devnet.police.http_url, headers=fields, content=content)

    return post


@pytest.fixture
def service(devnet):
    """Let the SOAP service give an answer; says what it was asked since."""
    count = len(devnet.recorder.asked)

    def prepare(body, content_type=TEXT_XML, status=200):
        answer = body
        if isinstance(body, bytes):
            answer = Response(status, b"OK", [(b"Content-Type", content_type.encode())], body)
        devnet.recorder.prepare("/soap/", answer)
        devnet.recorder.prepare("/soap", answer)

    prepare.asked = lambda: devnet.recorder.since(count)
    return prepare


def person(client=PORTAL, **more):
    """The request that most tests make, with an id of its own."""
    more.setdefault("message_id", str(uuid.uuid4()))
    return Envelope(client, REGISTER, "getPerson", version="v1", **more)


def fault_of(answer):
    """The fault that an answer holds: always HTTP 200 and XML."""
    assert (answer.status_code, answer.headers["content-type"]) == (200, TEXT_XML)
    fault = find_fault(answer.content)
    assert fault is not None, answer.text
    return fault


# Messages without attachments


@pytest.mark.feature("PX-02")
def test_a_soap_message_is_carried_there_and_back_with_its_bytes(devnet, soap, service):
    asking = person()
    service(asking.response())
    answer = soap(asking.request(), headers=[("SOAPAction", '"urn:getPerson"')])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == TEXT_XML
    assert without_hash(answer.content) == asking.response()
    (request,) = service.asked()
    assert (request.method, request.target) == (b"POST", b"/soap/?wsdl=1")
    assert request.body == asking.request()
    assert request.values(b"content-type") == [TEXT_XML.encode()]
    assert request.values(b"soapaction") == [b'"urn:getPerson"']


@pytest.mark.feature("PX-02")
def test_no_other_header_of_the_consumer_reaches_a_soap_service(soap, service):
    asking = person()
    service(asking.response())
    soap(asking.request(), headers=[("Cookie", "a=b"), ("Authorization", "x"), ("X-Own", "1")])
    (request,) = service.asked()
    names = {name.lower() for name, _ in request.headers}
    assert names == {b"host", b"content-type", b"content-length", b"soapaction"}
    assert request.values(b"soapaction") == [b""]


@pytest.mark.feature("PX-14")
def test_the_response_carries_the_hash_of_the_bytes_of_the_request(soap, service):
    asking = person()
    service(asking.response())
    digest, _, _ = hash_in(soap(asking.request()).content)
    assert digest == hashlib.sha512(asking.request()).digest()


@pytest.mark.feature("ML-01")
def test_both_servers_have_logged_both_soap_messages(devnet, soap, service):
    asking = person()
    service(asking.response())
    message_id = asking.header.partition("<x:id>")[2].partition("<")[0]
    assert soap(asking.request()).status_code == 200
    for server in (devnet.police, devnet.health):
        records = devnet.run(server.control.find_records(message_id))
        assert [each.is_response for each in records] == [False, True]


FORMS = {
    "byte-order mark": lambda xml: b"\xef\xbb\xbf" + xml,
    "UTF-16": lambda xml: xml.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
    "ISO-8859-1": lambda xml: xml.replace(b"UTF-8", b"ISO-8859-1"),
    "comments": lambda xml: xml.replace(b"<s:Body>", b"<!-- a --><s:Body><!-- b > c -->"),
    "CDATA": lambda xml: xml.replace(b"49001010001", b"<![CDATA[<x:id>&]]>"),
    "white space": lambda xml: xml.replace(b"><", b">\r\n\t <"),
    "single quotes": lambda xml: xml.replace(b'"', b"'"),
    "no declaration": lambda xml: xml.partition(b"?>\n")[2],
    "default namespace": lambda xml: (
        xml.replace(b"<s:", b"<").replace(b"</s:", b"</").replace(b"xmlns:s=", b"xmlns=")
    ),
}


@pytest.mark.feature("PX-02")
@pytest.mark.parametrize("form", FORMS)
def test_whatever_form_a_message_has_its_bytes_arrive(soap, service, form):
    asking = person()
    written = FORMS[form]
    service(written(asking.response()), "text/xml")
    answer = soap(written(asking.request()), "text/xml")
    assert find_fault(answer.content) is None, answer.text
    assert service.asked()[0].body == written(asking.request())


@pytest.mark.feature("PX-02")
@pytest.mark.parametrize("size", [60_000, 70_000, 3_000_000])
def test_a_long_soap_message_is_carried(soap, service, size):
    asking = person()
    content = f"<p:text>{'a' * size}</p:text>"
    service(asking.response(content))
    answer = soap(asking.request(content))
    assert without_hash(answer.content) == asking.response(content)
    assert service.asked()[0].body == asking.request(content)


# Attachments


@pytest.mark.feature("PX-03")
@pytest.mark.parametrize("sizes", [(0,), (1, 5), (100_000,), (10, 2_000_000, 70_000)])
def test_attachments_are_carried_there_and_back_with_their_headers(soap, service, sizes):
    asking = person()
    boundary = next(BOUNDARIES)
    attachments = [
        (
            {"Content-Type": f"image/x-{number}", "Content-ID": f"<{number}@x>", "X-Odd": "1"},
            b"".join(blob(size)),
        )
        for number, size in enumerate(sizes)
    ]
    sent, content_type = package(asking.request(), *attachments, boundary=boundary)
    given, given_type = package(asking.response(), *attachments, boundary=boundary)
    service(given, given_type)
    answer = soap(sent, content_type)
    assert answer.headers["content-type"] == given_type, answer.text
    got = parts_of(answer.content, boundary)
    assert without_hash(got[0][1]) == asking.response()
    (request,) = service.asked()
    assert request.values(b"content-type") == [content_type.encode()]
    arrived = parts_of(request.body, boundary)
    assert arrived[0][1] == asking.request()
    for parts in (got, arrived):
        assert [data for _, data in parts[1:]] == [data for _, data in attachments]
        assert [headers for headers, _ in parts[1:]] == [
            {name.lower(): value for name, value in headers.items()} for headers, _ in attachments
        ]


def parts_of(body, boundary):
    """The parts of a package by a reader of its own: (headers, bytes) each."""
    delimiter = b"--" + boundary.encode()
    parts = body.split(delimiter)
    assert parts[-1].startswith(b"--")
    found = []
    for part in parts[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = (line.partition(": ") for line in head.decode().split("\r\n"))
        found.append(
            ({name.lower(): value for name, _, value in lines}, data.removesuffix(b"\r\n"))
        )
    return found


@pytest.mark.feature("PX-03")
def test_an_attachment_in_base64_stays_in_base64(soap, service):
    asking = person()
    headers = {"Content-Type": "image/png", "Content-Transfer-Encoding": "base64"}
    sent, content_type = package(asking.request(), (headers, b"aGVsbG8=\r\nd29ybGQ="))
    service(asking.response())
    soap(sent, content_type)
    assert b"aGVsbG8=\r\nd29ybGQ=" in service.asked()[0].body


@pytest.mark.feature("PX-03")
def test_optimised_messages_are_carried(soap, service):
    asking = person()
    xop = (
        '<p:photo><xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" '
        'href="cid:photo@x"/></p:photo>'
    )
    kind = 'application/xop+xml; charset=UTF-8; type="text/xml"'
    photo = ({"Content-Type": "image/jpeg", "Content-ID": "<photo@x>"}, bytes(range(256)))
    sent, content_type = package(asking.request(xop), photo, soap_type=kind, boundary="xop1")
    given, given_type = package(asking.response(xop), photo, soap_type=kind, boundary="xop1")
    service(given, given_type)
    answer = soap(sent, content_type)
    assert parts_of(answer.content, "xop1")[0][0]["content-type"] == kind
    assert parts_of(answer.content, "xop1")[1][1] == bytes(range(256))
    assert parts_of(service.asked()[0].body, "xop1")[1][1] == bytes(range(256))


@pytest.mark.feature("PX-03")
def test_an_answer_may_have_attachments_where_the_request_has_none_and_back(soap, service):
    asking = person()
    photo = ({"Content-Type": "image/jpeg"}, b"jpeg")
    given, given_type = package(asking.response(), photo)
    service(given, given_type)
    assert b"jpeg" in soap(asking.request()).content
    service(asking.response())
    sent, content_type = package(asking.request(), photo)
    answer = soap(sent, content_type)
    assert answer.headers["content-type"] == TEXT_XML
    assert without_hash(answer.content) == asking.response()


# Extensions


@pytest.mark.feature("PX-12")
def test_a_request_to_one_server_goes_to_that_server_or_nowhere(soap, service):
    asking = person(extra=server_xml(HEALTH_SERVER))
    service(asking.response())
    assert without_hash(soap(asking.request()).content) == asking.response()
    refused = soap(person(extra=server_xml(POLICE_SERVER)).request())
    assert fault_of(refused).fault == "server.clientproxy.invalid_security_server"


@pytest.mark.feature("PX-18")
def test_a_represented_party_must_be_the_same_in_the_response(soap, service):
    asking = person(extra=represented_xml("COM", "MEMBER3"))
    service(asking.response())
    answer = soap(asking.request())
    assert b"MEMBER3" in answer.content
    assert b"MEMBER3" in service.asked()[0].body
    other = asking.response().replace(b"MEMBER3", b"MEMBER4")
    service(other)
    code = "server.clientproxy.service_failed.inconsistent_response"
    assert fault_of(soap(asking.request())).fault == code


@pytest.mark.feature("PX-19")
def test_a_security_token_reaches_the_service(soap, service):
    asking = person(extra=TOKEN)
    service(asking.response())
    assert find_fault(soap(asking.request()).content) is None
    assert TOKEN.encode() in service.asked()[0].body


@pytest.mark.feature("PX-17")
@pytest.mark.parametrize("field", ["user", "issue"])
def test_user_and_issue_must_be_the_same_in_the_response(soap, service, field):
    asking = person()
    other = person(message_id="same", **{field: "other"})
    service(other.response())
    asking = person(message_id="same")
    code = "server.clientproxy.service_failed.inconsistent_response"
    assert fault_of(soap(asking.request())).fault == code


# What is refused, and by whom


REFUSED_REQUESTS = {
    "client.invalid_soap": lambda xml: xml.replace(b"<s:Envelope", b"<!DOCTYPE a><s:Envelope"),
    "client.invalid_protocol_version": lambda xml: xml.replace(b">4.0<", b">3.0<"),
    "client.missing_header_field": lambda xml: xml.replace(b"x:id>", b"x:ident>"),
    "client.duplicate_header_field": lambda xml: xml.replace(
        b"<x:userId>", b"<x:userId>a</x:userId><x:userId>"
    ),
    "client.inconsistent_headers": lambda xml: xml.replace(b"p:getPerson", b"p:getOther"),
    "client.invalid_xml": lambda xml: xml.replace(b'"SUBSYSTEM"', b'"SUBSYSTEMS"'),
    "client.missing_body": lambda xml: xml.replace(b"s:Body", b"s:Bodies"),
}


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("code", REFUSED_REQUESTS)
def test_a_bad_request_is_the_fault_of_the_client(soap, service, code):
    spoilt = REFUSED_REQUESTS[code](person().request())
    assert fault_of(soap(spoilt)).fault == code
    assert service.asked() == []


@pytest.mark.feature("PX-20")
def test_a_fault_tells_an_id_that_finds_it_in_the_log(devnet, soap):
    fault = fault_of(soap(person(NOBODY).request()))
    assert fault.fault == "server.clientproxy.unknown_member"
    logs = "".join(path.read_text() for path in devnet.police.layout.home.rglob("*.log"))
    assert fault.detail in logs


@pytest.mark.feature("PX-20")
def test_an_attachment_that_is_spoilt_late_is_the_fault_of_the_client(soap, service):
    asking = person()
    boundary = next(BOUNDARIES)
    photo = ({"Content-Type": "image/jpeg"}, b"".join(blob(200_000)))
    sent, content_type = package(asking.request(), photo, photo, boundary=boundary)
    cut = sent[: -len(boundary) - 10]
    assert fault_of(soap(cut, content_type)).fault == "client.mime_parsing_failed"
    assert service.asked() == []


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("verb", ["GET", "PUT", "DELETE"])
def test_soap_is_posted_and_nothing_else(soap, verb):
    assert fault_of(soap(None, verb=verb)).fault == "client.invalid_http_method"


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize(
    ("status", "body", "kind", "code"),
    [
        (404, b"none", "text/plain", "http_error"),
        (200, b"none", "text/plain", "invalid_content_type"),
        (200, b"<a/>", TEXT_XML, "invalid_soap"),
        (200, b"", TEXT_XML, "invalid_soap"),
        (200, b"", "multipart/related; boundary=a", "invalid_message"),
    ],
)
def test_a_service_that_gives_no_soap_message_has_failed(soap, service, status, body, kind, code):
    service(body, kind, status)
    fault = fault_of(soap(person().request()))
    assert fault.fault == f"server.serverproxy.service_failed.{code}"


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("status", [200, 500])
def test_a_fault_of_the_service_is_passed_on_as_it_came(soap, service, status):
    own = (
        b'<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Body>'
        b"<soap:Fault><faultcode>soap:Server.Own</faultcode><faultstring>No.</faultstring>"
        b"<detail><a:b xmlns:a='urn:x'>1</a:b><c/></detail></soap:Fault></soap:Body></soap:Envelope>"
    )
    service(own, TEXT_XML, status)
    assert soap(person().request()).content == own


@pytest.mark.feature("PX-20")
def test_the_content_type_of_a_fault_says_the_encoding_in_which_the_service_wrote_it(soap, service):
    own = write_fault("soap:Server", "Mõni viga.").decode().replace("UTF-8", "ISO-8859-1")
    service(own.encode("latin-1"), "text/xml", 500)
    answer = soap(person().request())
    assert answer.content == own.encode("latin-1")
    assert answer.headers["content-type"] == "text/xml; charset=ISO-8859-1"


@pytest.mark.feature("PX-20")
def test_a_fault_says_what_to_do_next(soap):
    for asking, advice in (
        (Envelope(LICENCES, REGISTER, "getClosed"), told_of(AccessDenied)),
        (person(NOBODY), told_of(UnknownMember)),
        (person(protocol="3.0"), told_of(InvalidProtocolVersion)),
    ):
        assert fault_of(soap(asking.request())).message.endswith(f". {advice.advice}")


@pytest.mark.feature("PX-20")
def test_a_fault_that_a_client_posts_is_its_own(soap):
    posted = b"<faultcode>CODE</faultcode><faultstring>No.</faultstring>"
    envelope = (
        b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>'
        + posted
        + b"</s:Fault></s:Body></s:Envelope>"
    )
    assert fault_of(soap(envelope)).fault == "client.code"


@pytest.mark.feature("PX-13")
def test_a_soap_service_is_for_those_who_have_the_right(soap, service):
    asking = Envelope(PORTAL, REGISTER, "getClosed")
    service(asking.response())
    assert find_fault(soap(asking.request()).content) is None
    count = len(service.asked())
    refused = Envelope(LICENCES, REGISTER, "getClosed").request()
    assert fault_of(soap(refused)).fault == "server.serverproxy.access_denied"
    assert len(service.asked()) == count


@pytest.mark.feature("PX-21")
def test_a_disabled_soap_service_says_so(soap):
    fault = fault_of(soap(Envelope(PORTAL, REGISTER, "getDisabled").request()))
    assert fault.fault == "server.serverproxy.service_disabled"
    assert "closed for the summer" in fault.message


@pytest.mark.feature("PX-21")
def test_who_has_no_right_is_not_told_why_a_service_is_disabled(soap):
    fault = fault_of(soap(Envelope(LICENCES, REGISTER, "getDisabled").request()))
    assert fault.fault == "server.serverproxy.access_denied"
    assert "closed for the summer" not in fault.message


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("getNothing", "server.serverproxy.unknown_service"),
        ("open", "server.serverproxy.service_type"),
        ("getDead", "server.serverproxy.service_failed.network_error"),
    ],
)
def test_a_service_that_is_not_there_is_named(soap, code, expected):
    assert fault_of(soap(Envelope(PORTAL, REGISTER, code).request())).fault == expected


@pytest.mark.feature("PX-20")
def test_a_soap_service_is_not_called_by_rest(devnet, http):
    url = devnet.police.http_url + f"/r1/{REGISTER.short}/getDead"
    answer = http.get(url, headers={"X-Road-Client": PORTAL.short})
    assert answer.headers["X-Road-Error"] == "server.serverproxy.service_type"


@pytest.mark.feature("PX-02")
def test_a_response_of_another_request_is_refused(soap, service):
    service(person().response())
    code = "server.clientproxy.service_failed.inconsistent_response"
    assert fault_of(soap(person().request())).fault == code


HASHED = {
    "the request": lambda request: request,
    "another request": lambda request: request + b" ",
    "nothing": lambda _: None,
}


@pytest.mark.feature("PX-02")
@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("case", HASHED)
def test_a_response_must_hold_the_hash_of_its_request(devnet, soap, case):
    """Signed by the provider as any other."""
    asking = Envelope(PORTAL, HAND, SERVICE.service_code, message_id=str(uuid.uuid4()))
    response, hashed = asking.response(), HASHED[case](asking.request())
    if hashed is not None:
        digest = hashlib.sha512(hashed).digest()
        response = with_request_hash(read_soap(response, TEXT_XML), digest)

    async def answering(_request, _body):
        (signed,) = Pen(devnet.held).sign(leaf_of(response, None))
        boundary = next(BOUNDARIES)
        headers = names.write_soap_response_headers(write_content_type(boundary), b"text/xml")
        parts = ((TEXT_XML, response), (SIGNATURE, signed.signature))
        return as_response(Letter(tuple(headers), parts, boundary))

    devnet.held.ear.answer = answering
    try:
        answer = soap(asking.request())
    finally:
        devnet.held.ear.answer = None
    if case == "the request":
        assert answer.content == response
    else:
        assert fault_of(answer).fault == "server.clientproxy.inconsistent_response"


@pytest.mark.feature("PX-02")
@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("is_fault", [False, True])
def test_the_service_s_content_type_travels_beside_its_answer(devnet, service, is_fault):
    """Other security servers cannot read a SOAP answer without it, be it a fault."""
    pen, boundary = Pen(devnet.held), next(BOUNDARIES)
    asking = person(HAND)
    (signed,) = pen.sign(leaf_of(asking.request(), None))
    ocsp = pen.papers.ocsp(devnet.held.auth)
    parts = ((OCSP, ocsp), (TEXT_XML, asking.request()), (SIGNATURE, signed.signature))
    headers = names.write_soap_request_headers(
        write_content_type(boundary), "1-2", TEXT_XML.encode(), None
    )
    service(write_fault("soap:Server", "No.") if is_fault else asking.response(), "text/xml")
    said = devnet.run(pen.post(Letter(tuple(headers), parts, boundary), devnet.health))
    assert (said.code, said.status) == ("", 200)
    assert (names.ORIGINAL_CONTENT_TYPE, b"text/xml") in said.headers
