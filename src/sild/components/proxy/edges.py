"""Where errors leave the proxy: as SOAP faults to security servers, as REST errors to callers.

What is not a protocol error becomes `internal_error` with an id that finds it in the log, and no
detail.
"""

import logging
from collections.abc import Callable

from sild.protocol.errors import PeerFault, ProtocolError
from sild.protocol.rest.error import error_header, http_status, write_rest_error
from sild.protocol.soap.fault import write_fault
from sild.protocol.transport.events import FaultPart
from sild.runtime.http_server import Response

CLIENT_PROXY = "server.clientproxy"
SERVER_PROXY = "server.serverproxy"

_log = logging.getLogger("sild.proxy")


def described(error: Exception, side: str, log_id: str) -> tuple[str, str, str]:
    """The fault code, message and detail of an error as this side sends it, once logged."""
    if isinstance(error, PeerFault):
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
    headers = [(b"content-type", b"text/xml; charset=UTF-8"), (b"SOAPAction", b"")]
    return Response(200, b"OK", headers, fault_part(error, log_id).raw)


def rest_error_response(
    error: Exception, accept: str | None, log_id: str, note: Callable[[str], None]
) -> Response:
    """An error as the answer to an information system (PR-REST 4.6)."""
    code, message, detail = described(error, CLIENT_PROXY, log_id)
    note(code)
    content_type, body = write_rest_error(code, message, detail, accept)
    headers = [
        (b"Content-Type", content_type.encode("ascii")),
        error_header(code),
    ]
    status = http_status(code)
    reason = b"Internal Server Error" if status == 500 else b"Bad Request"
    return Response(status, reason, headers, body)
