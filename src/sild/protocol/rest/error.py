"""REST error bodies, as an information system gets them."""

import json
import re

from sild.protocol.rest.headers import ERROR, Field
from sild.protocol.safexml import NOT_XML

_XML_TYPES = {
    "text/xml": "text/xml",
    "application/xml": "application/xml",
    "text/*": "text/xml",
}
_XML_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord("\r"): "&#13;"}
_NOT_IN_HEADER = re.compile(r"[^\x20-\x7e]+")
_CODE_LIMIT = 500


def error_header(code: str) -> Field:
    """The X-Road-Error header; a peer's code is kept, but for what no header may hold."""
    return ERROR, _NOT_IN_HEADER.sub(" ", code)[:_CODE_LIMIT].encode("ascii")


def write_rest_error(code: str, message: str, detail: str, accept: str | None) -> tuple[str, bytes]:
    """The content type and body of an error.

    It is JSON unless the Accept header names a type of XML anywhere; weights do not count.
    Several Accept headers are given as one, joined by commas.
    """
    listed = (entry.partition(";")[0].strip().lower() for entry in (accept or "").split(","))
    xml_type = next((_XML_TYPES[entry] for entry in listed if entry in _XML_TYPES), None)
    error = {"type": code, "message": message, "detail": detail}
    if xml_type is None:
        body = json.dumps(error, ensure_ascii=False, separators=(",", ":"))
        return "application/json", body.encode("utf-8", "replace")
    children = "".join(f"<{name}>{_escape(text)}</{name}>" for name, text in error.items())
    document = f'<?xml version="1.0" encoding="UTF-8" standalone="no"?><error>{children}</error>'
    return f"{xml_type};charset=utf-8", document.encode("utf-8")


def _escape(text: str) -> str:
    return NOT_XML.sub("", text).translate(_XML_ESCAPES)
