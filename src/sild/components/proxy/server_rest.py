"""The provider's side of PR-REST: read a request, call its service, make the response."""

from sild.components.proxy.content import DIGEST, Content, read_body
from sild.components.proxy.demand import Reply
from sild.components.proxy.receive import Received
from sild.components.proxy.said import RestSaid
from sild.components.proxy.service_call import ServiceCall, ServiceCaller
from sild.components.proxy.view import ServiceAddress
from sild.model.access import Call
from sild.model.services import Service, ServiceType
from sild.protocol.errors import InvalidRest, WrongServiceType
from sild.protocol.ids import SecurityServerId
from sild.protocol.rest.message import (
    RestRequest,
    build_rest_response,
    read_rest_request,
    request_hash,
)
from sild.protocol.transport import headers as names
from sild.protocol.transport.events import RestHeader
from sild.runtime.http_server import Request

_BODILESS = frozenset({204, 304})


class RestDemand(RestSaid):
    """A REST request that came from another security server."""

    def __init__(self, rest: RestRequest, head: RestHeader) -> None:
        super().__init__(rest)
        self.head = head

    @property
    def call(self) -> Call:
        """What the caller must have the right to do."""
        rest = self._rest
        return Call(rest.service, rest.verb.value, rest.service_path)

    def check_server(self, own: SecurityServerId) -> None:
        """Do nothing: peers look at the target of a SOAP request only (wire facts)."""

    def check_service(self, service: Service) -> None:
        """Raise WrongServiceType for a SOAP service."""
        if service.type is ServiceType.WSDL:
            message = f"{service.id} is a SOAP service; it cannot be called by REST"
            raise WrongServiceType(message)

    def check_request(self, request: Request) -> None:
        """Raise InvalidRest unless the HTTP request has the request id that was signed.

        Peers take the id of the HTTP head into their signed answer.
        """
        if (request.header(names.REQUEST_ID) or b"").decode("latin-1") != self._rest.request_id:
            message = "the x-road-request-id of the HTTP request is not the one that was signed"
            raise InvalidRest(message)

    async def ask(
        self,
        services: ServiceCaller,
        service: Service,
        address: ServiceAddress,
        received: Received,
    ) -> Reply:
        """Call the service with the request's method, path, query, headers and body.

        A body goes along with POST, PUT and PATCH only. Redirects are answers like any other.
        """
        rest = self._rest
        # A method that may have a body says that it has none: some services insist on a length.
        body = received.body if received.body is not None else b""
        call = ServiceCall(
            rest.verb.value,
            rest.url_at(address.path) or "/",
            rest.headers,
            body if rest.verb.passes_body else None,
        )
        answer = await services.call(service, address, call)
        try:
            digests = received.content_digests
            hashed = request_hash(self.head.digest, digests[0] if digests else None)
            response = build_rest_response(
                rest, answer.status, answer.reason, answer.headers, hashed
            )
            content: Content = ()
            if rest.verb.value != "HEAD" and answer.status not in _BODILESS:
                content = await read_body(answer.body, empty_counts=True)
        except BaseException:
            await answer.close()
            raise
        head = RestHeader(response.part, DIGEST.digest(response.part))
        return Reply(head, content, answer, None)


def read_rest_demand(received: Received) -> RestDemand:
    """The request of a message whose REST part is there; raises InvalidRest and its like."""
    return RestDemand(read_rest_request(received.rest.part), received.rest)
