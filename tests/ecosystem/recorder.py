"""An information system that remembers what it was asked, over real HTTP, and answers as told."""

from dataclasses import dataclass, field

from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Endpoint, Limits, Request, Response, serve
from sild.runtime.http_wire import Headers

DATE = b"Thu, 01 Jan 2026 00:00:00 GMT"
"""The same question gets the same answer."""

_LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Asked:
    """One request as it arrived."""

    method: bytes
    target: bytes
    headers: Headers = field(hash=False)
    body: bytes

    def values(self, name):
        """The values of a header, whatever its case."""
        return [value for field, value in self.headers if field.lower() == name.lower()]


class Recorder:
    """Answers 200 with a small JSON, unless an answer was prepared for the path."""

    def __init__(self):
        self.asked = []
        self._answers = {}

    async def start(self, host, port=0):
        limits = Limits(connections=500)
        self._server = await serve(self.handle, Endpoint(host, port), limits, SystemClock())
        self.url = f"http://{host}:{self._server.port}"
        return self

    async def close(self):
        await self._server.close(0)

    def prepare(self, path, answer):
        """Answer a path with a Response, or with what a coroutine function makes of the Asked."""
        self._answers[path.encode()] = answer

    async def handle(self, request: Request) -> Response:
        body = await request.body.read_all(_LARGEST)
        asked = Asked(request.method, request.target, request.headers, body)
        self.asked.append(asked)
        answer = self._answers.get(request.target.partition(b"?")[0])
        if answer is None:
            headers = [(b"Content-Type", b"application/json"), (b"Date", DATE)]
            return Response(200, b"OK", headers, b'{"size": %d}' % len(body))
        return answer if isinstance(answer, Response) else await answer(asked)

    def since(self, count):
        """What was asked after so many requests."""
        return self.asked[count:]
