"""The PKCS #11 devices of the settings, and which of their tokens are there.

Tokens come and go; a look at all slots every now and then finds out. A device whose library
does not answer holds up nobody but itself.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from pkcs11 import TokenFlag
from pkcs11 import exceptions as p11

from sild.components.signer.devices import DeviceSettings
from sild.components.signer.errors import SignerError, TokenUnavailable
from sild.components.signer.pkcs11_library import Library
from sild.components.signer.pkcs11_threads import DeviceThreads
from sild.components.signer.pkcs11_token import Pkcs11Device, Place, token_id_of, told
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)


class HardwareTokens:
    """All tokens of all devices that were seen since the signer started."""

    def __init__(self, devices: Mapping[str, DeviceSettings], clock: Clock) -> None:
        self._modules = tuple(
            _Module(name, settings, clock) for name, settings in sorted(devices.items())
        )
        self._scanning = asyncio.Lock()

    @property
    def present(self) -> Mapping[str, Pkcs11Device]:
        """The tokens by their ids; those that went away say so."""
        return {key: each for module in self._modules for key, each in module.tokens.items()}

    async def scan(self) -> None:
        """Look at all slots; raises TokenUnavailable while something that was there is not."""
        async with self._scanning:
            done = await asyncio.gather(
                *(module.scan() for module in self._modules), return_exceptions=True
            )
        for outcome in done:
            if isinstance(outcome, BaseException) and not isinstance(outcome, SignerError):
                raise outcome
        wrong = [outcome for outcome in done if isinstance(outcome, SignerError)]
        gone = [key for key, token in self.present.items() if not token.state().available]
        if wrong:
            raise TokenUnavailable("; ".join(error.message for error in wrong))
        if gone:
            raise TokenUnavailable(f"tokens that are gone: {', '.join(gone)}")

    def forget(self, token_id: str) -> None:
        """Know no more of a token that went away; it is new if it comes back."""
        for module in self._modules:
            module.tokens = {key: each for key, each in module.tokens.items() if key != token_id}

    async def close(self) -> None:
        """Let go of all tokens."""
        await asyncio.gather(*(token.close() for token in self.present.values()))
        for module in self._modules:
            module.close()


class _Module:
    """One device."""

    def __init__(self, name: str, settings: DeviceSettings, clock: Clock) -> None:
        self._name = name
        self._settings = settings
        self._clock = clock
        self._threads = DeviceThreads(f"device {name}", 1)
        self._library: Library | None = None
        self.tokens: dict[str, Pkcs11Device] = {}

    async def scan(self) -> None:
        try:
            seen = await self._threads.run(self._look, self._settings.operation_timeout)
        except (SignerError, p11.PKCS11Error) as error:
            for token in self.tokens.values():
                token.gone()
            raise TokenUnavailable(f"device {self._name}: {told(error)}") from error
        for key, token in self.tokens.items():
            if key not in seen:
                token.gone()
        await asyncio.gather(*(self._look_into(self.tokens[key]) for key in seen))

    def close(self) -> None:
        self._threads.close()

    async def _look_into(self, token: Pkcs11Device) -> None:
        await token.return_to_use()
        try:
            await token.refresh()
        except SignerError as error:
            _LOG.warning("%s", error)

    def _look(self) -> frozenset[str]:
        library = self._library
        if library is None:
            library = Library(self._settings)
            library.initialize()
            self._library = library
            _LOG.info("device %s: %s is loaded", self._name, self._settings.library)
        try:
            seen = self._tokens_of(library)
        except p11.PKCS11Error as error:
            _LOG.warning("device %s is started anew: %s", self._name, told(error))
            seen = frozenset()
        if not seen and self.tokens:
            library.initialize()
            seen = self._tokens_of(library)
        return seen

    def _tokens_of(self, library: Library) -> frozenset[str]:
        seen = set()
        with library.call():
            for index, slot in library.slots():
                token = _token_in(slot)
                if token is None:
                    continue
                key = token_id_of(self._settings, self._name, index, token)
                # Of two that are alike the first is as good as the second.
                if key not in seen:
                    seen.add(key)
                    self._device(key, library).seen(Place(slot, index), token)
        return frozenset(seen)

    def _device(self, key: str, library: Library) -> Pkcs11Device:
        device = self.tokens.get(key)
        if device is None:
            device = Pkcs11Device((key, self._name), self._settings, library, self._clock)
            # A new mapping, because others may be going through the one before.
            self.tokens = {**self.tokens, key: device}
        return device


def _token_in(slot: Any) -> Any:
    try:
        token = slot.get_token()
    except (p11.TokenNotPresent, p11.TokenNotRecognised, p11.DeviceRemoved):
        return None
    return token if int(token.flags) & TokenFlag.TOKEN_INITIALIZED else None
