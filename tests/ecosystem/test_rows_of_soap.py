"""Rows of the message path that show only where servers are set up otherwise than others."""

import contextlib
import os
import uuid

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ecosystem.duo import CONSUMER, HEALTH, PORTAL, PROVIDER, REGISTER, Duo, plan_at
from ecosystem.envelopes import TEXT_XML, Envelope, server_xml, without_hash
from ecosystem.held import tls_of
from ecosystem.recorder import Recorder
from ecosystem.soap_cases.credentials import self_signed
from sild.components.serverconf.declaration import DeclaredClient, ServerDeclaration
from sild.devnet.ecosystem import Intervals
from sild.model.services import ConnectionType, ServiceType
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.ids import SecurityServerId
from sild.protocol.soap.fault import find_fault
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Response, serve
from sild.runtime.tls import TlsPolicy, server_context

NETWORK = "127.0.24"
NAMESAKE = SecurityServerId(HEALTH, "health-2")
ERROR = "x-road-error"
PROXY = (("verify-client-cert", "false"),)


class Pair(Duo):
    """Two servers, the services of the provider, and one service that the machine trusts."""

    async def offer_all(self, credential):
        """A SOAP service, one that is switched off, and one by HTTPS, called with care or not."""
        address = self.provider.plan.address
        self.recorder = await Recorder().start(address)
        self._opened.push_async_callback(self.recorder.close)
        tls = server_context(TlsPolicy(), tls_of(credential), None)
        secure = await serve(
            self.recorder.handle, Endpoint(address, 0, tls), Limits(), SystemClock()
        )
        self._opened.push_async_callback(secure.close, 0)
        by_https = f"https://{address}:{secure.port}"
        await self.offer("getPerson", f"{self.recorder.url}/soap", type=ServiceType.WSDL)
        await self.offer("switchedOff", self.recorder.url, disabled_notice="")
        await self.offer("verified", by_https, verify_tls=True)
        await self.offer("unverified", by_https, verify_tls=False)
        await self.refresh()

    async def refresh(self):
        """Let both servers know at once what has changed."""
        for server in (self.consumer, self.provider):
            await server.control.refresh()
            await server.worker.reload()

    async def ask(self, **more):
        """Post a SOAP message; gives what was asked and what is answered."""
        asking = Envelope(PORTAL, REGISTER, "getPerson", message_id=str(uuid.uuid4()), **more)
        headers = [(b"Content-Type", TEXT_XML.encode())]
        self.recorder.prepare("/soap", Response(200, b"OK", headers, asking.response()))
        sent = {"Content-Type": TEXT_XML}
        url = self.consumer.http_url
        return asking, await self.client.post(url, headers=sent, content=asking.request())


def pem_of(credential, path):
    """A certificate and its key as a file."""
    key = credential.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(credential.certificate.x509.public_bytes(Encoding.PEM) + key)
    return path


@contextlib.contextmanager
def machine_trusting(path):
    """Processes that start meanwhile find this among the machine's trusted certificates."""
    kept = os.environ.get("SSL_CERT_FILE")
    os.environ["SSL_CERT_FILE"] = str(path)
    try:
        yield
    finally:
        del os.environ["SSL_CERT_FILE"]
        if kept is not None:
            os.environ["SSL_CERT_FILE"] = kept


@pytest.fixture(scope="module")
async def pair(tmp_path_factory, anyio_backend):
    directory = tmp_path_factory.mktemp("rows")
    credential = self_signed("service", f"{NETWORK}.2")
    trusted = pem_of(credential, directory / "trusted.pem")
    plan = plan_at(NETWORK, directory / "pair", proxy=PROXY, intervals=Intervals(refresh=0.1))
    with machine_trusting(trusted):
        pair = await Pair(plan).__aenter__()
    try:
        await pair.offer_all(credential)
        await pair.until_served(120)
        yield pair
    finally:
        await pair.__aexit__(None, None, None)


@pytest.mark.feature("PX-12")
async def test_a_server_serves_no_request_that_is_for_another_one(pair):
    """Here the configuration gives the other one the address and the certificate of this one."""
    registry = pair.registry
    known = registry.get_server(PROVIDER)
    namesake = SecurityServer(NAMESAKE, known.address, known.auth_cert_hashes, (REGISTER,))
    pair.publish(registry.with_server(namesake))
    await pair.refresh()
    try:
        _, answer = await pair.ask(extra=server_xml(NAMESAKE))
        fault = find_fault(answer.content)
        assert fault.fault == "server.serverproxy.service_failed.invalid_security_server"
        assert pair.recorder.asked == []
        asking, answer = await pair.ask(extra=server_xml(PROVIDER))
        assert without_hash(answer.content) == asking.response()
    finally:
        pair.publish(registry)
        await pair.refresh()


@pytest.mark.feature("PX-21")
async def test_a_service_that_is_disabled_without_a_word_is_disabled(pair):
    answer = await pair.call("/", "switchedOff")
    assert answer.headers[ERROR] == "server.serverproxy.service_disabled"


@pytest.mark.feature("PX-30")
async def test_the_log_names_no_certificate_unless_it_is_told_to(pair):
    assert (await pair.call("/echo")).status_code == 200
    logs = "".join(path.read_text() for path in pair.consumer.layout.home.rglob("*.log"))
    assert "a request for" not in logs


@pytest.mark.feature("IS-03")
async def test_a_service_that_the_machine_trusts_is_not_called_unless_the_provider_does(pair):
    assert (await pair.call("/", "unverified")).status_code == 200
    answer = await pair.call("/", "verified")
    assert answer.headers[ERROR] == "server.serverproxy.ssl_authentication_failed"


@pytest.mark.feature("PX-22")
async def test_connection_types_are_not_enforced_where_that_is_set(pair):
    portal = DeclaredClient(PORTAL, ConnectionType.SSLAUTH)
    await pair.consumer.control.declare(ServerDeclaration(CONSUMER, (portal,)))
    await pair.consumer.worker.reload()
    assert pair.consumer.http_url.startswith("http:")
    assert (await pair.call("/echo")).status_code == 200
