"""What a provider's security server refuses: one case a rule, sent to a running server."""

import contextlib
import socket
import ssl
from dataclasses import replace
from datetime import timedelta

import pytest

from ecosystem.held import SERVICE, tls_of
from ecosystem.letters import (
    BODY,
    CHAIN,
    OCSP,
    REST,
    RESULT,
    SIGNATURE,
    Letter,
    Pen,
    leaf_of,
    path_to,
)
from ecosystem.papers import Papers
from ecosystem.plan import (
    HAND,
    HEALTH,
    HELD_SERVER,
    HOLDER,
    NOBODY,
    POLICE,
    PORTAL,
    UNREGISTERED,
)
from ecosystem.relay import identity_of
from sild.devnet.faults import OcspFault
from sild.protocol.signature.batch import SignedMessage
from sild.runtime.clock import SystemClock

SIDE = "server.serverproxy"
PARSING = f"{SIDE}.service_failed"
PEER = f"{PARSING}.ssl_authentication_failed"
SIGNED = f"{SIDE}.signature_verification"
MALFORMED = f"{SIGNED}.malformed_signature"
STATUS = "invalid_cert_path.cert_validation"
RESPONSE = "invalid_cert_path.incorrect_validation_info"
WORDS = b'{"people": [7, 8]}'


@pytest.fixture(scope="module")
def pen(devnet):
    return Pen(devnet.held)


@pytest.fixture(scope="module")
def strangers(devnet):
    """A CA with the name of the approved one, but not its key."""
    return Papers.of_a_stranger(SystemClock())


@pytest.fixture
def post(devnet, pen):
    """Send a letter to the health server; gives what it says, and what its service was asked."""

    def send(letter, *, to=None, **how):
        asked = len(devnet.recorder.asked)
        said = devnet.run(pen.post(letter, to or devnet.health, **how))
        return said, devnet.recorder.since(asked)

    return send


@pytest.fixture
def refused(post):
    """Send a letter that is refused; gives the message."""

    def send(letter, code, **how):
        said, asked = post(letter, **how)
        assert (said.code, said.status, asked) == (code, 200, [])
        return said.message

    return send


@pytest.fixture
def plain(pen):
    """A sound request without a body."""
    return pen.letter(pen.request(path_to("open", "/people/7")))


@pytest.fixture
def chained(pen):
    """A sound request with a body, signed through a hash chain."""
    return pen.letter(pen.request(path_to("open", "/people"), "POST"), WORDS)


@pytest.mark.parametrize("kind", ["plain", "chained"])
def test_a_sound_letter_is_delivered(post, request, kind):
    said, asked = post(request.getfixturevalue(kind))
    assert said.code == ""
    assert [each.body for each in asked] == [WORDS if kind == "chained" else b""]


# Who may call what


RIGHTS = {
    "no right": ("closed", f"{SIDE}.access_denied"),
    "a right of another": ("own", f"{SIDE}.access_denied"),
    "a right of a local group": ("friendly", f"{SIDE}.access_denied"),
    "a right of others to endpoints": ("limited", f"{SIDE}.access_denied"),
    "an unknown service": ("nothing", f"{SIDE}.unknown_service"),
    "a service of another case": ("Open", f"{SIDE}.unknown_service"),
    "a disabled service": ("disabled", f"{SIDE}.service_disabled"),
}


@pytest.mark.feature("PX-13")
@pytest.mark.parametrize("case", RIGHTS.values(), ids=RIGHTS)
def test_a_call_without_a_right_is_refused(pen, refused, case):
    service, code = case
    refused(pen.letter(pen.request(path_to(service))), code)


@pytest.mark.feature("PX-21")
def test_the_notice_of_a_disabled_service_is_told(pen, refused):
    letter = pen.letter(pen.request(path_to("disabled")))
    assert "closed for the summer" in refused(letter, f"{SIDE}.service_disabled")


def test_a_right_is_asked_for_before_the_signature_is_looked_at(pen, refused):
    letter = pen.letter(pen.request(path_to("closed"))).saying(SIGNATURE, b"no signature")
    refused(letter, f"{SIDE}.access_denied")


@pytest.mark.parametrize("provider", [NOBODY, HAND, PORTAL], ids=str)
def test_a_provider_of_another_server_is_refused(pen, refused, provider):
    letter = pen.letter(pen.request(path_to("open", provider=provider)))
    refused(letter, f"{PARSING}.unknown_member")


