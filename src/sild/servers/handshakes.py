"""TLS handshakes with a key in a device: the signer signs them, and the worker waits."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from sild.components.signer.rpc import OPTIONS, SignerForWorkers
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import Clock
from sild.runtime.distant_keys import PublicKey, ToSign
from sild.runtime.rpc import RpcError
from sild.runtime.rpc_blocking import call_blocking
from sild.runtime.rpc_contract import Method

_LOG = logging.getLogger(__name__)

# While a handshake waits for its signature the worker does nothing else: a device that is slow
# once is not asked for a while, so that all other messages go on.
_LONGEST_WAIT = 2.0
_PAUSE = 10.0
_OPTIONS = replace(OPTIONS, timeout=_LONGEST_WAIT, timeouts={})
_FAMILIES = {True: "PSS", False: "RSA"}


class DeviceSlow(Exception):
    """The device was too slow a moment ago, and is not asked now."""


class SignerForHandshakes:
    """Signs handshakes with the keys of authentication certificates that are in devices."""

    def __init__(self, socket: Path, clock: Clock) -> None:
        self._socket = socket
        self._clock = clock
        self._method = Method(SignerForWorkers, "sign_handshake")
        self._paused_until = 0.0

    def signer_of(self, sha256: str, key: PublicKey) -> Callable[[ToSign], bytes]:
        """What signs with the key of this certificate; it blocks."""
        ec = hasattr(key, "curve")

        def sign(wanted: ToSign) -> bytes:
            family = "ECDSA" if ec else _FAMILIES[wanted.pss]
            algorithm = SignatureAlgorithm[f"{family}_{wanted.hash_name.upper()}"]
            return self._ask(sha256, wanted.digest, algorithm)

        return sign

    def _ask(self, sha256: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        started = self._clock.monotonic()
        if started < self._paused_until:
            raise DeviceSlow("the device was too slow a moment ago, it is not asked now")
        try:
            arguments = (sha256, digest, algorithm.uri)
            signature: bytes = call_blocking(self._socket, self._method, arguments, _OPTIONS)
        except RpcError as error:
            if self._clock.monotonic() - started >= _LONGEST_WAIT / 2:
                self._paused_until = self._clock.monotonic() + _PAUSE
                _LOG.error("no handshakes for %g seconds: %s", _PAUSE, error)
            raise
        return signature
