"""Private keys that are elsewhere: OpenSSL asks a function of ours for their signatures.

Python's ssl module takes keys from files alone. OpenSSL itself takes them from *providers*, and one
may be built into the program: ours knows public keys, and one operation, which is to sign. It is
made of callbacks (ctypes), lives in a library context of its own, so that nobody else's keys ever
come to it, and is loaded when the first such key is.

The function that signs is called in the thread of the handshake, which waits for it: it must give
up in time, and then that handshake fails and nothing else does.
"""

import _ssl
import ctypes
import itertools
import logging
import ssl
import sys
from collections.abc import Callable, Mapping
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_uint64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, Hash, HashAlgorithm

_LOG = logging.getLogger(__name__)

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_STRONG_RSA: Final = 3072
_NAME: Final = b"distant"
_RSA_NAMES: Final = b"RSA:rsaEncryption:1.2.840.113549.1.1.1"
_EC_NAMES: Final = b"EC:id-ecPublicKey:1.2.840.10045.2.1"
_PSS_PADDING, _PKCS1_PADDING = 6, 1
_PRIVATE: Final = 1
_KEYPAIR: Final = 0x87  # private and public key, and all parameters
# As a text or as a number; None where nothing is said.
_SALTS_OF_DIGEST: Final = frozenset({None, b"digest", (-1).to_bytes(4, sys.byteorder, signed=True)})
_HASHES: Mapping[str, HashAlgorithm] = {
    "SHA256": SHA256(),
    "SHA2-256": SHA256(),
    "SHA384": SHA384(),
    "SHA2-384": SHA384(),
    "SHA512": SHA512(),
    "SHA2-512": SHA512(),
}
_GROUPS: Mapping[str, tuple[bytes, int]] = {
    "secp256r1": (b"prime256v1", 128),
    "secp384r1": (b"secp384r1", 192),
    "secp521r1": (b"secp521r1", 256),
}


class DistantKeyError(Exception):
    """This Python's OpenSSL cannot use a key that is elsewhere, or not this one."""


@dataclass(frozen=True, slots=True)
class ToSign:
    """What a handshake wants signed: the digest, of which kind, and whether by RSA-PSS.

    PSS uses the digest for its mask too, and a salt of its size. `hash_name` is `sha256`, ...
    """

    digest: bytes
    hash_name: str
    pss: bool


@dataclass(frozen=True, slots=True)
class DistantKey:
    """A public key, and what signs with the private one: RSA gives the raw value, EC gives DER."""

    public_key: PublicKey
    sign: Callable[[ToSign], bytes]


def use_distant_key(context: int, key: DistantKey) -> None:
    """Let OpenSSL's context, given by its address, whose certificate is set, use this key.

    Raises DistantKeyError, also where the key is not that of the certificate.
    """
    provider = _provider()
    pointer = provider.key(key)
    try:
        if provider.library.SSL_CTX_use_PrivateKey(context, pointer) != 1:
            provider.library.ERR_clear_error()
            raise DistantKeyError("the certificate belongs to another key")
    finally:
        provider.library.EVP_PKEY_free(pointer)


class _Param(ctypes.Structure):
    """OSSL_PARAM: a named value that is passed in or asked for; an array ends with no name."""

    _fields_: ClassVar = [
        ("key", c_char_p),
        ("data_type", c_uint),
        ("data", c_void_p),
        ("data_size", c_size_t),
        ("return_size", c_size_t),
    ]


class _Dispatch(ctypes.Structure):
    """OSSL_DISPATCH: a function and its number."""

    _fields_: ClassVar = [("number", c_int), ("function", c_void_p)]


class _Algorithm(ctypes.Structure):
    """OSSL_ALGORITHM: names by colons, properties, functions, a description."""

    _fields_: ClassVar = [
        ("names", c_char_p),
        ("properties", c_char_p),
        ("functions", POINTER(_Dispatch)),
        ("description", c_char_p),
    ]