def test_a_client_that_is_not_registered_is_no_provider(devnet, pen, refused):
    letter = pen.letter(pen.request(path_to("open", provider=UNREGISTERED)))
    refused(letter, f"{PARSING}.unknown_member", to=devnet.police)


# Who sends


@pytest.mark.parametrize("client", [PORTAL, POLICE, NOBODY, HOLDER.subsystem("other")], ids=str)
def test_a_client_of_another_server_is_refused(pen, refused, client):
    refused(pen.letter(pen.request(path_to("open"), client=client)), PEER)


def test_another_instance_is_refused(pen, refused):
    client = replace(HAND, instance="ELSEWHERE")
    refused(pen.letter(pen.request(path_to("open"), client=client)), f"{PEER}.internal_error")


CLIENTS = {
    "none": (b"", "invalid_client_identifier"),
    "with a space": (b"X-Road-Client: TEST/COM/10000003/hand\r\n", "internal_error"),
    "empty": (b"X-Road-Client:\r\n", "internal_error"),
    "too short": (b"X-Road-Client:TEST/COM\r\n", "internal_error"),
    "too long": (b"X-Road-Client:TEST/COM/10000003/hand/x\r\n", "internal_error"),
    "not decodable": (b"X-Road-Client:TEST/COM/10000003/%ff\r\n", "internal_error"),
    "a blank part": (b"X-Road-Client:TEST//10000003/hand\r\n", "internal_error"),
}


@pytest.mark.parametrize("case", CLIENTS.values(), ids=CLIENTS)
def test_a_wrong_client_identifier_is_refused(pen, plain, refused, case):
    line, code = case
    part = plain.get(REST).replace(b"X-Road-Client:TEST/COM/10000003/hand\r\n", line)
    assert part != plain.get(REST)
    refused(plain.saying(REST, part), f"{PARSING}.{code}")


@pytest.mark.parametrize("name", [b"Host", b"content-length", b"Connection", b"Upgrade"])
def test_a_header_of_the_connection_has_no_place_in_a_message(pen, refused, name):
    request = pen.request(path_to("open"))
    request = replace(request, part=request.part + name + b":1\r\n")
    refused(pen.letter(request), f"{PARSING}.internal_error")


# The authentication certificate


def test_a_message_without_an_ocsp_response_is_refused(plain, refused):
    refused(plain.without(OCSP), PEER)


AUTH_RESPONSES = {
    OcspFault.STALE: f"{PEER}.{RESPONSE}",
    OcspFault.WRONG_SIGNER: f"{PEER}.{RESPONSE}",
    # It is no response of the certificate at all.
    OcspFault.WRONG_CERTIFICATE: f"{PEER}.{STATUS}",
    OcspFault.UNKNOWN: f"{PEER}.{STATUS}",
}


@pytest.mark.feature("PX-06")
@pytest.mark.parametrize("case", AUTH_RESPONSES.items(), ids=lambda case: case[0].value)
def test_a_wrong_ocsp_response_of_the_connection_is_refused(pen, plain, refused, case):
    fault, code = case
    refused(plain.saying(OCSP, pen.papers.ocsp(pen.held.auth, fault)), code)


def test_the_ocsp_response_of_another_certificate_is_refused(pen, plain, refused):
    refused(plain.saying(OCSP, pen.papers.ocsp(pen.held.sign)), f"{PEER}.{STATUS}")


@pytest.mark.parametrize("data", [b"", b"0", b"\x30\x03\x0a\x01\x06"], ids=["empty", "no", "later"])
def test_what_is_no_ocsp_response_is_refused(plain, refused, data):
    refused(plain.saying(OCSP, data), f"{PEER}.incorrect_validation_info")


class Auth:
    """Authentication certificates that prove nothing, each with its true OCSP response."""

    def __init__(self, papers, strangers):
        self._papers = papers
        self._strangers = strangers

    def not_registered(self):
        return self._papers.authentication(HELD_SERVER), self._papers

    def by_an_unapproved_ca(self):
        return self._strangers.authentication(HELD_SERVER), self._strangers

    def for_signing(self):
        return self._papers.signing(HOLDER), self._papers

    def expired(self):
        return self._papers.authentication(HELD_SERVER, timedelta(hours=-1)), self._papers

    def revoked(self):
        credential = self._papers.authentication(HELD_SERVER)
        self._papers.revoke(credential)
        return credential, self._papers


