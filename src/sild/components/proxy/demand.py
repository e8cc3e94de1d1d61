"""What another security server asks of this one, whatever message protocol it carries."""

from dataclasses import dataclass
from typing import Protocol

from sild.components.proxy.content import Content, Head
from sild.components.proxy.receive import Received
from sild.components.proxy.service_call import ServiceAnswer, ServiceCaller
from sild.components.proxy.view import ServiceAddress
from sild.model.access import Call
from sild.model.services import Service
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId
from sild.runtime.http_server import Request


@dataclass(frozen=True, slots=True)
class Reply:
    """A service's answer as a message; its content may still be on the way."""

    head: Head
    content: Content
    answer: ServiceAnswer
    original_type: bytes | None
    """The service's own content type, which travels beside a SOAP message."""


class Demand(Protocol):
    """A request that was read, and how its service is called."""

    @property
    def client(self) -> ClientId:
        """Who asks."""
        ...

    @property
    def service(self) -> ServiceId:
        """What is called."""
        ...

    @property
    def call(self) -> Call:
        """What the caller must have the right to do."""
        ...

    @property
    def query_id(self) -> str:
        """The message id, by which the log finds the exchange."""
        ...

    @property
    def request_id(self) -> str:
        """The id by which both servers know the exchange."""
        ...

    @property
    def head(self) -> Head:
        """The first part of the message."""
        ...

    @property
    def title(self) -> str:
        """One line for the log of exchanges."""
        ...

    def check_server(self, own: SecurityServerId) -> None:
        """Raise InvalidSecurityServer where the request is for another server."""
        ...

    def check_service(self, service: Service) -> None:
        """Raise WrongServiceType where the service speaks another protocol."""
        ...

    def check_request(self, request: Request) -> None:
        """Raise where the HTTP request contradicts the message, whose signature is verified."""
        ...

    async def ask(
        self,
        services: ServiceCaller,
        service: Service,
        address: ServiceAddress,
        received: Received,
    ) -> Reply:
        """Call the service.

        Raises what keeps it from answering, and a SOAP service's own fault as PeerFault.
        """
        ...
