import base64
import hashlib
import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from importlib import resources

import pytest

from pki_builder import NOON, TestCa
from signing_builder import ATTACHMENT, MESSAGE, PARTS, TestSigner, digests_of
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import CannotCreateSignature
from sild.protocol.safexml import Schema, canonical, read_xml
from sild.protocol.signature.xades import SigningIdentity, Template, prepare

RESULT = "/sig-hashchainresult.xml"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
AWKWARD = 'Tööd & <tegemised> 100% "%b"'

SIGNERS = {
    "RSA": lambda: TestSigner.create("rsa"),
    "P-256": TestSigner.create,
    "P-384": lambda: TestSigner.create("ec384"),
    "intermediates": lambda: TestSigner.create(depth=2),
    "awkward issuer": lambda: TestSigner.create(name=AWKWARD),
}


@pytest.fixture(scope="module", params=SIGNERS)
def signer(request):
    return SIGNERS[request.param]()


def elements(document, name):
    return read_xml(document).findall(f".//{DS}{name}")


def openssl(tmp_path, *arguments, **files):
    """What the command line of OpenSSL, which shares no code with us, says."""
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else done.stderr


@pytest.mark.parametrize("target", [MESSAGE, RESULT])
def test_what_is_signed_is_the_canonical_form_of_the_finished_document(signer, target):
    unsigned = prepare(target, bytes(64), signer.identity, NOON)
    root = read_xml(unsigned.finish(signer.key.sign(unsigned.to_sign)))
    assert canonical(root.find(f".//{DS}SignedInfo")) == unsigned.to_sign
    assert hashlib.sha512(unsigned.to_sign).digest() == unsigned.digest_to_sign
    properties = canonical(root.find(".//{*}SignedProperties"))
    stated = root.findall(f".//{DS}Reference/{DS}DigestValue")[1].text
    assert base64.b64decode(stated) == hashlib.sha512(properties).digest()


@pytest.mark.parametrize("target", [MESSAGE, RESULT])
def test_the_document_fits_the_published_schema(signer, target, schemas):
    assert (schemas / "xades-schema.xsd").is_file()
    unsigned = prepare(target, bytes(64), signer.identity, NOON)
    root = read_xml(unsigned.finish(signer.key.sign(unsigned.to_sign)))
    assert root.text is None
    Schema.load("xades-schema.xsd").check(root[0])


def test_the_schemas_that_are_shipped_are_those_that_are_published(schemas):
    for name in ("xades-schema.xsd", "xmldsig-core-schema.xsd", "hashchain.xsd"):
        shipped = resources.files("sild.protocol") / "schemas" / name
        assert shipped.read_bytes() == (schemas / name).read_bytes()


def test_openssl_agrees_with_the_signature_value(signer, tmp_path):
    document = signer.document()
    (info,) = elements(document, "SignedInfo")
    value = base64.b64decode(elements(document, "SignatureValue")[0].text)
    if "ECDSA" in signer.identity.algorithm.name:
        half = len(value) // 2
        value = der_of(int.from_bytes(value[:half], "big"), int.from_bytes(value[half:], "big"))
    certificate = base64.b64decode(elements(document, "X509Certificate")[0].text)
    key = openssl(
        tmp_path, "x509", "-inform", "DER", "-in", "cert", "-pubkey", "-noout", cert=certificate
    )
    said = openssl(
        tmp_path, "dgst", "-sha512", "-verify", "key", "-signature", "value", "data",
        key=key, value=value, data=canonical(info),
    )  # fmt: skip
    assert said == b"Verified OK\n"


def test_openssl_agrees_with_the_digests(signer, tmp_path):
    document = signer.document()
    properties = canonical(read_xml(document).find(".//{*}SignedProperties"))
    digests = [base64.b64decode(element.text) for element in elements(document, "DigestValue")]
    for digest, data in zip(digests[:2], (PARTS[MESSAGE], properties), strict=True):
        assert openssl(tmp_path, "dgst", "-sha512", "-binary", "data", data=data) == digest
    certificate = signer.key.certificate.der
    assert openssl(tmp_path, "dgst", "-sha512", "-binary", "data", data=certificate) == digests[2]