_INTEGER, _UNSIGNED, _TEXT, _OCTETS = 1, 2, 4, 5
_Params = POINTER(_Param)
_Text = POINTER(c_char_p)
_NewKey = ctypes.CFUNCTYPE(c_void_p, c_void_p)
_Free = ctypes.CFUNCTYPE(None, c_void_p)
_Has = ctypes.CFUNCTYPE(c_int, c_void_p, c_int)
_Match = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_Import = ctypes.CFUNCTYPE(c_int, c_void_p, c_int, _Params)
_Types = ctypes.CFUNCTYPE(c_void_p, c_int)
_WithParams = ctypes.CFUNCTYPE(c_int, c_void_p, _Params)
_Gettable = ctypes.CFUNCTYPE(c_void_p, c_void_p)
_Settable = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_void_p)
_Named = ctypes.CFUNCTYPE(c_void_p, c_int)
_NewContext = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_char_p)
_SignInit = ctypes.CFUNCTYPE(c_int, c_void_p, c_char_p, c_void_p, _Params)
_Sign = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(c_size_t), c_size_t, c_void_p, c_size_t)
_Query = ctypes.CFUNCTYPE(c_void_p, c_void_p, c_int, POINTER(c_int))
_Init = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, POINTER(c_void_p), POINTER(c_void_p))
_KEYS, _SIGNATURES = 10, 12


@dataclass(slots=True)
class _Held:
    """What OpenSSL holds a number of: a key, known in full or only as what a certificate says."""

    identity: tuple[object, ...] | None = None
    key: DistantKey | None = None


@dataclass(slots=True)
class _Signing:
    """A signature under way."""

    key: DistantKey | None = None
    hash_name: str = ""
    padding: int = _PKCS1_PADDING


