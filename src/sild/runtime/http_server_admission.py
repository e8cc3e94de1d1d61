"""Who is let in when more connect than can be served: known ones first, and nobody takes all."""

import asyncio
import logging
import resource
import socket
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Protocol

_LOG = logging.getLogger(__name__)

# How often the log tells of refusals.
_TOLD_SECONDS: Final = 10.0
_DROPPED: Final = 65536


@dataclass(frozen=True, slots=True)
class Admission:
    """How newcomers are weighed.

    `is_known` tells addresses that are expected from those that may be anybody's; without it all
    are expected.
    """

    largest_share: float = 0.8
    """The part of all places that one address may have, and so may all unknown ones together."""
    waiting: int = 1000
    waiting_seconds: float = 10.0
    free_files: int = 100
    """With fewer descriptors left, nobody is let in: those who are in need some."""
    is_known: Callable[[str], bool] | None = None


class House(Protocol):
    """What the doorkeeper needs of the server."""

    def admit(self, sock: socket.socket, address: str) -> None:
        """Serve a connection."""

    def make_room(self) -> None:
        """Close a connection that rests, if there is one."""

    @property
    def refusal(self) -> bytes:
        """What a connection that cannot be served is told; nothing if it would not understand."""


@dataclass(eq=False, slots=True)
class _Waiting:
    sock: socket.socket
    address: str
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Line:
    """Those who wait, by address: each address has its turn after the others'."""

    by_address: OrderedDict[str, deque[_Waiting]] = field(default_factory=OrderedDict)
    length: int = 0

    def append(self, waiting: _Waiting) -> None:
        self.by_address.setdefault(waiting.address, deque()).append(waiting)
        self.length += 1

    def remove(self, waiting: _Waiting) -> None:
        queue = self.by_address[waiting.address]
        queue.remove(waiting)
        if not queue:
            del self.by_address[waiting.address]
        self.length -= 1

    def first(self, address: str) -> _Waiting:
        self.by_address.move_to_end(address)
        return self.by_address[address][0]

    def last_of_longest(self) -> _Waiting:
        return max(self.by_address.values(), key=len)[-1]


class Doorkeeper:
    """Counts who is in, lets newcomers in or wait, and refuses those for whom there is no room."""

    def __init__(self, admission: Admission, places: int, house: House) -> None:
        self._admission = admission
        self._places = places
        self._share = max(1, int(places * admission.largest_share))
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._inside: Counter[str] = Counter()
        self._known_of: dict[str, bool] = {}  # of the addresses inside
        self._strangers = 0
        self._lines = {True: _Line(), False: _Line()}
        self._last_file = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - admission.free_files
        self._refused = 0
        self._told = float("-inf")

    def came(self, sock: socket.socket) -> None:
        """Let a newcomer in, let it wait, or refuse it."""
        try:
            address: str = sock.getpeername()[0]
        except OSError:
            sock.close()  # it is gone already
            return
        # The kernel gives the lowest free number: all below are taken.
        if sock.fileno() >= self._last_file:
            self._house.make_room()
            self._refuse(sock, address, "descriptors are short")
            return
        known = self._is_known(address)
        if address not in self._lines[known].by_address and self._may_enter(address, known):
            self._enter(sock, address, known)
        else:
            self._house.make_room()
            self._wait(_Waiting(sock, address), known)

    def left(self, address: str) -> None:
        """Note that a connection of this address ended, and let others in."""
        self._inside[address] -= 1
        known = self._known_of[address]
        self._strangers -= not known
        if not self._inside[address]:
            del self._inside[address], self._known_of[address]
        for line_known in (True, False):
            self._let_in(line_known)

    def close(self) -> None:
        """Let nobody wait any more."""
        for known, line in self._lines.items():
            for queue in tuple(line.by_address.values()):
                for waiting in tuple(queue):
                    self._leave_line(waiting, known)
                    waiting.sock.close()

    def _is_known(self, address: str) -> bool:
        # One who is in stays known: the counts must agree when it leaves.
        if self._known_of.get(address):
            return True
        is_known = self._admission.is_known
        known = is_known is None or is_known(address)
        if known and address in self._known_of:
            self._known_of[address] = True
            self._strangers -= self._inside[address]
        return known

    def _may_enter(self, address: str, known: bool) -> bool:
        return (
            self._inside.total() < self._places
            and self._inside[address] < self._share
            and (known or self._strangers < self._share)
        )

    def _enter(self, sock: socket.socket, address: str, known: bool) -> None:
        known = self._known_of.setdefault(address, known)
        self._inside[address] += 1
        self._strangers += not known
        self._house.admit(sock, address)

    def _let_in(self, known: bool) -> None:
        line = self._lines[known]
        again = True
        while again and line.length:
            again = False
            for address in tuple(line.by_address):
                if self._may_enter(address, known):
                    waiting = line.first(address)
                    self._leave_line(waiting, known)
                    self._enter(waiting.sock, address, known)
                    again = True

    def _wait(self, waiting: _Waiting, known: bool) -> None:
        line, strangers = self._lines[known], self._lines[False]
        if self._lines[True].length + strangers.length >= self._admission.waiting:
            place = not known if strangers.length and known else known
            longest = self._lines[place].by_address and self._lines[place].last_of_longest()
            if not longest or (place == known and longest.address == waiting.address):
                self._refuse(waiting.sock, waiting.address, "too many wait")
                return
            self._leave_line(longest, place)
            self._refuse(longest.sock, longest.address, "too many wait")
        line.append(waiting)
        seconds = self._admission.waiting_seconds
        waiting.timer = self._loop.call_later(seconds, self._give_up, waiting, known)

    def _give_up(self, waiting: _Waiting, known: bool) -> None:
        self._leave_line(waiting, known)
        self._refuse(waiting.sock, waiting.address, "no place became free in time")

    def _leave_line(self, waiting: _Waiting, known: bool) -> None:
        self._lines[known].remove(waiting)
        if waiting.timer is not None:
            waiting.timer.cancel()

    def _refuse(self, sock: socket.socket, address: str, why: str) -> None:
        self._refused += 1
        now = self._loop.time()
        if now >= self._told + _TOLD_SECONDS:
            told = "connections refused since last told: %d, the last from %s: %s"
            _LOG.warning(told, self._refused, address, why)
            self._refused, self._told = 0, now
        with suppress(OSError):
            # What is read does not reset the connection when it is closed.
            sock.recv(_DROPPED)
        with suppress(OSError):
            sock.send(self._house.refusal)
        sock.close()
