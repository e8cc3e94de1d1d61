"""Signature documents of the reference, with the verdict that it gives on each.

The reference's tests ask at a moment (2014-10-30) before the OCSP responses in these documents
were made, which we do not do: a response of the future is refused. So each document is judged
soon after its response was made, and for the earlier moment only that this is the sole objection.
The signer is named by a profile that is in use, not by the one made for those tests.
"""

import csv
import zipfile
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from sild.protocol.errors import IncorrectValidationInfo, ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.signed import Strength
from sild.protocol.pki.trust import ApprovedCa, ApprovedCaCert, OcspPolicy, OcspResponder, Trust
from sild.protocol.signature.signaturepattern import match_message_signature
from sild.protocol.signature.signaturexml import parse_message_signature
from sild.protocol.signature.verify import SignedParts, read_signature, verify_signature
from signing_builder import digests_of

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
    return Trust("EE", cas, (), OcspPolicy(3600), Strength.HISTORIC)


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
            verify_signature(data, parts, signer, trust, at or soon_after_response(data))
        except ProtocolError as error:
            return error.staged_code
        return "VALID"

    return judge


def soon_after_response(data):
    try:
        response = read_ocsp_response(read_signature(data).ocsp[0])
    except ProtocolError:
        return ASKED
    return max(response.this_update, response.produced_at) + timedelta(minutes=1)


def test_every_document_of_the_index_gets_the_verdict_of_the_reference(vectors, judge):
    with (vectors / "INDEX.tsv").open() as index:
        rows = [row for row in csv.DictReader(index, delimiter="\t") if row["kind"] == "xades"]
    assert len(rows) == 7
    found = {row["file"]: judge(row["file"].removeprefix("signatures/")) for row in rows}
    assert found == {row["file"]: row["expected"].partition(" ")[0].strip(";") for row in rows}


def test_another_signer_and_another_message_get_their_codes(judge):
    assert judge("sign-0.xml", signer=STRANGER) == "incorrect_certificate"
    assert judge("sign-0.xml", message=b"another message") == "invalid_signature_value"


def test_at_the_moment_of_the_index_nothing_but_the_time_of_the_response_is_objected_to(
    trust, document
):
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
