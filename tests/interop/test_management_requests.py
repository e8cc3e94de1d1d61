"""Management requests made by the reference implementation."""

from datetime import UTC, datetime

import pytest

from sild.protocol.errors import IncorrectValidationInfo, InvalidSignatureValue
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.codec import read_request, write_response
from sild.protocol.management.package import read_package, read_registration_proofs
from sild.protocol.management.requests import AuthCertRegistration, ClientRegistration
from sild.protocol.management.verify import Ecosystem, verify_request
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.trust import ApprovedCa, ApprovedCaCert, OcspPolicy, Trust
from sild.protocol.soap.message import read_soap

TYPE = "multipart/related; boundary=jetty977554054l1bu2no0"
PROFILE = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
OWNER = ClientId("REST", "COM", "SS1")
SERVICES = ClientId("REST", "COM", "MGMT", "MGMT")
# An hour in which the OCSP response inside was fresh.
MOMENT = datetime(2022, 3, 29, 7, 45, tzinfo=UTC)


@pytest.fixture
def sent(vectors):
    return (vectors / "management-requests" / "testauthregrequest.msg").read_bytes()


@pytest.fixture
def ecosystem(vectors):
    pem = (vectors / "management-requests" / "testconf" / "ca.cert.pem").read_bytes()
    top = ApprovedCaCert(read_certificate(pem))
    trust = Trust("REST", (ApprovedCa("X-Road Test CA", False, PROFILE, top),))
    return Ecosystem(trust, SERVICES)


def test_the_registration_is_read(sent):
    request = read_request(read_package(sent, TYPE).message)
    assert isinstance(request, AuthCertRegistration)
    assert request.server == SecurityServerId(OWNER, "SS1")
    assert request.address == "xroad-lxd-ss1.lxd"
    assert read_certificate(request.certificate).is_authentication


def test_both_signatures_verify_and_no_byte_of_the_message_may_change(sent):
    package = read_package(sent, TYPE)
    proofs = read_registration_proofs(package)
    for proof in (proofs.possession, proofs.member):
        key = read_certificate(proof.certificate).public_key
        proof.signature.algorithm.verify(key, proof.signature.value, package.message.raw)
        with pytest.raises(InvalidSignatureValue):
            proof.signature.algorithm.verify(
                key, proof.signature.value, package.message.raw + b"\n"
            )


def test_the_registration_is_verified_whole(sent, ecosystem):
    verified = verify_request(read_package(sent, TYPE), ecosystem, MOMENT)
    assert verified.signer == OWNER


def test_an_hour_later_its_ocsp_response_is_too_old(sent, ecosystem):
    policy = OcspPolicy(freshness_seconds=60)
    stale = Ecosystem(Trust("REST", ecosystem.trust.cas, ocsp=policy), SERVICES)
    with pytest.raises(IncorrectValidationInfo):
        verify_request(read_package(sent, TYPE), stale, MOMENT.replace(hour=9))


def test_a_client_registration_is_read_and_answered(vectors):
    soap = (vectors / "management-requests" / "client_reg_request.soap").read_bytes()
    message = read_soap(soap, "text/xml")
    server = SecurityServerId(ClientId("EE", "GOV", "XTS1CLIENT"), "XTS1")
    assert read_request(message) == ClientRegistration(
        server, ClientId("EE", "COM", "10140133", "cyber1")
    )
    answer = read_soap(write_response(message, 394), "text/xml")
    assert answer.header == message.header
    assert answer.body_name == "clientRegResponse"
