"""Two security servers whose keys, for signing and for TLS, are in devices that come and go."""

import asyncio
import os
import signal
import ssl
from dataclasses import dataclass

import pytest

from ecosystem.duo import CONSUMER, PROVIDER, Duo, plan_at
from ecosystem.processes import child_of
from sild.components.signer.certificates import RequestOrder
from sild.components.signer.errors import (
    CertificateExists,
    KeyOfCertificateNotFound,
    OcspNotVerified,
    PinIncorrect,
)
from sild.devnet.declared import request_fields
from sild.model.tokens import (
    SOFT_TOKEN_ID,
    CertificateStatus,
    KeyAlgorithm,
    KeyUsage,
    PossibleAction,
    TokenStatus,
    possible_actions_of,
)
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.csr import CertificateUse
from softhsm import USER_PIN, SoftHsm

pytestmark = pytest.mark.anyio

NETWORK = "127.0.61"
ALGORITHMS = {CONSUMER: KeyAlgorithm.EC_P256, PROVIDER: KeyAlgorithm.RSA_2048}
MECHANISMS = {PROVIDER: {"rsa-sign-mechanism": '"CKM_RSA_PKCS_PSS"'}}
# What the device says is looked at often, so that a test need not wait for a minute.
SIGNER = (
    ("module-scan-interval", "2"),
    ("module-retry-interval", "0.3"),
    ("automatic-activate-auth-certificate", "true"),
)


@dataclass
class OnDevices:
    """The duo, and for each server its device and what is on it."""

    duo: Duo
    hsm: SoftHsm
    certificates: dict

    async def token(self, server):
        """The hardware token of a server."""
        (token,) = (each for each in await server.signer.tokens() if not each.is_software)
        return token

    async def until(self, question, seconds=120):
        """Come back when it is so."""
        for _ in range(seconds * 10):
            if await question():
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"not within {seconds} s: {question.__name__}")


async def certify(duo, server, key, usage):
    """A certificate for a key, imported as its administrator does it."""
    topology, member = duo.topology, server.plan.id.owner
    order = RequestOrder(
        key.id,
        server.plan.id,
        topology.profile.value,
        member,
        topology.get_member(member).name,
        request_fields(topology, server.plan, usage),
    )
    request = await server.signer.generate_request(order)
    signing = usage is KeyUsage.SIGNING
    use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
    certificate = duo.authorities.ca.sign_request(request.der, use)
    return await server.control.import_certificate(certificate.der)


async def move_to_device(duo, server, algorithm):
    """Keys and certificates in the device in place of those of the software token."""
    tokens = await server.signer.tokens()
    (token,) = (each for each in tokens if not each.is_software)
    assert token.status is TokenStatus.OK
    assert possible_actions_of(token) == {PossibleAction.LOGIN}
    await server.signer.login(token.id, USER_PIN)
    made = {}
    for usage in KeyUsage:
        key = await server.signer.generate_key(token.id, usage.value.lower(), usage, algorithm)
        made[usage] = await certify(duo, server, key, usage)
    soft = await server.signer.token(SOFT_TOKEN_ID)
    registry = duo.registry.with_auth_certificate(
        server.plan.id, read_certificate(made[KeyUsage.AUTHENTICATION].certificate)
    )
    duo.publish(registry)
    await server.control.activate(made[KeyUsage.AUTHENTICATION].sha256)
    for key in soft.keys:
        for entry in key.certificates:
            await server.control.disable(entry.sha256)
    return made


@pytest.fixture(scope="module")
async def devices(tmp_path_factory):
    """Two servers that use nothing but keys in their devices."""
    directory = tmp_path_factory.mktemp("hsm")
    hsm = SoftHsm(directory / "device")
    before = {name: os.environ.get(name) for name in hsm.environment}
    os.environ.update(hsm.environment)
    try:
        for server in (CONSUMER, PROVIDER):
            hsm.make_token(server.server_code)
            home = directory / server.server_code
            home.mkdir(mode=0o700)
            (home / "devices.toml").write_text(
                hsm.devices(
                    **MECHANISMS.get(server, {}),
                    **{
                        "token-id-format": '"{moduleType}{label}"',
                        "slot-ids": f'["{hsm.slots[server.server_code]}"]',
                    },
                )
            )
        async with Duo(plan_at(NETWORK, directory, signer=SIGNER)) as duo:
            certificates = {}
            for server in (duo.consumer, duo.provider):
                certificates[server.plan.id] = await move_to_device(
                    duo, server, ALGORITHMS[server.plan.id]
                )
                await server.control.refresh()
            await duo.consumer.control.refresh()
            await duo.until_served(120)
            yield OnDevices(duo, hsm, certificates)
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def shown_by(server):
    """The certificate that a server shows to others."""
    address = server.plan.address, server.ports.server
    return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(address))


