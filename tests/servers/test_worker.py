"""How a worker takes over what control has changed."""

import asyncio
import logging
from contextlib import asynccontextmanager
from dataclasses import replace

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki_builder import TestCa
from servers.builders import OWNER, Home
from signing_builder import PARTS, TestSigner, leaf_of
from sild.components.proxy.settings import ProxySettings
from sild.components.signer.errors import TokenNotActive
from sild.components.signer.rpc import OPTIONS, SignerForWorkers
from sild.model.services import AccessRight, Client, ClientStatus, Endpoint
from sild.model.snapshot import AuthenticationCertificate, SigningCertificate
from sild.protocol.errors import CannotCreateSignature
from sild.protocol.ids import ClientId
from sild.runtime.clock import SystemClock
from sild.runtime.rpc import serve_rpc
from sild.servers.internal_tls import make_internal_tls
from sild.servers.settings import SecurityServerSettings
from sild.servers.worker import Worker

pytestmark = pytest.mark.anyio

PROVIDER = OWNER.subsystem("S1")
RIGHT = AccessRight(Endpoint(PROVIDER, "service", "*", "**"), ClientId("DEV", "COM", "M2", "S2"))
CLIENT = Client(PROVIDER, ClientStatus.REGISTERED)
SIGNER = TestSigner.create()
AUTH = TestCa.create().issue_auth()
SETTINGS = SecurityServerSettings(
    proxy=ProxySettings(
        connector_host="127.0.0.1",
        client_http_port=0,
        client_https_port=0,
        listen_address="127.0.0.1",
        server_port=0,
        ocsp_responder_port=0,
    )
)


def authentication(certificate=AUTH.certificate):
    return AuthenticationCertificate("A", certificate.der, (), (b"response",))


def signing(ocsp):
    """The signing certificate with this OCSP response."""
    return (SigningCertificate(OWNER, "K", SIGNER.identity.certificate.der, (), (ocsp,), False),)


class OneKey(SignerForWorkers):
    """A signer that gives a key, once somebody has logged in."""

    def __init__(self):
        self.logged_in = True

    async def auth_key(self, sha256):
        if not self.logged_in:
            message = "nobody has logged in"
            raise TokenNotActive(message)
        assert sha256 == AUTH.certificate.sha256.hex()
        return AUTH.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


@asynccontextmanager
async def serving(home, signer):
    async with await serve_rpc(home.layout.signer_socket, signer, SignerForWorkers, OPTIONS):
        yield signer


@pytest.fixture
def home(tmp_path):
    home = Home(tmp_path, SystemClock().now())
    make_internal_tls(home.layout.internal_tls, "localhost", SystemClock().now())
    home.save_conf()
    return home


@asynccontextmanager
async def working(home):
    async with asyncio.TaskGroup() as tasks:
        worker = Worker(home.layout, SETTINGS, 0, tasks)
        tasks.create_task(worker.run(0))
        try:
            yield worker
        finally:
            worker.request_stop()


def view_of(worker):
    return worker._view.current


@pytest.mark.parametrize("signer", ["away", "without its PIN"])
async def test_a_right_is_gone_at_once_while_a_new_key_cannot_be_had(home, signer, caplog):
    home.save_snapshot(clients=(CLIENT,), rights=(RIGHT,))
    async with working(home) as worker:
        await worker.reload()
        assert view_of(worker).snapshot.rights == (RIGHT,)
        home.save_snapshot(clients=(CLIENT,), authentication=authentication())
        keys = OneKey()
        keys.logged_in = signer == "away"
        if signer == "away":
            for _ in range(3):
                await worker.reload()
        else:
            async with serving(home, keys):
                for _ in range(3):
                    await worker.reload()
        assert view_of(worker).snapshot.rights == ()
        assert view_of(worker).authentication is None
        assert not (await worker.status()).ready
        told = [each for each in caplog.records if each.levelno >= logging.WARNING]
        assert 1 <= len(told) <= 2
        assert all(each.exc_info is None for each in told)

        keys.logged_in = True
        async with serving(home, keys), asyncio.timeout(120):
            while view_of(worker).authentication is None:
                await worker.reload()
        assert view_of(worker).authentication == authentication()


async def test_the_certificate_that_was_shown_is_shown_until_the_next_key_is_there(home):
    home.save_snapshot(authentication=authentication())
    async with working(home) as worker:
        async with serving(home, OneKey()):
            await worker.reload()
        other = TestCa.create().issue_auth("SS9").certificate
        home.save_snapshot(authentication=authentication(other))
        await worker.reload()
        assert view_of(worker).snapshot.generation == 2
        assert view_of(worker).authentication == authentication()


async def test_what_was_made_for_keys_and_certificates_of_before_is_forgotten(home):
    client = replace(CLIENT, certificates=(AUTH.certificate.der,))
    home.save_snapshot(clients=(client,), signing=signing(SIGNER.identity.ocsp))
    async with working(home) as worker:
        await worker.reload()
        key = view_of(worker).get_signing_key(PROVIDER)
        with pytest.raises(CannotCreateSignature):
            await worker._queues.sign(key, leaf_of(PARTS))
        made = worker._internal.trusting(client.certificates)
        home.save_snapshot(clients=(client,), signing=signing(SIGNER.identity.ocsp))
        await worker.reload()
        assert len(worker._queues._queues) == 1
        assert worker._internal.trusting(client.certificates) is made
        again = SIGNER.ca.ocsp(SIGNER.identity.certificate)
        assert again != SIGNER.identity.ocsp
        home.save_snapshot(clients=(CLIENT,), signing=signing(again))
        await worker.reload()
        assert not worker._queues._queues
        assert worker._internal.trusting(client.certificates) is not made


@pytest.mark.feature("EX-13")
async def test_what_became_of_messages_is_counted_and_logged_under_the_id_of_the_request(
    home, caplog
):
    home.save_snapshot(clients=(CLIENT,))
    async with working(home) as worker:
        await worker.reload()
        async with asyncio.timeout(120):
            while not worker._listeners._servers:
                await SystemClock().sleep(0.01)
        plain = worker._listeners._servers[0].port
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{plain}", timeout=60) as http:
            rest = await http.get("/r1/DEV/COM/M2/S2/service", headers={"X-Road-Client": "DEV"})
            soap = await http.post("/", content=b"<a/>", headers={"content-type": "text/xml"})
        assert (rest.status_code, soap.status_code) == (500, 200)
        measures = await worker.measures()
        counted = {(each.side, each.protocol): each for each in measures.counted}
        assert set(counted) == {("consumer", "rest"), ("consumer", "soap")}
        outcome = counted["consumer", "rest"].outcome
        assert (outcome, counted["consumer", "rest"].number) == (rest.json()["type"], 1)
        assert [sum(each.buckets) for each in measures.durations] == [1, 1]
        assert measures.peak_bytes >= measures.resident_bytes * 0.9
        told = [each for each in caplog.records if each.name == "sild.proxy"]
        assert told[0].request == rest.json()["detail"]
