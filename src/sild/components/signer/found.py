"""What was found on devices, brought into what is known of keys: pure, one state to the next."""

from collections.abc import Mapping
from dataclasses import replace

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sild.components.signer.ports import DeviceState, FoundCertificate, FoundKey
from sild.components.signer.store import KeyConf, SavedToken
from sild.model.tokens import SOFT_TOKEN_ID, CertificateEntry, CertificateStatus, Key
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate, read_certificate


def with_found(conf: KeyConf, states: Mapping[str, DeviceState]) -> KeyConf:
    """All that is known, once devices have been looked at; `states` are theirs, by token id.

    Nothing is forgotten that an administrator made or saved. Keys and certificates that were only
    found go when they are found no more, and tokens without a key of ours when they are gone.
    """
    for token_id, state in states.items():
        conf = _with_token(conf, token_id, state)
        if state.keys is not None:
            conf = _with_keys(conf, token_id, state, state.keys)
    present = {token_id for token_id, state in states.items() if state.available}
    for token_id in {token.id for token in conf.tokens} - present:
        if not any(_is_ours(key) for key in conf.keys if key.token_id == token_id):
            conf = conf.without_token(token_id)
    return conf


def left_on_device(key: Key, state: DeviceState) -> tuple[CertificateEntry, ...]:
    """The entries of a key whose certificates the device holds, as if only found there."""
    held = {found.certificate for found in state.certificates if found.key_id == key.id}
    return tuple(
        CertificateEntry(
            entry.sha256, entry.certificate, CertificateStatus.SAVED, False, saved=False
        )
        for entry in key.certificates
        if entry.certificate in held
    )


def _with_token(conf: KeyConf, token_id: str, state: DeviceState) -> KeyConf:
    for token in conf.tokens:
        if token.id == token_id:
            fresh = replace(
                token,
                type=state.type,
                serial_number=state.serial_number,
                device_label=state.device_label,
                slot_index=state.slot_index,
            )
            others = (fresh if each is token else each for each in conf.tokens)
            return replace(conf, tokens=tuple(others))
    label = f"{state.type}-{state.device_label or state.slot_index}"
    added = SavedToken(
        token_id, label, state.type, state.serial_number, state.device_label, state.slot_index
    )
    return replace(conf, tokens=(*conf.tokens, added))


def _with_keys(
    conf: KeyConf, token_id: str, state: DeviceState, found: tuple[FoundKey, ...]
) -> KeyConf:
    there = {key.id for key in found}
    for key in conf.keys:
        if key.token_id == token_id and key.id not in there and not _is_ours(key):
            conf = conf.without_key(key.id)
    elsewhere = {key.id for key in conf.keys if key.token_id != token_id}
    for each in found:
        # A copy of a key on another token; the one that is known does.
        if each.id not in elsewhere:
            conf = conf.with_key(_with_certificates(_key(conf, token_id, each), state))
    return conf


def _key(conf: KeyConf, token_id: str, found: FoundKey) -> Key:
    known = next((key for key in conf.keys if key.id == found.id), None)
    if known is not None:
        return replace(known, device_label=found.label)
    return Key(
        found.id,
        found.label or found.id,
        None,
        found.algorithm,
        found.public_key,
        token_id=token_id,
        device_label=found.label,
    )


def _with_certificates(key: Key, state: DeviceState) -> Key:
    found = tuple(each for each in state.certificates if each.key_id == key.id)
    held = {each.certificate for each in found}
    kept = [entry for entry in key.certificates if entry.saved or entry.certificate in held]
    known = {entry.certificate for entry in kept}
    new = [entry for each in found if each.certificate not in known if (entry := _entry(key, each))]
    return replace(key, certificates=(*kept, *new))


def _entry(key: Key, found: FoundCertificate) -> CertificateEntry | None:
    """The certificate as an entry, unless it is none, or one of another key."""
    try:
        certificate = read_certificate(found.certificate)
    except IncorrectCertificate:
        return None
    if certificate.der != found.certificate or public_key_of(certificate) != key.public_key:
        return None
    sha256 = certificate.sha256.hex()
    return CertificateEntry(sha256, certificate.der, CertificateStatus.SAVED, False, saved=False)


def public_key_of(certificate: Certificate) -> bytes:
    """The certificate's SubjectPublicKeyInfo in DER."""
    return certificate.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _is_ours(key: Key) -> bool:
    return key.token_id == SOFT_TOKEN_ID or key.usage is not None or key.saved_to_configuration
