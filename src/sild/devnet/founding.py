"""Security servers become what a topology says: declared, applied, approved.

Each server's administrator applies a declaration through its management API; the Central Server's
administrator approves meanwhile what the servers ask for.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from sild.apiclient.apply import apply
from sild.apiclient.apply_values import CertificateOrder, Event, Options
from sild.apiclient.errors import ApiClientError
from sild.devnet.authorities import Authorities
from sild.devnet.central import GoverningAuthority
from sild.devnet.declared import ANCHOR, Around, declared_server
from sild.devnet.errors import DevnetError
from sild.devnet.running import RunningServer
from sild.devnet.topology import Topology
from sild.model.tokens import KeyUsage
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.files import write_private
from sild.runtime.rpc import RpcError

Made = Callable[[ClientId | SecurityServerId, Certificate], None]
"""Told of each certificate, and of whom it is."""

_SECONDS = 120.0
_POLL, _LONGEST_POLL = 0.2, 0.5
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _TestCa:
    """The CA of one server's administrator: it signs what it is asked to."""

    server: SecurityServerId
    authorities: Authorities
    made: Made

    async def certify(self, order: CertificateOrder) -> bytes | None:
        """The certificate for a request."""
        signing = order.usage == KeyUsage.SIGNING.value
        use = CertificateUse.SIGNING if signing else CertificateUse.AUTHENTICATION
        certificate = self.authorities.ca.sign_request(order.csr, use)
        self.made(ClientId.from_encoded(order.member) if signing else self.server, certificate)
        return certificate.der

    def wanted(self, order: CertificateOrder) -> str:
        """What would have to be done by a person: nothing is."""
        return f"the test CA to sign {order.name}"


@dataclass(frozen=True, slots=True)
class Founding:
    """What it takes to bring a topology's servers up."""

    topology: Topology
    authorities: Authorities
    authority: GoverningAuthority
    around: Around
    made: Made

    async def found(self, server: RunningServer, anchor: bytes) -> None:
        """Make one server what it is to be; raises DevnetError."""
        plan, home = server.plan, server.layout.home
        await asyncio.to_thread(write_private, home / ANCHOR, anchor)
        declared = declared_server(self.topology, plan, self.around)
        options = Options(
            home,
            _TestCa(plan.id, self.authorities, self.made),
            timeout=_SECONDS,
            poll=_POLL,
            longest_poll=_LONGEST_POLL,
        )
        try:
            await apply(declared, server.client, options, _untold)
        except ApiClientError as error:
            raise DevnetError(f"{plan.id} could not be made what it is to be: {error}") from error

    async def approve(self, carrier: RunningServer) -> None:
        """Approve what the servers ask for until cancelled.

        As soon as there is a server to carry the management services, it does; it is told of
        what was approved, as it refuses requests of servers that it does not know.
        """
        carried = told = False
        while True:
            if await self.authority.approve_waiting():
                told = False
            if not carried:
                # Not before its certificate is approved.
                with contextlib.suppress(DevnetError):
                    await self.authority.register_provider(carrier.plan.id)
                    carried, told = True, False
            if carried and not told:
                with contextlib.suppress(RpcError):
                    await carrier.refresh()
                    told = True
            await asyncio.sleep(_LOOK_SECONDS)


def _untold(_: Event) -> None:
    return None
