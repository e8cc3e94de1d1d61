"""The registration service and the management service: who asks, and then what (CR-04, CR-05)."""

import asyncio
from dataclasses import dataclass

from sild.components.centralserver.request_ports import CurrentEcosystem
from sild.components.centralserver.requests import Requests
from sild.model.registration import Origin
from sild.protocol.errors import InvalidRequest
from sild.protocol.management.codec import write_response
from sild.protocol.management.package import read_package
from sild.protocol.management.requests import AuthCertRegistration
from sild.protocol.management.verify import VerifiedRequest, verify_request
from sild.runtime.clock import Clock

DRY_RUN_ID = 0
"""The id of a request that leaves nothing behind."""


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was taken, its id, and the answer to it as SOAP."""

    id: int
    answer: bytes


@dataclass(frozen=True, slots=True)
class RequestServices:
    """What both services do with the body of a request."""

    requests: Requests
    current: CurrentEcosystem
    clock: Clock

    async def verify(self, body: bytes, content_type: str) -> VerifiedRequest:
        """Prove who sends a request.

        Raises GlobalConfOutdated, and what `read_package` and `verify_request` do.
        """
        ecosystem = await self.current.ecosystem()
        now = self.clock.now()
        return await asyncio.to_thread(
            lambda: verify_request(read_package(body, content_type), ecosystem, now)
        )

    async def register(self, verified: VerifiedRequest) -> Done:
        """Take an authCertReg, and nothing else; raises InvalidRequest, and what stands against it.

        A dry run is as good as any other until here.
        """
        request = verified.request
        if not isinstance(request, AuthCertRegistration):
            raise InvalidRequest("AuthCertRegRequest is missing")
        if request.dry_run:
            return _done(verified, DRY_RUN_ID)
        return await self._submit(verified)

    async def manage(self, verified: VerifiedRequest) -> Done:
        """Take anything but an authCertReg; raises InvalidRequest, and what stands against it."""
        if isinstance(verified.request, AuthCertRegistration):
            raise InvalidRequest(f"Unsupported request type {verified.request.type.name}_REQUEST")
        return await self._submit(verified)

    async def _submit(self, verified: VerifiedRequest) -> Done:
        saved = await self.requests.submit(verified.request, Origin.SECURITY_SERVER)
        return _done(verified, saved.id)


def _done(verified: VerifiedRequest, request_id: int) -> Done:
    return Done(request_id, write_response(verified.message, request_id))
