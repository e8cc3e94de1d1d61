from datetime import timedelta

import pytest

from components.signer.builders import OWNER, SERVER, global_conf, logged_in
from pki_builder import NOON, TestCa
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.usable import (
    Circumstances,
    certificates_to_watch,
    choose_usable,
    statuses_to_set,
)
from sild.model.tokens import CertificateStatus, KeyUsage
from sild.protocol.ids import ClientId, SecurityServerId

pytestmark = pytest.mark.anyio

AUTHENTICATION = KeyUsage.AUTHENTICATION


@pytest.fixture(scope="module")
def ca():
    return TestCa.create()


@pytest.fixture
def cache(tmp_path):
    return OcspCache(tmp_path / "ocsp")


def choose(signer, conf, cache, *, at=NOON, server=SERVER):
    return choose_usable(signer.tokens.tokens(), Circumstances(server, conf, cache, at))


async def test_a_good_certificate_signs_for_its_member(tmp_path, ca, cache):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca)
        response = ca.ocsp(certificate)
        cache.keep(certificate, response)
        usable = choose(signer, global_conf(ca), cache)
    (signing,) = usable.signing
    assert signing.member == OWNER
    assert signing.key_id == key.id
    assert signing.certificate == certificate.der
    assert signing.chain == ()
    assert signing.ocsp == (response,)
    assert signing.batch
    assert usable.refusals == ()
    assert usable.changes_at == NOON + timedelta(seconds=3600)


async def test_a_good_certificate_that_the_global_configuration_knows_authenticates(
    tmp_path, ca, cache
):
    async with logged_in(tmp_path) as signer:
        key, certificate = await signer.certified(ca, AUTHENTICATION)
        response = ca.ocsp(certificate)
        cache.keep(certificate, response)
        usable = choose(signer, global_conf(ca, auth=[certificate]), cache)
    assert usable.signing == ()
    assert usable.authentication.key_id == key.id
    assert usable.authentication.certificate == certificate.der
    assert usable.authentication.ocsp == (response,)


async def test_an_authentication_certificate_of_another_server_is_not_used(tmp_path, ca, cache):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca, AUTHENTICATION)
        cache.keep(certificate, ca.ocsp(certificate))
        for conf, server in (
            (global_conf(ca), SERVER),
            (global_conf(ca, auth=[certificate]), SecurityServerId(OWNER, "SS2")),
        ):
            usable = choose(signer, conf, cache, server=server)
            assert usable.authentication is None
            assert "does not know" in usable.refusals[0].reason


async def refusal(tmp_path, ca, cache, change, *, at=NOON, how=None, wish=None):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca, **(wish or {}))
        cache.keep(certificate, ca.ocsp(certificate, **(how or {})))
        await change(signer, certificate.sha256.hex())
        usable = choose(signer, global_conf(ca), cache, at=at)
        assert usable.signing == ()
        (refused,) = usable.refusals
        assert refused.sha256 == certificate.sha256.hex()
        return refused.reason


async def nothing(signer, name):
    pass


async def test_a_certificate_that_is_not_active_is_not_used(tmp_path, ca, cache):
    async def disable(signer, name):
        await signer.certificates.set_active(name, False)

    assert "not active" in await refusal(tmp_path, ca, cache, disable)


@pytest.mark.parametrize(
    "status", [each for each in CertificateStatus if each is not CertificateStatus.REGISTERED]
)
async def test_a_certificate_that_is_not_registered_is_not_used(tmp_path, ca, cache, status):
    async def change(signer, name):
        await signer.certificates.set_status(name, status)

    assert status.value in await refusal(tmp_path, ca, cache, change)


async def test_nothing_is_used_while_nobody_is_logged_in(tmp_path, ca, cache):
    async def logout(signer, name):
        await signer.tokens.logout("0")

    assert "logged in" in await refusal(tmp_path, ca, cache, logout)


async def test_a_revoked_certificate_is_not_used(tmp_path, ca, cache):
    assert "revoked" in await refusal(tmp_path, ca, cache, nothing, how={"status": "revoked"})


async def test_a_certificate_of_unknown_status_is_not_used(tmp_path, ca, cache):
    assert "unknown" in await refusal(tmp_path, ca, cache, nothing, how={"status": "unknown"})


