"""Where errors leave the proxy: as SOAP faults to security servers and callers, as REST errors.

What is not a protocol error becomes `internal_error` with an id that finds it in the log, and no
detail.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from sild.protocol.errors import PeerFault, ProtocolError
from sild.protocol.rest.error import error_header, http_status, write_rest_error
from sild.protocol.soap.envelope import read_envelope
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.http_headers import write_soap_type
from sild.protocol.transport.events import FaultPart
from sild.runtime.http_server import Request, Response

CLIENT_PROXY = "server.clientproxy"
SERVER_PROXY = "server.serverproxy"
_FAULT_TYPE = "text/xml; charset=UTF-8"

_log = logging.getLogger("sild.proxy")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that an information system is to be told."""

    error: Exception
    request: Request
    log_id: str
    note: Callable[[str], None]
    """Receives the fault code."""


def described(error: Exception, side: str, log_id: str) -> tuple[str, str, str]:
    """The fault code, message and detail of an error as this side sends it, once logged."""
    if isinstance(error, PeerFault) and error.blamed is None:
        told = "the other server answered %.200s: %.1000s [%s]"
        _log.warning(told, error.fault, error.message, log_id)
        return error.fault, error.message, error.detail or log_id
    if isinstance(error, ProtocolError):
        code = error.fault_code(side)
        _log.warning("refused, %s: %s [%s]", code, error.message, log_id)
        return code, error.message, log_id
    _log.error("unexpected error [%s]", log_id, exc_info=error)
    message = f"an unexpected error occurred; the log of this security server has it under {log_id}"
    return f"{side}.internal_error", message, log_id


def fault_part(error: Exception, log_id: str) -> FaultPart:
    """An error as the SOAP fault that this server sends to another."""
    code, message, detail = described(error, SERVER_PROXY, log_id)
    return FaultPart(PeerFault(code, message, detail), write_fault(code, message, detail))


def fault_response(error: Exception, log_id: str) -> Response:
    """An error as the whole answer to another security server: HTTP 200, as peers expect."""
    headers = [(b"content-type", _FAULT_TYPE.encode("ascii")), (b"SOAPAction", b"")]
    return Response(200, b"OK", headers, fault_part(error, log_id).raw)


def refuse_by_rest(refusal: Refusal) -> Response:
    """An error as the answer to an information system that speaks REST (PR-REST 4.6)."""
    code, message, detail = described(refusal.error, CLIENT_PROXY, refusal.log_id)
    refusal.note(code)
    accept = refusal.request.header(b"accept")
    accepted = accept.decode("latin-1") if accept else None
    content_type, body = write_rest_error(code, message, detail, accepted)
    headers = [
        (b"Content-Type", content_type.encode("ascii")),
        error_header(code),
    ]
    status = http_status(code)
    reason = b"Internal Server Error" if status == 500 else b"Bad Request"
    return Response(status, reason, headers, body)


def refuse_by_soap(refusal: Refusal) -> Response:
    """An error as the answer to an information system that speaks SOAP: HTTP 200, as peers do.

    A fault of the other side is passed on with the bytes that it came in.
    """
    error = refusal.error
    code, message, detail = described(error, CLIENT_PROXY, refusal.log_id)
    refusal.note(code)
    content_type = _FAULT_TYPE
    if isinstance(error, PeerFault) and error.raw and error.blamed is None:
        fault = error.raw
        content_type = write_soap_type(read_envelope(fault).encoding)
    else:
        fault = write_fault(code, message, detail)
    return Response(200, b"OK", [(b"Content-Type", content_type.encode("ascii"))], fault)
