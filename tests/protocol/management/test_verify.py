"""Who may send what: each check of the reference in its order, and its code."""

from dataclasses import replace
from datetime import timedelta

import pytest

from management_builder import (
    BOUNDARY,
    CLIENT,
    OTHER,
    SERVER,
    SERVICES,
    TestSender,
    default_algorithm,
    sign,
)
from pki_builder import MEMBER, NOON, TestCa
from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, SignatureAlgorithm
from sild.protocol.errors import (
    CertValidation,
    IncorrectCertificate,
    IncorrectValidationInfo,
    InvalidClientIdentifier,
    InvalidRequest,
    InvalidSignatureValue,
    TrustError,
    UnknownCertificationAuthority,
)
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.package import (
    MemberProof,
    PossessionProof,
    Proofs,
    RequestSignature,
    package_type,
    read_package,
    write_package,
)
from sild.protocol.management.requests import (
    AddressChange,
    AuthCertDeletion,
    ClientDeletion,
    ClientDisable,
    ClientEnable,
    ClientRegistration,
    ClientRename,
    MaintenanceDisable,
    MaintenanceEnable,
    OwnerChange,
)
from sild.protocol.management.verify import verify_request

SENDER = TestSender.create()
STRANGER = ClientId("DEV", "COM", "M9")

SIGNED = [
    ClientRegistration(SERVER, CLIENT, "Portal"),
    ClientRegistration(SERVER, OTHER),
    ClientDisable(SERVER, CLIENT),
    ClientEnable(SERVER, CLIENT),
    ClientRename(SERVER, CLIENT, "Portal"),
    OwnerChange(SERVER, OTHER),
    AddressChange(SERVER, "ss1.example.org"),
    MaintenanceEnable(SERVER, "later"),
    MaintenanceDisable(SERVER),
]
UNSIGNED = [ClientDeletion(SERVER, CLIENT), AuthCertDeletion(SERVER, b"cert")]


def verify(body, content_type, *, sender=SENDER, now=NOON):
    return verify_request(read_package(body, content_type), sender.ecosystem, now)


def send(request, **how):
    return verify(*SENDER.send(request, **how))


def packed(soap, member, possession=None):
    return verify(write_package(soap, Proofs(member, possession), BOUNDARY), package_type(BOUNDARY))


@pytest.mark.parametrize("request_", SIGNED)
def test_what_its_member_signed_is_taken(request_):
    verified = send(request_)
    assert verified.request == request_
    assert verified.signer == SENDER.signer_of(request_)


@pytest.mark.parametrize("request_", UNSIGNED)
def test_deletions_need_no_signature(request_):
    verified = send(request_)
    assert (verified.request, verified.signer) == (request_, None)


def test_a_registration_is_taken():
    verified = send(SENDER.registration())
    assert verified.request == SENDER.registration()
    assert verified.signer == MEMBER


ALGORITHMS = [
    each for each in SignatureAlgorithm if each.digest_algorithm is not DigestAlgorithm.SHA1
]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_verifies_and_does_not_where_the_message_changed(algorithm):
    kind = "ec" if algorithm.family is KeyFamily.EC else "rsa"
    sender = TestSender.create(kind=kind)
    body, content_type = sender.send(sender.registration(), algorithm=algorithm)
    verify(body, content_type, sender=sender)
    with pytest.raises(InvalidSignatureValue):
        verify(body.replace(b"message-1", b"message-2"), content_type, sender=sender)


@pytest.mark.parametrize("request_", [SENDER.registration(), *SIGNED, *UNSIGNED])
def test_only_the_owner_asks_for_a_server(request_):
    for other in (OTHER, MEMBER.subsystem("x"), ClientId("DEV", "GOV", "M2")):
        with pytest.raises(InvalidRequest, match="Sender does not match"):
            send(request_, client=other)


def member_of(request):
    return SENDER.signer_of(request)


@pytest.mark.parametrize("request_", SIGNED)
def test_only_the_member_whom_it_concerns_signs(request_):
    other = OTHER if member_of(request_) == MEMBER else MEMBER
    with pytest.raises(InvalidRequest, match="Subject identifier"):
        send(request_, signer=other)


def test_only_the_owner_signs_a_registration():
    with pytest.raises(InvalidRequest, match="Subject identifier"):
        send(SENDER.registration(), signer=OTHER)


