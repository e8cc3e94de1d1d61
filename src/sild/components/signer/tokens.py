"""Use cases on tokens and their keys, and signing."""

import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

from sild.components.signer.errors import (
    ActionNotPossible,
    CannotSign,
    CertificateNotFound,
    SignerError,
    TokenNotActive,
    TokenNotFound,
    TokenUnavailable,
    WrongCertificateUsage,
)
from sild.components.signer.found import left_on_device, with_found
from sild.components.signer.ports import DeviceState, TokenDevice
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_device import SoftDevice
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConf, KeyConfStore, SavedToken
from sild.model.services import InvalidConfiguration
from sild.model.tokens import (
    DELETABLE_CERTIFICATES,
    SOFT_TOKEN_ID,
    CertificateEntry,
    Key,
    KeyAlgorithm,
    KeyUsage,
    Token,
    TokenStatus,
)
from sild.protocol.algorithms import SignatureAlgorithm

_LOG = logging.getLogger(__name__)
_LONGEST_LABEL = 255
_GONE = DeviceState(TokenStatus.OK, logged_in=False, available=False)


class Devices(Protocol):
    """The hardware tokens that were seen since the signer started, by their ids."""

    @property
    def present(self) -> Mapping[str, TokenDevice]:
        """The tokens; those that went away say so."""
        ...

    async def scan(self) -> None:
        """Look which there are; raises TokenUnavailable while one that was there is not."""
        ...

    def forget(self, token_id: str) -> None:
        """Know no more of a token that went away."""
        ...

    async def close(self) -> None:
        """Let go of all."""
        ...


class Pins(Protocol):
    """Remembers PINs for the process that follows this one."""

    def remember(self, token_id: str, pin: str) -> None:
        """Keep a token's PIN."""
        ...

    def forget(self, token_id: str) -> None:
        """Keep it no more."""
        ...

    def find(self, token_id: str) -> str | None:
        """The PIN that is kept."""
        ...


