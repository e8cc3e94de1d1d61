"""The fixes of 2026 as running security servers keep them: paths that climb, parts without end."""

import contextlib
import socket
import ssl
from dataclasses import replace

import pytest

from ecosystem.envelopes import TEXT_XML, Envelope
from ecosystem.held import SERVICE, tls_of
from ecosystem.letters import (
    CHAIN,
    OCSP,
    REST,
    RESULT,
    SIGNATURE,
    Pen,
    leaf_of,
    path_to,
    said_in,
)
from ecosystem.plan import HAND, PORTAL, REGISTER
from ecosystem.test_exchange import raw
from sild.protocol.soap.fault import find_fault
from sild.runtime.tls import TlsPolicy, unverified_client_context

SIDE = "server.serverproxy"
DENIED = f"{SIDE}.access_denied"


@pytest.fixture(scope="module")
def pen(devnet):
    return Pen(devnet.held)


@pytest.fixture
def asked(devnet):
    """What services were asked since the test began."""
    count = len(devnet.recorder.asked)
    return lambda: devnet.recorder.since(count)


# XRDDEV-3054: only what is below /tree/ is allowed; what some server reads elsewhere is denied

PATHS = {
    "dots": "/tree/../secret",
    "dots at the end": "/tree/..",
    "dots that climb and come back": "/tree/../tree/../secret",
    "dots out of the service": "/tree/../../closed",
    "encoded dots": "/tree/%2e%2e/secret",
    "half encoded dots": "/tree/.%2E/secret",
    "dots encoded twice": "/tree/%252e%252e/secret",
    "dots encoded three times": "/tree/%25252e%25252e/secret",
    "dots in overlong UTF-8": "/tree/%c0%ae%c0%ae/secret",
    "dots in longer UTF-8": "/tree/%e0%80%ae%e0%80%ae/secret",
    "dots by UTF-16 escapes": "/tree/%u002e%u002e/secret",
    "dots of full width": "/tree/%ef%bc%8e%ef%bc%8e%5csecret",
    "an encoded slash": "/tree/..%2fsecret",
    "all encoded": "/tree%2f%2e%2e%2fsecret",
    "a slash encoded twice": "/tree/..%252fsecret",
    "a slash in overlong UTF-8": "/tree/..%c0%afsecret",
    "a parameter": "/tree/..;/secret",
    "a parameter with a value": "/tree/..;a=b/secret",
    "an encoded parameter": "/tree/..%3b/secret",
    "a parameter before the dots": "/tree/;a/../../secret",
    "a parameter in the folder": "/tree;/../secret",
    "a backslash": "/tree/..\\secret",
    "an encoded backslash": "/tree/..%5csecret",
    "encoded backslashes only": "/tree%5c..%5csecret",
    "an encoded NUL": "/tree/%00/../../secret",
    "an encoded NUL at the end": "/tree/a%00",
    "an encoded NUL behind dots": "/tree/..%00/secret",
    "an encoded line end": "/tree/a%0d%0aHost:%20evil",
    "an encoded question mark": "/secret%3f/tree/a",
    "an encoded hash": "/secret%23/tree/a",
    "two slashes": "//tree/a",
    "two slashes and dots": "/tree//..//..//secret",
    "a sibling whose name begins the same": "/treehouse",
    "the folder without its slash": "/tree",
    "another case": "/TREE/a",
    "the sibling": "/secret",
    "the sibling by the root": "/./secret",
    "a broken escape": "/tree/%2",
    "an escape that is none": "/tree/%zz",
}


@pytest.mark.feature("PX-24")
@pytest.mark.parametrize("rest", PATHS.values(), ids=PATHS)
def test_xrddev_3054_a_path_that_leads_elsewhere_is_denied(devnet, asked, rest):
    """Through two servers, as an information system would try it."""
    target = path_to("limited", rest)
    status, headers, _ = raw(
        devnet.police.http_url, "GET", target, [("X-Road-Client", PORTAL.short)]
    )
    assert asked() == []
    assert status >= 400
    # Whatever is no path ends in the server of the caller, or before it is HTTP.
    if "X-Road-Error" in headers:
        assert headers["X-Road-Error"] in (DENIED, "server.clientproxy.internal_error")
    else:
        assert status == 400


