"""TLS contexts from keys and certificates in memory, which may change under way.

No context here resumes sessions: a resumed TLS 1.2 session shows the peer's leaf without the rest
of its chain, and each connection is to be authenticated by what its peer sends. None uses
Python's `sni_callback`, which the fast transport cannot carry.
"""

import _ssl
import ctypes
import os
import secrets
import ssl
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final

from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from sild.runtime.distant_keys import DistantKey, DistantKeyError, use_distant_key

# Group ffdhe2048 of RFC 7919, for the DHE suites of TLS 1.2.
_FFDHE2048: Final = b"""-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""
_SET_SESSION_CACHE_MODE: Final = 44  # SSL_CTRL_SET_SESS_CACHE_MODE; 0 is off


class TlsSetupError(Exception):
    """Keys, certificates or settings do not make a TLS context."""


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """Which versions and TLS 1.2 suites a side offers, suites in OpenSSL's names."""

    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
    ciphers12: str = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """What one side proves itself with: a private key and DER certificates, leaf first."""

    key: CertificateIssuerPrivateKeyTypes | DistantKey
    chain: tuple[bytes, ...]


class AnyCertificate(Enum):
    """Client certificates of any issuer or none: proof of the key, and of nothing else.

    **The caller must authenticate each connection by the certificates that its peer sent.**
    """

    WANTED = ssl.CERT_OPTIONAL
    REQUIRED = ssl.CERT_REQUIRED


@dataclass(frozen=True, slots=True)
class TrustedCertificates:
    """Client certificates that lead to one of these, or are one of these; DER.

    A trusted certificate need not be a root. Validity and purpose are checked, revocation is not.
    """

    trusted: tuple[bytes, ...]
    required: bool = True


Clients = AnyCertificate | TrustedCertificates | None
"""What a server asks of its clients; None: nothing."""


class SwappableContext:
    """Holds the context for new connections; replace it at any time, open ones stay as they are."""

    __slots__ = ("current",)

    def __init__(self, context: ssl.SSLContext) -> None:
        self.current = context


def server_context(policy: TlsPolicy, identity: TlsIdentity, clients: Clients) -> ssl.SSLContext:
    """Make a server's context."""
    context = _context(ssl.PROTOCOL_TLS_SERVER, policy)
    _load_identity(context, identity)
    context.num_tickets = 0
    match clients:
        case TrustedCertificates(trusted=trusted, required=required):
            _load_trusted(context, trusted)
            context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
        case AnyCertificate():
            context.verify_mode = ssl.VerifyMode(clients.value)
            _accept_any_certificate(context)
        case None:
            context.verify_mode = ssl.CERT_NONE
    return context


def unverified_client_context(policy: TlsPolicy, identity: TlsIdentity | None) -> ssl.SSLContext:
    """Make a client's context that ACCEPTS ANY SERVER; with an identity, it is sent when asked for.

    **The caller must authenticate each new connection by the certificates that its peer sent,
    before sending it anything.**
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, policy)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if identity is not None:
        _load_identity(context, identity)
    return context


def client_context(
    policy: TlsPolicy, identity: TlsIdentity | None, trusted: Sequence[bytes] | None
) -> ssl.SSLContext:
    """Make a client's context that verifies the server and its name.

    Servers must lead to one of the trusted DER certificates, or be one; None trusts whom the
    machine trusts.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, policy)
    if identity is not None:
        _load_identity(context, identity)
    if trusted is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        _load_trusted(context, trusted)
    return context


def _context(protocol: int, policy: TlsPolicy) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    try:
        context.minimum_version = policy.minimum
        context.maximum_version = policy.maximum
        context.set_ciphers(policy.ciphers12)
    except (ssl.SSLError, ValueError) as error:
        raise TlsSetupError(f"the TLS policy {policy} cannot be offered: {error}") from error
    context.options |= ssl.OP_NO_TICKET | ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # A connection that ends without TLS's own goodbye may have been cut by anybody.
    context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if protocol == ssl.PROTOCOL_TLS_SERVER:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
        with _readable(_FFDHE2048) as path:
            context.load_dh_params(path)
        _stop_caching_sessions(context)
    return context


