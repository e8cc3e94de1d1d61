"""SOAP 1.1 faults, read and written."""

import re

from sild.protocol.errors import InvalidMessage, PeerFault
from sild.protocol.safexml import (
    Element,
    XmlLimits,
    children,
    find_child_text,
    has_name,
    qualified,
    read_xml,
)

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_ENVELOPE, _BODY, _FAULT = (qualified(_SOAP, name) for name in ("Envelope", "Body", "Fault"))
_LIMITS = XmlLimits(size=1_048_576, depth=50, tags=10_000, attributes=10_000)

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# Peers write the discouraged controls as references, so that their documents stay readable.
_ESCAPES = {
    ord("&"): "&amp;",
    ord("<"): "&lt;",
    ord(">"): "&gt;",
    ord('"'): "&quot;",
    ord("'"): "&apos;",
} | {code: f"&#{code};" for code in (*range(0x7F, 0x85), *range(0x86, 0xA0))}


def escape_text(text: str) -> str:
    """A text as character data of XML 1.0, without the characters that XML cannot hold."""
    return _NOT_XML.sub("", text).translate(_ESCAPES)


def write_fault(code: str, message: str, detail: str | None = None) -> bytes:
    """A fault in the form that peers send: the detail names one failure, by its id."""
    shown = (
        ""
        if detail is None
        else f'<detail><faultDetail xmlns="">{escape_text(detail)}</faultDetail></detail>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{_SOAP}"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{escape_text(code)}</faultcode>"
        f"<faultstring>{escape_text(message)}</faultstring>"
        f"<faultactor></faultactor>{shown}"
        "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def find_fault(data: bytes) -> PeerFault | None:
    """The fault that a SOAP envelope holds, if it holds one.

    Raises InvalidXml for what is no safe XML, InvalidMessage for what is no envelope.
    """
    envelope = read_xml(data, _LIMITS)
    if not has_name(envelope, _ENVELOPE):
        raise InvalidMessage("expected a SOAP envelope")
    fault = _only_child(_only_child(envelope, _BODY), _FAULT)
    return None if fault is None else _read_fault(fault)


def read_fault(data: bytes) -> PeerFault:
    """The fault that a SOAP envelope holds; raises InvalidMessage where it holds something else."""
    fault = find_fault(data)
    if fault is None:
        raise InvalidMessage("expected a SOAP fault, but this is an ordinary SOAP message")
    return fault


def _only_child(parent: Element | None, name: str) -> Element | None:
    if parent is None:
        return None
    found = list(children(parent, name))
    if len(found) > 1:
        raise InvalidMessage("a SOAP envelope with several bodies or faults")
    return found[0] if found else None


def _read_fault(fault: Element) -> PeerFault:
    code = (find_child_text(fault, "faultcode") or "").strip()
    if not code:
        raise InvalidMessage("a SOAP fault without a code")
    message = find_child_text(fault, "faultstring") or ""
    detail = _only_child(fault, "detail")
    return PeerFault(code, message, "" if detail is None else _detail_text(detail))


def _detail_text(detail: Element) -> str:
    """The text of the first entry of a detail, or the detail's own."""
    entry = next(children(detail), detail)
    return "".join(entry.itertext("*")).strip()