class _Provider:
    """The provider, loaded; its tables live as long as it does, which is as the process."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self._held: dict[int, _Held] = {}
        self._signing: dict[int, _Signing] = {}
        self._numbers = itertools.count(1)
        self._alive: list[object] = []
        # A number that a key is known by until OpenSSL has made its own of it.
        self._waiting: dict[int, DistantKey] = {}
        self._key_gettable = self._described(
            (b"bits", _INTEGER),
            (b"security-bits", _INTEGER),
            (b"max-size", _INTEGER),
            (b"group", _TEXT),
            (b"point-format", _TEXT),
        )
        self._rsa_types = self._described((b"n", _UNSIGNED), (b"e", _UNSIGNED))
        self._ec_types = self._described((b"group", _TEXT), (b"pub", _OCTETS))
        self._settable = self._described(
            (b"pad-mode", _INTEGER), (b"saltlen", _INTEGER), (b"mgf1-digest", _TEXT)
        )
        self._keys = self._algorithms(
            (_RSA_NAMES, self._key_functions(self._rsa_types, b"RSA")),
            (_EC_NAMES, self._key_functions(self._ec_types, b"ECDSA")),
        )
        functions = self._signature_functions()
        self._signatures = self._algorithms((b"RSA", functions), (b"ECDSA", functions))
        self._provider_functions = self._table((1027, _Query(self._query)))
        self._init = _Init(self._initialize)
        self._context = library.OSSL_LIB_CTX_new()
        added = library.OSSL_PROVIDER_add_builtin(self._context, _NAME, self._init)
        if added != 1 or not library.OSSL_PROVIDER_load(self._context, _NAME):
            raise DistantKeyError("OpenSSL did not load the provider of distant keys")
        # OpenSSL calls it until the process has ended, which is after Python has cleaned up.
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self))

    def key(self, key: DistantKey) -> int:
        """OpenSSL's own key that stands for it; to be freed."""
        library = self.library
        name = b"RSA" if isinstance(key.public_key, rsa.RSAPublicKey) else b"EC"
        number = next(self._numbers)
        self._waiting[number] = key
        value = c_uint64(number)
        params = (_Param * 2)(_param(b"distant", _UNSIGNED, ctypes.addressof(value), 8))
        made = c_void_p()
        context = library.EVP_PKEY_CTX_new_from_name(self._context, name, None)
        try:
            if (
                not context
                or library.EVP_PKEY_fromdata_init(context) != 1
                or library.EVP_PKEY_fromdata(context, ctypes.byref(made), _KEYPAIR, params) != 1
                or made.value is None
            ):
                library.ERR_clear_error()
                raise DistantKeyError("OpenSSL did not take a distant key")
            return made.value
        finally:
            del self._waiting[number]
            library.EVP_PKEY_CTX_free(context)

    # Keys

    # The numbers of OpenSSL's functions are those of core_dispatch.h.

    def _key_functions(self, types: int, operation: bytes) -> Any:
        name = c_char_p(operation)
        self._alive.append(name)
        address = ctypes.cast(name, c_void_p).value
        return self._table(
            (1, _NewKey(self._new_key)),
            (10, _Free(self._free_key)),
            (11, _WithParams(self._tell_key)),
            (12, _Gettable(lambda _provider: self._key_gettable)),
            (20, _Named(lambda _operation: address)),
            (21, _Has(self._has)),
            (23, _Match(self._match)),
            (40, _Import(self._import)),
            (41, _Types(lambda selection: None if selection & _PRIVATE else types)),
        )

    def _new_key(self, _provider: int | None) -> int:
        number = next(self._numbers)
        self._held[number] = _Held()
        return number

    def _free_key(self, number: int) -> None:
        self._held.pop(number, None)

    def _has(self, number: int, selection: int) -> int:
        held = self._held.get(number)
        return int(held is not None and (held.key is not None or not selection & _PRIVATE))

    def _match(self, one: int, other: int, _selection: int) -> int:
        identity = self._held[one].identity
        return int(identity is not None and identity == self._held[other].identity)

    def _import(self, number: int, _selection: int, params: Any) -> int:
        held, given = self._held[number], _read_params(params)
        if "distant" in given:
            held.key = self._waiting[_unsigned(given["distant"])]
            held.identity = _identity(held.key.public_key)
        elif "n" in given:
            held.identity = ("RSA", _unsigned(given["n"]), _unsigned(given["e"]))
        elif "pub" in given:
            held.identity = _point(given["group"].decode(), given["pub"])
        return int(held.identity is not None)

    def _tell_key(self, number: int, params: Any) -> int:
        held = self._held[number]
        if held.key is None:
            return 0
        public_key = held.key.public_key
        if isinstance(public_key, rsa.RSAPublicKey):
            security = 112 if public_key.key_size < _STRONG_RSA else 128
            said: dict[str, int | bytes] = {"security-bits": security}
        else:
            group, security = _GROUPS[public_key.curve.name]
            said = {"security-bits": security, "group": group, "point-format": b"uncompressed"}
        _answer(params, {**said, "bits": public_key.key_size, "max-size": _longest(public_key)})
        return 1

    # Signatures

    def _signature_functions(self) -> Any:
        return self._table(
            (1, _NewContext(self._new_signing)),
            (8, _SignInit(self._begin)),
            (11, _Sign(self._sign)),
            (16, _Free(self._free_signing)),
            (20, _WithParams(self._set)),
            (21, _Settable(lambda _signing, _provider: self._settable)),
        )

    def _new_signing(self, _provider: int | None, _properties: bytes | None) -> int:
        number = next(self._numbers)
        self._signing[number] = _Signing()
        return number

    def _free_signing(self, number: int) -> None:
        self._signing.pop(number, None)

    def _begin(self, number: int, hash_name: bytes | None, key: int, params: Any) -> int:
        signing = self._signing[number]
        signing.hash_name = (hash_name or b"").decode()
        signing.key = self._held[key].key
        if signing.hash_name not in _HASHES or signing.key is None:
            return 0
        return self._set(number, params)

    def _set(self, number: int, params: Any) -> int:
        signing, given = self._signing[number], _read_params(params)
        if "pad-mode" in given:
            signing.padding = _signed(given["pad-mode"])
        known = signing.padding in {_PKCS1_PADDING, _PSS_PADDING}
        return int(known and given.get("saltlen") in _SALTS_OF_DIGEST)

    def _sign(
        self, number: int, out: int | None, size: Any, room: int, data: int, length: int
    ) -> int:
        signing = self._signing[number]
        key = signing.key
        if key is None:
            return 0
        if out is None:
            size[0] = _longest(key.public_key)
            return 1
        value = _signature(key, signing, ctypes.string_at(data, length))
        if not value or len(value) > room:
            return 0
        ctypes.memmove(out, value, len(value))
        size[0] = len(value)
        return 1

    # Tables

    def _initialize(self, _handle: int, _core: int, out: Any, provider: Any) -> int:
        out[0] = ctypes.cast(self._provider_functions, c_void_p)
        provider[0] = c_void_p(1)
        return 1

    def _query(self, _provider: int, operation: int, no_cache: Any) -> int | None:
        no_cache[0] = 0
        table = {_KEYS: self._keys, _SIGNATURES: self._signatures}.get(operation)
        return ctypes.cast(table, c_void_p).value if table is not None else None

    def _table(self, *functions: tuple[int, Any]) -> Any:
        table = (_Dispatch * (len(functions) + 1))(
            *(_Dispatch(number, ctypes.cast(each, c_void_p)) for number, each in functions)
        )
        self._alive += [table, *(each for _, each in functions)]
        return table

    def _algorithms(self, *algorithms: tuple[bytes, Any]) -> Any:
        table = (_Algorithm * (len(algorithms) + 1))(
            *(
                _Algorithm(names, b"provider=distant", ctypes.cast(each, POINTER(_Dispatch)), names)
                for names, each in algorithms
            )
        )
        self._alive.append(table)
        return table

    def _described(self, *names: tuple[bytes, int]) -> int:
        table = (_Param * (len(names) + 1))(*(_param(name, kind, None, 0) for name, kind in names))
        self._alive.append(table)
        address = ctypes.cast(table, c_void_p).value
        assert address is not None  # noqa: S101 - an array has an address
        return address


