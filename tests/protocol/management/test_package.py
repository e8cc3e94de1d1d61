from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from management_builder import BOUNDARY, CLIENT, SERVER, TestSender
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import (
    InvalidContentType,
    InvalidRequest,
    MimeParsingFailed,
    MissingSoap,
    ProtocolError,
)
from sild.protocol.management.package import (
    MemberProof,
    PossessionProof,
    Proofs,
    RequestSignature,
    UnexpectedContent,
    package_type,
    read_member_proof,
    read_package,
    read_registration_proofs,
    write_package,
)
from sild.protocol.management.requests import ClientDeletion, ClientRegistration

SENDER = TestSender.create()
SOAP = SENDER.soap(ClientRegistration(SERVER, CLIENT))
TYPE = package_type(BOUNDARY)
MEMBER_PROOF = MemberProof(
    RequestSignature(SignatureAlgorithm.RSA_SHA512, b"\r\nvalue\n--"), b"cert", b"ocsp"
)
POSSESSION = PossessionProof(RequestSignature(SignatureAlgorithm.ECDSA_SHA512, b"v"), b"auth")


def test_the_content_type_is_the_one_that_peers_write():
    assert TYPE == (
        'multipart/related; type="application/octet-stream"; charset=UTF-8; boundary=xroadABCDEF'
    )


def test_a_members_proof_comes_back():
    package = read_package(write_package(SOAP, Proofs(MEMBER_PROOF), BOUNDARY), TYPE)
    assert package.message.raw == SOAP
    assert read_member_proof(package) == Proofs(MEMBER_PROOF)


def test_both_proofs_of_a_registration_come_back():
    proofs = Proofs(MEMBER_PROOF, POSSESSION)
    package = read_package(write_package(SOAP, proofs, BOUNDARY), TYPE)
    assert read_registration_proofs(package) == proofs


def test_the_algorithm_stands_in_lower_case_where_peers_look_for_it():
    written = write_package(SOAP, Proofs(MEMBER_PROOF), BOUNDARY)
    assert b"\r\nsignature-algorithm-id: SHA512withRSA\r\n" in written


@pytest.mark.parametrize("algorithm", SignatureAlgorithm)
def test_every_algorithm_but_those_of_sha_1_is_read(algorithm):
    proof = Proofs(MemberProof(RequestSignature(algorithm, b"v"), b"c", b"o"))
    package = read_package(write_package(SOAP, proof, BOUNDARY), TYPE)
    if algorithm.digest_algorithm is DigestAlgorithm.SHA1:
        with pytest.raises(UnsupportedAlgorithm):
            read_member_proof(package)
    else:
        assert read_member_proof(package) == proof


def renamed(old, new):
    written = write_package(SOAP, Proofs(MEMBER_PROOF), BOUNDARY)
    assert old in written
    return read_package(written.replace(old, new), TYPE)


def test_the_name_that_the_specification_writes_is_read_too():
    package = renamed(b"signature-algorithm-id: SHA512", b"Signature-Algorithm-ID: sha512")
    assert read_member_proof(package) == Proofs(MEMBER_PROOF)


def test_a_signature_without_its_algorithm_is_refused():
    with pytest.raises(InvalidRequest):
        read_member_proof(renamed(b"signature-algorithm-id", b"signature-algorithm-no"))


def test_a_signature_that_says_two_algorithms_is_refused():
    twice = b"signature-algorithm-id: SHA512withRSA\r\nSignature-Algorithm-ID: SHA256"
    with pytest.raises(InvalidRequest):
        read_member_proof(renamed(b"signature-algorithm-id: SHA512", twice))


def test_an_algorithm_that_nobody_knows_is_refused():
    with pytest.raises(UnsupportedAlgorithm):
        read_member_proof(renamed(b"SHA512withRSA", b"MD5withRSA"))


def parts_of(*contents):
    lines = [b"--" + BOUNDARY.encode() + b"\r\ncontent-type: text/xml\r\n\r\n" + SOAP + b"\r\n"]
    for content in contents:
        header = b"content-type: application/octet-stream\r\nsignature-algorithm-id: SHA512withRSA"
        lines.append(b"--" + BOUNDARY.encode() + b"\r\n" + header + b"\r\n\r\n" + content + b"\r\n")
    return b"".join(lines) + b"--" + BOUNDARY.encode() + b"--\r\n"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_members_proof_without_all_its_parts_is_refused(count):
    with pytest.raises(InvalidRequest):
        read_member_proof(read_package(parts_of(*[b"x"] * count), TYPE))


@pytest.mark.parametrize("count", range(5))
def test_a_registration_without_all_its_parts_is_refused(count):
    with pytest.raises(InvalidRequest):
        read_registration_proofs(read_package(parts_of(*[b"x"] * count), TYPE))


def test_an_empty_part_is_a_missing_one():
    with pytest.raises(InvalidRequest):
        read_member_proof(read_package(parts_of(b"x", b"", b"x"), TYPE))


def test_a_part_too_many_is_refused():
    with pytest.raises(UnexpectedContent) as refused:
        read_member_proof(read_package(parts_of(b"x", b"x", b"x", b"x"), TYPE))
    assert refused.value.code == "internal_error"
    with pytest.raises(UnexpectedContent):
        read_package(parts_of(*[b"x"] * 6), TYPE)


def test_a_plain_message_has_no_parts():
    soap = SENDER.soap(ClientDeletion(SERVER, CLIENT))
    package = read_package(soap, "text/xml; charset=UTF-8")
    assert (package.message.raw, package.parts) == (soap, ())


def test_a_dry_run_may_be_the_message_alone():
    package = read_package(write_package(SOAP, None, BOUNDARY), TYPE)
    assert (package.message.raw, package.parts) == (SOAP, ())


def test_other_types_are_refused():
    for content_type in ("application/json", "", "text/plain", "multipart/related"):
        with pytest.raises(InvalidContentType):
            read_package(SOAP, content_type)


def test_a_first_part_that_is_no_soap_is_refused():
    body = write_package(SOAP, None, BOUNDARY).replace(b"text/xml; charset=UTF-8", b"image/png")
    with pytest.raises(InvalidContentType):
        read_package(body, TYPE)


def test_a_part_without_a_type_is_refused():
    body = parts_of(b"x").replace(b"content-type: application/octet-stream\r\n", b"")
    with pytest.raises(InvalidContentType):
        read_package(body, TYPE)


def test_nothing_and_half_of_something_are_refused():
    whole = write_package(SOAP, Proofs(MEMBER_PROOF), BOUNDARY)
    with pytest.raises(MissingSoap):
        read_package(b"--" + BOUNDARY.encode() + b"--\r\n", TYPE)
    with pytest.raises(MimeParsingFailed):
        read_package(whole[:-30], TYPE)


def test_a_request_of_more_than_100000_bytes_is_refused():
    with pytest.raises(InvalidRequest):
        read_package(b" " * 100_001, "text/xml")


@given(st.binary(max_size=200), st.integers(0, 2000), st.integers(0, 60))
def test_any_bytes_give_a_package_or_a_protocol_error(noise, at, cut):
    whole = write_package(SOAP, Proofs(MEMBER_PROOF, POSSESSION), BOUNDARY)
    with suppress(ProtocolError):
        read_registration_proofs(read_package(whole[:at] + noise + whole[at + cut :], TYPE))
