"""Exchanges between the reference implementation and Sild, recorded; recorded/README.md says how.

What the reference made is read and verified in full, and so is what Sild made and the reference
accepted: both must stay so.
"""

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sild.protocol.algorithms import DigestAlgorithm, KeyFamily
from sild.protocol.errors import (
    CannotCreateCertPath,
    InconsistentResponse,
    IncorrectValidationInfo,
    PeerFault,
    ProtocolError,
)
from sild.protocol.globalconf.lookup import make_trust
from sild.protocol.globalconf.shared_parameters import read_shared_parameters
from sild.protocol.ids import ClientId
from sild.protocol.mime import boundary_of
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.path import PathUse, verify_path
from sild.protocol.pki.trust import OcspPolicy
from sild.protocol.rest.message import (
    check_response_belongs,
    read_rest_request,
    read_rest_response,
    request_hash,
)
from sild.protocol.signature.signaturepattern import match_message_signature
from sild.protocol.signature.signaturexml import parse_message_signature
from sild.protocol.signature.verify import SignedParts, read_signature, verify_signature
from sild.protocol.soap.headers import RepresentedParty
from sild.protocol.soap.message import check_consistency, check_request_hash, read_soap
from sild.protocol.soap.package import PackageWriter, read_package
from sild.protocol.soap.parts import AttachmentEnd, PackageEvent
from sild.protocol.transport.events import TransportMessage
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import TransportReader, read_events, read_whole
from sild.protocol.transport.writer import write_whole

SECOND = timedelta(seconds=1)
FOLDER = Path(__file__).parent / "recorded"
EXCHANGES = {entry["name"]: entry for entry in json.loads((FOLDER / "index.json").read_text())}
RUNS = tuple(dict.fromkeys(name.partition("/")[0] for name in EXCHANGES))
SOAP = [name for name in EXCHANGES if name.startswith("soap-")]
FAULTS = [name for name, entry in EXCHANGES.items() if entry["fault"]]
ANSWERED = [name for name, entry in EXCHANGES.items() if not entry["fault"]]
TAMPERED = [name for name, entry in EXCHANGES.items() if entry.get("tampered")]
MESSAGES = [(name, direction) for name in EXCHANGES for direction in Direction]
WHOLE = [
    (name, direction)
    for name, direction in MESSAGES
    if direction is Direction.REQUEST or name in ANSWERED
]
SIGNED = [(name, direction) for name, direction in WHOLE if name not in TAMPERED]


@dataclass(frozen=True)
class Recorded:
    direction: Direction
    body: bytes
    content_type: str
    original_type: str | None
    algorithm: DigestAlgorithm | None
    made_by: str
    signer: ClientId
    at: datetime
    run: str

    @property
    def is_soap(self):
        return self.run.startswith("soap-")

    @property
    def boundary(self):
        return boundary_of(self.content_type)

    def read(self):
        return read_whole(self.direction, self.content_type, self.body, self.algorithm)

    def read_streamed(self, size):
        reader = TransportReader(self.direction, self.content_type, self.algorithm)
        events = [
            event
            for start in range(0, len(self.body), size)
            for event in reader.feed(self.body[start : start + size])
        ]
        return TransportMessage.from_events([*events, *reader.finish()])

    def parts(self):
        """The contents of the parts, found without the reader under test; attachments are many."""
        found = []
        for head, content in _parts(self.body, self.boundary):
            nested = re.search(rb"multipart/mixed.*boundary=(\w+)", head)
            inner = _parts(content, nested[1].decode()) if nested else [(head, content)]
            found += [each for _, each in inner]
        return found


def _parts(body, boundary):
    pieces = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    return [piece.partition(b"\r\n\r\n")[::2] for piece in pieces[1:-1]]


def recorded(name, direction):
    entry = EXCHANGES[name]
    said = entry[direction.value]
    signer = entry["client" if direction is Direction.REQUEST else "provider"]
    return Recorded(
        direction=direction,
        body=(FOLDER / f"{name}.{direction.value}").read_bytes(),
        content_type=said["content_type"],
        original_type=said.get("original_content_type"),
        algorithm=said["hash_algorithm"] and DigestAlgorithm.from_text(said["hash_algorithm"]),
        made_by=said["made_by"],
        signer=ClientId(*signer.split("/")),
        at=datetime.fromisoformat(entry["at"]),
        run=name.partition("/")[0],
    )


@pytest.fixture(scope="module")
def trusts():
    def trust(run):
        data = (FOLDER / run / "shared-params.xml").read_bytes()
        shared = read_shared_parameters(data, 6)
        return make_trust(shared, OcspPolicy(shared.ocsp_freshness_seconds))

    return {run: trust(run) for run in RUNS}


def comparable(found):
    """A message, and what its fault says: exceptions are equal to nothing but themselves."""
    if found.fault is None:
        return found
    fault = found.fault.fault
    return replace(found, fault=(found.fault.raw, fault.fault, fault.message, fault.detail))