def der_of(r, s):
    def integer(number):
        data = number.to_bytes(number.bit_length() // 8 + 1, "big")
        return bytes((2, len(data))) + data

    body = integer(r) + integer(s)
    return bytes((0x30, len(body))) + body


def test_the_time_is_written_in_utc_with_milliseconds(signer):
    for now in (NOON, NOON.astimezone(timezone(timedelta(hours=3)))):
        assert b"<xades:SigningTime>2026-01-15T12:00:00.000Z<" in signer.document(now)
    later = datetime(2026, 1, 15, 12, 0, 1, 999_999, tzinfo=UTC)
    assert b">2026-01-15T12:00:01.999Z<" in signer.document(later)


def test_the_issuer_is_named_as_text(signer):
    issuer = signer.key.certificate.issuer_text
    assert elements(signer.document(), "X509IssuerName")[0].text == issuer


def test_intermediate_certificates_come_with_their_digests_and_responses():
    signer = TestSigner.create(depth=2)
    root = read_xml(signer.document())
    values = [base64.b64decode(e.text) for e in root.iter("{*}EncapsulatedX509Certificate")]
    assert values == [certificate.der for certificate, _ in signer.identity.chain]
    refs = root.findall(".//{*}CertRefs/{*}Cert")
    assert [ref.get("URI") for ref in refs] == ["#encapsulated-cert-1", "#encapsulated-cert-2"]
    digests = [base64.b64decode(ref.find(f".//{DS}DigestValue").text) for ref in refs]
    assert digests == [hashlib.sha512(value).digest() for value in values]
    responses = [base64.b64decode(e.text) for e in root.iter("{*}EncapsulatedOCSPValue")]
    assert responses == [signer.identity.ocsp, *(ocsp for _, ocsp in signer.identity.chain)]


def test_a_hash_chain_result_is_named_by_its_type(signer):
    unsigned = prepare(RESULT, bytes(64), signer.identity, NOON)
    document = unsigned.finish(signer.key.sign(unsigned.to_sign))
    assert b"<xades:MimeType>application/hash-chain-result<" in document
    assert b"<xades:MimeType>text/xml<" in signer.document()


def test_signing_by_an_algorithm_of_another_kind_of_key_is_refused():
    signer = TestSigner.create()
    wrong = SigningIdentity(signer.key.certificate, b"", (), SignatureAlgorithm.RSA_SHA512)
    with pytest.raises(CannotCreateSignature):
        Template(wrong)


def test_an_issuer_name_that_xml_cannot_hold_is_refused():
    with pytest.raises(CannotCreateSignature):
        TestSigner.create(name="bell \x07").document()


def test_documents_of_a_batch_differ_in_nothing_but_their_chains():
    signer = TestSigner.create()
    first, second = signer.sign({MESSAGE: b"1"}, {MESSAGE: b"2", ATTACHMENT: b"3"})
    assert first.signature == second.signature
    assert first.hash_chain_result == second.hash_chain_result
    assert first.hash_chain != second.hash_chain


def test_only_a_lone_message_of_one_part_is_signed_directly():
    signer = TestSigner.create()
    (alone,) = signer.sign({MESSAGE: b"1"})
    assert (alone.hash_chain_result, alone.hash_chain) == (None, None)
    assert b'URI="/message.xml"' in alone.signature
    (with_attachment,) = signer.sign({MESSAGE: b"1", ATTACHMENT: b"2"})
    assert with_attachment.hash_chain is not None
    assert b'URI="/message.xml"' not in with_attachment.signature


def test_a_batch_signs_the_result_of_its_tree():
    signer = TestSigner.create()
    first, _ = signer.sign({MESSAGE: b"1"}, {MESSAGE: b"2"})
    stated = base64.b64decode(elements(first.signature, "DigestValue")[0].text)
    assert stated == hashlib.sha512(first.hash_chain_result).digest()
    digests = re.findall(rb"<DigestValue>([^<]*)", first.hash_chain)
    assert base64.b64encode(digests_of({"": b"1"})[""]) in digests


def test_certificates_of_other_issuers_make_other_templates():
    first, second = TestSigner.create(), TestSigner.create(ca=TestCa.create("Other CA"))
    assert b"Other CA" not in first.document()
    assert b"Other CA" in second.document()
