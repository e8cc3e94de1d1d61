"""TLS contexts by whom a server has to prove itself to."""

import hashlib
import hmac
import ssl

from sild.apiclient.values import Authorities, Pin, Unverified, Verification


class _PinnedContext(ssl.SSLContext):
    """A context that goes by one certificate alone."""

    pin: bytes = b""


class _PinnedConnection(ssl.SSLObject):
    """A connection that breaks off its handshake unless the peer has the pinned certificate."""

    def do_handshake(self) -> None:
        """Shake hands, and look at the certificate before anything is sent."""
        super().do_handshake()
        certificate = self.getpeercert(binary_form=True) or b""
        context = self.context
        pin = context.pin if isinstance(context, _PinnedContext) else b""
        if not hmac.compare_digest(hashlib.sha256(certificate).digest(), pin):
            # With a number before it, as of the library's own, the text is the error's.
            message = "the server has another certificate than the one whose fingerprint is known"
            raise ssl.SSLCertVerificationError(ssl.SSL_ERROR_SSL, message)


def client_context(verification: Verification) -> ssl.SSLContext:
    """Make the context; raises OSError where the authorities' file cannot be read."""
    match verification:
        case Authorities(file=file):
            return ssl.create_default_context(cafile=file)
        case Pin(sha256=sha256):
            context = _PinnedContext(ssl.PROTOCOL_TLS_CLIENT)
            context.pin = sha256
            context.sslobject_class = _PinnedConnection
            return _believing(context)
        case Unverified():
            return _believing(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


def _believing(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