class Tokens:
    """The software token, the hardware tokens, and their keys."""

    def __init__(
        self,
        software: SoftToken,
        store: KeyConfStore,
        settings: SignerSettings,
        devices: Devices | None = None,
        pins: Pins | None = None,
    ) -> None:
        self._software = SoftDevice(software, settings)
        self._store = store
        self._settings = settings
        self._devices = devices
        self._pins = pins

    async def close(self) -> None:
        """Forget the keys, and stop the threads that sign."""
        if self._devices is not None:
            await self._devices.close()
        await self._software.close()

    async def scan(self) -> None:
        """Look which devices, keys and certificates there are, and what others have saved.

        Raises TokenUnavailable while a device that was there is not.
        """
        await self._store.reload()
        await self._software.rescan()
        try:
            if self._devices is not None:
                await self._devices.scan()
        finally:
            await self._note_found()
            await self.enter_kept_pins()

    async def enter_kept_pins(self) -> None:
        """Log in with the PINs that a process before this one was given, each once."""
        if self._pins is None:
            return
        for token_id, device in self._all_devices().items():
            state = device.state()
            pin = self._pins.find(token_id)
            if pin is None or state.logged_in or not state.available:
                continue
            # A PIN that was refused is tried no more, nor one that was tried by a process that
            # ended over it.
            self._pins.forget(token_id)
            if state.status is TokenStatus.OK:
                await self._enter_kept(token_id, pin, self._pins)

    async def _enter_kept(self, token_id: str, pin: str, pins: Pins) -> None:
        try:
            await self.login(token_id, pin)
            _LOG.info("token %s is logged in again", token_id)
        except TokenUnavailable as error:
            pins.remember(token_id, pin)
            _LOG.warning("token %s is not logged in yet: %s", token_id, error)
        except SignerError as error:
            _LOG.error("token %s is not logged in again: %s", token_id, error)

    def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys, requests and certificates, the software token first."""
        conf = self._store.conf
        known = {saved.id: saved for saved in conf.tokens}
        return (
            self._token(conf, SavedToken(SOFT_TOKEN_ID, conf.label)),
            *(
                self._token(conf, known.get(each) or SavedToken(each, each))
                for each in sorted(known.keys() | self._present.keys())
            ),
        )

    def token(self, token_id: str) -> Token:
        """One token with its keys, requests and certificates; raises TokenNotFound."""
        for token in self.tokens():
            if token.id == token_id:
                return token
        raise TokenNotFound(f"there is no token {token_id!r}", token_id)

    async def initialize(self, pin: str) -> None:
        """Set the software token's PIN, once."""
        await self._software.initialize(pin)

    async def login(self, token_id: str, pin: str) -> None:
        """Open a token's keys."""
        await self._device(token_id).login(pin)
        if self._pins is not None and self._settings.keep_pins:
            self._pins.remember(token_id, pin)
        await self._note_found()

    async def logout(self, token_id: str) -> None:
        """Close them; nothing is signed with them until the next login."""
        if self._pins is not None:
            self._pins.forget(token_id)
        await self._device(token_id).logout()

    async def change_pin(self, token_id: str, old: str, new: str) -> None:
        """Let a token's keys be opened by another PIN, and log out."""
        await self._device(token_id).change_pin(old, new)
        if self._pins is not None:
            self._pins.forget(token_id)

    async def rename_token(self, token_id: str, label: str) -> None:
        """Give a token another friendly name."""
        _check_label(label)
        self.token(token_id)
        await self._store.change(lambda conf: conf.with_token_label(token_id, label))

    async def delete_token(self, token_id: str) -> None:
        """Forget a token that is not there, with its keys."""
        token = self.token(token_id)
        if token_id == SOFT_TOKEN_ID or token.available:
            raise ActionNotPossible(f"token {token_id!r} is there, and cannot be forgotten")
        if self._pins is not None:
            self._pins.forget(token_id)
        if self._devices is not None:
            self._devices.forget(token_id)
        await self._store.change(lambda conf: conf.without_token(token_id))

    async def generate_key(
        self,
        token_id: str,
        label: str,
        usage: KeyUsage | None = None,
        algorithm: KeyAlgorithm | None = None,
    ) -> Key:
        """Make a key, which is durable when this returns; of the settings' kind if none is said.

        What it is for may be said later, by the first certificate that is asked for.
        """
        if label:
            _check_label(label)
        chosen = algorithm or self._settings.key_algorithm_for(usage)
        made = await self._device(token_id).generate(label, chosen)
        key = Key(
            made.id,
            label or made.id,
            usage,
            chosen,
            made.public_key,
            token_id=token_id,
            device_label=label,
        )
        await self._store.change(lambda conf: conf.with_key(key))
        return key

    async def rename_key(self, key_id: str, label: str) -> None:
        """Give a key another label."""
        _check_label(label)
        await self._store.change(
            lambda conf: conf.with_key(replace(conf.get_key(key_id), label=label))
        )

    async def delete_key(self, key_id: str) -> None:
        """Remove a key for good, with its requests and certificates.

        A key of a device that has requests or certificates loses those, and is in the device
        until it is deleted again.
        """
        key = self._store.conf.get_key(key_id)
        self._check_unused(key)
        device = self._device(key.token_id)
        if not device.state().logged_in:
            raise TokenNotActive(f"key {key_id} is deleted only while its token is logged in")
        if key.token_id == SOFT_TOKEN_ID:
            await self._store.change(lambda conf: conf.without_key(key_id))
            await device.delete(key_id)
        elif key.saved_to_configuration:
            left = left_on_device(key, device.state())
            bare = replace(key, usage=None, certificates=left, requests=())
            await self._store.change(lambda conf: conf.with_key(bare))
        else:
            await device.delete(key_id)
            await self._store.change(lambda conf: conf.without_key(key_id))

    def _check_unused(self, key: Key) -> None:
        if key.usage is KeyUsage.AUTHENTICATION:
            for entry in key.certificates:
                if entry.saved and entry.status not in DELETABLE_CERTIFICATES:
                    raise ActionNotPossible(
                        f"key {key.id} has a certificate that is {entry.status.value}: "
                        "unregister it first"
                    )

    def left_on_device(self, key: Key) -> tuple[CertificateEntry, ...]:
        """The certificates of a key that stay on its device when they are forgotten here."""
        device = self._all_devices().get(key.token_id)
        return () if device is None else left_on_device(key, device.state())

    async def delete_from_device(self, key: Key, entry: CertificateEntry) -> None:
        """Remove a certificate that is only on a device."""
        await self._device(key.token_id).delete_certificate(key.id, entry.certificate)
        kept = tuple(each for each in key.certificates if each.sha256 != entry.sha256)
        await self._store.change(lambda conf: conf.with_key(replace(key, certificates=kept)))

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of a signing key over a digest; `algorithm` is the XML signature URI."""
        key = self._store.conf.get_key(key_id)
        if key.usage is not KeyUsage.SIGNING:
            raise CannotSign(f"key {key_id} is for authentication and signs no messages")
        return await self._sign(key, digest, algorithm)

    async def sign_as_server(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication key, for requests that prove its possession."""
        key = self._store.conf.get_key(key_id)
        if key.usage is not KeyUsage.AUTHENTICATION:
            raise CannotSign(f"key {key_id} is for signing messages")
        return await self._sign(key, digest, algorithm)

    def sign_with(self, key: Key) -> Callable[[bytes, str], Awaitable[bytes]]:
        """What signs with a key, whatever it is for: requests prove that it is there."""
        return partial(self._sign, key)

    def auth_key(self, sha256: str) -> bytes | None:
        """The private key of an authentication certificate, PKCS #8 in DER, for TLS.

        None where it is in a device, which it never leaves: `sign_handshake` signs with it.
        """
        key = self._authentication_key(sha256)
        return self._software.private_key(key.id) if key.token_id == SOFT_TOKEN_ID else None

    async def sign_handshake(self, sha256: str, digest: bytes, algorithm: str) -> bytes:
        """The signature of an authentication certificate's key in a TLS handshake."""
        return await self._sign(self._authentication_key(sha256), digest, algorithm)

    def _authentication_key(self, sha256: str) -> Key:
        found = self._store.conf.find_certificate(sha256)
        if found is None or not found[1].saved:
            raise CertificateNotFound(f"there is no certificate {sha256!r}")
        key, _ = found
        if key.usage is not KeyUsage.AUTHENTICATION:
            raise WrongCertificateUsage(f"key {key.id} signs messages and never leaves the signer")
        return key

    async def _sign(self, key: Key, digest: bytes, algorithm: str) -> bytes:
        how = SignatureAlgorithm.from_uri(algorithm)
        return await self._device(key.token_id).sign(key.id, digest, how)

    @property
    def _present(self) -> Mapping[str, TokenDevice]:
        return {} if self._devices is None else self._devices.present

    def _all_devices(self) -> Mapping[str, TokenDevice]:
        return {SOFT_TOKEN_ID: self._software, **self._present}

    def _device(self, token_id: str) -> TokenDevice:
        if token_id == SOFT_TOKEN_ID:
            return self._software
        try:
            return self._present[token_id]
        except KeyError:
            raise TokenNotFound(f"token {token_id!r} is not there", token_id) from None

    async def _note_found(self) -> None:
        """Bring what devices hold into what is known, and on disk if that is news."""
        if self._devices is None:
            return
        states = {token_id: device.state() for token_id, device in self._present.items()}
        if with_found(self._store.conf, states) == self._store.conf:
            return
        await self._store.change(lambda conf: with_found(conf, states))

    def _token(self, conf: KeyConf, saved: SavedToken) -> Token:
        device = self._all_devices().get(saved.id)
        state = device.state() if device else replace(_GONE, type=saved.type)
        return Token(
            id=saved.id,
            label=saved.label,
            status=state.status,
            logged_in=state.logged_in,
            keys=tuple(key for key in conf.keys if key.token_id == saved.id),
            available_keys=state.available_keys,
            type=state.type,
            available=state.available,
            read_only=state.read_only,
            batch_signing=state.batch_signing,
            rsa_pss=state.rsa_pss,
            serial_number=state.serial_number or saved.serial_number,
            device_label=state.device_label or saved.device_label,
            slot_index=state.slot_index,
            details=state.details,
        )


def _check_label(label: str) -> None:
    """Refuse what cannot be read as the name of a token or key; raises InvalidConfiguration."""
    if not label.strip() or len(label) > _LONGEST_LABEL or not label.isprintable():
        raise InvalidConfiguration(
            f"a label has 1 to {_LONGEST_LABEL} printable characters: {label!r}"
        )
