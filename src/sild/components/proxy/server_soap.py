"""The provider's side of PR-MESS: read a request, call its service, make the response.

Whatever keeps the service from answering with a SOAP message is of the stage `service_failed`.
"""

import re

from sild.components.proxy.content import DIGEST, open_package
from sild.components.proxy.demand import Reply
from sild.components.proxy.receive import Received
from sild.components.proxy.said import SoapSaid
from sild.components.proxy.service_call import ServiceAnswer, ServiceCall, ServiceCaller
from sild.components.proxy.soap_reading import read_soap_part
from sild.components.proxy.view import ServiceAddress
from sild.model.access import Call
from sild.model.services import Service, ServiceType
from sild.protocol.errors import (
    HttpError,
    InvalidContentType,
    InvalidMessage,
    InvalidRequest,
    InvalidSecurityServer,
    MissingSoap,
    PeerFault,
    WrongServiceType,
    inside,
)
from sild.protocol.ids import SecurityServerId
from sild.protocol.soap.http_headers import check_soap_action
from sild.protocol.soap.message import SoapMessage, with_request_hash
from sild.protocol.soap.package import PackageWriter
from sild.protocol.soap.parts import SoapPart
from sild.protocol.transport import headers as names
from sild.runtime.http_server import Request

_REQUEST_ID = re.compile("[0-9A-Za-z-]{0,100}")
_ANSWERED = frozenset({200, 500})


class SoapDemand(SoapSaid):
    """A SOAP request that came from another security server."""

    def __init__(
        self, message: SoapMessage, head: SoapPart, request: Request, package: PackageWriter
    ) -> None:
        super().__init__(message)
        self._action = request.header(names.ORIGINAL_SOAP_ACTION)
        self._package = package
        self.request_id = _request_id(request)
        self.head = head

    @property
    def call(self) -> Call:
        """What the caller must have the right to do."""
        return Call(self.service)

    def check_server(self, own: SecurityServerId) -> None:
        """Raise InvalidSecurityServer where the request is for another server (PR-TARGETSS)."""
        wanted = self._message.header.security_server
        if wanted is not None and wanted != own:
            message = f"the request is for the security server {wanted}, and this is {own}"
            raise InvalidSecurityServer(message)

    def check_service(self, service: Service) -> None:
        """Raise WrongServiceType for a REST service."""
        if service.type is not ServiceType.WSDL:
            message = f"{service.id} is a REST service; it cannot be called by SOAP"
            raise WrongServiceType(message)

    def check_request(self, request: Request) -> None:
        """Do nothing: no header of the HTTP request stands in a SOAP message."""

    async def ask(
        self,
        services: ServiceCaller,
        service: Service,
        address: ServiceAddress,
        received: Received,
    ) -> Reply:
        """Post the message to the service as the consumer's system posted it."""
        # SOAP 1.1, 6.1.1: a request has the header, an empty one says nothing.
        headers = [
            (b"Content-Type", self._package.content_type.encode("latin-1")),
            (b"SOAPAction", self._action or b""),
        ]
        call = ServiceCall("POST", address.target, headers, received.body)
        with inside("service_failed"):
            answer = await services.call(service, address, call)
            try:
                return await self._reply(answer)
            except BaseException:
                await answer.close()
                raise

    @property
    def _request_digest(self) -> bytes:
        """The SHA-512 that the response repeats, whatever the other server hashes with."""
        digest = self.head.digest
        return digest if len(digest) == DIGEST.size else DIGEST.digest(self.head.raw)

    async def _reply(self, answer: ServiceAnswer) -> Reply:
        if answer.status not in _ANSWERED:
            message = f"the service answered with HTTP status {answer.status}"
            raise HttpError(message)
        original_type = answer.header(b"content-type")
        if original_type is None:
            message = "the service answered without a content type"
            raise InvalidContentType(message)
        try:
            first, content = await open_package(original_type.decode("latin-1"), answer.body)
        except MissingSoap as error:
            # Peers know a message that answers nothing by this code.
            raise InvalidMessage(error.message) from None
        response = await read_soap_part(first)
        raw = with_request_hash(response, self._request_digest)
        head = SoapPart(raw, first.headers, DIGEST.digest(raw))
        return Reply(head, content, answer, original_type)


def _request_id(request: Request) -> str:
    """The id in the HTTP head, which is not signed: it names the exchange in logs and no more."""
    sent = (request.header(names.REQUEST_ID) or b"").decode("latin-1")
    if not _REQUEST_ID.fullmatch(sent):
        message = f"{sent[:50]!r} is no x-road-request-id"
        raise InvalidRequest(message)
    return sent


async def read_soap_demand(received: Received, request: Request) -> SoapDemand:
    """The request of a message whose SOAP part is there; raises what PR-MESS refuses.

    From then on `received` writes the package as the service gets it.
    """
    try:
        message = await read_soap_part(received.soap)
    except PeerFault as fault:
        text = f"a SOAP fault where a request belongs: {fault.fault}"
        raise InvalidMessage(text) from None
    original_type = (request.header(names.ORIGINAL_CONTENT_TYPE) or b"").decode("latin-1")
    package = PackageWriter(original_type or received.soap.content_type, message.encoding)
    received.package = package
    return SoapDemand(message, received.soap, request, package)


def check_original_action(request: Request) -> None:
    """Raise InvalidSoapAction unless the consumer's SOAPAction is one."""
    check_soap_action(request.header(names.ORIGINAL_SOAP_ACTION))