@pytest.mark.feature("PX-24")
@pytest.mark.parametrize("rest", PATHS.values(), ids=PATHS)
def test_xrddev_3054_the_providers_server_does_not_count_on_the_callers(devnet, pen, asked, rest):
    """The same from a security server that checks nothing: its message is signed and true."""
    request = pen.request(path_to("limited", "/PLACE"))
    request = replace(request, part=request.part.replace(b"/PLACE", rest.encode()))
    said = devnet.run(pen.post(pen.letter(request), devnet.health))
    assert asked() == []
    assert said.code in (DENIED, f"{SIDE}.service_failed.internal_error")


def test_xrddev_3054_what_is_below_the_folder_is_allowed(devnet, pen, asked):
    for rest in ("/tree/a", "/tree/a/../b", "/tree/a;b=c", "/tree/%C3%A4"):
        said = devnet.run(
            pen.post(pen.letter(pen.request(path_to("limited", rest))), devnet.health)
        )
        assert said.code == "", rest
    assert len(asked()) == 4


# XRDDEV-3262: the refusal comes while the part is still being sent


def secured(devnet, server):
    context = unverified_client_context(TlsPolicy(), tls_of(devnet.held.auth))
    place = server.plan.address, server.ports.server
    return context.wrap_socket(socket.create_connection(place, timeout=60))