def verify(message, trust):
    found = message.read()
    parts = found.get_soap() if message.is_soap else found.get_rest()
    digests = {"/message.xml": head_of(found).digest}
    contents = [found.body_digest, *(each.digest for each in found.attachments)]
    for number, digest in enumerate(filter(None, contents), 1):
        digests[f"/attachment{number}"] = digest
    signed = SignedParts(parts.hash_chain_result, parts.hash_chain, digests)
    return verify_signature(parts.signature, signed, message.signer, trust, message.at)


def head_of(found):
    return found.soap or found.header


def read_soap_of(name, direction):
    part = recorded(name, direction).read().get_soap().soap
    return read_soap(part.raw, part.content_type)


def verify_connection(message, trust):
    """Verify the certificate of the reference's connection by the OCSP part of its request."""
    leaf = read_certificate((FOLDER / message.run / "reference-authentication.der").read_bytes())
    responses = [read_ocsp_response(der) for der in message.read().ocsp]
    return verify_path(leaf, (), responses, trust, message.at, PathUse.CONSUMER_TLS)


def test_the_recordings_are_of_every_kind():
    kinds = {
        (message.made_by, message.direction.value, signature.algorithm.family, signature.is_chained)
        for message in (recorded(*case) for case in SIGNED)
        for signature in [read_signature(message.read().signature)]
    }
    reference = {
        ("reference", direction.value, family, chained)
        for direction in Direction
        for family in (KeyFamily.EC, KeyFamily.RSA)
        for chained in (False, True)
    }
    sild = {("sild", side.value, KeyFamily.EC, chained) for side in Direction for chained in (False, True)}  # fmt: skip
    assert kinds == reference | sild


@pytest.mark.parametrize(("name", "direction"), MESSAGES)
def test_a_message_reads_the_same_whole_and_by_the_byte(name, direction):
    message = recorded(name, direction)
    whole = comparable(message.read())
    for size in (1, 1000, len(message.body)):
        assert comparable(message.read_streamed(size)) == whole


@pytest.mark.parametrize(("name", "direction"), WHOLE)
def test_the_parts_of_a_message_are_the_bytes_between_its_boundaries(name, direction):
    message = recorded(name, direction)
    found = message.read()
    head = found.soap.raw if found.soap else found.header.part
    parts = [*found.ocsp, head, found.body, *(each.data for each in found.attachments)]
    parts += [found.hash_chain_result, found.hash_chain, found.signature]
    assert [part for part in parts if part is not None] == message.parts()


@pytest.mark.parametrize(("name", "direction"), WHOLE)
def test_a_message_is_written_as_it_was_recorded(name, direction):
    message = recorded(name, direction)
    events = read_events(direction, message.content_type, message.body, message.algorithm)
    # Boundaries are chance: those of the attachments are made anew.
    nested = re.compile(rb"xatt[A-Za-z]+")
    written = write_whole(direction, message.boundary, events[:-1])
    assert nested.sub(b"xatt", written) == nested.sub(b"xatt", message.body)


@pytest.mark.parametrize(("name", "direction"), SIGNED)
def test_pattern_and_parser_read_a_signature_alike(name, direction):
    signature = recorded(name, direction).read().signature
    found = match_message_signature(signature)
    assert found is not None
    assert found == parse_message_signature(signature)


@pytest.mark.parametrize(("name", "direction"), SIGNED)
def test_the_signature_of_a_message_holds(trusts, name, direction):
    message = recorded(name, direction)
    proof = verify(message, trusts[message.run])
    assert proof.signer.member == message.signer.member


@pytest.mark.parametrize(
    "name",
    [name for name, entry in EXCHANGES.items() if entry["request"]["made_by"] == "reference"],
)
def test_the_connection_of_a_request_is_proved_by_its_ocsp_part(trusts, name):
    message = recorded(name, Direction.REQUEST)
    assert verify_connection(message, trusts[message.run]).valid_until > message.at


@pytest.mark.parametrize("name", [name for name in ANSWERED if name not in SOAP])
def test_a_response_belongs_to_its_request_and_to_no_other(name):
    asked, answered = (recorded(name, direction).read() for direction in Direction)
    request = read_rest_request(asked.header.part)
    response = read_rest_response(answered.header.part)
    assert response.status == EXCHANGES[name]["status"]
    hashed = request_hash(asked.header.digest, asked.body_digest)
    check_response_belongs(request, response, hashed)

    rest = [name for name in ANSWERED if name not in SOAP]
    other = rest[rest.index(name) - 1]
    stranger = recorded(other, Direction.REQUEST).read()
    with pytest.raises(InconsistentResponse):
        check_response_belongs(read_rest_request(stranger.header.part), response, hashed)
    hashed = request_hash(stranger.header.digest, stranger.body_digest)
    with pytest.raises(InconsistentResponse):
        check_response_belongs(request, response, hashed)