def _signature(key: DistantKey, signing: _Signing, data: bytes) -> bytes:
    hashed = _HASHES[signing.hash_name]
    digest = Hash(hashed)
    digest.update(data)
    try:
        pss = signing.padding == _PSS_PADDING
        return key.sign(ToSign(digest.finalize(), hashed.name, pss))
    except Exception as error:  # noqa: BLE001 - the handshake fails, whatever it was
        _LOG.warning("a TLS handshake fails, its key did not sign: %s", error)
        return b""


@cache
def _provider() -> _Provider:
    path = getattr(_ssl, "__file__", None)
    if path is None or ssl.OPENSSL_VERSION_INFO < (3, 0):
        raise DistantKeyError("keys that are elsewhere need a Python with OpenSSL 3 as a library")
    library = ctypes.CDLL(path)
    try:
        _declare(library)
    except AttributeError as error:  # linked into the interpreter, its names not exported
        raise DistantKeyError(f"this Python's OpenSSL cannot be reached: {error}") from error
    return _Provider(library)


def _declare(library: ctypes.CDLL) -> None:
    pointer = c_void_p
    for name, result, arguments in (
        ("OSSL_LIB_CTX_new", pointer, []),
        ("OSSL_PROVIDER_add_builtin", c_int, [pointer, c_char_p, _Init]),
        ("OSSL_PROVIDER_load", pointer, [pointer, c_char_p]),
        ("EVP_PKEY_CTX_new_from_name", pointer, [pointer, c_char_p, c_char_p]),
        ("EVP_PKEY_CTX_free", None, [pointer]),
        ("EVP_PKEY_fromdata_init", c_int, [pointer]),
        ("EVP_PKEY_fromdata", c_int, [pointer, pointer, c_int, _Params]),
        ("EVP_PKEY_free", None, [pointer]),
        ("SSL_CTX_use_PrivateKey", c_int, [pointer, pointer]),
        ("ERR_clear_error", None, []),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments


def _param(name: bytes, kind: int, address: int | None, size: int) -> _Param:
    return _Param(name, kind, address, size, ctypes.c_size_t(-1).value)


def _read_params(params: Any) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    index = 0
    while params and params[index].key is not None:
        each = params[index]
        found[each.key.decode()] = ctypes.string_at(each.data, each.data_size) if each.data else b""
        index += 1
    return found


def _answer(params: Any, said: Mapping[str, int | bytes]) -> None:
    index = 0
    while params and params[index].key is not None:
        each = params[index]
        value = said.get(each.key.decode())
        if isinstance(value, int):
            value = value.to_bytes(each.data_size or 4, sys.byteorder)
        elif value is not None and each.data and each.data_size < len(value):
            value = None
        if value is not None:
            if each.data:
                ctypes.memmove(each.data, value, len(value))
                if each.data_type == _TEXT and each.data_size > len(value):
                    ctypes.memset(each.data + len(value), 0, 1)
            each.return_size = len(value)
        index += 1


def _unsigned(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder)


def _signed(value: bytes) -> int:
    return int.from_bytes(value, sys.byteorder, signed=True)


def _identity(public_key: PublicKey) -> tuple[object, ...]:
    if isinstance(public_key, rsa.RSAPublicKey):
        numbers = public_key.public_numbers()
        return ("RSA", numbers.n, numbers.e)
    point = public_key.public_numbers()
    width = (public_key.key_size + 7) // 8
    try:
        group = _GROUPS[public_key.curve.name][0].decode()
    except KeyError:
        raise DistantKeyError(f"keys on {public_key.curve.name} are not used for TLS") from None
    return ("EC", group, point.x.to_bytes(width, "big"), point.y & 1)


def _point(group: str, point: bytes) -> tuple[object, ...]:
    if point[:1] == b"\4":
        width = len(point) // 2
        return ("EC", group, point[1 : 1 + width], point[-1] & 1)
    return ("EC", group, point[1:], point[0] & 1) if point else ()


def _longest(public_key: PublicKey) -> int:
    """The size of the longest signature."""
    width = (public_key.key_size + 7) // 8
    # An ECDSA signature is a sequence of two numbers, each perhaps with a zero before it.
    return width if isinstance(public_key, rsa.RSAPublicKey) else 9 + 2 * (width + 1)
