import ipaddress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from pki_builder import TestCa, critical_unknown_extension, name_of
from sild.adminapi.certificates import CertificateDetails, certificate_details, distinguished_name
from sild.protocol.errors import IncorrectCertificate

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "EE"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Sild, "Oy"'),
        x509.NameAttribute(NameOID.SERIAL_NUMBER, "DEV/SS1/GOV"),
        x509.NameAttribute(x509.ObjectIdentifier("2.5.4.97"), "X"),
        x509.NameAttribute(NameOID.COMMON_NAME, "cs"),
    ]
)


def certificate(key, digest, *extensions):
    builder = x509.CertificateBuilder(
        NAME, NAME, key.public_key(), 1234567890, NOW, NOW + timedelta(days=1)
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key, digest).public_bytes(serialization.Encoding.DER)


def usage(**names):
    every = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    )
    return x509.KeyUsage(**{name: names.get(name, False) for name in every.split()})


def test_what_a_certificate_with_an_rsa_key_says():
    key = rsa.generate_private_key(65537, 2048)
    names = x509.SubjectAlternativeName([x509.DNSName("cs.example.org"), x509.RFC822Name("a@b")])
    extensions = (names, usage(digital_signature=True, content_commitment=True))
    details = certificate_details(certificate(key, hashes.SHA256(), *extensions))
    told = details.model_dump(mode="json", exclude_none=True)
    assert len(told.pop("hash")) == 64
    assert int(told.pop("signature"), 16)
    assert int(told.pop("rsa_public_key_modulus"), 16) == key.public_key().public_numbers().n
    name = 'CN=cs, OID.2.5.4.97=X, SERIALNUMBER=DEV/SS1/GOV, O="Sild, \\"Oy\\"", C=EE'
    assert told == {
        "issuer_common_name": "cs",
        "issuer_distinguished_name": name,
        "subject_common_name": "cs",
        "subject_distinguished_name": name,
        "subject_alternative_names": "DNS:cs.example.org, email:a@b",
        "not_before": "2026-01-02T03:04:05.000Z",
        "not_after": "2026-01-03T03:04:05.000Z",
        "serial": "1234567890",
        "version": 3,
        "signature_algorithm": "SHA256withRSA",
        "public_key_algorithm": "RSA",
        "rsa_public_key_exponent": 65537,
        "key_usages": ["DIGITAL_SIGNATURE", "NON_REPUDIATION"],
    }


def test_what_a_certificate_with_an_elliptic_key_says():
    key = ec.generate_private_key(ec.SECP256R1())
    extensions = (usage(key_agreement=True, decipher_only=True),)
    details = certificate_details(certificate(key, hashes.SHA384(), *extensions))
    assert details.signature_algorithm == "SHA384withECDSA"
    assert details.public_key_algorithm == "EC"
    assert details.ec_public_parameters == "secp256r1"
    assert details.ec_public_key_point.startswith("04")
    assert details.rsa_public_key_modulus is None
    assert [one.value for one in details.key_usages] == ["KEY_AGREEMENT", "DECIPHER_ONLY"]


def test_what_a_certificate_does_not_have_is_not_told():
    details = certificate_details(
        certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    )
    assert isinstance(details, CertificateDetails)
    assert details.key_usages is None
    assert details.subject_alternative_names is None


def test_a_key_that_the_protocols_do_not_know_is_refused():
    with pytest.raises(IncorrectCertificate, match="not supported"):
        certificate_details(certificate(ed25519.Ed25519PrivateKey.generate(), None))


def test_what_is_no_certificate_is_refused():
    with pytest.raises(IncorrectCertificate):
        certificate_details(b"nothing")


def test_names_that_the_library_finds_odd_are_told_without_a_warning():
    odd = name_of(C="DEV", O="GOV", CN="M1")
    issued = TestCa.create("Odd").issue(odd).certificate
    details = certificate_details(issued.der)
    assert details.subject_distinguished_name == "CN=M1, O=GOV, C=DEV"
    assert details.subject_common_name == "M1"


def test_a_certificate_without_a_subject_is_told():
    names = x509.SubjectAlternativeName([x509.DNSName("cs.test")])
    issued = TestCa.create("Odd").issue(x509.Name([]), extensions=((names, True),)).certificate
    details = CertificateDetails.of(issued)
    assert (details.subject_distinguished_name, details.subject_common_name) == ("", "")
    assert details.subject_alternative_names == "DNS:cs.test"


def test_extensions_that_nobody_knows_do_not_matter():
    unknown = critical_unknown_extension()
    issued = TestCa.create("Odd").issue(name_of(CN="x"), extensions=(unknown,)).certificate
    assert CertificateDetails.of(issued).subject_common_name == "x"


@pytest.mark.filterwarnings("ignore:Attribute's length")
def test_alternative_names_of_every_kind_are_told():
    some = x509.ObjectIdentifier("1.2.3")
    names = [
        x509.DirectoryName(name_of(C="DEV", CN="a,b")),
        x509.RegisteredID(some),
        x509.OtherName(some, b"\x05\x00"),
        x509.UniformResourceIdentifier("urn:x"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
    ]
    extension = (x509.SubjectAlternativeName(names), False)
    issued = TestCa.create("Odd").issue(name_of(CN="x"), extensions=(extension,)).certificate
    assert CertificateDetails.of(issued).subject_alternative_names == (
        'DirName:CN="a,b", C=DEV, Registered ID:1.2.3, othername:<unsupported>, URI:urn:x, '
        "IP Address:2001:db8::1"
    )


def test_an_attribute_that_is_no_text_is_told_by_its_bytes():
    name = x509.Name(
        [x509.NameAttribute(NameOID.X500_UNIQUE_IDENTIFIER, b"\x01", _ASN1Type.BitString)]
    )
    assert distinguished_name(name.public_bytes()) == "OID.2.5.4.45=#030101"


def test_a_signature_of_a_kind_that_is_not_known_is_told_by_its_number():
    der = certificate(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    known, other = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a8648ce3d04037f")
    assert der.count(known) == 2
    details = certificate_details(der.replace(known, other))
    assert details.signature_algorithm == "1.2.840.10045.4.3.127"


def test_several_attributes_stand_together():
    name = x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.COMMON_NAME, "a"),
                    x509.NameAttribute(NameOID.USER_ID, " b"),
                ]
            )
        ]
    )
    assert set(distinguished_name(name.public_bytes()).split(" + ")) == {"CN=a", 'UID=" b"'}