@pytest.mark.feature("KC-04")
async def test_messages_are_signed_and_servers_authenticated_with_keys_in_devices(devices):
    duo = devices.duo
    for server in (duo.consumer, duo.provider):
        token = await devices.token(server)
        assert token.logged_in
        assert {key.usage for key in token.keys} == set(KeyUsage)
        assert token.available_keys == {key.id for key in token.keys}
        soft = await server.signer.token(SOFT_TOKEN_ID)
        assert not any(entry.active for key in soft.keys for entry in key.certificates)
        made = devices.certificates[server.plan.id]
        shown = await asyncio.to_thread(shown_by, server)
        assert shown == made[KeyUsage.AUTHENTICATION].certificate
    for number in range(5):
        answer = await duo.call("/echo", content=b"x" * number)
        assert answer.status_code == 200
    await duo.check_ledger()


@pytest.mark.feature("KC-24")
async def test_a_signer_that_was_killed_signs_again_with_no_pin_entered(devices):
    duo = devices.duo
    for server in (duo.provider, duo.consumer):
        os.kill(child_of(server.process.pid, "signer"), signal.SIGKILL)
    await duo.until_served(120)
    for server in (duo.provider, duo.consumer):
        assert (await devices.token(server)).logged_in


@pytest.mark.feature("KC-04")
async def test_a_device_that_goes_away_and_comes_back_needs_nobody(devices):
    duo, tokens = devices.duo, devices.hsm.tokens
    away = tokens.with_name("away")
    tokens.rename(away)
    tokens.mkdir()
    try:

        async def refused():
            return (await duo.call("/echo")).status_code != 200

        await devices.until(refused)

        async def gone():
            return not (await devices.token(duo.provider)).available

        await devices.until(gone)
        token = await devices.token(duo.provider)
        assert PossibleAction.TOKEN_DELETE in possible_actions_of(token)
        assert PossibleAction.LOGIN not in possible_actions_of(token)
    finally:
        tokens.rmdir()
        away.rename(tokens)
    await duo.until_served(120)
    assert (await devices.token(duo.provider)).logged_in


@pytest.mark.feature("KC-05")
async def test_a_wrong_pin_logs_nobody_out(devices):
    duo = devices.duo
    token = await devices.token(duo.provider)
    with pytest.raises(PinIncorrect):
        await duo.provider.signer.login(token.id, "wrong")
    assert (await duo.call("/echo")).status_code == 200


@pytest.mark.feature("KC-20")
async def test_keys_change_places_without_a_stop(devices):
    duo = devices.duo
    server = duo.consumer
    soft = await server.signer.token(SOFT_TOKEN_ID)
    (signing,) = (
        entry for key in soft.keys for entry in key.certificates if key.usage is KeyUsage.SIGNING
    )
    on_device = devices.certificates[CONSUMER][KeyUsage.SIGNING]
    for one, other in ((signing, on_device), (on_device, signing)):
        await server.control.activate(one.sha256)
        assert (await duo.call("/echo")).status_code == 200
        await server.control.disable(other.sha256)
        assert (await duo.call("/echo")).status_code == 200


