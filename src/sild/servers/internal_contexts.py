"""What a worker makes of the internal TLS key and certificate, anew when there are others."""

import ssl
from collections.abc import Collection
from pathlib import Path

from sild.runtime.tls import (
    AnyCertificate,
    SwappableContext,
    TlsIdentity,
    TlsPolicy,
    client_context,
    server_context,
    unverified_client_context,
)
from sild.servers.internal_tls import read_internal_tls

Trusted = tuple[bytes, ...]
"""The certificates that a provider has registered for its services, in DER."""


class InternalContexts:
    """Contexts for connections from information systems, and for those to services.

    `read` replaces them all; connections that are open stay as they are.
    """

    def __init__(self, path: Path, policy: TlsPolicy) -> None:
        self._path = path
        self._policy = policy
        self._trusting: dict[Trusted, ssl.SSLContext] = {}
        self._identity = read_internal_tls(path)
        self.listening = SwappableContext(self._make_listening(self._identity))
        self._unverified = unverified_client_context(policy, self._identity)

    def read(self) -> None:
        """Take over what there is now; raises TlsSetupError, and keeps what there was."""
        identity = read_internal_tls(self._path)
        listening = self._make_listening(identity)
        unverified = unverified_client_context(self._policy, identity)
        self._identity, self.listening.current = identity, listening
        self._unverified = unverified
        self._trusting.clear()

    def certificate(self) -> bytes:
        """The server's own internal certificate, in DER."""
        return self._identity.chain[0]

    def unverified(self) -> ssl.SSLContext:
        """For services whose certificates nobody looks at."""
        return self._unverified

    def trusting(self, trusted: Trusted) -> ssl.SSLContext:
        """For services that must show one of these, or what one of these has issued."""
        context = self._trusting.get(trusted)
        if context is None:
            context = client_context(self._policy, self._identity, trusted)
            self._trusting[trusted] = context
        return context

    def forget_all_but(self, used: Collection[Trusted]) -> None:
        """Let go of what was made for certificates that are used no more."""
        for each in self._trusting.keys() - set(used):
            del self._trusting[each]

    def _make_listening(self, identity: TlsIdentity) -> ssl.SSLContext:
        return server_context(self._policy, identity, AnyCertificate.WANTED)