def _load_identity(context: ssl.SSLContext, identity: TlsIdentity) -> None:
    chain = "".join(ssl.DER_cert_to_PEM_cert(each) for each in identity.chain).encode("ascii")
    if isinstance(identity.key, DistantKey):
        _load_distant(context, identity.key, chain)
        return
    # The ssl module reads keys from files alone: this one lives in memory, for this call.
    password = secrets.token_hex(32)
    try:
        key = identity.key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.encode("ascii"))
        )
        with _readable(key + chain) as path:
            context.load_cert_chain(path, password=password)
    except (ssl.SSLError, ValueError) as error:
        raise TlsSetupError(f"the key and its certificates cannot be used: {error}") from error


def _load_distant(context: ssl.SSLContext, key: DistantKey, chain: bytes) -> None:
    native = _native_context(context)
    if native is None:
        raise TlsSetupError("this Python's OpenSSL cannot be reached for a key that is elsewhere")
    library, pointer = native
    with _readable(chain) as path:
        if library.SSL_CTX_use_certificate_chain_file(pointer, path.encode()) != 1:
            library.ERR_clear_error()
            raise TlsSetupError("the certificates cannot be read")
    try:
        use_distant_key(pointer, key)
    except DistantKeyError as error:
        raise TlsSetupError(f"the key and its certificates cannot be used: {error}") from error


def _load_trusted(context: ssl.SSLContext, trusted: Sequence[bytes]) -> None:
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if not trusted:
        return
    try:
        context.load_verify_locations(cadata=b"".join(trusted))
    except (ssl.SSLError, ValueError) as error:
        raise TlsSetupError(f"the trusted certificates cannot be read: {error}") from error


@contextmanager
def _readable(content: bytes) -> Iterator[str]:
    """Give a path that reads as this content, never on a disk and gone afterwards."""
    with open(os.memfd_create("tls", os.MFD_CLOEXEC), "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(content)
        file.flush()
        yield f"/proc/self/fd/{file.fileno()}"


# Two things that OpenSSL can and Python's ssl cannot. The context object begins with its pointer
# to OpenSSL's own (as it has since 3.2; the fast transport reads it the same way), and
# `_native_context` looks before it trusts that.


_VerifyCallback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_ACCEPT: Final = _VerifyCallback(lambda _store, _argument: 1)


@cache
def _openssl() -> ctypes.CDLL | None:
    path = getattr(_ssl, "__file__", None)
    if path is None or sys.implementation.name != "cpython":
        return None
    library = ctypes.CDLL(path)
    try:
        library.SSL_CTX_get_options.argtypes = [ctypes.c_void_p]
        library.SSL_CTX_get_options.restype = ctypes.c_uint64
        library.SSL_CTX_ctrl.argtypes = [
            ctypes.c_void_p,
            ctypes.c_int,
            ctypes.c_long,
            ctypes.c_void_p,
        ]
        library.SSL_CTX_ctrl.restype = ctypes.c_long
        chain_file = library.SSL_CTX_use_certificate_chain_file
        chain_file.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
        chain_file.restype = ctypes.c_int
        verify = library.SSL_CTX_set_cert_verify_callback
        verify.argtypes = [ctypes.c_void_p, _VerifyCallback, ctypes.c_void_p]
        verify.restype = None
    except AttributeError:  # linked into the interpreter, its names not exported
        return None
    return library


def _native_context(context: ssl.SSLContext) -> tuple[ctypes.CDLL, int] | None:
    library = _openssl()
    if library is None:
        return None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if pointer is None or library.SSL_CTX_get_options(pointer) != int(context.options):
        return None
    return library, pointer


def _accept_any_certificate(context: ssl.SSLContext) -> None:
    native = _native_context(context)
    if native is None:
        raise TlsSetupError(
            "this Python cannot accept client certificates of any issuer; name the trusted ones"
        )
    library, pointer = native
    library.SSL_CTX_set_cert_verify_callback(pointer, _ACCEPT, None)


def _stop_caching_sessions(context: ssl.SSLContext) -> None:
    # Without this a client may resume by session id for some minutes: the same peer, with the
    # certificates that it showed this very context, which is why it may be left undone.
    if (native := _native_context(context)) is not None:
        library, pointer = native
        library.SSL_CTX_ctrl(pointer, _SET_SESSION_CACHE_MODE, 0, None)
