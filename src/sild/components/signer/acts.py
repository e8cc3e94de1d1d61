"""What an administrator does with keys and certificates where the rest of the server has a say.

Control does it: it knows which CAs are approved, asks the responders, and then tells the signer.
"""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace

from sild.components.signer.acceptance import verify_importable
from sild.components.signer.certificates import (
    CertificateImport,
    CertificateRequest,
    RequestOrder,
)
from sild.components.signer.errors import (
    ActionNotPossible,
    CertificateNotFound,
    ClientOfCertificateNotFound,
    InvalidCertificate,
    KeyNotFound,
    OcspNotVerified,
    RequestNotFound,
    SignerError,
)
from sild.components.signer.ocsp_refresh import OcspRefresher
from sild.components.signer.ports import World, local_members
from sild.components.signer.rpc import SignerForControl
from sild.components.signer.settings import SignerSettings
from sild.model.refusals import Refusal
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    OcspStatus,
    PossibleAction,
    RequestEntry,
    Token,
    possible_actions_of,
)
from sild.protocol.errors import GlobalConfError, IncorrectCertificate, ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)

Item = Key | CertificateEntry | RequestEntry


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key, and the token that it is on."""

    token: Token
    key: Key

    def get_request(self, request_id: str) -> RequestEntry:
        """A request that was made with it; raises RequestNotFound."""
        for request in self.key.requests:
            if request.id == request_id:
                return request
        raise RequestNotFound(f"csr with id {request_id} not found")


@dataclass(frozen=True, slots=True)
class HeldCertificate:
    """A certificate, its key, and the token that both are on."""

    token: Token
    key: Key
    entry: CertificateEntry


@dataclass(frozen=True, slots=True)
class CertificateActs:
    """The acts; `changed` is called after some, and makes the server use what there is now."""

    signer: SignerForControl
    world: World
    ocsp: OcspRefresher
    clock: Clock
    changed: Callable[[], Awaitable[None]]
    settings: SignerSettings = field(default_factory=SignerSettings)
    _registered_now: set[str] = field(default_factory=set)
    _failures: dict[str, str] = field(default_factory=dict)

    async def get(self, sha256: str) -> HeldCertificate:
        """A certificate by its SHA-256, however written; raises CertificateNotFound."""
        wanted = sha256.lower()
        for token in await self.signer.tokens():
            for key in token.keys:
                for entry in key.certificates:
                    if entry.sha256 == wanted:
                        return HeldCertificate(token, key, entry)
        message = f"Certificate with hash {sha256} not found"
        raise CertificateNotFound(message, message)

    async def get_key(self, key_id: str) -> HeldKey:
        """A key by its id; raises KeyNotFound."""
        for token in await self.signer.tokens():
            for key in token.keys:
                if key.id == key_id:
                    return HeldKey(token, key)
        raise KeyNotFound(f"key with id {key_id} not found")

    async def get_key_of_request(self, request_id: str) -> HeldKey:
        """The key that a request was made with; raises RequestNotFound."""
        for token in await self.signer.tokens():
            for key in token.keys:
                if any(request.id == request_id for request in key.requests):
                    return HeldKey(token, key)
        raise RequestNotFound(f"csr with id {request_id} not found")

    def possible_actions(self, token: Token, item: Item | None = None) -> frozenset[PossibleAction]:
        """What can be done now with a token, or with what is on it."""
        allowed = self.settings.allow_csr_for_key_with_certificate
        return possible_actions_of(token, item, csr_with_certificate=allowed)

    def check_possible(
        self, action: PossibleAction, token: Token, item: Item | None = None
    ) -> None:
        """Raise ActionNotPossible where something cannot be done now."""
        if action not in self.possible_actions(token, item):
            raise ActionNotPossible(f"{action.value} is not possible")

    def ocsp_status(self, certificate: bytes) -> OcspStatus:
        """What the OCSP response that is held says of a certificate now."""
        try:
            conf = self.world.global_conf()
            return self.ocsp.known(read_certificate(certificate), conf).status
        except ProtocolError:
            return OcspStatus.MISSING

    def find_owner(self) -> ClientId | None:
        """The owner of the server, once that is known."""
        try:
            return self.world.snapshot().server.owner
        except Refusal:
            return None

    def find_failure(self, sha256: str) -> str | None:
        """Why OCSP did not let a certificate be activated the last time."""
        return self._failures.get(sha256)

    async def generate_key_with_request(
        self, token_id: str, label: str, order: RequestOrder
    ) -> tuple[HeldKey, CertificateRequest]:
        """Make a key and a request for it, both or neither."""
        key = await self.signer.generate_key(token_id, label, order.usage)
        try:
            request = await self.signer.generate_request(replace(order, key_id=key.id))
            return await self.get_key(key.id), request
        except BaseException:
            await self._forget_key(key)
            raise

    async def delete_key(self, held: HeldKey) -> None:
        """Remove a key for good, from what is saved and from its device."""
        await self.signer.delete_key(held.key.id)
        left = not held.token.is_software and held.key.saved_to_configuration
        if left and not held.token.read_only:
            # What is deleted once on a device is still found there.
            await self.signer.delete_key(held.key.id)
        await self._forget(held.key.certificates)

    async def delete_certificate(self, held: HeldCertificate) -> None:
        """Forget a certificate; one that a device holds is known as only found there then."""
        await self.signer.delete_certificate(held.entry.sha256)
        await self._forget((held.entry,))

    async def import_certificate(self, certificate: bytes) -> CertificateEntry:
        """Keep a certificate: a signing one is registered thereby, and active if OCSP is good.

        Raises GlobalConfOutdated, InvalidCertificate, CertificateImportFailed,
        ClientOfCertificateNotFound and what the signer does.
        """
        conf = self.world.global_conf()
        try:
            read = read_certificate(certificate)
            member = verify_importable(certificate, conf, self.clock.now())
        except IncorrectCertificate as error:
            raise InvalidCertificate(error.message) from error
        if member is None:
            order = CertificateImport(certificate, CertificateStatus.SAVED)
            return await self.signer.import_certificate(order)
        if member not in local_members(self.world):
            raise ClientOfCertificateNotFound(f"client {member} not found", member.encoded)
        return await self._import_signing(read, member)

    async def import_from_token(self, sha256: str) -> CertificateEntry:
        """Use a signing certificate that was found on a token, after the same checks."""
        held = await self.get(sha256)
        self.check_possible(PossibleAction.IMPORT_FROM_TOKEN, held.token, held.entry)
        return await self.import_certificate(held.entry.certificate)

    async def activate(self, sha256: str) -> None:
        """Let a certificate be used, after its OCSP responder has said that it is good.

        Raises OcspNotVerified.
        """
        held = await self.get(sha256)
        await self._check_good(held.entry)
        await self.signer.set_active(held.entry.sha256, active=True)
        await self.changed()

    async def disable(self, sha256: str) -> None:
        """Let a certificate be used no more."""
        await self.signer.set_active(sha256.lower(), active=False)
        await self.changed()

    def note_registered(self, sha256: str) -> None:
        """Remember an authentication certificate that is to be activated by itself."""
        self._registered_now.add(sha256)

    async def activate_registered(self) -> bool:
        """Activate what was noted as just registered, trying each once; say whether any was."""
        registered = tuple(self._registered_now)
        self._registered_now.clear()
        activated = False
        for sha256 in registered:
            try:
                held = await self.get(sha256)
                if held.entry.active:
                    continue
                await self._check_good(held.entry)
            except (SignerError, GlobalConfError) as error:
                _LOG.error("certificate %s is not activated by itself: %s", sha256, error)
                continue
            await self.signer.set_active(sha256, active=True)
            activated = True
        return activated

    async def _import_signing(self, certificate: Certificate, member: ClientId) -> CertificateEntry:
        active, sha256 = True, certificate.sha256.hex()
        try:
            await self._check_ocsp(certificate)
        except OcspNotVerified as error:
            _LOG.warning("a certificate is imported without being active: %s", error)
            active = False
        order = CertificateImport(certificate.der, CertificateStatus.REGISTERED, active, member)
        try:
            entry = await self.signer.import_certificate(order)
        except SignerError:
            self._failures.pop(sha256, None)
            raise
        await self.changed()
        return entry

    async def _check_good(self, entry: CertificateEntry) -> None:
        await self._check_ocsp(read_certificate(entry.certificate))

    async def _check_ocsp(self, certificate: Certificate) -> None:
        """Ask whether a certificate is good, and remember why it is not; raises OcspNotVerified."""
        sha256, conf = certificate.sha256.hex(), self.world.global_conf()
        try:
            status = (await self.ocsp.ask_now(certificate, conf)).status
            problem = (
                None if status is OcspStatus.GOOD else f"it is {status.value} by its responder"
            )
        except ProtocolError as error:
            problem = error.message
        if problem is None:
            self._failures.pop(sha256, None)
            return
        message = f"OCSP does not say that certificate {sha256} is good: {problem}"
        self._failures[sha256] = message
        raise OcspNotVerified(message, message)

    async def _forget_key(self, key: Key) -> None:
        try:
            await self.delete_key(await self.get_key(key.id))
        except SignerError as error:
            _LOG.error("key %s that was made for a request stays: %s", key.id, error)

    async def _forget(self, entries: Iterable[CertificateEntry]) -> None:
        for entry in entries:
            self._failures.pop(entry.sha256, None)
        await self.changed()