@pytest.mark.feature("KC-12")
async def test_a_certificate_that_is_only_on_its_device_is_imported(devices):
    """Deleted here it stays on the device, where SoftHSM's owner put it; and so it comes back."""
    duo = devices.duo
    server = duo.provider
    token = await devices.token(server)
    key = await server.signer.generate_key(token.id, "more", KeyUsage.SIGNING, KeyAlgorithm.EC_P256)
    entry = await certify(duo, server, key, KeyUsage.SIGNING)
    devices.hsm.put_certificate(PROVIDER.server_code, key.id, entry.certificate)

    async def entry_now():
        for each in (await devices.token(server)).keys:
            for found in each.certificates:
                if found.sha256 == entry.sha256:
                    return found
        return None

    async def scanned():
        return any(
            found.sha256 == entry.sha256 and not found.saved
            for each in (await devices.token(server)).keys
            for found in each.certificates
        )

    await server.signer.delete_certificate(entry.sha256)
    await devices.until(scanned)
    found = await entry_now()
    token = await devices.token(server)
    assert PossibleAction.IMPORT_FROM_TOKEN in possible_actions_of(token, found)
    imported = await server.control.import_from_token(entry.sha256)
    assert imported.saved
    assert imported.active
    await server.signer.delete_certificate(entry.sha256)
    assert not (await entry_now()).saved
    await server.signer.delete_certificate(entry.sha256)
    assert await entry_now() is None
    await server.signer.delete_key(key.id)
    assert key.id not in {each.id for each in (await devices.token(server)).keys}


async def entry_of(server, sha256):
    """A certificate, wherever it is."""
    for token in await server.signer.tokens():
        for key in token.keys:
            for entry in key.certificates:
                if entry.sha256 == sha256:
                    return entry
    return None


@pytest.mark.feature("KC-11")
async def test_a_signing_certificate_is_used_at_once_and_an_authentication_one_waits(devices):
    duo, server = devices.duo, devices.duo.consumer
    for usage, status, active in (
        (KeyUsage.SIGNING, CertificateStatus.REGISTERED, True),
        (KeyUsage.AUTHENTICATION, CertificateStatus.SAVED, False),
    ):
        key = await server.signer.generate_key(SOFT_TOKEN_ID, "", usage, KeyAlgorithm.EC_P256)
        entry = await certify(duo, server, key, usage)
        assert (entry.status, entry.active) == (status, active)
        with pytest.raises(CertificateExists):
            await server.control.import_certificate(entry.certificate)
        await server.signer.delete_key(key.id)
        with pytest.raises(KeyOfCertificateNotFound):
            await server.control.import_certificate(entry.certificate)


@pytest.mark.feature("KC-15")
async def test_a_certificate_is_activated_only_while_it_is_good(devices):
    duo, server = devices.duo, devices.duo.consumer
    key = await server.signer.generate_key(
        SOFT_TOKEN_ID, "", KeyUsage.SIGNING, KeyAlgorithm.EC_P256
    )
    entry = await certify(duo, server, key, KeyUsage.SIGNING)
    await server.control.disable(entry.sha256)
    assert not (await entry_of(server, entry.sha256)).active
    await server.control.activate(entry.sha256)
    assert (await entry_of(server, entry.sha256)).active
    await server.control.disable(entry.sha256)
    duo.authorities.ca.revoke(read_certificate(entry.certificate).serial)
    with pytest.raises(OcspNotVerified, match="revoked"):
        await server.control.activate(entry.sha256)
    assert not (await entry_of(server, entry.sha256)).active
    await server.signer.delete_key(key.id)


@pytest.mark.feature("KC-22")
async def test_an_authentication_certificate_is_used_as_soon_as_it_is_registered(devices):
    duo, server = devices.duo, devices.duo.consumer
    registry = duo.registry
    key = await server.signer.generate_key(
        SOFT_TOKEN_ID, "", KeyUsage.AUTHENTICATION, KeyAlgorithm.EC_P256
    )
    entry = await certify(duo, server, key, KeyUsage.AUTHENTICATION)
    assert not entry.active
    duo.publish(registry.with_auth_certificate(CONSUMER, read_certificate(entry.certificate)))
    # The other side must know the certificate before it is shown.
    for one in (duo.provider, server):
        await one.control.refresh()

    async def active():
        found = await entry_of(server, entry.sha256)
        return found.active and found.status is CertificateStatus.REGISTERED

    await devices.until(active)
    assert (await duo.call("/echo")).status_code == 200
    duo.publish(registry)
    await server.control.refresh()
    found = await entry_of(server, entry.sha256)
    assert found.status is CertificateStatus.GLOBAL_ERROR
    await server.signer.delete_key(key.id)
