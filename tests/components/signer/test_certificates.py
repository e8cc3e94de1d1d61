from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from components.signer.builders import OWNER, SERVER, SETTINGS, certify, global_conf, logged_in
from pki_builder import EJBCA, NOON, TestCa, Wish, build_certificate, key_of, name_of
from sild.components.signer.acceptance import verify_importable
from sild.components.signer.certificates import CertificateImport, RequestOrder
from sild.components.signer.errors import (
    ActionNotPossible,
    CertificateExists,
    CertificateImportFailed,
    CertificateNotFound,
    KeyOfCertificateNotFound,
    RequestNotFound,
    TokenNotActive,
    WrongCertificateUsage,
    WrongKeyUsage,
)
from sild.model.services import InvalidConfiguration
from sild.model.tokens import (
    CERTIFICATE_MOVES,
    CertificateEvent,
    CertificateStatus,
    KeyAlgorithm,
    KeyUsage,
)
from sild.protocol.errors import GlobalConfOutdated, IncorrectCertificate
from sild.protocol.ids import ClientId

pytestmark = pytest.mark.anyio

SAVED, REGISTERED = CertificateStatus.SAVED, CertificateStatus.REGISTERED
SIGNING, AUTHENTICATION = KeyUsage.SIGNING, KeyUsage.AUTHENTICATION
FI = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"


@pytest.fixture(scope="module")
def ca():
    return TestCa.create()


def usage_of(csr):
    return csr.extensions.get_extension_for_class(x509.KeyUsage).value