@pytest.mark.parametrize("request_", [SENDER.registration(), *SIGNED])
def test_a_signature_of_another_message_is_refused(request_):
    body, content_type = SENDER.send(request_)
    with pytest.raises(InvalidSignatureValue):
        verify(body.replace(b"message-1", b"message-2"), content_type)


def test_a_registration_proves_the_possession_of_its_key():
    soap = SENDER.soap(SENDER.registration())
    member = SENDER.member_proof(soap, MEMBER)
    good = SENDER.possession(soap)
    forged = replace(good.signature, value=sign(
        good.signature.algorithm, TestSender.create().signers[OTHER].key, soap + b" "
    ))  # fmt: skip
    with pytest.raises(InvalidSignatureValue, match="auth signature"):
        packed(soap, member, replace(good, signature=forged))


def test_the_owners_signature_is_not_the_keys():
    soap = SENDER.soap(SENDER.registration())
    good = SENDER.member_proof(soap, MEMBER)
    wrong = replace(good, signature=SENDER.possession(b"something else").signature)
    with pytest.raises(InvalidSignatureValue, match="owner signature"):
        packed(soap, wrong, SENDER.possession(soap))


def test_the_two_authentication_certificates_must_be_one():
    other = SENDER.ca.issue_auth("SS1", number=4).certificate.der
    with pytest.raises(CertValidation, match="do not match"):
        send(SENDER.registration(certificate=other))


def possession_of(issued, soap):
    algorithm = default_algorithm(issued.key)
    signature = RequestSignature(algorithm, sign(algorithm, issued.key, soap))
    return PossessionProof(signature, issued.certificate.der)


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: TestCa.create("Unknown").issue_auth("SS1"), UnknownCertificationAuthority),
        (lambda: TestCa.create("Test CA", number=9).issue_auth("SS1"), CertValidation),
        (lambda: SENDER.ca.issue_sign(MEMBER), CertValidation),
        (
            lambda: SENDER.ca.issue_auth("SS1", not_after=NOON - timedelta(1)),
            IncorrectCertificate,
        ),
        (
            lambda: SENDER.ca.issue_auth("SS1", not_before=NOON + timedelta(1)),
            IncorrectCertificate,
        ),
    ],
)
def test_only_a_valid_authentication_certificate_is_registered(make, error):
    issued = make()
    soap = SENDER.soap(SENDER.registration(certificate=issued.certificate.der))
    with pytest.raises(error):
        packed(soap, SENDER.member_proof(soap, MEMBER), possession_of(issued, soap))


def test_what_is_no_certificate_is_refused():
    soap = SENDER.soap(SENDER.registration())
    possession = replace(SENDER.possession(soap), certificate=b"nothing")
    with pytest.raises(IncorrectCertificate):
        packed(soap, SENDER.member_proof(soap, MEMBER), possession)


def proof_of(issued, soap, ocsp):
    algorithm = default_algorithm(issued.key)
    signature = RequestSignature(algorithm, sign(algorithm, issued.key, soap))
    return MemberProof(signature, issued.certificate.der, ocsp)


BAD_SIGNERS = [
    (lambda: TestCa.create("Unknown").issue_sign(OTHER), UnknownCertificationAuthority),
    (lambda: TestCa.create("Test CA", number=9).issue_sign(OTHER), CertValidation),
    (lambda: SENDER.ca.issue_auth("SS1"), CertValidation),
    (lambda: SENDER.ca.issue_sign(OTHER, not_after=NOON - timedelta(1)), CertValidation),
    (lambda: SENDER.ca.issue_sign(OTHER, not_before=NOON + timedelta(1)), CertValidation),
]


@pytest.mark.parametrize(("make", "error"), BAD_SIGNERS)
@pytest.mark.parametrize("request_", [ClientDisable(SERVER, CLIENT), SENDER.registration()])
def test_only_a_valid_signing_certificate_signs(request_, make, error):
    issued = make()
    soap = SENDER.soap(request_)
    possession = SENDER.possession(soap) if request_ not in SIGNED else None
    with pytest.raises(error):
        packed(soap, proof_of(issued, soap, SENDER.ca.ocsp(issued.certificate)), possession)


