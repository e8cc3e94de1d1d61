"""Authorities, a publisher and what their clients need."""

import asyncio
from dataclasses import dataclass

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from sild.devnet.authorities import Authorities, AuthoritiesSettings
from sild.devnet.certification import CaSettings
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.globalconf.lookup import make_trust
from sild.protocol.globalconf.shared_parameters import SharedParameters
from sild.protocol.pki.csr import CertificateUse, prepare_csr
from sild.protocol.pki.names import write_name
from sild.protocol.pki.trust import OcspPolicy
from sild.runtime.clock import TurnedClock


@pytest.fixture
def clock():
    return TurnedClock()


@pytest.fixture
async def http():
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        yield client


@pytest.fixture
def request_for():
    return make_request


def make_request(
    subject=(("C", "EE"), ("O", "GOV"), ("CN", "M1")),
    use=CertificateUse.SIGNING,
    dns_name=None,
    key=None,
):
    """A certificate request in DER, in the form that the signer makes."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = subject if isinstance(subject, bytes) else write_name(subject)
    unsigned = prepare_csr(name, key.public_key(), use, dns_name)
    return unsigned.finish(key.sign(unsigned.tbs, ec.ECDSA(DigestAlgorithm.SHA256.primitive)))


@dataclass
class Running:
    """Authorities that are being served, and how the configuration would approve them."""

    authorities: Authorities
    served: object

    @property
    def ca(self):
        return self.authorities.ca

    @property
    def url(self):
        return self.served.url

    def trust(self, policy=None):
        shared = SharedParameters(
            "DEV",
            certification_services=(self.authorities.certification_service(),),
            timestamping_services=self.authorities.timestamping_services(),
        )
        return make_trust(shared, policy or OcspPolicy())

    def issue(self, use=CertificateUse.SIGNING):
        return self.ca.sign_request(make_request(use=use), use)


@pytest.fixture
async def run_authorities(clock):
    """Start authorities of some settings; they are closed at the end."""
    started = []

    async def run(state=None, *, ca=None, **settings):
        authorities = Authorities(
            AuthoritiesSettings(ca=ca or CaSettings(), **settings), clock, state
        )
        served = await authorities.serve()
        started.append(served)
        return Running(authorities, served)

    yield run
    await asyncio.gather(*(served.close() for served in started))


@pytest.fixture
async def running(run_authorities):
    """Authorities as they are without settings."""
    return await run_authorities()


@pytest.fixture
def openssl():
    """Run openssl beside the event loop; give its exit code and what it said."""

    async def run(*arguments):
        process = await asyncio.create_subprocess_exec(
            "openssl",
            *map(str, arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode, said.decode()

    return run
