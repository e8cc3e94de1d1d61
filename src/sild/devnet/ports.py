"""Ports that are free on several addresses at once."""

from collections.abc import Sequence
from contextlib import ExitStack

from sild.devnet.errors import DevnetError
from sild.devnet.serving import listen

_SEARCHED = 2000
_LAST_PORT = 65535


def free_ports(base_port: int, addresses: Sequence[str], count: int) -> tuple[int, ...]:
    """That many ports at or above the base which nobody listens to on any of the addresses.

    A base below 32768 keeps clear of the ports that outgoing connections take by themselves.
    Raises DevnetError where too few are free.
    """
    for address in addresses:
        # An address that this machine has not got would look like one without free ports.
        listen(address, 0).close()
    found: list[int] = []
    for port in range(base_port, min(base_port + _SEARCHED, _LAST_PORT + 1)):
        if len(found) == count:
            break
        if _is_free(port, addresses):
            found.append(port)
    if len(found) < count:
        raise DevnetError(
            f"only {len(found)} of {count} ports from {base_port} on are free on"
            f" {', '.join(addresses)}"
        )
    return tuple(found)


def _is_free(port: int, addresses: Sequence[str]) -> bool:
    with ExitStack() as held:
        try:
            for address in addresses:
                held.enter_context(listen(address, port))
        except DevnetError:
            return False
    return True
