"""The contract of a service between two processes, and the frames that carry its calls.

A frame is its length (4 bytes), the call's number (8), and then

    of a call:    method and request id, each with its length (1 byte), and the packed arguments;
    of an answer: a status (1 byte), and the packed result or the packed (kind, message).
"""

import asyncio
import inspect
import logging
import os
import socket
import struct
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from sild.runtime.packing import Packer, PackingError

_LOG = logging.getLogger(__name__)

CALL = struct.Struct(">IQ")
ANSWER = struct.Struct(">IQB")
LENGTH = 4
ENVELOPE = 9
RESULT, FAILURE = 0, 1
FAILURES: Packer[tuple[str, str]] = Packer(tuple[str, str])
# What sun_path holds, less its closing zero.
_LONGEST_PATH = 107


class RpcError(Exception):
    """A call failed on the other side, and no class was registered for its kind."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class RpcUnavailable(RpcError):
    """The other side is not there, or went away before it answered: the outcome is not known."""

    def __init__(self, message: str) -> None:
        super().__init__("unavailable", message)


class RpcTimeout(RpcError):
    """No answer came in time: the outcome is not known."""

    def __init__(self, message: str) -> None:
        super().__init__("timeout", message)


class RpcContractError(Exception):
    """An interface cannot be served, or an implementation does not keep to it."""


@dataclass(frozen=True, slots=True)
class RpcOptions:
    """What both sides of a service agree on beside its interface.

    `errors` names the exceptions that pass to the caller: raised by a handler, each (or its
    nearest registered parent) is raised again in the caller from its message alone. Other
    exceptions become "internal" and a log id. Time-outs are in seconds, sizes in bytes; `users`
    are the user ids allowed on the other end beside our own and root.
    """

    errors: Mapping[str, type[Exception]] = field(default_factory=dict)
    timeout: float = 10.0
    timeouts: Mapping[str, float] = field(default_factory=dict)
    largest_frame: int = 16 * 1024**2
    concurrent_calls: int = 4096
    users: frozenset[int] = frozenset()

    def allows(self, user: int) -> bool:
        """Say whether this user may be on the other end."""
        return user in {os.geteuid(), 0} or user in self.users


DEFAULTS = RpcOptions()


class Method:
    """One method of a contract: how its arguments and result are packed."""

    def __init__(self, interface: type, name: str) -> None:
        function = getattr(interface, name)
        if not inspect.iscoroutinefunction(function):
            raise RpcContractError(f"{interface.__name__}.{name} is not an async method")
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        if any(
            parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
            for parameter in parameters
        ):
            raise RpcContractError(f"{interface.__name__}.{name} takes arguments without names")
        try:
            types = tuple(hints[parameter.name] for parameter in parameters)
            self.arguments: Packer[tuple[Any, ...]] = Packer(tuple[types])  # type: ignore[valid-type]
            self.result: Packer[Any] = Packer(hints["return"])
        except KeyError as error:
            missing = f"{interface.__name__}.{name} has no annotation for {error}"
            raise RpcContractError(missing) from error
        except PackingError as error:
            raise RpcContractError(f"{interface.__name__}.{name}: {error}") from error
        self.name = name
        self.count = len(parameters)
        self.head = bytes([len(name)]) + name.encode()
        self._signature = inspect.Signature(
            [parameter.replace(kind=parameter.POSITIONAL_OR_KEYWORD) for parameter in parameters]
        )

    def bind(self, arguments: tuple[Any, ...], named: dict[str, Any]) -> tuple[Any, ...]:
        """Put a call's arguments in their places, with defaults for those not given."""
        bound = self._signature.bind(*arguments, **named)
        bound.apply_defaults()
        return bound.args


def methods(interface: type) -> dict[str, Method]:
    """Read an interface's contract; raise RpcContractError for one that cannot be served."""
    names = [name for name in dir(interface) if not name.startswith("_")]
    return {name: Method(interface, name) for name in names}


def check_path(path: Path) -> None:
    """Refuse a path that no socket can have."""
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise RpcContractError(f"{path} is longer than a socket's path may be ({_LONGEST_PATH})")


class Frames(asyncio.Protocol):
    """Cuts what comes in into frames, and joins what goes out."""

    def __init__(self, options: RpcOptions) -> None:
        self._loop = asyncio.get_running_loop()
        self._options = options
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._wanted = 0
        self._out: list[bytes] = []
        self._flush_comes = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Know that there is no way out."""
        del exc
        self._transport = None

    def close(self) -> None:
        """Send what waits and close."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        """Handle the frames that are complete, then send what they caused, in one write."""
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted:
                return
            data = bytes(self._buffer)
            self._buffer.clear()
        self._flush_comes = True
        offset, end = 0, len(data)
        while end - offset >= LENGTH:
            size = int.from_bytes(data[offset : offset + LENGTH], "big")
            if not ENVELOPE <= size <= self._options.largest_frame:
                self._break_off(f"a frame of {size} bytes came")
                return
            self._wanted = LENGTH + size
            if end - offset < self._wanted:
                break
            self._frame_received(data[offset + LENGTH : offset + self._wanted])
            offset += self._wanted
        self._buffer += data[offset:]
        self._flush()

    def _frame_received(self, frame: bytes) -> None:
        raise NotImplementedError

    def _send(self, frame: bytes) -> None:
        """Send a lone frame at once; those that follow in this turn of the loop leave together."""
        if self._flush_comes:
            self._out.append(frame)
            return
        self._flush_comes = True
        self._loop.call_soon(self._flush)
        if self._transport is not None:
            self._transport.write(frame)

    def _flush(self) -> None:
        self._flush_comes = False
        if self._out and self._transport is not None:
            self._transport.write(self._out[0] if len(self._out) == 1 else b"".join(self._out))
        self._out.clear()

    def _break_off(self, reason: str) -> None:
        if self._transport is not None:
            _LOG.warning("an RPC connection is broken off: %s", reason)
            self._transport.abort()

    def _peer_user(self) -> int:
        assert self._transport is not None  # noqa: S101 - asked when a connection is made
        peer = self._transport.get_extra_info("socket")
        credentials = struct.Struct("3i")
        found = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, credentials.size)
        _, user, _ = credentials.unpack(found)
        return int(user)
