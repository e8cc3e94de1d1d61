"""Central Servers as processes, of one or of several nodes, and an instance made on them."""

import asyncio
import base64
import hashlib
import json
import os
import signal
import ssl
import time
import tomllib
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from cryptography.x509.oid import NameOID

from ecosystem.processes import children_of, is_running, until
from ports import base_port
from sild.apiclient.client import ApiClient
from sild.apiclient.values import Patience, Pin, Server
from sild.components.confclient.cache import read_cached
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.devnet.authorities import Authorities
from sild.devnet.central import CentralPlan, CentralPorts, GoverningAuthority, RunningCentral
from sild.devnet.declared import authorities_settings
from sild.devnet.ports import free_ports
from sild.devnet.topology import PlannedMember, PlannedSubsystem, Topology
from sild.protocol.ids import ClientId
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.clock import SystemClock
from sild.runtime.files import make_private_directory

SECONDS = 180
PIN = "Devnet-PIN-0001"
OPERATOR = ClientId("DEV", "GOV", "M1")
MANAGEMENT = OPERATOR.subsystem("management")


class Node(RunningCentral):
    """A node with settings of a test's own, by section; `client` has every role."""

    def __init__(self, home, address, ports, further=None, generation=1.0):
        super().__init__(CentralPlan(home, address, ports, generation=generation))
        self.further = further or {}

    def _settings(self, user_file, pin_file):
        sections = tomllib.loads(super()._settings(user_file, pin_file))
        sections["center"]["generate-on-change"] = True
        for name, settings in self.further.items():
            sections.setdefault(name, {}).update(settings)
        return "\n".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
            for name, keys in sections.items()
        )

    async def ask(self, method, path, body=None, **how):
        """What the API answers, read."""
        answer = await self.client.call(method, path, json=body, **how)
        return answer.json if answer.content else None

    @property
    def processes(self):
        """The processes beside the supervisor, by name."""
        return children_of(self.process.pid)

    @property
    def log(self):
        """What the server has told of itself."""
        return (self.layout.home / "server.log").read_text()

    async def kill(self):
        """End all its processes as a power cut does."""
        family = [self.process.pid, *self.processes.values()]
        for pid in family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.process.wait()
        await until(lambda: not any(map(is_running, family)), SECONDS, "all of them are gone")

    async def start_again(self):
        """Start it anew where it was, and open a session anew."""
        await self._administrator.close()
        await self.start()
        await self.until_up()

    def http(self, **headers):
        """A client as any library makes one, which trusts the server's own certificate."""
        context = ssl.create_default_context(cafile=self.layout.api_tls)
        return httpx.AsyncClient(
            base_url=self.api_url, verify=context, headers=headers, timeout=60, trust_env=False
        )

    def client_with(self, credentials):
        """Another client of the API."""
        (certificate,) = load_pem_x509_certificates(self.layout.api_tls.read_bytes())
        pin = Pin(hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest())
        return ApiClient(Server(self.api_url, pin, credentials, Patience(connect=10.0)))

    async def key(self, *roles):
        """The header of an API key with these roles."""
        made = await self.ask("POST", "/api-keys", [f"XROAD_{role}" for role in roles])
        return {"authorization": f"X-Road-ApiKey token={made['key']}"}


def ports_at(*addresses):
    """Ports that are free on each of the addresses: nodes of one instance have the same."""
    return CentralPorts(*free_ports(base_port(), addresses, 4))


def node_at(directory, address, further=None, generation=1.0, ports=None):
    """A node that is not started yet, on free ports of its address if none are given."""
    ports = ports or ports_at(address)
    return Node(directory / f"node-{address}", address, ports, further, generation)


@asynccontextmanager
async def running(*nodes):
    """Start nodes at once, and stop them in the end."""
    try:
        for node in nodes:
            await node.start()
        for node in nodes:
            await node.until_up()
        yield nodes
    finally:
        for node in nodes:
            await node.stop()


def topology_at(address):
    """One member, whose subsystem is to provide the management services."""
    subsystem = PlannedSubsystem(MANAGEMENT, "Management services")
    return Topology(
        instance="DEV",
        member_classes=(("GOV", "Authorities of the state"),),
        members=(PlannedMember(OPERATOR, "Operator (invented)", (subsystem,)),),
        servers=(),
        management=MANAGEMENT,
        central_address=address,
    )


def make_authorities(topology):
    """A CA and a time-stamper that are approved, and answer nobody."""
    authorities = Authorities(authorities_settings(topology), SystemClock())
    authorities.url = f"http://{topology.central_address}:1"
    return authorities


def registration_of(server, authorities, address):
    """A request that a server be registered, with a certificate of a CA."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ss.example.org")])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    signed = request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    der = signed.public_bytes(Encoding.DER)
    certificate = authorities.ca.sign_request(der, CertificateUse.AUTHENTICATION).der
    return {
        "type": "AUTH_CERT_REGISTRATION_REQUEST",
        "origin": "SECURITY_SERVER",
        "security_server_id": server,
        "server_address": address,
        "authentication_certificate": base64.b64encode(certificate).decode(),
    }


async def found(node, authorities=None):
    """Make the instance on a node; give the anchor, once configuration is published."""
    topology = topology_at(node.plan.address)
    authority = GoverningAuthority(node, topology)
    anchor = await authority.found(authorities or make_authorities(topology))
    await until((node.layout.published / "V6" / "internalconf").exists, SECONDS, "publication")
    return anchor


async def until_true(question, what, seconds=SECONDS):
    """Come back when it is so, as asked again and again."""
    deadline = time.monotonic() + seconds
    while not await question():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.05)


class Client:
    """A configuration client with a copy of its own."""

    def __init__(self, directory, anchor, fetcher, **settings):
        self.directory = Path(directory)
        make_private_directory(self.directory)
        self._anchor_file = self.directory / "anchor.xml"
        self._anchor_file.write_bytes(anchor)
        places = Places(self._anchor_file, self.directory / "copy")
        settings = ConfigurationClientSettings(**settings)
        self._client = ConfigurationClient(places, settings, fetcher, SystemClock())

    def follow(self, anchor):
        """Go on with another anchor."""
        self._anchor_file.write_bytes(anchor)

    async def refresh(self):
        """Do a round; raises GlobalConfError."""
        return await self._client.refresh()

    @property
    def errors(self):
        """What the sources that were tried in the last round had against them."""
        return [
            attempt.error
            for source in self._client.sources
            for attempt in source.attempts
            if attempt.error is not None
        ]

    @property
    def locations(self):
        """Which sources gave the configuration in the last round."""
        return [source.location for source in self._client.sources]

    def conf(self):
        """What is held."""
        return read_cached(self.directory / "copy").conf

    def shared(self):
        """The shared parameters that are held."""
        return self.conf().instances["DEV"].shared

    @property
    def expires(self):
        """When what is held expires."""
        return self.conf().instances["DEV"].expires

    def members(self):
        """The codes of the members that are held."""
        return {member.id.member_code for member in self.shared().members}
