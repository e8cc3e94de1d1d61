"""Where tests look for ports, so that those who test at once on one machine do not meet.

A port that was found free is not held: between finding and listening another could take it, and
while a server is killed another could find it. So each process looks in a range that is its own
for as long as it lives, and goes on from where it looked before.
"""

import functools
import itertools
import socket

from sild.devnet.ports import free_ports

# Below what outgoing connections take by themselves.
_RANGES = range(18_000, 32_000, 1_000)
_STEP = 20


def base_port() -> int:
    """Where to look for ports next."""
    return next(_bases())


@functools.cache
def _bases():
    _, first = _own_range()
    return itertools.cycle(range(first, first + _RANGES.step, _STEP))


@functools.cache
def _own_range():
    # A name in the kernel's memory goes with the process that holds it.
    for first in _RANGES:
        held = socket.socket(socket.AF_UNIX)
        try:
            held.bind(f"\0sild-tests-{first}")
        except OSError:
            held.close()
        else:
            return held, first
    message = f"more than {len(_RANGES)} processes run tests on this machine"
    raise RuntimeError(message)


def free_port(host: str = "127.0.0.1") -> int:
    """A port of this machine that nobody has."""
    (port,) = free_ports(base_port(), (host,), 1)
    return port
