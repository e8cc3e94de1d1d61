"""Operations of a service that speaks SOAP: how they read requests and write answers."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from sild.devnet.offerings import Handler, Refused
from sild.devnet.serving import BodyTooLarge, read_body
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.mime import PartHeaders
from sild.protocol.safexml import (
    Element,
    children,
    get_child,
    local_name,
    namespace,
    qualified,
    read_xml,
    sub_element,
    write_xml,
)
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.message import read_soap
from sild.protocol.soap.package import PackageWriter
from sild.protocol.soap.parts import AttachmentChunk, AttachmentEnd, AttachmentStart, SoapPart

TEXT_XML = "text/xml; charset=UTF-8"
_REQUEST_LIMIT = 1024 * 1024
_BOUNDARY = "devnet-part"
_PACKAGE = f'multipart/related; type="text/xml"; start="<message>"; boundary="{_BOUNDARY}"'
_DIGEST = DigestAlgorithm.SHA512


@dataclass(frozen=True, slots=True)
class File:
    """An attachment; the answer names it by `cid:` and its name."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """What an operation answers: fields of its response, in order, and an attachment."""

    fields: Mapping[str, str]
    attachment: File | None = None


Answering = Callable[[Mapping[str, str]], Awaitable[Told]]
"""Answers the fields of a request; raises Refused, of which a SOAP fault is made."""


def by_soap(answering: Answering) -> Handler:
    """The handler of an operation."""

    async def handle(request: Request) -> Response:
        try:
            asked = await read_body(request, _REQUEST_LIMIT)
            read_soap(asked, request.headers.get("content-type", ""))
            envelope = read_xml(asked)
            body = get_child(envelope, qualified(SOAP, "Body"))
            (question,) = children(body)
            told = await answering({local_name(each): _text(each) for each in children(question)})
        except Refused as error:
            return _fault("Client.Refused", str(error))
        except (BodyTooLarge, ProtocolError) as error:
            return _fault("Client.NotUnderstood", str(error))
        return _response(_written(envelope, body, question, told), told.attachment)

    return handle


def _text(field: Element) -> str:
    return (field.text or "").strip()


def _fault(code: str, text: str) -> Response:
    return Response(write_fault(code, text), 500, media_type=TEXT_XML)


def _written(envelope: Element, body: Element, question: Element, told: Told) -> bytes:
    """The request's envelope, header and all, with the answer in place of the question."""
    space, name = namespace(question) or "", local_name(question) + "Response"
    body.remove(question)
    answer = sub_element(body, qualified(space, name))
    for field, text in told.fields.items():
        sub_element(answer, qualified(space, field), text)
    return write_xml(envelope)


def _response(soap: bytes, attachment: File | None) -> Response:
    if attachment is None:
        return Response(soap, media_type=TEXT_XML)
    writer = PackageWriter(_PACKAGE, "UTF-8")
    headers = PartHeaders("text/xml", TEXT_XML, (("Content-ID", "<message>"),))
    others = (
        ("Content-ID", f"<{attachment.name}>"),
        ("Content-Transfer-Encoding", "binary"),
        ("Content-Disposition", f'attachment; filename="{attachment.name}"'),
    )
    package = b"".join(
        writer.write(event)
        for event in (
            SoapPart(soap, headers, _DIGEST.digest(soap)),
            AttachmentStart(PartHeaders("", attachment.content_type, others)),
            AttachmentChunk(attachment.content),
            AttachmentEnd(_DIGEST.digest(attachment.content)),
        )
    )
    return Response(package + writer.close(), headers={"content-type": _PACKAGE})
