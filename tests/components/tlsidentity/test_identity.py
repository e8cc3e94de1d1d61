import contextlib
import io
import tarfile
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sild.components.tlsidentity.distinguished import read_distinguished_name
from sild.components.tlsidentity.errors import (
    CertificateInUse,
    CertificateOfOtherKey,
    ChainNotValid,
    InvalidDistinguishedName,
    KeyNotMade,
    NoCertificate,
    NotCertificates,
)
from sild.components.tlsidentity.identity import ServedTls
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.model.tokens import KeyAlgorithm
from sild.runtime.clock import TurnedClock
from sild.runtime.tls import TlsPolicy, server_context

pytestmark = pytest.mark.anyio
HOST = "cs.example.org"


def name_of(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Authority:
    """A CA of its own that certifies requests."""

    def __init__(self, name, issuer=None):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = name_of(name)
        self.certificate = (issuer or self).certify(self.name, self.key.public_key())

    def certify(self, name, key):
        now = TurnedClock().now()
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self.name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=2))
            .sign(self.key, hashes.SHA256())
        )

    def answer(self, request):
        asked = x509.load_pem_x509_csr(request)
        return self.certify(asked.subject, asked.public_key())


def pem(*certificates):
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)


@pytest.fixture
async def tls(tmp_path):
    made = ServedTls(tmp_path / "management-service.pem", TlsSubject(HOST), TurnedClock())
    await made.make_if_missing()
    return made


async def test_a_first_key_and_certificate_are_made_once_and_privately(tls, tmp_path):
    first = await tls.certificate()
    await tls.make_if_missing()
    assert await tls.certificate() == first
    assert first.name == HOST
    assert (tmp_path / "management-service.pem").stat().st_mode & 0o777 == 0o600


async def test_what_listens_follows_each_change(tls):
    seen = []
    tls.follow(seen.append)
    made = await tls.generate()
    taken = await tls.take(pem(Authority("CA").answer(await tls.request(f"CN={HOST}"))))
    assert [identity.chain[0] for identity in seen[1:]] == [made.der, taken.der]
    assert len({identity.chain for identity in seen}) == 3
    for identity in seen:
        server_context(TlsPolicy(), identity, None)


async def test_a_certificate_is_asked_for_and_taken(tls):
    request = await tls.request("C=FI, CN=cs.example.org")
    root = Authority("root")
    middle = Authority("middle", root)
    leaf = middle.answer(request)
    taken = await tls.take(pem(root.certificate, middle.certificate, leaf))
    assert (await tls.certificate()) == taken
    seen = []
    tls.follow(seen.append)
    chain = tuple(
        each.public_bytes(Encoding.DER) for each in (leaf, middle.certificate, root.certificate)
    )
    assert seen[0].chain == chain


async def test_a_certificate_in_der_is_taken(tls):
    leaf = Authority("CA").answer(await tls.request(f"CN={HOST}"))
    taken = await tls.take(leaf.public_bytes(Encoding.DER))
    assert taken.der == leaf.public_bytes(Encoding.DER)