@pytest.mark.filterwarnings("ignore:Attribute's length")  # an instance stands for the country
@pytest.mark.parametrize("algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_a_signing_request_names_the_member_as_the_profile_does(tmp_path, algorithm):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(SIGNING, algorithm)
        member = ClientId("DEV", "COM", "M2")
        order = RequestOrder(key.id, SERVER, EJBCA, member.subsystem("S"))
        made = await signer.certificates.generate_request(order)
        csr = x509.load_der_x509_csr(made.der)
        assert csr.is_signature_valid
        assert csr.subject.rfc4514_string() == "CN=M2,O=COM,C=DEV"
        assert usage_of(csr).content_commitment
        public = csr.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        assert public == key.public_key
        (request,) = signer.store.conf.get_key(key.id).requests
        assert (request.id, request.member, request.subject) == (
            made.id,
            member,
            "CN=M2,O=COM,C=DEV",
        )


async def test_an_authentication_request_names_the_server_and_its_host(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(AUTHENTICATION)
        fields = {"O": "First", "CN": "ss1.test", "subjectAltName": "ss1.test"}
        made = await signer.certificates.generate_request(
            RequestOrder(key.id, SERVER, FI, fields=fields)
        )
        csr = x509.load_der_x509_csr(made.der)
        assert csr.is_signature_valid
        assert "2.5.4.5=DEV/SS1/GOV" in csr.subject.rfc4514_string()
        names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["ss1.test"]
        assert usage_of(csr).key_encipherment
        assert not usage_of(csr).content_commitment


async def test_what_the_profile_fixes_in_a_subject_cannot_be_changed(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key()
        for fields in ({"CN": "M3"}, {"OU": "x"}):
            with pytest.raises(InvalidConfiguration):
                await signer.certificates.generate_request(
                    RequestOrder(key.id, SERVER, EJBCA, fields=fields)
                )
        assert signer.store.conf.get_key(key.id).requests == ()


async def test_what_the_profile_leaves_open_must_be_filled_in(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(AUTHENTICATION)
        with pytest.raises(IncorrectCertificate, match="blank"):
            await signer.certificates.generate_request(RequestOrder(key.id, SERVER, FI))


async def test_a_request_is_made_only_while_somebody_is_logged_in(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key()
        await signer.tokens.logout("0")
        with pytest.raises(TokenNotActive):
            await signer.certificates.generate_request(RequestOrder(key.id, SERVER, EJBCA))


async def test_a_request_can_be_forgotten(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key()
        made = await signer.certificates.generate_request(RequestOrder(key.id, SERVER, EJBCA))
        await signer.certificates.delete_request(made.id)
        with pytest.raises(RequestNotFound):
            await signer.certificates.delete_request(made.id)


async def test_an_imported_certificate_answers_its_request(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        key = await signer.key()
        await signer.certificates.generate_request(RequestOrder(key.id, SERVER, EJBCA))
        other = RequestOrder(key.id, SERVER, EJBCA, ClientId("DEV", "COM", "M2"))
        await signer.certificates.generate_request(other)
        certificate = certify(ca, key)
        pem = certificate.x509.public_bytes(Encoding.PEM)
        entry = await signer.certificates.import_certificate(
            CertificateImport(pem, REGISTERED, active=True, member=OWNER)
        )
        assert entry.sha256 == certificate.sha256.hex()
        assert entry.certificate == certificate.der
        kept = signer.store.conf.get_key(key.id)
        assert kept.certificates == (entry,)
        assert [request.member for request in kept.requests] == [other.member]


async def test_a_certificate_is_imported_once(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca)
        with pytest.raises(CertificateExists):
            await signer.certificates.import_certificate(
                CertificateImport(certificate.der, REGISTERED, member=OWNER)
            )


async def test_a_certificate_of_no_key_here_is_refused(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        await signer.key()
        with pytest.raises(KeyOfCertificateNotFound):
            await signer.certificates.import_certificate(
                CertificateImport(ca.issue_sign().certificate.der, REGISTERED, member=OWNER)
            )


CLIENT_AUTH = (ExtendedKeyUsageOID.CLIENT_AUTH,)


@pytest.mark.parametrize(
    ("key_usage", "wish"),
    [
        (SIGNING, {"usage": "authentication"}),
        (AUTHENTICATION, {"usage": "signing"}),
        (SIGNING, {"usage": "nothing"}),
        (AUTHENTICATION, {"usage": "nothing"}),
        (SIGNING, {"usage": "signing", "extended": CLIENT_AUTH}),
        (AUTHENTICATION, {"usage": "signing", "extended": CLIENT_AUTH}),
    ],
)
async def test_a_certificate_of_another_usage_than_its_key_is_refused(
    tmp_path, ca, key_usage, wish
):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(key_usage)
        certificate = certify(ca, key, **wish)
        with pytest.raises(WrongCertificateUsage):
            await signer.certificates.import_certificate(
                CertificateImport(certificate.der, SAVED, member=OWNER)
            )
        assert signer.store.conf.get_key(key.id).certificates == ()


async def test_a_signing_certificate_signs_for_somebody(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        certificate = certify(ca, await signer.key())
        with pytest.raises(CertificateImportFailed, match="signs for"):
            await signer.certificates.import_certificate(
                CertificateImport(certificate.der, REGISTERED)
            )


@pytest.mark.parametrize("data", [b"", b"\x30\x00", b"-----BEGIN CERTIFICATE-----"])
async def test_what_is_no_certificate_is_refused(tmp_path, data):
    async with logged_in(tmp_path) as signer:
        with pytest.raises(IncorrectCertificate):
            await signer.certificates.import_certificate(CertificateImport(data, SAVED))


async def test_activity_and_status_change(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca, AUTHENTICATION)
        name = certificate.sha256.hex()
        await signer.certificates.set_active(name, False)
        await signer.certificates.set_status(name, CertificateStatus.GLOBAL_ERROR)
        (entry,) = signer.store.conf.get_key(key.id).certificates
        assert (entry.active, entry.status) == (False, CertificateStatus.GLOBAL_ERROR)
        with pytest.raises(CertificateNotFound):
            await signer.certificates.set_active("00" * 32, True)


async def test_an_authentication_certificate_in_use_is_not_deleted(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca, AUTHENTICATION)
        name = certificate.sha256.hex()
        with pytest.raises(ActionNotPossible, match="unregister"):
            await signer.certificates.delete_certificate(name)
        await signer.certificates.set_status(name, CertificateStatus.DELETION_IN_PROGRESS)
        await signer.certificates.delete_certificate(name)
        with pytest.raises(CertificateNotFound):
            await signer.certificates.delete_certificate(name)


async def test_a_signing_certificate_can_be_deleted(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca)
        await signer.certificates.delete_certificate(certificate.sha256.hex())
        assert signer.store.conf.get_key(key.id).certificates == ()


# What the control process checks before it asks the signer.


async def test_a_signing_certificate_is_for_the_member_that_its_subject_names(ca):
    assert verify_importable(ca.issue_sign().certificate.der, global_conf(ca), NOON) == OWNER


async def test_an_authentication_certificate_is_for_no_member(ca):
    assert verify_importable(ca.issue_auth().certificate.der, global_conf(ca), NOON) is None


async def test_a_certificate_of_an_unknown_authority_is_not_imported(ca):
    other = TestCa.create("Other CA")
    with pytest.raises(CertificateImportFailed, match="approved"):
        verify_importable(other.issue_sign().certificate.der, global_conf(ca), NOON)


async def test_a_certificate_that_only_claims_an_approved_issuer_is_not_imported(ca):
    impostor = TestCa.create(number=9)
    assert impostor.certificate.subject_text == ca.certificate.subject_text
    with pytest.raises(CertificateImportFailed):
        verify_importable(impostor.issue_sign().certificate.der, global_conf(ca), NOON)


async def test_a_self_signed_certificate_is_not_imported(ca):
    key = key_of()
    name = name_of(C="DEV", O="GOV", CN="M1")
    certificate = build_certificate(name, key.public_key(), name, key, Wish())
    with pytest.raises(CertificateImportFailed):
        verify_importable(certificate.der, global_conf(ca), NOON)


@pytest.mark.parametrize("days", [-40, 400])
async def test_a_certificate_out_of_its_validity_is_not_imported(ca, days):
    conf = global_conf(ca, expires=NOON + timedelta(days=1000))
    with pytest.raises(CertificateImportFailed, match="valid from"):
        verify_importable(ca.issue_sign().certificate.der, conf, NOON + timedelta(days=days))


async def test_an_authority_for_authentication_only_signs_for_nobody(ca):
    conf = global_conf(ca, authentication_only=True)
    assert verify_importable(ca.issue_auth().certificate.der, conf, NOON) is None
    with pytest.raises(CertificateImportFailed, match="authentication"):
        verify_importable(ca.issue_sign().certificate.der, conf, NOON)


async def test_nothing_is_imported_by_an_expired_global_configuration(ca):
    conf = global_conf(ca, expires=NOON - timedelta(seconds=1))
    with pytest.raises(GlobalConfOutdated):
        verify_importable(ca.issue_sign().certificate.der, conf, NOON)


async def test_a_subject_that_names_no_member_is_refused(ca):
    certificate = ca.issue(name_of(CN="M1")).certificate
    with pytest.raises(IncorrectCertificate):
        verify_importable(certificate.der, global_conf(ca), NOON)


# Requests.


async def test_a_request_can_be_had_again_in_both_forms(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key()
        made = await signer.certificates.generate_request(RequestOrder(key.id, SERVER, EJBCA))
        again = await signer.certificates.get_request(made.id)
        assert again == made
        assert x509.load_pem_x509_csr(made.pem) == x509.load_der_x509_csr(made.der)
        with pytest.raises(RequestNotFound):
            await signer.certificates.get_request("another")


@pytest.mark.parametrize("allowed", [False, True])
async def test_a_key_with_a_certificate_gets_another_only_where_that_is_allowed(
    tmp_path, ca, allowed
):
    settings = replace(SETTINGS, allow_csr_for_key_with_certificate=allowed)
    async with logged_in(tmp_path, settings) as signer:
        key, _ = await signer.certified(ca)
        order = RequestOrder(key.id, SERVER, EJBCA)
        if allowed:
            assert await signer.certificates.generate_request(order)
            return
        with pytest.raises(ActionNotPossible, match="has a certificate"):
            await signer.certificates.generate_request(order)
        assert signer.store.conf.get_key(key.id).requests == ()


async def test_a_key_is_asked_for_nothing_but_its_use(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(SIGNING)
        with pytest.raises(WrongKeyUsage):
            await signer.certificates.generate_request(
                RequestOrder(key.id, SERVER, EJBCA, usage=AUTHENTICATION)
            )
        order = RequestOrder(key.id, SERVER, EJBCA, usage=SIGNING)
        assert await signer.certificates.generate_request(order)


async def test_a_key_that_was_found_gets_its_use_with_its_first_request(tmp_path):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(SIGNING)
        await signer.store.change(lambda conf: conf.with_key(replace(key, usage=None)))
        order = RequestOrder(key.id, SERVER, EJBCA)
        with pytest.raises(InvalidConfiguration, match="used for"):
            await signer.certificates.generate_request(order)
        await signer.certificates.generate_request(replace(order, usage=SIGNING))
        assert signer.store.conf.get_key(key.id).usage is SIGNING


async def test_a_key_that_was_found_gets_its_use_with_its_first_certificate(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        key = await signer.key(SIGNING)
        await signer.store.change(lambda conf: conf.with_key(replace(key, usage=None)))
        certificate = certify(ca, key)
        await signer.certificates.import_certificate(
            CertificateImport(certificate.der, REGISTERED, member=OWNER)
        )
        assert signer.store.conf.get_key(key.id).usage is SIGNING


async def test_a_certificate_that_is_only_on_its_token_is_of_no_use_before_it_is_imported(
    tmp_path, ca
):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca)
        name = certificate.sha256.hex()

        def found(conf):
            _, entry = conf.get_certificate(name)
            return conf.with_certificate(replace(entry, saved=False, active=False))

        await signer.store.change(found)
        with pytest.raises(ActionNotPossible, match="import"):
            await signer.certificates.set_active(name, True)
        entry = await signer.certificates.import_certificate(
            CertificateImport(certificate.der, REGISTERED, active=True, member=OWNER)
        )
        assert signer.store.conf.get_key(key.id).certificates == (entry,)


@pytest.mark.parametrize("status", CertificateStatus)
@pytest.mark.parametrize("event", CertificateEvent)
async def test_an_authentication_certificate_moves_as_the_table_says_and_no_other_way(
    tmp_path, ca, status, event
):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca, AUTHENTICATION)
        name = certificate.sha256.hex()
        await signer.certificates.set_status(name, status)
        after = CERTIFICATE_MOVES.get((status, event))
        if after is None:
            with pytest.raises(ActionNotPossible):
                await signer.certificates.move_certificate(name, event, status)
        else:
            await signer.certificates.move_certificate(name, event, status)
        (entry,) = signer.store.conf.get_key(key.id).certificates
        assert entry.status is (after or status)


async def test_a_certificate_that_was_registered_before_it_was_noted_is_registered(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca, AUTHENTICATION)
        name = certificate.sha256.hex()
        saved = CertificateStatus.SAVED
        for meanwhile, after in (
            (CertificateStatus.REGISTERED, CertificateStatus.REGISTERED),
            (CertificateStatus.GLOBAL_ERROR, None),
        ):
            await signer.certificates.set_status(name, meanwhile)
            if after is None:
                with pytest.raises(ActionNotPossible, match="meanwhile"):
                    await signer.certificates.move_certificate(
                        name, CertificateEvent.REGISTER, saved
                    )
            else:
                await signer.certificates.move_certificate(name, CertificateEvent.REGISTER, saved)
            (entry,) = signer.store.conf.get_key(key.id).certificates
            assert entry.status is (after or meanwhile)


async def test_a_signing_certificate_is_not_registered(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca)
        with pytest.raises(ActionNotPossible):
            await signer.certificates.move_certificate(
                certificate.sha256.hex(), CertificateEvent.UNREGISTER, CertificateStatus.REGISTERED
            )
