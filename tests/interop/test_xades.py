"""Signature documents of the reference, with the verdict that it gives on each.

They are judged at the moment that the reference's tests ask at (2014-10-30). The OCSP responses in
them were made after it, which live messages may not have: the policy says that it is meant so.
The signer is named by a profile that is in use, not by the one made for those tests.
"""

import csv
import zipfile
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from signing_builder import digests_of
from sild.protocol.errors import IncorrectValidationInfo, ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import ApprovedCa, ApprovedCaCert, OcspPolicy, OcspResponder, Trust
from sild.protocol.signature.signaturepattern import match_message_signature
from sild.protocol.signature.signaturexml import parse_message_signature
from sild.protocol.signature.verify import SignedParts, verify_signature

CONSUMER = ClientId("EE", "Cybernetica", "consumer")
STRANGER = ClientId("EE", "Cybernetica", "FOORBAR")
EJBCA = "ee.ria.xroad.common.certificateprofile.impl.EjbcaCertificateProfileInfoProvider"
ASKED = datetime(2014, 10, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def trust(vectors):
    def certificate(name):
        data = (vectors / "certs" / name).read_bytes()
        loaded = pkcs12.load_pkcs12(data, b"test")
        found = loaded.cert or loaded.additional_certs[0]
        return read_certificate(found.certificate.public_bytes(Encoding.DER))

    responders = tuple(
        OcspResponder("http://ocsp.test", certificate(name))
        for name in ("ocspsigner.p12", "consumer.p12")
    )
    ca = ApprovedCaCert(certificate("root-ca.p12"), responders)
    cas = (ApprovedCa("root", authentication_only=False, profile=EJBCA, top=ca),)
    return Trust("EE", cas, (), OcspPolicy(3600, ahead_seconds=None), Strength.HISTORIC)


@pytest.fixture
def document(vectors):
    return lambda name: (vectors / "signatures" / name).read_bytes()


@pytest.fixture
def judge(trust, document):
    def judge(name, *, signer=CONSUMER, message=None, at=None):
        data = document(name)
        parts = SignedParts(
            None, None, digests_of({"/message.xml": message or document("message-0.xml")})
        )
        try:
            verify_signature(data, parts, signer, trust, at or ASKED)
        except ProtocolError as error:
            return error.staged_code
        return "VALID"

    return judge


def test_every_document_of_the_index_gets_the_verdict_of_the_reference(vectors, judge):
    with (vectors / "INDEX.tsv").open() as index:
        rows = [row for row in csv.DictReader(index, delimiter="\t") if row["kind"] == "xades"]
    assert len(rows) == 7
    found = {row["file"]: judge(row["file"].removeprefix("signatures/")) for row in rows}
    assert found == {row["file"]: row["expected"].partition(" ")[0].strip(";") for row in rows}


def test_another_signer_and_another_message_get_their_codes(judge):
    assert judge("sign-0.xml", signer=STRANGER) == "incorrect_certificate"
    assert judge("sign-0.xml", message=b"another message") == "invalid_signature_value"


def test_as_live_messages_only_the_time_of_their_responses_is_objected_to(trust, document):
    trust = replace(trust, ocsp=OcspPolicy(3600))
    for name in ("sign-0.xml", "sign-0-old-format.xml"):
        parts = SignedParts(None, None, digests_of({"/message.xml": document("message-0.xml")}))
        with pytest.raises(IncorrectValidationInfo, match="future"):
            verify_signature(document(name), parts, CONSUMER, trust, ASKED)


def test_documents_of_old_and_new_releases_are_read_by_pattern(vectors, document):
    with zipfile.ZipFile(vectors / "asic/valid-batch-ts.asice") as container:
        new = container.read("META-INF/signatures.xml")
    for data in (new, document("sign-0.xml")):
        found = match_message_signature(data)
        assert found is not None
        assert found == parse_message_signature(data)


def test_a_document_of_the_first_release_is_read_by_the_parser(document):
    assert match_message_signature(document("sign-0-old-format.xml")) is None