async def test_what_is_no_certificate_of_the_key_is_refused(tls):
    authority = Authority("CA")
    leaf = authority.answer(await tls.request(f"CN={HOST}"))
    with pytest.raises(NotCertificates):
        await tls.take(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(NotCertificates):
        await tls.take(b"\x30\x03\x02\x01\x01")
    with pytest.raises(NotCertificates):
        await tls.take(pem(*[leaf] * 21))
    with pytest.raises(CertificateOfOtherKey):
        await tls.take(pem(authority.certificate))
    with pytest.raises(ChainNotValid):
        await tls.take(pem(leaf, Authority("stranger").certificate))
    await tls.take(pem(leaf))
    with pytest.raises(CertificateInUse):
        await tls.take(pem(leaf))
    await tls.generate()
    with pytest.raises(CertificateOfOtherKey):
        await tls.take(pem(leaf))


async def test_the_certificate_is_downloaded_as_the_reference_packs_it(tls):
    with tarfile.open(
        fileobj=io.BytesIO(await tls.archive("management-service")), mode="r:gz"
    ) as archive:
        found = {entry.name: archive.extractfile(entry).read() for entry in archive}
    certificate = x509.load_der_x509_certificate((await tls.certificate()).der)
    assert found == {
        "./management-service.pem": certificate.public_bytes(Encoding.PEM),
        "./management-service.cer": certificate.public_bytes(Encoding.DER),
    }


async def test_without_a_key_nothing_is_given(tmp_path):
    path = tmp_path / "management-service.pem"
    tls = ServedTls(path, TlsSubject(HOST), TurnedClock())
    assert await tls.find_certificate() is None
    for asked in (tls.certificate(), tls.archive("management-service"), tls.request("CN=a")):
        with pytest.raises(NoCertificate):
            await asked
    with pytest.raises(NoCertificate):
        await tls.take(pem(Authority("CA").certificate))
    path.write_bytes(b"nothing")
    path.chmod(0o600)
    with pytest.raises(NoCertificate):
        await tls.certificate()


async def test_a_key_that_cannot_be_kept_is_refused(tmp_path):
    tls = ServedTls(tmp_path / "nowhere" / "x.pem", TlsSubject(HOST), TurnedClock())
    with pytest.raises(KeyNotMade):
        await tls.generate()


async def test_an_ip_address_stands_in_the_certificate_as_one(tmp_path):
    tls = ServedTls(tmp_path / "x.pem", TlsSubject("192.0.2.1"), TurnedClock())
    certificate = (await tls.generate()).x509
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("CN=cs", "CN=cs"),
        ("C=FI, CN=foo.bar.com", "C=FI,CN=foo.bar.com"),
        (" cn = cs ; o = Some Org ", "CN=cs,O=Some Org"),
        ('O="Maa, ilm + \\"mets\\"", CN=x', 'O=Maa\\, ilm \\+ \\"mets\\",CN=x'),
        ("CN=a\\,b", "CN=a\\,b"),
        ("CN=x+OU=y", "CN=x+OU=y"),
        ("SERIALNUMBER=EE/1/GOV, CN=1", "2.5.4.5=EE/1/GOV,CN=1"),
        ("emailAddress=a@example.org, CN=ä", "1.2.840.113549.1.9.1=a@example.org,CN=ä"),
    ],
)
def test_names_are_read_as_people_type_them(text, written):
    assert read_distinguished_name(text).rfc4514_string() == written


@pytest.mark.parametrize(
    "text", ["", "CN", "CN=", "=x", "NOPE=x", "C=Finland", "CN=a,", "CN=a b\\", "CN=" + "x" * 300]
)
def test_what_is_no_name_is_refused(text):
    with pytest.raises(InvalidDistinguishedName):
        read_distinguished_name(text)


@given(st.text(alphabet=st.sampled_from('CNOU=,;+"\\ #ab1é\n'), max_size=30))
def test_any_text_is_a_name_or_refused(text):
    with contextlib.suppress(InvalidDistinguishedName):
        read_distinguished_name(text)


async def test_a_change_is_answered_when_those_who_must_know_do(tmp_path):
    known = []

    async def tell():
        known.append(await tls.certificate())

    tls = ServedTls(tmp_path / "x.pem", TlsSubject(HOST), TurnedClock(), tell)
    made = await tls.generate()
    assert known == [made]
    taken = await tls.take(pem(Authority("CA").answer(await tls.request(f"CN={HOST}"))))
    assert known == [made, taken]
    with pytest.raises(NotCertificates):
        await tls.take(b"nothing")
    assert len(known) == 2


async def test_certificates_are_for_the_names_and_the_kind_of_key_that_were_asked_for(tmp_path):
    names = (HOST, "cs", "192.0.2.1", "2001:db8::1", "cs")
    subject = TlsSubject(names[0], names, KeyAlgorithm.RSA_3072)
    certificate = (await ServedTls(tmp_path / "x.pem", subject, TurnedClock()).generate()).x509
    assert certificate.public_key().key_size == 3072
    found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(each.value) for each in found] == [*names[:4]]
