"""What an information system asks, whatever message protocol it speaks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sild.components.proxy.content import Content, Head
from sild.components.proxy.receive import Received
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId
from sild.protocol.transport.headers import Field
from sild.runtime.clock import Clock
from sild.runtime.http_server import Request, Response


@dataclass(frozen=True, slots=True)
class Asking:
    """A request of an information system, before it is read."""

    request: Request
    request_id: str
    """The new UUID by which both servers know the exchange."""
    instance: str
    clock: Clock


class Question(Protocol):
    """A request that was read, and what makes its answer."""

    @property
    def client(self) -> ClientId:
        """Who asks."""
        ...

    @property
    def service(self) -> ServiceId:
        """What is called."""
        ...

    @property
    def security_server(self) -> SecurityServerId | None:
        """The only server that may answer, where the request names one."""
        ...

    @property
    def query_id(self) -> str:
        """The message id, by which the log finds the exchange."""
        ...

    @property
    def is_soap(self) -> bool:
        """Whether the answer must be a SOAP message."""
        ...

    @property
    def head(self) -> Head:
        """The first part of the message."""
        ...

    @property
    def content(self) -> Content:
        """What follows it; it may still be on the way."""
        ...

    @property
    def title(self) -> str:
        """One line for the log of exchanges."""
        ...

    def headers(self, content_type: str) -> list[Field]:
        """The HTTP headers of the transport message."""
        ...

    async def take_head(self, received: Received, original_type: str | None) -> None:
        """Read the first part of the answer, from the service's own content type; raises Malformed.

        Errors are of the stage `service_failed`.
        """
        ...

    def check_answer(self, digests: Mapping[str, bytes]) -> None:
        """Raise InconsistentResponse unless the answer, by then verified, is to this question.

        The digests are those of the parts of the request, by name.
        """
        ...

    def answer(self, received: Received) -> Response:
        """What the information system gets."""
        ...
