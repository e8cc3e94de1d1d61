"""Keys and certificates on a PKCS #11 token, in one session with it."""

from collections.abc import Callable, Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import MGF, Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.attributes import AttributeMapper
from pkcs11.util.ec import encode_named_curve_parameters

from sild.components.signer.devices import MECHANISMS, DeviceSettings
from sild.components.signer.errors import (
    CannotSign,
    KeyNotFound,
    UnsupportedSignAlgorithm,
)
from sild.components.signer.ports import FoundCertificate, FoundKey, MadeKey
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import DigestAlgorithm, KeyFamily, SignatureAlgorithm

_SIZES: Mapping[KeyAlgorithm, int] = {
    KeyAlgorithm.RSA_2048: 2048,
    KeyAlgorithm.RSA_3072: 3072,
    KeyAlgorithm.RSA_4096: 4096,
}
_ALGORITHMS = {size: algorithm for algorithm, size in _SIZES.items()}
_P256 = encode_named_curve_parameters("secp256r1")
_P256_POINT = 65
# A DigestInfo (RFC 8017, 9.2) up to the digest.
_DIGEST_INFO: Mapping[DigestAlgorithm, bytes] = {
    DigestAlgorithm.SHA256: bytes.fromhex("3031300d060960864801650304020105000420"),
    DigestAlgorithm.SHA384: bytes.fromhex("3041300d060960864801650304020205000430"),
    DigestAlgorithm.SHA512: bytes.fromhex("3051300d060960864801650304020305000440"),
}
_PSS: Mapping[DigestAlgorithm, tuple[Mechanism, MGF]] = {
    DigestAlgorithm.SHA256: (Mechanism.SHA256, MGF.SHA256),
    DigestAlgorithm.SHA384: (Mechanism.SHA384, MGF.SHA384),
    DigestAlgorithm.SHA512: (Mechanism.SHA512, MGF.SHA512),
}


def attribute_mapper() -> AttributeMapper:
    """How attributes are packed, lists of mechanisms among them."""
    mapper = AttributeMapper()
    mapper.register_handler(
        Attribute.ALLOWED_MECHANISMS,
        lambda numbers: b"".join(number.to_bytes(8, "little") for number in numbers),
        bytes,
    )
    return mapper