AUTH = {
    "not registered": (Auth.not_registered, PEER),
    "by an unapproved CA": (Auth.by_an_unapproved_ca, f"{PEER}.cannot_create_cert_path"),
    "for signing": (Auth.for_signing, PEER),
    "expired": (Auth.expired, f"{PEER}.invalid_cert_path"),
    "revoked": (Auth.revoked, f"{PEER}.{STATUS}"),
}


@pytest.mark.feature("PX-05")
@pytest.mark.parametrize("case", AUTH.values(), ids=AUTH)
def test_a_connection_with_a_wrong_certificate_is_refused(pen, strangers, refused, case):
    make, code = case
    credential, papers = make(Auth(pen.papers, strangers))
    letter = pen.letter(pen.request(path_to("open")), ocsp=[papers.ocsp(credential)])
    refused(letter, code, identity=tls_of(credential))


def test_a_certificate_of_another_member_is_refused(devnet, pen, refused):
    """Registered, good, with its own OCSP response; but who it speaks for is another."""
    borrowed = devnet.run(identity_of(devnet.police))
    ocsp = devnet.police_ocsp()
    letter = pen.letter(pen.request(path_to("open")), ocsp=ocsp)
    refused(letter, PEER, identity=borrowed)
    as_police = pen.letter(pen.request(path_to("open"), client=PORTAL), ocsp=ocsp)
    # The connection holds; the signature is of another member.
    refused(as_police, f"{SIGNED}.incorrect_certificate", identity=borrowed)


# The signing certificate


class Signers:
    """Signing certificates that prove nothing, each with an OCSP response."""

    def __init__(self, papers, strangers):
        self._papers = papers
        self._strangers = strangers

    def another_member(self):
        return self._of(self._papers.signing(HEALTH))

    def another_class(self):
        return self._of(self._papers.signing(replace(HOLDER, member_class="GOV")))

    def an_unapproved_ca(self):
        credential = self._strangers.signing(HOLDER)
        return credential, self._strangers.ocsp(credential)

    def an_unknown_ca(self):
        papers = Papers.of_a_stranger(SystemClock(), "OTHER")
        credential = papers.signing(HOLDER)
        return credential, papers.ocsp(credential)

    def authentication(self):
        return self._of(self._papers.authentication(HELD_SERVER))

    def expired(self):
        return self._of(self._papers.signing(HOLDER, timedelta(hours=-1)))

    def revoked(self):
        credential = self._papers.signing(HOLDER)
        self._papers.revoke(credential)
        return self._of(credential)

    def stale(self):
        return self._of(self._papers.signing(HOLDER), OcspFault.STALE)

    def stale_without_an_end(self):
        credential = self._papers.signing(HOLDER)
        return credential, self._papers.ocsp_that_ends(credential, None, OcspFault.STALE)

    def unknown(self):
        return self._of(self._papers.signing(HOLDER), OcspFault.UNKNOWN)

    def wrong_signer(self):
        return self._of(self._papers.signing(HOLDER), OcspFault.WRONG_SIGNER)

    def wrong_certificate(self):
        return self._of(self._papers.signing(HOLDER), OcspFault.WRONG_CERTIFICATE)

    def another_response(self):
        return self._papers.signing(HOLDER), self._papers.ocsp(self._papers.signing(HOLDER))

    def no_response(self):
        return self._papers.signing(HOLDER), b"no response"

    def _of(self, credential, fault=None):
        return credential, self._papers.ocsp(credential, fault)


