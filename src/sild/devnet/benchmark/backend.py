"""The service behind both contestants: takes any body, answers so many bytes, costs little.

Run as a process of its own: `python -m sild.devnet.benchmark.backend HOST`; it prints its port and
ends when its input does.
"""

import sys

from sild.devnet.benchmark.figures import Body
from sild.devnet.benchmark.letters import answer_to, soap_path
from sild.devnet.benchmark.pipes import read_lines
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Request, Response, serve
from sild.runtime.loop import run

_LARGEST = 64 * 1024 * 1024
_HEADERS = [(b"Content-Type", b"application/octet-stream")]
_FILLING = bytes(range(256)) * 4


_SOAP = {soap_path(kind).encode(): kind for kind in (Body.SOAP, Body.SOAP_PACKAGE)}


def body_of(size: int) -> bytes:
    """So many bytes."""
    return (_FILLING * (size // len(_FILLING) + 1))[:size]


class Backend:
    """Answers `/SIZE` with so many bytes, made once, and SOAP messages by their paths."""

    def __init__(self) -> None:
        self._bodies: dict[bytes, bytes] = {}

    async def handle(self, request: Request) -> Response:
        """Read the body, then answer."""
        kind = _SOAP.get(request.target)
        if kind is not None:
            asked = await request.body.read_all(_LARGEST)
            content_type, told = answer_to(kind, asked)
            return Response(200, b"OK", [(b"Content-Type", content_type)], told)
        if request.body.complete is None:
            async for _ in request.body:
                pass
        name = request.target.rpartition(b"/")[2]
        body = self._bodies.get(name)
        if body is None:
            if not name.isdigit() or int(name) > _LARGEST:
                return Response(404, b"Not Found")
            body = self._bodies[name] = body_of(int(name))
        return Response(200, b"OK", _HEADERS, body)


async def _main(host: str) -> None:
    endpoint = Endpoint(host, 0)
    server = await serve(Backend().handle, endpoint, Limits(), SystemClock())
    print(server.port, flush=True)
    async for _ in read_lines():
        pass
    await server.close(1)


if __name__ == "__main__":
    run(_main(sys.argv[1]))