@pytest.mark.parametrize("name", [name for name in ANSWERED if name in SOAP])
def test_a_soap_response_belongs_to_its_request_and_to_no_other(name):
    asked, answered = (read_soap_of(name, direction) for direction in Direction)
    check_consistency(asked, answered)
    digest = recorded(name, Direction.REQUEST).read().get_soap().soap.digest
    check_request_hash(digest, answered)
    with pytest.raises(InconsistentResponse):
        check_request_hash(DigestAlgorithm.SHA512.digest(asked.raw + b" "), answered)
    with pytest.raises(InconsistentResponse):
        check_consistency(asked, read_soap_of(_stranger(name), Direction.RESPONSE))


def _stranger(name):
    """An exchange of another client or service."""
    entry = EXCHANGES[name]
    return next(
        other
        for other in ANSWERED
        if other in SOAP
        and any(EXCHANGES[other][who] != entry[who] for who in ("client", "provider"))
    )


@pytest.mark.parametrize(
    ("name", "direction"), [(name, direction) for name, direction in WHOLE if name in SOAP]
)
def test_a_package_is_written_for_the_information_system_with_all_its_parts(name, direction):
    message = recorded(name, direction)
    part = message.read().get_soap().soap
    events = read_events(direction, message.content_type, message.body, message.algorithm)
    package = PackageWriter(message.original_type, read_soap_of(name, direction).encoding)
    written = [package.write(each) for each in events if isinstance(each, PackageEvent)]
    body = b"".join([*written, package.close()])
    first, *rest = read_package(package.content_type, body)
    assert (first.raw, first.digest) == (part.raw, part.digest)
    digests = [each.digest for each in rest if isinstance(each, AttachmentEnd)]
    assert digests == [each.digest for each in message.read().attachments]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(("sent", "server"), [("reference-to-sild", "tax-1"), ("sild-to-reference", "java-1")])  # fmt: skip
def test_extensions_are_read_from_either_side(sent, server, direction):
    header = read_soap_of(f"soap-ec/extended-{sent}-ec", direction).header
    assert header.security_server.server_code == server
    assert header.represented_party == RepresentedParty("COM", "19990001")


def test_a_document_is_read_in_the_encoding_that_it_says():
    wide = read_soap_of("soap-ec/utf-16-reference-to-sild-ec", Direction.REQUEST)
    marked = read_soap_of("soap-ec/odd-reference-to-sild-ec", Direction.REQUEST)
    assert (wide.encoding, marked.encoding) == ("UTF-16", "UTF-8")
    assert wide.header.user_id == marked.header.user_id == "täht"


@pytest.mark.parametrize("name", TAMPERED)
def test_what_the_reference_refused_is_refused_alike(trusts, name):
    message = recorded(name, Direction.REQUEST)
    with pytest.raises(ProtocolError) as raised:
        verify(message, trusts[message.run])
    code = f"server.serverproxy.signature_verification.{raised.value.staged_code}"
    assert code == EXCHANGES[name]["fault"]


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gives_its_code(name):
    message = recorded(name, Direction.RESPONSE)
    found = message.read()
    with pytest.raises(PeerFault) as raised:
        _ = found.get_soap() if message.is_soap else found.get_rest()
    assert raised.value.fault_code("client") == EXCHANGES[name]["fault"]


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("run", RUNS)
def test_messages_of_a_batch_share_one_signature(run, direction):
    first, second = (
        recorded(name, direction).read()
        for name in ANSWERED
        if name.startswith(f"{run}/batch-")
    )  # fmt: skip
    assert head_of(first) != head_of(second)
    assert read_signature(first.signature).value == read_signature(second.signature).value
    assert first.hash_chain_result == second.hash_chain_result


@pytest.mark.parametrize(
    "name",
    [
        "auth-ec/post-small-reference-to-sild-rsa",
        "auth-ec/get-reference-to-sild-ec",
        "auth-rsa/post-small-reference-to-reference-rsa",
        "soap-rsa/attachments-reference-to-reference-ec",
    ],
)
@pytest.mark.parametrize("direction", Direction)
def test_a_message_with_one_byte_flipped_is_refused(trusts, name, direction):
    message = recorded(name, direction)
    trust = trusts[message.run]

    def verify_all(changed):
        verify(changed, trust)
        if direction is Direction.REQUEST:
            verify_connection(changed, trust)

    verify_all(message)
    for part in message.parts():
        start = message.body.index(part)
        for place in {start + len(part) * share // 8 for share in range(8)}:
            body = bytearray(message.body)
            body[place] ^= 1
            with pytest.raises(ProtocolError):
                verify_all(replace(message, body=bytes(body)))


def test_a_message_is_refused_once_its_ocsp_response_is_stale(trusts):
    message = recorded("auth-ec/get-reference-to-sild-ec", Direction.REQUEST)
    proof = verify(message, trusts[message.run])
    verify(replace(message, at=proof.signer.valid_until), trusts[message.run])
    with pytest.raises(IncorrectValidationInfo, match="too old"):
        verify(replace(message, at=proof.signer.valid_until + SECOND), trusts[message.run])


def test_a_message_is_refused_where_another_ca_of_the_same_name_is_trusted(trusts):
    message = recorded("auth-ec/get-reference-to-sild-ec", Direction.REQUEST)
    with pytest.raises(CannotCreateCertPath):
        verify(message, trusts["auth-rsa"])