SIGNERS = {
    "another member": (Signers.another_member, f"{SIGNED}.incorrect_certificate"),
    "another member class": (Signers.another_class, f"{SIGNED}.incorrect_certificate"),
    "by an unapproved CA": (Signers.an_unapproved_ca, f"{SIGNED}.cannot_create_cert_path"),
    "by an unknown CA": (Signers.an_unknown_ca, f"{SIGNED}.internal_error"),
    "an authentication certificate": (Signers.authentication, MALFORMED),
    "expired": (Signers.expired, f"{SIGNED}.invalid_cert_path"),
    "revoked": (Signers.revoked, f"{SIGNED}.{STATUS}"),
    "stale response": (Signers.stale, f"{SIGNED}.{RESPONSE}"),
    "stale response without an end": (Signers.stale_without_an_end, f"{SIGNED}.{RESPONSE}"),
    "unknown to the responder": (Signers.unknown, f"{SIGNED}.{STATUS}"),
    "response by nobody": (Signers.wrong_signer, f"{SIGNED}.{RESPONSE}"),
    "response of no certificate": (Signers.wrong_certificate, f"{SIGNED}.{STATUS}"),
    "response of another certificate": (Signers.another_response, f"{SIGNED}.{STATUS}"),
    "no response": (Signers.no_response, MALFORMED),
}


@pytest.mark.feature("PX-08")
@pytest.mark.parametrize("with_body", [False, True], ids=["plain", "chained"])
@pytest.mark.parametrize("case", SIGNERS.values(), ids=SIGNERS)
def test_a_signature_by_a_wrong_certificate_is_refused(pen, strangers, refused, case, with_body):
    make, code = case
    signer, ocsp = make(Signers(pen.papers, strangers))
    body = WORDS if with_body else None
    request = pen.request(path_to("open"), "POST")
    (signed,) = pen.sign(leaf_of(request.part, body), signer=signer, ocsp=ocsp)
    refused(pen.letter(request, body, signed=signed), code)


@pytest.mark.feature("TS-04")
def test_the_next_update_binds_unless_the_configuration_says_otherwise(devnet, pen, post, refused):
    passed = pen.papers.ocsp_that_ends(pen.held.sign, timedelta(seconds=-30))
    request = pen.request(path_to("open"))
    (signed,) = pen.sign(leaf_of(request.part, None), ocsp=passed)
    letter = pen.letter(request, signed=signed)
    refused(letter, f"{SIGNED}.{RESPONSE}")
    registry = devnet.ecosystem.registry
    lenient = replace(registry, optional=replace(registry.optional, verify_next_update=False))
    try:
        devnet.run(devnet.publish(lenient))
        said, asked = post(letter)
        assert (said.code, len(asked)) == ("", 1)
    finally:
        devnet.run(devnet.publish(registry))
    refused(letter, f"{SIGNED}.{RESPONSE}")


# What is signed


class Batch:
    """Two messages that one signature covers, and what may be wrong with them."""

    def __init__(self, pen):
        self.pen = pen
        self.request = pen.request(path_to("open"), "POST")
        other = pen.request(path_to("open"), "POST")
        self.leaves = [leaf_of(self.request.part, WORDS), leaf_of(other.part, b"other")]
        self.mine, self.other = pen.sign(*self.leaves)
        self.letter = pen.letter(self.request, WORDS, signed=self.mine)

    def of(self, *leaves, body=WORDS):
        """The letter with a signature over something else."""
        signed = self.pen.sign(*leaves)[0]
        return self.pen.letter(self.request, body, signed=signed)

    def chain_of_the_other(self):
        return self.letter.saying(CHAIN, self.other.hash_chain)

    def chain_of_another_batch(self):
        return self.letter.saying(CHAIN, self.pen.sign(*self.leaves[::-1])[1].hash_chain)

    def result_of_another_batch(self):
        signed = self.pen.sign(*self.leaves[::-1])[1]
        letter = self.letter.saying(RESULT, signed.hash_chain_result)
        return letter.saying(CHAIN, signed.hash_chain)

    def signature_of_another_batch(self):
        return self.letter.saying(SIGNATURE, self.pen.sign(*self.leaves[::-1])[0].signature)

    def body_of_the_other(self):
        return self.letter.saying(BODY, b"other")

    def part_of_the_other(self):
        other = self.pen.request(path_to("open"), "POST")
        return self.letter.saying(REST, other.part)

    def swapped_parts(self):
        (message, first), (attachment, second) = self.leaves[0].parts
        return self.of(replace(self.leaves[0], parts=((message, second), (attachment, first))))

    def without_chain(self):
        return self.letter.without(CHAIN)

    def without_result(self):
        return self.letter.without(RESULT)

    def without_both(self):
        return self.letter.without(RESULT).without(CHAIN)

    def body_that_is_not_signed(self):
        return self.of(leaf_of(self.request.part, None))

    def body_that_is_not_signed_in_a_batch(self):
        return self.of(leaf_of(self.request.part, None), self.leaves[1])

    def body_that_is_missing(self):
        return self.letter.without(BODY)

    def part_that_is_not_sent(self):
        leaf = self.leaves[0]
        return self.of(replace(leaf, parts=(*leaf.parts, ("/attachment2", bytes(64)))))

    def only_the_body(self):
        return self.of(replace(self.leaves[0], parts=self.leaves[0].parts[1:]), self.leaves[1])

    def chain_with_a_plain_signature(self):
        signed = self.pen.sign(leaf_of(self.request.part, None))[0]
        both = SignedMessage(signed.signature, self.mine.hash_chain_result, self.mine.hash_chain)
        return self.pen.letter(self.request, WORDS, signed=both)

    def another_digest_in_the_chain(self):
        """The chain leads to the result, but its log would prove nothing."""
        chain = self.mine.hash_chain
        stated = chain.rpartition(b"<DigestValue>")[2][:4]
        other = (b"B" if stated[:1] == b"A" else b"A") + stated[1:]
        return self.letter.saying(CHAIN, chain.replace(stated, other))


