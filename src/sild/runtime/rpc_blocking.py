"""A call to another process from where nothing can be awaited: it blocks, and not for long."""

import socket
from pathlib import Path
from typing import Any

from sild.runtime.packing import PackingError
from sild.runtime.rpc_contract import (
    CALL,
    DEFAULTS,
    ENVELOPE,
    FAILURES,
    LENGTH,
    RESULT,
    Method,
    RpcError,
    RpcOptions,
    RpcTimeout,
    RpcUnavailable,
    check_path,
)


def call_blocking(
    path: Path, method: Method, arguments: tuple[Any, ...], options: RpcOptions = DEFAULTS
) -> Any:
    """Call a method of the process behind this path, over a connection of its own.

    `options.timeout` holds for each of connecting, sending and waiting. Raises as calls of
    `connect_rpc` do.
    """
    check_path(path)
    body = method.head + b"\0" + method.arguments.encode(arguments)
    frame = CALL.pack(8 + len(body), 1) + body
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(options.timeout)
            connection.connect(str(path))
            connection.sendall(frame)
            size = int.from_bytes(_read(connection, LENGTH), "big")
            if not ENVELOPE <= size <= options.largest_frame:
                raise RpcError("wrong_answer", f"a frame of {size} bytes came")
            answer = _read(connection, size)
    except TimeoutError as error:
        raise RpcTimeout(f"{path} did not answer {method.name} in time") from error
    except OSError as error:
        raise RpcUnavailable(f"nobody serves {path}: {error}") from error
    return _result(method, answer, options)


def _result(method: Method, answer: bytes, options: RpcOptions) -> Any:
    try:
        if answer[8] == RESULT:
            return method.result.decode(answer[ENVELOPE:])
        kind, message = FAILURES.decode(answer[ENVELOPE:])
    except PackingError as error:
        raise RpcError("wrong_answer", f"the answer of {method.name}: {error}") from error
    registered = options.errors.get(kind)
    raise RpcError(kind, message) if registered is None else registered(message)


def _read(connection: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise ConnectionResetError("it went away before it answered")
        content += piece
    return content