def test_a_ca_for_authentication_only_certifies_no_signer():
    body, content_type = SENDER.send(SIGNED[0])
    ecosystem = replace(SENDER.ecosystem, trust=SENDER.ca.trust(authentication_only=True))
    with pytest.raises(CertValidation):
        verify_request(read_package(body, content_type), ecosystem, NOON)


@pytest.mark.parametrize(
    ("ocsp", "error"),
    [
        ({"status": "revoked"}, CertValidation),
        ({"status": "unknown"}, CertValidation),
        ({"this_update": NOON - timedelta(hours=2)}, IncorrectValidationInfo),
        ({"this_update": NOON + timedelta(hours=2)}, IncorrectValidationInfo),
        ({"next_update": NOON - timedelta(seconds=1)}, IncorrectValidationInfo),
        ({"issuer": TestCa.create("Another").certificate}, IncorrectValidationInfo),
        ({"signer": SENDER.ca.issue_ocsp_signer(usage="nothing")}, IncorrectValidationInfo),
    ],
)
@pytest.mark.parametrize("request_", [SIGNED[0], SENDER.registration()])
def test_the_signing_certificate_must_be_good_now(request_, ocsp, error):
    soap = SENDER.soap(request_)
    member = SENDER.member_proof(soap, member_of(request_), **ocsp)
    possession = SENDER.possession(soap) if request_ not in SIGNED else None
    with pytest.raises(error):
        packed(soap, member, possession)


def test_no_ocsp_response_is_no_good_one():
    soap = SENDER.soap(SIGNED[0])
    with pytest.raises(IncorrectValidationInfo):
        packed(soap, replace(SENDER.member_proof(soap, OTHER), ocsp=b"good"))


def test_a_registration_goes_to_the_management_services_of_the_instance():
    with pytest.raises(InvalidRequest, match="Invalid management service address"):
        send(SENDER.registration(), provider=OTHER)
    body, content_type = SENDER.send(SENDER.registration())
    for ecosystem in (
        replace(SENDER.ecosystem, management_services=None),
        replace(SENDER.ecosystem, trust=SENDER.ca.trust("OTHER")),
    ):
        with pytest.raises((InvalidRequest, TrustError)):
            verify_request(read_package(body, content_type), ecosystem, NOON)


@pytest.mark.parametrize("address", [None, "", "no address", "https://x"])
def test_a_server_has_an_address(address):
    with pytest.raises(InvalidRequest, match="Invalid server address"):
        send(SENDER.registration(address=address))
    if address is not None:
        with pytest.raises(InvalidRequest, match="Invalid server address"):
            send(AddressChange(SERVER, address))


def test_only_subsystems_have_names_that_are_not_blank():
    for request in (ClientRegistration(SERVER, OTHER, "x"), ClientRename(SERVER, OTHER, "x")):
        with pytest.raises(InvalidRequest, match="only the name of a subsystem"):
            send(request)
    with pytest.raises(InvalidRequest, match="Invalid subsystem name"):
        send(ClientRename(SERVER, CLIENT, " "))
    assert send(ClientRegistration(SERVER, CLIENT, ""))


@pytest.mark.parametrize("sign_", [":", ";", "%", "/", "\\", "\u200b", "\ufeff", "\x85"])
def test_identifiers_hold_no_separators(sign_):
    server = SecurityServerId(MEMBER, f"a{sign_}b")
    for request in (
        SENDER.registration(server=server),
        MaintenanceDisable(server),
        ClientDeletion(server, CLIENT),
        ClientDeletion(SERVER, OTHER.subsystem(f"a{sign_}b")),
    ):
        with pytest.raises(InvalidClientIdentifier):
            send(request)


def test_a_signed_request_without_a_signature_is_refused():
    soap = SENDER.soap(SIGNED[0])
    with pytest.raises(InvalidRequest, match="missing"):
        verify(soap, "text/xml")


def test_a_dry_run_without_a_certificate_is_refused_as_peers_refuse_it():
    soap = SENDER.soap(SENDER.registration(certificate=b"", dry_run=True))
    with pytest.raises(InvalidRequest):
        verify(write_package(soap, None, BOUNDARY), package_type(BOUNDARY))


def test_the_management_services_are_named_by_tests():
    assert SENDER.header().provider == SERVICES