BATCHES = {
    Batch.chain_of_the_other: f"{MALFORMED}.invalid_hash_chain",
    Batch.chain_of_another_batch: f"{MALFORMED}.invalid_hash_chain",
    Batch.result_of_another_batch: f"{SIGNED}.invalid_signature_value",
    Batch.signature_of_another_batch: f"{SIGNED}.invalid_signature_value",
    Batch.body_of_the_other: f"{MALFORMED}.invalid_hash_chain",
    Batch.part_of_the_other: f"{MALFORMED}.invalid_hash_chain",
    Batch.swapped_parts: f"{MALFORMED}.invalid_hash_chain",
    Batch.without_chain: f"{MALFORMED}.invalid_reference",
    Batch.without_result: f"{PARSING}.invalid_content_type",
    Batch.without_both: f"{MALFORMED}.invalid_reference",
    Batch.body_that_is_not_signed: f"{MALFORMED}.invalid_reference",
    Batch.body_that_is_not_signed_in_a_batch: f"{MALFORMED}.hashchain_unused_inputs",
    Batch.body_that_is_missing: f"{MALFORMED}.invalid_reference",
    Batch.part_that_is_not_sent: f"{MALFORMED}.invalid_reference",
    Batch.only_the_body: f"{MALFORMED}.hashchain_unused_inputs",
    Batch.chain_with_a_plain_signature: f"{MALFORMED}.invalid_reference",
    Batch.another_digest_in_the_chain: f"{MALFORMED}.invalid_hash_chain_ref",
}


def test_a_message_of_a_batch_is_delivered(pen, post):
    said, asked = post(Batch(pen).letter)
    assert (said.code, [each.body for each in asked]) == ("", [WORDS])


@pytest.mark.feature("PX-09")
@pytest.mark.parametrize("case", BATCHES.items(), ids=lambda case: case[0].__name__)
def test_a_message_that_its_signature_does_not_cover_is_refused(pen, refused, case):
    spoil, code = case
    refused(spoil(Batch(pen)), code)


# The order of parts


def _spoilt(letter):
    parts = letter.parts
    for number, (kind, _) in enumerate(parts):
        yield f"without {kind}", (*parts[:number], *parts[number + 1 :])
        yield f"{kind} doubled", (*parts[: number + 1], *parts[number:])
        yield f"{kind} last", (*parts[:number], *parts[number + 1 :], parts[number])
        if number:
            swapped = (parts[number], parts[number - 1])
            yield f"{kind} earlier", (*parts[: number - 1], *swapped, *parts[number + 1 :])
        for cut in (b"", b"\n", b"\0" * 100):
            yield f"{kind} as {cut[:2]}", (*parts[:number], (kind, cut), *parts[number + 1 :])
    yield "nothing", ()


@pytest.mark.parametrize("kind", ["plain", "chained"])
def test_missing_doubled_and_reordered_parts_are_refused(post, request, kind):
    letter: Letter = request.getfixturevalue(kind)
    for what, parts in _spoilt(letter):
        if parts in (letter.parts, ()) or what == f"{OCSP} doubled":
            continue
        said, asked = post(replace(letter, parts=parts))
        assert said.code.startswith(f"{SIDE}."), what
        assert "unexpected" not in said.message, what
        assert not asked, what


