"""Where lines of an audit log go: a private file, and the system's log daemon over UDP."""

import logging
import os
import socket
from pathlib import Path
from typing import Protocol

_LOG = logging.getLogger(__name__)

_PRIVATE = 0o600
# LOCAL0.INFO of RFC 3164: facility 16, severity 6.
_PRIORITY = 16 * 8 + 6
_LARGEST_DATAGRAM = 65_000


class AuditSink(Protocol):
    """Something that keeps lines."""

    def write(self, line: str) -> None:
        """Keep a line; raises OSError."""

    def close(self) -> None:
        """Let go of what it holds."""


class AuditFile:
    """A file that lines are appended to, each in one write; it may be rotated under way."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = self._open()

    def write(self, line: str) -> None:
        """Append a line, to a new file where the old one was moved away."""
        if self._was_moved():
            os.close(self._file)
            self._file = self._open()
        data = f"{line}\n".encode()
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        return os.open(self._path, flags, _PRIVATE)

    def _was_moved(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return True
        here = os.fstat(self._file)
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)


class AuditSyslog:
    """The log daemon at a UDP port, which rsyslog on the same host is by default."""

    def __init__(self, host: str, port: int) -> None:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        self._socket = socket.socket(family, kind)
        self._socket.setblocking(False)
        self._address = address

    def write(self, line: str) -> None:
        """Send a line as one datagram."""
        datagram = f"<{_PRIORITY}>{line}".encode()[:_LARGEST_DATAGRAM]
        self._socket.sendto(datagram, self._address)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class AuditSinks:
    """Several sinks; one that fails keeps no other from its line."""

    def __init__(self, *sinks: AuditSink) -> None:
        self._sinks = sinks

    def write(self, line: str) -> None:
        """Give every sink the line; what a sink refuses is logged, line and all."""
        for sink in self._sinks:
            try:
                sink.write(line)
            except OSError as error:
                _LOG.error("an audit record could not be kept (%s): %s", error, line)

    def close(self) -> None:
        """Close every sink."""
        for sink in self._sinks:
            sink.close()
