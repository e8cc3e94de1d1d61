"""Where bytes meet the network: aiofastnet's transports, or plain asyncio's in their place.

The fast engine does not know OpenSSL's callbacks into Python: **a context with `sni_callback`
must never reach it** (the process would crash). `tls.SwappableContext` replaces contexts under
way by other means: a listener asks for the context anew for each connection.
"""

import asyncio
import errno
import logging
import select
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

_LOG = logging.getLogger(__name__)

_SHUTDOWN_SECONDS: Final = 10.0
# Encrypted bytes kept each way per connection: a few whole TLS records. The library's own 264 kB
# would cost half a megabyte per idle connection, and with more than its 256 kB for decrypted bytes
# it forgets what is left of the buffer when reading is paused and resumed.
_RECORD_BUFFER: Final = 4 * (16 * 1024 + 64)
_ACCEPTS_A_TURN: Final = 64
_ACCEPT_PAUSE_SECONDS: Final = 1.0
_OUT_OF_SOMETHING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# A host name may mean a family that this machine has not.
_NO_SUCH_ADDRESS: Final = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})
_DER: Final = 2  # _ssl.ENCODING_DER


class Abortable(Protocol):
    """A protocol that can end its connection at once, if it has one by now."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Have a connection."""

    def abort(self) -> None:
        """End it."""


Made = Callable[[], Abortable]


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end, as far as the connection itself tells; no certificate is verified.

    Certificates are DER; `chain` is all that the peer sent, leaf first, and empty without TLS.
    """

    address: tuple[str, int]
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    tls_version: str | None = None


@dataclass(frozen=True, slots=True)
class Handshake:
    """How to begin TLS; a client asks for the server by name (an IP address is never sent)."""

    context: ssl.SSLContext
    seconds: float
    server_name: str | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """Turns connected sockets into transports, handshake included, and owns them from then on."""

    name: str
    accepting: Callable[..., Awaitable[Any]]
    connecting: Callable[..., Awaitable[Any]]
    tls_options: Mapping[str, Any] = field(default_factory=dict)

    async def accept(self, sock: socket.socket, made: Made, tls: Handshake | None) -> None:
        """Take the server's side of a connection."""
        protocol = made()
        try:
            loop = asyncio.get_running_loop()
            await self.accepting(loop, lambda: protocol, sock, **self._options(tls))
        except BaseException:
            _let_go(protocol, sock)
            raise

    async def connect(self, sock: socket.socket, made: Made, tls: Handshake | None) -> None:
        """Take the client's side of a connection."""
        options = self._options(tls)
        if tls is not None:
            options["server_hostname"] = tls.server_name or sock.getpeername()[0]
        protocol = made()
        try:
            loop = asyncio.get_running_loop()
            await self.connecting(loop, lambda: protocol, sock=sock, **options)
        except BaseException:
            _let_go(protocol, sock)
            raise

    def _options(self, tls: Handshake | None) -> dict[str, Any]:
        if tls is None:
            return {}
        return {
            "ssl": tls.context,
            "ssl_handshake_timeout": tls.seconds,
            "ssl_shutdown_timeout": _SHUTDOWN_SECONDS,
            **self.tls_options,
        }


def _let_go(protocol: Abortable, sock: socket.socket) -> None:
    # Whoever is cancelled when the handshake has just succeeded leaves a transport that watches
    # the descriptor for the peer's goodbye. Closed beneath it, the loop would watch a descriptor
    # that is nobody's, or somebody else's by then, and uvloop ends the process over it.
    protocol.abort()
    sock.close()


def _loop_accept(
    loop: asyncio.AbstractEventLoop, made: Made, sock: socket.socket, **options: Any
) -> Awaitable[Any]:
    return loop.connect_accepted_socket(made, sock, **options)


def _loop_connect(loop: asyncio.AbstractEventLoop, made: Made, **options: Any) -> Awaitable[Any]:
    return loop.create_connection(made, **options)


PLAIN: Final = Engine("plain", _loop_accept, _loop_connect)


def _fastest() -> Engine:
    try:
        import aiofastnet  # noqa: PLC0415 - there is no build for every machine
    except ImportError:
        return PLAIN
    return Engine(
        "fast",
        aiofastnet.connect_accepted_socket,
        aiofastnet.create_connection,
        {"ssl_incoming_bio_size": _RECORD_BUFFER, "ssl_outgoing_bio_size": _RECORD_BUFFER},
    )