def test_an_ocsp_response_that_comes_twice_changes_nothing(plain, post):
    said, asked = post(replace(plain, parts=(plain.parts[0], *plain.parts)))
    assert (said.code, len(asked)) == ("", 1)


PARTS = {
    "no REST part": (lambda letter: letter.without(REST), f"{PARSING}.invalid_content_type"),
    "no signature": (lambda letter: letter.without(SIGNATURE), f"{SIDE}.missing_signature"),
    "no part but OCSP": (
        lambda letter: replace(letter, parts=letter.parts[:1]),
        f"{SIDE}.missing_rest",
    ),
    "a part behind the signature": (
        lambda letter: replace(letter, parts=(*letter.parts, (BODY, WORDS))),
        f"{PARSING}.invalid_message",
    ),
    "a fault": (
        lambda letter: replace(letter, parts=(*letter.parts[:-1], ("text/xml", b"<a/>"))),
        f"{PARSING}.invalid_content_type",
    ),
    "a response": (
        lambda letter: replace(
            letter,
            parts=tuple((kind.replace("request", "response"), data) for kind, data in letter.parts),
        ),
        f"{PARSING}.invalid_content_type",
    ),
}


@pytest.mark.feature("PX-04")
@pytest.mark.parametrize("case", PARTS.values(), ids=PARTS)
def test_parts_that_make_no_request_are_refused(plain, refused, case):
    spoil, code = case
    refused(spoil(plain), code)


# HTTP


HEADERS = {
    "no hash algorithm": (b"x-hash-algorithm", None, f"{SIDE}.internal_error"),
    "an unknown hash algorithm": (b"x-hash-algorithm", b"SHA-3", f"{SIDE}.internal_error"),
    "a broken hash algorithm": (b"x-hash-algorithm", b"SHA-1", f"{SIDE}.internal_error"),
    "no content type": (b"content-type", None, f"{SIDE}.invalid_content_type"),
    "another content type": (b"content-type", b"text/plain", f"{PARSING}.invalid_content_type"),
    "no boundary": (b"content-type", b"multipart/mixed", f"{PARSING}.invalid_content_type"),
    "another boundary": (
        b"content-type",
        b"multipart/mixed; boundary=another",
        f"{SIDE}.missing_rest",
    ),
}


@pytest.mark.parametrize("case", HEADERS.values(), ids=HEADERS)
def test_a_wrong_http_header_is_refused(plain, refused, case):
    name, value, code = case
    refused(plain.with_header(name, value), code)


VERSIONS = {
    b"7.5.9": False,
    b"7.6.0-SNAPSHOT": False,
    b"unknown": False,
    None: False,
    b"7.6.0": True,
}


@pytest.mark.feature("PX-23")
@pytest.mark.parametrize("version", VERSIONS, ids=str)
def test_a_server_below_the_minimum_version_is_refused(devnet, pen, version):
    letter = pen.letter(pen.request(path_to(SERVICE.service_code, provider=HAND)))
    letter = letter.with_header(b"x-proxy-version", version)

    async def send():
        async with devnet.held.listening(server_min_supported_client_version="7.6.0") as server:
            return await pen.post(letter, server)

    code = "" if VERSIONS[version] else f"{SIDE}.client_proxy_version_not_supported"
    assert devnet.run(send()).code == code


def test_without_a_minimum_any_version_is_served(plain, post):
    assert post(plain.with_header(b"x-proxy-version"))[0].code == ""


@pytest.mark.parametrize("method", [b"GET", b"PUT", b"DELETE", b"OPTIONS"])
def test_another_http_method_is_refused(plain, refused, method):
    refused(plain, f"{SIDE}.invalid_http_method", method=method)


def test_a_certificate_is_demanded_of_every_connection(devnet):
    """Not shown, TLS itself fails: nothing of the message is read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    place = devnet.health.plan.address, devnet.health.ports.server
    answer = b""
    # By TLS 1.3 the refusal may come after the handshake seems complete.
    with (
        contextlib.suppress(OSError),
        socket.create_connection(place, timeout=60) as sock,
        context.wrap_socket(sock) as tls,
    ):
        tls.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        answer = tls.recv(100)
    assert answer == b""
