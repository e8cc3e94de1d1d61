"""Signed documents for information systems: `GET /asic` and `GET /verificationconf`.

A client gets what was logged in its own name, and whoever asks in its name is checked as for
messages. Errors are plain text with an HTTP status, as existing clients of the reference expect.
"""

import asyncio
import io
import logging
import zipfile
from collections.abc import Mapping
from urllib.parse import parse_qsl

from sild.components.proxy.callers import Callers, OwnCertificate
from sild.components.proxy.exchange import Exchanges
from sild.components.proxy.ports import Documents
from sild.model.messages import WantedDocuments
from sild.protocol.errors import ProtocolError, SslAuthenticationFailed, UnknownMember
from sild.protocol.faults import message_of
from sild.protocol.globalconf.verification import verification_files
from sild.protocol.ids import ClientId
from sild.runtime.http_server import Request, Response

_LOG = logging.getLogger("sild.proxy")

_MOST_FIELDS = 20
_TEXT = (b"Content-Type", b"text/plain; charset=UTF-8")


class _Refused(Exception):
    """The request cannot be answered; why, in a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class DocumentRequests:
    """Answers requests for signed documents and for what verifies them."""

    def __init__(
        self, exchanges: Exchanges, documents: Documents, own_certificate: OwnCertificate | None
    ) -> None:
        self._exchanges = exchanges
        self._documents = documents
        self._callers = Callers(exchanges.settings, exchanges.clock, own_certificate)

    def finds(self, request: Request) -> bool:
        """Whether this is such a request, and no message."""
        path = request.target.partition(b"?")[0]
        return request.method == b"GET" and path in (b"/asic", b"/verificationconf")

    async def handle(self, request: Request) -> Response:
        """The answer: a container, a ZIP file, or what is wrong."""
        path, _, query = request.target.partition(b"?")
        try:
            if path == b"/verificationconf":
                return await self._verification_configuration()
            return await self._signed_documents(request, query)
        except _Refused as refused:
            return _text(refused.status, refused.text)
        except ProtocolError as error:
            _LOG.warning("signed documents cannot be given: %s", error.message)
            return _text(500, message_of(error))

    async def _verification_configuration(self) -> Response:
        view = self._exchanges.views.latest
        if view is None:
            raise _Refused(500, "This security server has no global configuration yet.")
        content = await asyncio.to_thread(_zipped, verification_files(view.conf))
        headers = [
            (b"Content-Type", b"application/zip"),
            (b"Content-Disposition", b'filename="verificationconf.zip"'),
        ]
        return Response(200, b"OK", headers, content)

    async def _signed_documents(self, request: Request, query: bytes) -> Response:
        fields = _read_query(query)
        owner = _owner(fields)
        # Who is not who it says learns nothing of the rest.
        self._check_caller(request, owner)
        wanted = _wanted(fields, owner)
        found = await self._documents.find(wanted)
        if found is None:
            raise _Refused(404, "No signed documents found: nothing was logged with this query id.")
        headers = [
            (b"Content-Type", found.media_type.encode("ascii")),
            (b"Content-Disposition", f'attachment; filename="{found.name}"'.encode("ascii")),
        ]
        return Response(200, b"OK", headers, found.chunks, length=found.size)

    def _check_caller(self, request: Request, owner: ClientId) -> None:
        view = self._exchanges.views.latest
        if view is None:
            raise _Refused(500, "This security server has no global configuration yet.")
        try:
            self._callers.get_client(view, owner, request.peer)
        except (UnknownMember, SslAuthenticationFailed) as error:
            raise _Refused(401, message_of(error)) from error


def _read_query(query: bytes) -> Mapping[str, str]:
    """The parameters, the first of each name; those without a value count as given."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MOST_FIELDS,
        )
    except ValueError:
        raise _Refused(
            400, "The query is not percent-encoded UTF-8 of at most 20 fields."
        ) from None
    return dict(reversed(pairs))


def _wanted(fields: Mapping[str, str], owner: ClientId) -> WantedDocuments:
    request_only, response_only = "requestOnly" in fields, "responseOnly" in fields
    if request_only and response_only:
        raise _Refused(400, 'Give "requestOnly" or "responseOnly", not both.')
    unique = "unique" in fields
    if unique and not (request_only or response_only):
        raise _Refused(400, 'Give "unique" together with "requestOnly" or "responseOnly".')
    return WantedDocuments(
        query_id=_get(fields, "queryId"),
        owner=owner,
        is_response=response_only if request_only or response_only else None,
        unique=unique,
        force="force" in fields,
    )


def _get(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name)
    if not value:
        raise _Refused(400, f'The parameter "{name}" must be given.')
    return value


def _owner(fields: Mapping[str, str]) -> ClientId:
    instance, member_class = _get(fields, "xRoadInstance"), _get(fields, "memberClass")
    try:
        return ClientId(
            instance, member_class, _get(fields, "memberCode"), fields.get("subsystemCode")
        )
    except ProtocolError as error:
        raise _Refused(400, message_of(error)) from error


def _zipped(files: Mapping[str, bytes]) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return written.getvalue()


def _text(status: int, text: str) -> Response:
    reasons = {400: b"Bad Request", 401: b"Unauthorized", 404: b"Not Found"}
    reason = reasons.get(status, b"Internal Server Error")
    return Response(status, reason, [_TEXT], text.encode("utf-8"))