class TokenObjects:
    """What is on a token, as one session sees it; a session is for one thread at a time."""

    def __init__(
        self, session: Any, settings: DeviceSettings, check: Callable[[int], None]
    ) -> None:
        self.session = session
        self._settings = settings
        self._check = check
        self._private: dict[str, Any] = {}

    def keys(self) -> tuple[tuple[FoundKey, ...], frozenset[str]]:
        """The key pairs whose public half can be read, and the ids of those that can sign."""
        signing = frozenset(
            key_id
            for each in self._search({Attribute.CLASS: ObjectClass.PRIVATE_KEY})
            if (key_id := _id_of(each)) is not None
        )
        wanted = {Attribute.CLASS: ObjectClass.PUBLIC_KEY}
        found: dict[str, FoundKey] = {}
        for each in self._search(wanted):
            key = _found_key(each)
            if key is not None:
                found.setdefault(key.id, key)
        return tuple(found.values()), signing & found.keys()

    def certificates(self) -> tuple[FoundCertificate, ...]:
        """The certificates that belong to a key."""
        wanted = {Attribute.CLASS: ObjectClass.CERTIFICATE}
        found = []
        for each in self._search(wanted):
            key_id = _id_of(each)
            if key_id is not None:
                found.append(FoundCertificate(key_id, bytes(each[Attribute.VALUE])))
        return tuple(found)

    def generate(self, key_id: bytes, label: str, algorithm: KeyAlgorithm) -> MadeKey:
        """Make a key pair that stays on the token."""
        settings = self._settings
        label = label or key_id.hex().upper()
        named = {"id": key_id, "label": label, "store": True}
        templates = {
            "public_template": _template(
                {
                    Attribute.ENCRYPT: settings.pub_key_attribute_encrypt,
                    Attribute.VERIFY: settings.pub_key_attribute_verify,
                    Attribute.VERIFY_RECOVER: settings.pub_key_attribute_verify_recover,
                    Attribute.WRAP: settings.pub_key_attribute_wrap,
                    Attribute.TRUSTED: settings.pub_key_attribute_trusted,
                },
                settings.pub_key_attribute_allowed_mechanisms,
            ),
            "private_template": _template(
                {
                    Attribute.SENSITIVE: settings.priv_key_attribute_sensitive,
                    Attribute.DECRYPT: settings.priv_key_attribute_decrypt,
                    Attribute.SIGN: settings.priv_key_attribute_sign,
                    Attribute.SIGN_RECOVER: settings.priv_key_attribute_sign_recover,
                    Attribute.UNWRAP: settings.priv_key_attribute_unwrap,
                    Attribute.EXTRACTABLE: settings.priv_key_attribute_extractable,
                    Attribute.WRAP_WITH_TRUSTED: settings.priv_key_attribute_wrap_with_trusted,
                    # A private key is seen by nobody who has not logged in, and derives nothing.
                    Attribute.PRIVATE: True,
                },
                settings.priv_key_attribute_allowed_mechanisms,
            ),
        }
        # What the templates leave open, python-pkcs11 would decide by what keys could do.
        options: dict[str, Any] = {**named, **templates, "capabilities": 0}
        if algorithm in _SIZES:
            public, _ = self.session.generate_keypair(KeyType.RSA, _SIZES[algorithm], **options)
        else:
            curve = self.session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: _P256}, local=True
            )
            public, _ = curve.generate_keypair(**options)
        found = _found_key(public)
        if found is None:
            raise KeyNotFound("the device does not show the key that it made")
        return MadeKey(found.id, found.public_key)

    def delete_key(self, key_id: str) -> None:
        """Remove both halves of a key, and its certificates."""
        self._private.pop(key_id, None)
        for kind in (ObjectClass.PRIVATE_KEY, ObjectClass.PUBLIC_KEY, ObjectClass.CERTIFICATE):
            for each in self._of(kind, key_id):
                each.destroy()

    def delete_certificate(self, key_id: str, certificate: bytes) -> None:
        """Remove a certificate."""
        for each in self._of(ObjectClass.CERTIFICATE, key_id):
            if each[Attribute.VALUE] == certificate:
                each.destroy()

    def sign(self, key_id: str, digest: bytes, algorithm: SignatureAlgorithm) -> bytes:
        """The signature over a digest: the raw value of RSA, or ECDSA in DER."""
        key = self._private.get(key_id)
        if key is None:
            found = self._of(ObjectClass.PRIVATE_KEY, key_id)
            if not found:
                raise KeyNotFound(f"the device has no key {key_id!r}", key_id)
            key = self._private[key_id] = found[0]
        hashed = algorithm.digest_algorithm
        if hashed not in _DIGEST_INFO:
            raise UnsupportedSignAlgorithm(f"no signatures over {hashed.text} digests are made")
        if len(digest) != hashed.size:
            raise CannotSign(f"{len(digest)} bytes are no {hashed.text} digest")
        match key.key_type, algorithm.family:
            case KeyType.RSA, KeyFamily.RSA:
                value = key.sign(_DIGEST_INFO[hashed] + digest, mechanism=Mechanism.RSA_PKCS)
            case KeyType.RSA, KeyFamily.RSA_PSS:
                parameters = (*_PSS[hashed], hashed.size)
                value = key.sign(
                    digest, mechanism=Mechanism.RSA_PKCS_PSS, mechanism_param=parameters
                )
            case KeyType.EC, KeyFamily.EC:
                value = _ecdsa_der(key.sign(digest, mechanism=Mechanism.ECDSA))
            case _:
                raise UnsupportedSignAlgorithm(f"key {key_id} makes no {algorithm.name} signatures")
        return bytes(value)

    def _of(self, kind: ObjectClass, key_id: str) -> list[Any]:
        return self._search({Attribute.CLASS: kind, Attribute.ID: bytes.fromhex(key_id)})

    def _search(self, wanted: dict[Attribute, Any]) -> list[Any]:
        # A search that cannot begin is ended by python-pkcs11 all the same, and complains.
        self._check(self.session.handle)
        return list(self.session.get_objects(wanted))


def _template(values: Mapping[Attribute, bool | None], mechanisms: tuple[str, ...]) -> Any:
    template: dict[Attribute, Any] = {
        attribute: value for attribute, value in values.items() if value is not None
    }
    if mechanisms:
        template[Attribute.ALLOWED_MECHANISMS] = [MECHANISMS[name] for name in mechanisms]
    return template


def _id_of(found: Any) -> str | None:
    key_id = bytes(found[Attribute.ID])
    return key_id.hex().upper() or None


def _found_key(public: Any) -> FoundKey | None:
    """The key, unless it is of a kind that signs nothing here."""
    key_id = _id_of(public)
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    try:
        if key_id is None:
            return None
        if public.key_type == KeyType.RSA:
            modulus = int.from_bytes(public[Attribute.MODULUS], "big")
            exponent = int.from_bytes(public[Attribute.PUBLIC_EXPONENT], "big")
            key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
            algorithm = _ALGORITHMS[key.key_size]
        elif public.key_type == KeyType.EC and bytes(public[Attribute.EC_PARAMS]) == _P256:
            # An OCTET STRING by the standard; some devices give what is in it.
            point = bytes(public[Attribute.EC_POINT])[-_P256_POINT:]
            key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
            algorithm = KeyAlgorithm.EC_P256
        else:
            return None
    except (ValueError, KeyError):
        return None
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return FoundKey(key_id, str(public[Attribute.LABEL] or ""), algorithm, spki)


def _ecdsa_der(raw: bytes) -> bytes:
    half = len(raw) // 2
    numbers = int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
    return utils.encode_dss_signature(*numbers)
