"""Where errors leave the proxy: as SOAP faults to security servers and callers, as REST errors.

What is not a protocol error becomes `internal_error` with an id that finds it in the log, and no
detail.
"""

import logging
from dataclasses import dataclass

from sild.components.proxy.steps import Steps
from sild.protocol.errors import PeerFault, ProtocolError
from sild.protocol.faults import Side, http_status, message_of, understood
from sild.protocol.rest.error import error_header, write_rest_error
from sild.protocol.soap.envelope import read_envelope
from sild.protocol.soap.fault import write_fault
from sild.protocol.soap.http_headers import write_soap_type
from sild.protocol.transport.events import FaultPart
from sild.runtime.http_server import Request, Response

_FAULT_TYPE = "text/xml; charset=UTF-8"

_log = logging.getLogger("sild.proxy")


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error that an information system is to be told."""

    error: Exception
    request: Request
    steps: Steps
    log_id: str


def described(error: Exception, side: Side, steps: Steps, log_id: str) -> tuple[str, str, str]:
    """The fault code, message and detail of an error as this side sends it, once logged.

    The message says what happened and what to do next; the detail is an id that finds it in the
    log. A fault of the other side keeps all three, and is logged under its id and ours.
    """
    if isinstance(error, PeerFault) and error.blamed is None:
        code, detail = understood(error.fault), error.detail or log_id
        told = "%s: the other side answered %.200s: %.1000s [%s, theirs %.100s]"
        _log.warning(
            told, steps.story, code, error.message, log_id, detail, extra={"request": log_id}
        )
        return error.fault, error.message, detail
    if isinstance(error, ProtocolError):
        code = error.fault_code(side.value)
        told = "%s: refused, %s: %s [%s]"
        _log.warning(told, steps.story, code, error.message, log_id, extra={"request": log_id})
        return code, message_of(error), log_id
    told = "%s: unexpected error [%s]"
    _log.error(told, steps.story, log_id, exc_info=error, extra={"request": log_id})
    message = (
        "An unexpected error occurred. Tell the administrator of the security server the id of "
        f"this error: its log has it under {log_id}."
    )
    return f"{side.value}.internal_error", message, log_id


def fault_part(error: Exception, steps: Steps, log_id: str) -> FaultPart:
    """An error as the SOAP fault that this server sends to another."""
    code, message, detail = described(error, Side.PROVIDER, steps, log_id)
    return FaultPart(PeerFault(code, message, detail), write_fault(code, message, detail))


def fault_response(error: Exception, steps: Steps, log_id: str) -> Response:
    """An error as the whole answer to another security server: HTTP 200, as peers expect."""
    headers = [(b"content-type", _FAULT_TYPE.encode("ascii")), (b"SOAPAction", b"")]
    return Response(200, b"OK", headers, fault_part(error, steps, log_id).raw)


def refuse_by_rest(refusal: Refusal) -> Response:
    """An error as the answer to an information system that speaks REST (PR-REST 4.6)."""
    code, message, detail = described(refusal.error, Side.CONSUMER, refusal.steps, refusal.log_id)
    refusal.steps.close(code)
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
    code, message, detail = described(error, Side.CONSUMER, refusal.steps, refusal.log_id)
    refusal.steps.close(code)
    content_type = _FAULT_TYPE
    if isinstance(error, PeerFault) and error.raw and error.blamed is None:
        fault = error.raw
        content_type = write_soap_type(read_envelope(fault).encoding)
    else:
        fault = write_fault(code, message, detail)
    return Response(200, b"OK", [(b"Content-Type", content_type.encode("ascii"))], fault)