async def test_a_certificate_with_a_stale_response_is_not_used(tmp_path, ca, cache):
    late = NOON + timedelta(seconds=3601)
    assert "too old" in await refusal(tmp_path, ca, cache, nothing, at=late)


async def test_a_certificate_out_of_its_validity_is_not_used(tmp_path, ca, cache):
    wish = {"not_after": NOON - timedelta(days=1)}
    assert "valid from" in await refusal(tmp_path, ca, cache, nothing, wish=wish)


async def test_a_certificate_without_a_response_is_not_used(tmp_path, ca, cache):
    async with logged_in(tmp_path) as signer:
        await signer.certified(ca)
        usable = choose(signer, global_conf(ca), cache)
    assert usable.signing == ()
    assert "no OCSP response" in usable.refusals[0].reason
    assert usable.changes_at is None


async def test_a_certificate_of_an_authority_that_is_approved_no_longer_is_not_used(
    tmp_path, ca, cache
):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca)
        cache.keep(certificate, ca.ocsp(certificate))
        usable = choose(signer, global_conf(TestCa.create("New CA")), cache)
    assert usable.signing == ()
    assert "approved" in usable.refusals[0].reason


async def test_of_two_good_certificates_the_one_that_is_valid_longer_is_used(tmp_path, ca, cache):
    async with logged_in(tmp_path) as signer:
        for days in (100, 300, 200):
            _, certificate = await signer.certified(ca, not_after=NOON + timedelta(days=days))
            cache.keep(certificate, ca.ocsp(certificate))
        other = ClientId("DEV", "COM", "M2")
        _, certificate = await signer.certified(ca, member=other.subsystem("S"))
        cache.keep(certificate, ca.ocsp(certificate))
        usable = choose(signer, global_conf(ca), cache)
        keys = signer.store.conf.keys
    chosen = {signing.member: signing.key_id for signing in usable.signing}
    assert chosen == {OWNER: keys[1].id, other: keys[3].id}


@pytest.mark.parametrize("usage", list(KeyUsage))
async def test_intermediates_go_along_with_their_responses(tmp_path, ca, cache, usage):
    middle = TestCa.create("Middle CA", parent=ca)
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(middle, usage)
        conf = global_conf(ca, (middle,), auth=[certificate])
        leaf_response, response = middle.ocsp(certificate), ca.ocsp(middle.certificate)
        cache.keep(certificate, leaf_response)
        assert "no OCSP response" in choose(signer, conf, cache).refusals[0].reason
        cache.keep(middle.certificate, response)
        usable = choose(signer, conf, cache)
    found = usable.authentication if usage is AUTHENTICATION else usable.signing[0]
    assert found.chain == (middle.certificate.der,)
    assert found.ocsp == (leaf_response, response)


async def test_a_revoked_intermediate_authenticates_nobody(tmp_path, ca, cache):
    middle = TestCa.create("Middle CA", parent=ca)
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(middle, AUTHENTICATION)
        cache.keep(certificate, middle.ocsp(certificate))
        cache.keep(middle.certificate, ca.ocsp(middle.certificate, status="revoked"))
        usable = choose(signer, global_conf(ca, (middle,), auth=[certificate]), cache)
    assert usable.authentication is None


async def test_responses_are_kept_fresh_for_active_registered_certificates(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        _, used = await signer.certified(ca)
        await signer.certified(ca, active=False)
        _, saved = await signer.certified(ca)
        await signer.certificates.set_status(saved.sha256.hex(), CertificateStatus.SAVED)
        assert certificates_to_watch(signer.tokens.tokens()) == (used,)


async def test_authentication_certificates_follow_the_global_configuration(tmp_path, ca):
    async with logged_in(tmp_path) as signer:
        _, certificate = await signer.certified(ca, AUTHENTICATION)
        await signer.certified(ca)
        name = certificate.sha256.hex()
        listed, unlisted = global_conf(ca, auth=[certificate]), global_conf(ca)

        def changes(conf):
            return statuses_to_set(signer.tokens.tokens(), conf, SERVER)

        assert changes(listed) == ()
        assert changes(unlisted) == ((name, CertificateStatus.GLOBAL_ERROR),)
        await signer.certificates.set_status(name, CertificateStatus.REGISTRATION_IN_PROGRESS)
        assert changes(unlisted) == ()
        assert changes(listed) == ((name, CertificateStatus.REGISTERED),)