ENDLESS = {
    OCSP: f"{SIDE}.service_failed.invalid_message",
    SIGNATURE: f"{SIDE}.service_failed.invalid_message",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_xrddev_3262_a_part_without_an_end_is_refused_before_it_is_sent(devnet, pen, asked, kind):
    """Hundreds of megabytes are announced; the answer comes after two."""
    letter = pen.letter(pen.request(path_to("open", "/people/7")))
    begun = letter.saying(kind, b"").body
    at = begun.index(kind.encode()) + len(kind) + 4
    head = b"".join(b"%b: %b\r\n" % field for field in letter.headers)
    announced = 512 << 20
    with secured(devnet, devnet.health) as tls:
        tls.sendall(
            b"POST / HTTP/1.1\r\nhost: a\r\n%bcontent-length: %d\r\n\r\n" % (head, announced)
        )
        tls.sendall(begun[:at])
        # Whoever stalls longer than the server listens on is cut off.
        with contextlib.suppress(OSError):
            tls.sendall(b"x" * (2 << 20))
        status, content_type, body = _answer(tls)
    assert said_in(status, content_type, body).code == ENDLESS[kind]
    assert asked() == []


def _answer(tls):
    received = b""
    with contextlib.suppress(OSError):
        while b"</SOAP-ENV:Envelope>" not in received and (piece := tls.recv(65536)):
            received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    return int(head.split()[1]), fields[b"content-type"], body


# XRDDEV-3268, 3269: documents with a document type, over real connections

DOCTYPES = {
    "empty": b"<!DOCTYPE a>",
    "a file": b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
    "laughs": b'<!DOCTYPE a [<!ENTITY e "ha"><!ENTITY f "&e;&e;">]>',
}


@pytest.mark.feature("PX-02")
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_xrddev_3268_a_soap_message_with_a_document_type_is_refused(devnet, http, asked, doctype):
    """By the consumer's server, whatever its service would make of it."""
    soap = Envelope(PORTAL, REGISTER, "getPerson", version="v1").request("<p:a>&#65;</p:a>")
    soap = soap.replace(b"<s:Envelope", doctype + b"<s:Envelope").replace(b"&#65;", b"&e;")
    answer = http.post(devnet.police.http_url, content=soap, headers={"Content-Type": TEXT_XML})
    fault = find_fault(answer.content)
    assert fault.fault.startswith("client."), fault.fault
    assert "document type" in fault.message
    assert asked() == []


@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_xrddev_3268_nor_does_the_providers_server_take_one(devnet, pen, asked, doctype):
    """From a security server that checks nothing: signed, and true but for the document type."""
    soap = Envelope(HAND, REGISTER, "getPerson", version="v1").request()
    sound = devnet.run(pen.post(soap_letter(pen, soap), devnet.health))
    assert "document type" not in sound.message
    before = len(asked())
    spoilt = soap.replace(b"<s:Envelope", doctype + b"<s:Envelope")
    said = devnet.run(pen.post(soap_letter(pen, spoilt), devnet.health))
    assert said.code.startswith(f"{SIDE}."), said.code
    assert "document type" in said.message
    assert len(asked()) == before


def soap_letter(pen, soap):
    """A transport message with this SOAP message, signed by the held server."""
    (signed,) = pen.sign(leaf_of(soap, None))
    letter = pen.letter(pen.request(path_to("open")), signed=signed)
    parts = tuple((TEXT_XML, soap) if kind == REST else (kind, data) for kind, data in letter.parts)
    letter = replace(letter, parts=parts).with_header(b"x-road-message-type")
    return letter.with_header(b"x-original-content-type", TEXT_XML.encode())


@pytest.mark.parametrize("kind", [SIGNATURE, CHAIN, RESULT])
@pytest.mark.parametrize("doctype", DOCTYPES.values(), ids=DOCTYPES)
def test_xrddev_3269_a_signature_or_chain_with_a_document_type_is_refused(
    devnet, pen, asked, kind, doctype
):
    letter = pen.letter(pen.request(path_to("open", "/people"), "POST"), b"{}")
    document = letter.get(kind)
    root = document.index(b"<", document.index(b"?>"))
    said = devnet.run(
        pen.post(letter.saying(kind, document[:root] + doctype + document[root:]), devnet.health)
    )
    assert said.code.startswith(f"{SIDE}.signature_verification."), said.code
    assert "document type" in said.message
    assert asked() == []


# XRDDEV-3263: the digest that a message says its parts have


@pytest.mark.parametrize("weak", [b"SHA-1", b"sha-1", b"MD5", b"SHA-224", b""])
def test_xrddev_3263_a_message_by_a_weaker_digest_is_refused(devnet, pen, asked, weak):
    letter = pen.letter(pen.request(path_to("open", "/people/7")))
    said = devnet.run(pen.post(letter.with_header(b"x-hash-algorithm", weak), devnet.health))
    assert said.code == f"{SIDE}.internal_error"
    assert asked() == []


# Listed weakness 11: TLS 1.2 by default


@pytest.mark.feature("PX-27")
def test_between_two_servers_tls_is_of_version_1_3(devnet, call_held):
    """Both offer it, as caller and as called."""
    with secured(devnet, devnet.health) as tls:
        assert tls.version() == "TLSv1.3"
    request, _ = call_held()
    assert request.peer.tls_version == "TLSv1.3"


@pytest.fixture
def call_held(devnet, http):
    """Let the police server call the held one; gives what was heard there."""

    def call():
        url = devnet.police.http_url + path_to(SERVICE.service_code, provider=HAND)
        assert http.get(url, headers={"X-Road-Client": PORTAL.short}).status_code == 200
        return devnet.held.ear.heard[-1]

    return call


@pytest.mark.feature("PX-27")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1], ids=str)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_no_version_of_tls_before_1_2_is_spoken(devnet, version):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    for port in (devnet.health.ports.server, devnet.health.ports.https):
        place = devnet.health.plan.address, port
        with socket.create_connection(place, timeout=60) as sock, pytest.raises(OSError):
            context.wrap_socket(sock)
