"""Operations to exercise a security server with: echo, bodies of any size, slow answers."""

import hashlib
from collections.abc import AsyncIterator, Iterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from sild.devnet.offerings import Operation, Refused, answer
from sild.devnet.serving import BodyTooLarge, read_body
from sild.runtime.clock import Clock

_BLOCK = 64 * 1024
_NUMBER = 8
_FILLING = b"".join(hashlib.sha256(bytes((i >> 8, i & 255))).digest() for i in range(_BLOCK // 32))
_LARGEST_BLOB = 1 << 40
_ECHO_LIMIT = 64 * 1024 * 1024
_SLOWEST_SECONDS = 600.0
_ANY_METHOD = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def exercises(clock: Clock) -> tuple[Operation, ...]:
    """The operations; waiting is done on the clock."""

    async def wait(request: Request) -> Response:
        try:
            seconds = float(request.query_params.get("seconds", "1"))
        except ValueError:
            raise Refused(400, "seconds is no number") from None
        if not 0 <= seconds <= _SLOWEST_SECONDS:
            raise Refused(400, f"seconds must be 0 to {_SLOWEST_SECONDS:.0f}")
        await clock.sleep(seconds)
        return answer({"waited": seconds})

    return (
        Operation(_ANY_METHOD, "/echo", "Tell what arrived, in JSON.", _echo),
        Operation(_ANY_METHOD, "/echo/{rest:path}", "Tell what arrived, in JSON.", _echo),
        Operation(_ANY_METHOD, "/mirror", "Give the body back as it came.", _mirror),
        Operation(("GET",), "/blob/{size:int}", "Give so many bytes.", _blob),
        Operation(("POST", "PUT", "PATCH"), "/sink", "Take any body; tell its size.", _sink),
        Operation(("GET", "POST"), "/slow", "Answer after `seconds`.", wait),
    )


async def _echo(request: Request) -> Response:
    """The body is told in Latin-1: a character a byte."""
    body = await _read(request)
    return answer(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": [
                [name.decode("latin-1"), value.decode("latin-1")]
                for name, value in request.headers.raw
            ],
            "body": body.decode("latin-1"),
        }
    )


async def _mirror(request: Request) -> Response:
    body = await _read(request)
    return Response(body, media_type=request.headers.get("content-type"))


async def _read(request: Request) -> bytes:
    try:
        return await read_body(request, _ECHO_LIMIT)
    except BodyTooLarge as error:
        raise Refused(413, str(error)) from None


def blob(size: int) -> Iterator[bytes]:
    """The bytes of a blob: numbered blocks, so that none can be lost or changed for another."""
    for number in range(-(-size // _BLOCK)):
        block = number.to_bytes(_NUMBER, "big") + _FILLING[_NUMBER:]
        yield block[: size - number * _BLOCK]


async def _stream(size: int) -> AsyncIterator[bytes]:
    for block in blob(size):
        yield block


async def _blob(request: Request) -> Response:
    """With `?chunked` the length is not told in advance."""
    size: int = request.path_params["size"]
    if size > _LARGEST_BLOB:
        raise Refused(400, f"a blob has at most {_LARGEST_BLOB} bytes")
    headers = {} if "chunked" in request.query_params else {"content-length": str(size)}
    return StreamingResponse(_stream(size), headers=headers, media_type="application/octet-stream")


async def _sink(request: Request) -> Response:
    size, digest = 0, hashlib.sha256()
    async for chunk in request.stream():
        size += len(chunk)
        digest.update(chunk)
    return answer({"size": size, "sha256": digest.hexdigest()})
