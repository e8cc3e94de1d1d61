"""Ask a provider for its methods through the own proxy, as an information system would."""

import json
from dataclasses import dataclass
from urllib.parse import quote

from sild.components.diagnostics.values import ProtocolKind, ProviderQuestion
from sild.protocol.errors import (
    HttpError,
    InvalidContentType,
    InvalidRest,
    IoError,
    NetworkError,
    PeerFault,
    ProtocolError,
    UnknownHost,
)
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.fault import escape_text, find_fault
from sild.protocol.soap.headers import XROAD
from sild.runtime.http_client import HttpClientPool
from sild.runtime.http_client_types import (
    ClientLimits,
    ConnectFailed,
    ConnectProblem,
    Framing,
    HttpClientError,
    RequestHead,
    Target,
    TlsFailed,
)

_SERVICE = "listMethods"
_OK = 200
_LARGEST = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    content_type: str
    body: bytes


async def ask_for_methods(
    target: Target, question: ProviderQuestion, message_id: str, seconds: float
) -> None:
    """Return when the provider's methods were told; raises ProtocolError, also a PeerFault."""
    if question.kind is ProtocolKind.REST:
        _check_told(await _send(target, _rest_head(question), b"", seconds))
        return
    headers = [(b"Content-Type", b"text/xml; charset=UTF-8")]
    head = RequestHead(b"POST", b"/", headers, Framing.LENGTH)
    body = write_methods_request(question, message_id)
    answer = await _send(target, head, body, seconds)
    if not answer.content_type.lower().startswith("text/xml"):
        raise InvalidContentType(f"{target} answered with {_shown(answer)}, not with a message")
    if (fault := find_fault(answer.body)) is not None:
        raise fault


async def _send(target: Target, head: RequestHead, body: bytes, seconds: float) -> _Answer:
    limits = ClientLimits(header_seconds=seconds, idle_keep_seconds=0)
    try:
        async with (
            HttpClientPool(limits) as pool,
            await pool.connect(target) as connection,
            connection.exchange(head, body) as response,
        ):
            content_type = (response.header(b"content-type") or b"").decode("latin-1")
            return _Answer(response.status, content_type, await response.body.read_all(_LARGEST))
    except HttpClientError as error:
        raise _problem(error, target) from error


def _problem(error: HttpClientError, target: Target) -> ProtocolError:
    said = f"the proxy of this server at {target}: {error}"
    match error:
        case ConnectFailed(problem=ConnectProblem.UNKNOWN_HOST):
            return UnknownHost(said)
        case ConnectFailed() | TlsFailed():
            return NetworkError(said)
        case _:
            return IoError(said)


def _rest_head(question: ProviderQuestion) -> RequestHead:
    provider = question.provider
    if provider.subsystem_code is None:
        raise InvalidRest(f"{provider} is no subsystem, and only these have REST services")
    path = "/".join(("", "r1", *map(_quoted, provider.parts), _SERVICE))
    headers = [
        (b"Accept", b"application/json"),
        (b"X-Road-Client", "/".join(map(_quoted, question.client.parts)).encode()),
        (b"X-Road-Security-Server", "/".join(map(_quoted, question.server.parts)).encode()),
    ]
    return RequestHead(b"GET", path.encode(), headers, Framing.LENGTH)


def _quoted(part: str) -> str:
    return quote(part, safe="")


def _check_told(answer: _Answer) -> None:
    if answer.status == _OK:
        return
    try:
        said = json.loads(answer.body)
        raise PeerFault(str(said["type"]), str(said["message"]), str(said.get("detail", "")))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise HttpError(f"the answer is {_shown(answer)}") from None


def _shown(answer: _Answer) -> str:
    return f"status {answer.status} and {answer.content_type[:100] or 'no content type'}"


def write_methods_request(question: ProviderQuestion, message_id: str) -> bytes:
    """The SOAP message that asks for the methods of a provider (PR-META 4)."""
    server = question.server
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:x="{XROAD}" xmlns:id="{IDENTIFIERS}"><s:Header>',
        _identifier("client", _kind(question.client), _client(question.client)),
        _identifier(
            "service", "SERVICE", _client(question.provider) + _element("serviceCode", _SERVICE)
        ),
        _identifier(
            "securityServer",
            "SERVER",
            _client(server.owner) + _element("serverCode", server.server_code),
        ),
        f"<x:id>{escape_text(message_id)}</x:id>",
        "<x:protocolVersion>4.0</x:protocolVersion>",
        f"</s:Header><s:Body><x:{_SERVICE}/></s:Body></s:Envelope>",
    )
    return "\n".join(lines).encode()


def _kind(client: ClientId) -> str:
    return "SUBSYSTEM" if client.is_subsystem else "MEMBER"


def _identifier(name: str, kind: str, content: str) -> str:
    return f'<x:{name} id:objectType="{kind}">{content}</x:{name}>'


def _client(client: ClientId) -> str:
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    return "".join(_element(name, part) for name, part in zip(names, client.parts, strict=False))


def _element(name: str, text: str) -> str:
    return f"<id:{name}>{escape_text(text)}</id:{name}>"
