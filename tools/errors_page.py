"""Writes docs/errors.md from the error table: `python tools/errors_page.py docs/errors.md`."""

import sys
from pathlib import Path

from sild.protocol import errors
from sild.protocol.faults import Side, told_of

_HEAD = """\
# Errors, and what to do about them

A code is who tells it, the stages that the error rose through, and the error itself:
`server.serverproxy.service_failed.io_error` was told by the provider's security server, while it
called the service, about a connection that broke. `client` is the sender of a SOAP request that is
itself at fault, `server.clientproxy` the consumer's security server, `server.serverproxy` the
provider's. Stages are `service_failed` (reading the other side's message, or calling a SOAP
service), `signature_verification` and `ssl_authentication_failed`.

SOAP callers get a SOAP fault with HTTP status 200: the code, a message, and in
`detail/faultDetail` an id. REST callers get `{"type", "message", "detail"}` as JSON, or as XML
where their Accept header asks for it, the code in the header `X-Road-Error` too, and HTTP status
400 for `client`, 500 for `server`. The id is that of the exchange, which both security servers
know: their logs say under it who called what, how far it came, and why it went no further. A fault
that a SOAP service itself gives is passed on as it came, and so are the HTTP errors of REST
services.

Older releases of the reference implementation write `Server.ServerProxy.AccessDenied` for
`server.serverproxy.access_denied`. Only the latter is sent; both are understood.

This page is written by `tools/errors_page.py` from `src/sild/protocol/faults.py`.

| code | what happened | told by | what to do next |
|---|---|---|---|
"""


def rows() -> dict[str, str]:
    """The rows of the table by code and class, in the order of the tree."""
    found: dict[str, str] = {}

    def walk(error: type[errors.ProtocolError]) -> None:
        told = told_of(error)
        if error is not errors.PeerFault and error.__module__ == errors.__name__ and told.sides:
            sides = ", ".join(f"`{side.value}`" for side in Side if side in told.sides)
            meaning = (error.__doc__ or "").splitlines()[0]
            found[error.__name__] = f"| `{error.code}` | {meaning} | {sides} | {told.advice} |"
        for each in error.__subclasses__():
            walk(each)

    walk(errors.ProtocolError)
    return found


def page() -> str:
    """The whole page."""
    return _HEAD + "\n".join(rows().values()) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
