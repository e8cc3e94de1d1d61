"""SOAP 1.1 faults, read and written."""

from sild.protocol.errors import InvalidMessage, InvalidSoap, InvalidXml, PeerFault
from sild.protocol.safexml import NOT_XML, Element, XmlLimits, children, find_child_text, qualified
from sild.protocol.soap.envelope import SOAP, read_envelope

_FAULT = qualified(SOAP, "Fault")
_LIMITS = XmlLimits(size=1_048_576, depth=200)

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
    return NOT_XML.sub("", text).translate(_ESCAPES)


def write_fault(code: str, message: str, detail: str | None = None) -> bytes:
    """A fault in the form that peers send: the detail names one failure, by its id."""
    shown = (
        ""
        if detail is None
        else f'<detail><faultDetail xmlns="">{escape_text(detail)}</faultDetail></detail>'
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<SOAP-ENV:Envelope xmlns:SOAP-ENV="{SOAP}"><SOAP-ENV:Body><SOAP-ENV:Fault>'
        f"<faultcode>{escape_text(code)}</faultcode>"
        f"<faultstring>{escape_text(message)}</faultstring>"
        f"<faultactor></faultactor>{shown}"
        "</SOAP-ENV:Fault></SOAP-ENV:Body></SOAP-ENV:Envelope>"
    ).encode()


def find_fault(data: bytes) -> PeerFault | None:
    """The fault that a SOAP envelope holds, if it holds one.

    Raises InvalidSoap for what is no envelope in safe XML, InvalidMessage for a fault that names
    no code.
    """
    body = read_envelope(data, _LIMITS).body
    fault = None if body is None else fault_in(body)
    if fault is not None:
        fault.raw = data
    return fault


def fault_in(body: Element) -> PeerFault | None:
    """The fault in the body of a SOAP envelope, if there is one."""
    fault = _only_child(body, _FAULT)
    if fault is None:
        return None
    try:
        return _read_fault(fault)
    except InvalidXml as error:
        raise InvalidSoap(error.message) from None


def read_fault(data: bytes) -> PeerFault:
    """The fault that a SOAP envelope holds; raises InvalidMessage where it holds something else."""
    fault = find_fault(data)
    if fault is None:
        raise InvalidMessage("expected a SOAP fault, but this is an ordinary SOAP message")
    return fault


def _only_child(parent: Element, name: str) -> Element | None:
    found = list(children(parent, name))
    if len(found) > 1:
        raise InvalidSoap("a SOAP body with several faults, or a fault with several details")
    return found[0] if found else None


def _read_fault(fault: Element) -> PeerFault:
    # SOAP 1.1 puts the fields of a fault into no namespace; some write them into that of SOAP.
    code = (find_child_text(fault, "{*}faultcode") or "").strip()
    if not code:
        raise InvalidMessage("a SOAP fault without a code")
    message = find_child_text(fault, "{*}faultstring") or ""
    detail = _only_child(fault, "{*}detail")
    return PeerFault(code, message, "" if detail is None else _detail_text(detail))


def _detail_text(detail: Element) -> str:
    """The text of the first entry of a detail, or the detail's own."""
    entry = next(children(detail), detail)
    return "".join(entry.itertext("*")).strip()
