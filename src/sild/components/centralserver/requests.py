"""Management requests: submitted, approved, declined, looked for (CR-01 to CR-09).

A request and what it does are one transaction, and one such transaction follows another: of two
approvals at once, or of two requests for the same thing, one has its effect, and the other finds
what the first has done.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.paging import Found, Page
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_turns import changing
from sild.components.centralserver.request_changes import carry_out
from sild.components.centralserver.request_effects import (
    Registration,
    Transaction,
    carry_out_registration,
    check_registration,
    describe_rename,
    is_known,
)
from sild.components.centralserver.request_errors import (
    InvalidAuthCertificate,
    InvalidState,
    InvalidStateForApproval,
    RequestExists,
)
from sild.components.centralserver.request_ports import CurrentEcosystem
from sild.components.centralserver.request_rows import RequestRows
from sild.components.centralserver.request_values import (
    RequestFilter,
    SavedRequest,
)
from sild.components.centralserver.system import Node, read_parameters
from sild.model.registration import (
    COMPLEMENTED_TYPES,
    AutomaticApproval,
    Origin,
    RequestEvent,
    RequestStatus,
    decline_event,
    find_status_after,
    is_approved_at_once,
)
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import (
    AuthCertDeletion,
    AuthCertRegistration,
    ClientDeletion,
    ClientRegistration,
    ManagementRequest,
)
from sild.protocol.management.verify import check_authentication_certificate, check_identifiers
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.database import Database


@dataclass(frozen=True, slots=True)
class Requests:
    """The use cases on management requests, and the port `Deletions` of the registry."""

    database: Database
    node: Node
    clock: Clock
    current: CurrentEcosystem
    automatic: AutomaticApproval = field(default_factory=AutomaticApproval)

    async def submit(
        self, request: ManagementRequest, origin: Origin, comments: str | None = None
    ) -> SavedRequest:
        """Keep a request, and carry it out if nobody has to approve it.

        Raises the refusals of `request_errors` and of the registry, InvalidClientIdentifier.
        """
        if isinstance(request, Registration):
            check_identifiers(request)
        if isinstance(request, AuthCertRegistration):
            # Before its turn comes: this reads the database too, over another connection, of which
            # those who wait may have taken the last.
            request = await self._with_valid_certificate(request)
        async with changing(self.database) as connection:
            return await self._submit_in(connection, request, origin, comments)

    async def _submit_in(
        self,
        connection: AsyncConnection,
        request: ManagementRequest,
        origin: Origin,
        comments: str | None = None,
    ) -> SavedRequest:
        transaction = await self._transaction(connection)
        if isinstance(request, Registration):
            return await self._submit_registration(request, origin, comments, transaction)
        told = await carry_out(request, transaction, comments)
        return await transaction.requests.get(
            await transaction.requests.add(request, origin, told, life=None)
        )

    async def approve(self, request_id: int) -> SavedRequest:
        """Carry a registration out.

        Raises RequestNotFound, InvalidStateForApproval, and what stands against it.
        """
        async with changing(self.database) as connection:
            transaction = await self._transaction(connection)
            return await self._approve(await transaction.requests.get(request_id), transaction)

    async def decline(self, request_id: int) -> SavedRequest:
        """Refuse a registration, or take one of the Central Server's own back.

        Raises RequestNotFound, InvalidState.
        """
        async with changing(self.database) as connection:
            rows = RequestRows(connection, self.clock.now())
            saved = await rows.get(request_id)
            if saved.life is None:
                raise InvalidState("the request was carried out when it came", str(request_id))
            alone = await rows.count_of_life(saved.life) == 1
            status = find_status_after(saved.status, decline_event(saved.origin, alone=alone))
            if status is None:
                raise InvalidState("the request was decided before", str(request_id))
            await rows.set_status(saved.life, status)
            return await rows.get(request_id)

    async def get(self, request_id: int) -> SavedRequest:
        """One request; raises RequestNotFound."""
        async with self.database.reading() as connection:
            return await RequestRows(connection, self.clock.now()).get(request_id)

    async def find(self, wanted: RequestFilter, page: Page) -> Found[SavedRequest]:
        """A page of the requests that are wanted; raises InvalidSorting."""
        async with self.database.reading() as connection:
            return await RequestRows(connection, self.clock.now()).search(wanted, page)

    async def register_client(
        self, connection: AsyncConnection, server: SecurityServerId, client: ClientId
    ) -> None:
        """Link a client to a server, and leave the approved request behind."""
        request = ClientRegistration(server, client)
        saved = await self._submit_in(connection, request, Origin.CENTER)
        if saved.status is not RequestStatus.APPROVED:
            await self._approve(saved, await self._transaction(connection))

    async def delete_client(
        self,
        connection: AsyncConnection,
        server: SecurityServerId,
        client: ClientId,
        comments: str | None = None,
    ) -> None:
        """Unlink a client from a server, and leave the request behind."""
        await self._submit_in(connection, ClientDeletion(server, client), Origin.CENTER, comments)

    async def delete_auth_certificate(
        self,
        connection: AsyncConnection,
        server: SecurityServerId,
        der: bytes,
        comments: str | None = None,
    ) -> None:
        """Take an authentication certificate from a server, and leave the request behind."""
        await self._submit_in(connection, AuthCertDeletion(server, der), Origin.CENTER, comments)

    async def _transaction(self, connection: AsyncConnection) -> Transaction:
        now = self.clock.now()
        parameters = await read_parameters(connection, self.node)
        rows, requests = RegistryRows(connection, now), RequestRows(connection, now)
        return Transaction(rows, requests, parameters.instance, parameters.provider)

    async def _submit_registration(
        self, request: Registration, origin: Origin, comments: str | None, transaction: Transaction
    ) -> SavedRequest:
        rows = transaction.requests
        await check_registration(request, origin, transaction)
        pending = await rows.find_pending(request)
        if pending is None:
            life = await rows.add_life(request, RequestStatus.WAITING)
        else:
            request, life = await _complement(request, origin, pending, rows)
        if isinstance(request, ClientRegistration):
            comments = await describe_rename(
                request.client, request.subsystem_name, transaction.rows, comments
            )
        saved = await rows.get(await rows.add(request, origin, comments, life))
        return await self._approve_at_once(saved, request, transaction)

    async def _approve_at_once(
        self, saved: SavedRequest, request: Registration, transaction: Transaction
    ) -> SavedRequest:
        status = saved.status or RequestStatus.WAITING
        willing = is_approved_at_once(request.type, saved.origin, status, self.automatic)
        if willing and await is_known(request, transaction):
            return await self._approve(saved, transaction)
        return saved

    async def _approve(self, saved: SavedRequest, transaction: Transaction) -> SavedRequest:
        status = find_status_after(saved.status, RequestEvent.APPROVE)
        request = saved.request
        if saved.life is None or status is None or not isinstance(request, Registration):
            raise InvalidStateForApproval(
                f"request {saved.id} is not waiting for approval", str(saved.id)
            )
        new_member = await carry_out_registration(request, transaction)
        await transaction.requests.set_status(saved.life, status)
        return replace(await transaction.requests.get(saved.id), new_member=new_member)

    async def _with_valid_certificate(self, request: AuthCertRegistration) -> AuthCertRegistration:
        """The request with its certificate in DER.

        Raises InvalidAuthCertificate for what no approved authority issued, or for other use, and
        what `ecosystem` does.
        """
        ecosystem = await self.current.ecosystem()
        try:
            certificate = read_certificate(request.certificate)
            check_authentication_certificate(certificate, ecosystem.trust, self.clock.now())
        except ProtocolError as error:
            raise InvalidAuthCertificate(error.message, error.message) from error
        return replace(request, certificate=certificate.der)


async def _complement(
    request: Registration, origin: Origin, pending: SavedRequest, rows: RequestRows
) -> tuple[Registration, int]:
    """Let a request join the life of the other origin's request for the same thing."""
    status = find_status_after(pending.status, RequestEvent.COMPLEMENT)
    agrees = (
        request.type in COMPLEMENTED_TYPES
        and pending.origin is not origin
        and pending.request.server == request.server
    )
    if status is None or pending.life is None or not agrees:
        raise RequestExists(
            f"request {pending.id} for the same is still to be decided", str(pending.id)
        )
    await rows.set_status(pending.life, status)
    other = pending.request
    if isinstance(request, ClientRegistration) and isinstance(other, ClientRegistration):
        return other, pending.life
    return request, pending.life