FAST: Final = _fastest()


def peer_of(transport: asyncio.BaseTransport) -> Peer:
    """Say who is at the other end of a transport."""
    address = transport.get_extra_info("peername") or ("", 0)
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return Peer(address[:2])
    certificate: bytes | None = tls.getpeercert(True)
    if certificate is None:
        return Peer(address[:2], tls_version=tls.version())
    return Peer(address[:2], certificate, _chain_of(tls) or (certificate,), tls.version())


def _chain_of(tls: Any) -> tuple[bytes, ...]:
    if hasattr(tls, "get_unverified_chain"):
        return tuple(tls.get_unverified_chain() or ())
    # Python 3.11 and 3.12 have the question only on the inner object.
    return tuple(each.public_bytes(_DER) for each in tls._sslobj.get_unverified_chain() or ())  # noqa: SLF001


def ended_by_peer(transport: asyncio.BaseTransport) -> bool:
    """Say, in `eof_received`, whether the peer itself ended the stream.

    TLS has a goodbye of its own; without it, anybody may have cut the connection. The fast engine
    then does not call `eof_received` at all; asyncio's does, so OpenSSL is asked again.
    """
    tls = transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject):
        return True
    try:
        return not tls.read(1)
    except ssl.SSLError:
        return False


def look_again(transport: asyncio.Transport) -> None:
    """Have a connection that has failed read what came before that, and notice its end.

    uvloop looks once at a socket with an error: where the last bytes and a reset come together, the
    bytes are read, and the reset is never heard of.
    """
    sock = transport.get_extra_info("socket")
    if sock is None or transport.is_closing():
        return
    poll = select.poll()
    poll.register(sock.fileno(), select.POLLERR)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        transport.pause_reading()
        transport.resume_reading()


class Listener:
    """Accepts connections on some sockets and hands each to `take`, with its address."""

    def __init__(self, sockets: list[socket.socket], take: Callable[[socket.socket], None]) -> None:
        self._sockets = sockets
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._accepting = False
        self._retry: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port of the first socket."""
        port: int = self._sockets[0].getsockname()[1]
        return port

    def resume(self) -> None:
        """Accept from now on."""
        if not self._accepting and self._sockets:
            self._accepting = True
            self._watch()

    def pause(self) -> None:
        """Leave newcomers in the backlog."""
        self._accepting = False
        self._unwatch()

    def close(self) -> None:
        """Stop for good."""
        self.pause()
        for sock in self._sockets:
            sock.close()
        self._sockets = []

    def _watch(self) -> None:
        self._retry = None
        for sock in self._sockets:
            self._loop.add_reader(sock.fileno(), self._accept_some, sock)

    def _unwatch(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        for sock in self._sockets:
            self._loop.remove_reader(sock.fileno())

    def _accept_some(self, listening: socket.socket) -> None:
        for _ in range(_ACCEPTS_A_TURN):
            if not self._accepting:
                return
            try:
                sock, _address = listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in _OUT_OF_SOMETHING:
                    raise
                _LOG.error("cannot accept connections for a moment: %s", error)
                self._unwatch()
                self._retry = self._loop.call_later(_ACCEPT_PAUSE_SECONDS, self._watch)
                return
            sock.setblocking(False)
            self._take(sock)


async def listening_sockets(
    host: str, port: int, *, reuse_port: bool, backlog: int
) -> list[socket.socket]:
    """Listen on every address of the host name (empty: all), on one port; 0 finds a free one."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    sockets: list[socket.socket] = []
    refused: OSError | None = None
    try:
        for family, _, _, _, address in dict.fromkeys(found):
            same_port = sockets[0].getsockname()[1] if sockets else port
            try:
                sockets.append(_bound(family, (address[0], same_port, *address[2:]), reuse_port))
            except OSError as error:
                if error.errno not in _NO_SUCH_ADDRESS:
                    raise
                refused = error
        if not sockets:
            raise refused or OSError(f"{host} has no address")
        for sock in sockets:
            sock.listen(backlog)
    except BaseException:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _bound(family: int, address: tuple[Any, ...], reuse_port: bool) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # What is accepted inherits it; a small write must not wait for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(address)
    except BaseException:
        sock.close()
        raise
    return sock
