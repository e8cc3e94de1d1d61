"""SOAP messages of an exact size, as the load generator posts and the backend answers them.

Ids and boundaries are new each time, as those of information systems are.
"""

from functools import lru_cache

from sild.devnet.benchmark.figures import Body
from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.headers import XROAD

_TEXT_XML = "text/xml; charset=UTF-8"
_ATTACHMENTS, _ATTACHMENT_SIZE = 2, 20_000
_NUMBER = "@@@number@@@"
_DIGITS = len(_NUMBER)
_BOUNDARY = f"bench-boundary-{_NUMBER}"
_ID = f"<x:id>bench-{_NUMBER}</x:id>"
_OPENING = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<s:Envelope xmlns:s="{SOAP}" xmlns:x="{XROAD}" xmlns:i="{IDENTIFIERS}">'
)
_HEADER_START, _HEADER_END = b"<s:Header>", b"</s:Header>"
_ID_START, _CODE_START = b"<x:id>bench-", b"<i:serviceCode>"
_ROW = "<p:row><p:name>Mari Näidis</p:name><p:year>1990</p:year></p:row>\n"
_PATHS = {Body.SOAP: "/soap/message", Body.SOAP_PACKAGE: "/soap/package"}


def soap_path(kind: Body) -> str:
    """Where the backend answers SOAP messages of this kind."""
    return _PATHS[kind]


def header_of(client: ClientId, service: ServiceId) -> str:
    """The header of a request; where its number belongs, a word of the same length stands."""
    return (
        f'<x:client i:objectType="SUBSYSTEM">{_parts(client)}</x:client>'
        f'<x:service i:objectType="SERVICE">{_parts(service.provider)}'
        f"<i:serviceCode>{service.service_code}</i:serviceCode></x:service>"
        f"<x:userId>EE99001010011</x:userId>{_ID}<x:protocolVersion>4.0</x:protocolVersion>"
    )


def _parts(client: ClientId) -> str:
    return (
        f"<i:xRoadInstance>{client.instance}</i:xRoadInstance>"
        f"<i:memberClass>{client.member_class}</i:memberClass>"
        f"<i:memberCode>{client.member_code}</i:memberCode>"
        f"<i:subsystemCode>{client.subsystem_code}</i:subsystemCode>"
    )


class Letters:
    """Requests of a kind, with one header but for their numbers."""

    def __init__(self, kind: Body, header: str) -> None:
        self._type = _content_type(kind)
        self._template = _written(kind, f"<s:Header>{header}</s:Header>".encode(), "")

    def request(self, number: int) -> tuple[bytes, bytes]:
        """The content type of a request, and its bytes."""
        return _numbered(self._type, b"%0*d" % (_DIGITS, number), self._template)


def answer_to(kind: Body, request: bytes) -> tuple[bytes, bytes]:
    """The content type of a service's answer, and its bytes, which repeat the request's header."""
    start = request.index(_HEADER_START)
    header = request[start : request.index(_HEADER_END, start) + len(_HEADER_END)]
    number_at = header.index(_ID_START) + len(_ID_START)
    number = header[number_at : number_at + _DIGITS]
    template = _answer(kind, header.replace(number, _NUMBER.encode()))
    return _numbered(_content_type(kind), number, template)


def _numbered(content_type: bytes, number: bytes, template: bytes) -> tuple[bytes, bytes]:
    word = _NUMBER.encode()
    return content_type.replace(word, number), template.replace(word, number)


@lru_cache
def _answer(kind: Body, header: bytes) -> bytes:
    return _written(kind, header, "Response")


def _content_type(kind: Body) -> bytes:
    if kind is Body.SOAP:
        return _TEXT_XML.encode()
    return f'multipart/related; type="text/xml"; start="<s>"; boundary="{_BOUNDARY}"'.encode()


def _written(kind: Body, header: bytes, suffix: str) -> bytes:
    """A message of the kind's size: rows and white space fill what its envelope leaves."""
    name = header.rpartition(_CODE_START)[2].partition(b"<")[0].decode() + suffix
    opening = f'<s:Body><p:{name} xmlns:p="http://bench.example">'.encode()
    before = _OPENING.encode() + header + opening
    after = f"</p:{name}></s:Body></s:Envelope>".encode()
    if kind is Body.SOAP_PACKAGE:
        before = _delimiter(_TEXT_XML, "s") + before
        after += b"".join([_attachment(number) for number in range(_ATTACHMENTS)])
        after += f"\r\n--{_BOUNDARY}--\r\n".encode()
    room, row = kind.size - len(before) - len(after), _ROW.encode()
    return before + row * (room // len(row)) + b" " * (room % len(row)) + after


def _delimiter(content_type: str, content_id: str) -> bytes:
    lines = f"Content-Type: {content_type}\r\nContent-ID: <{content_id}>\r\n\r\n"
    return f"--{_BOUNDARY}\r\n{lines}".encode()


def _attachment(number: int) -> bytes:
    content = bytes(range(256)) * (_ATTACHMENT_SIZE // 256 + 1)
    opening = b"\r\n" + _delimiter("application/octet-stream", f"attachment-{number}")
    return opening + content[:_ATTACHMENT_SIZE]
