"""Configuration sources: the keys that sign what this node publishes, on the tokens it has.

A source takes two keys on a token, of which one signs. A new key is published beside the old one
before it signs, so that clients know it by then and need no new anchor (CC-06).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.serialization import load_der_public_key
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.ports import Keys
from sild.components.centralserver.settings import SigningKeyAlgorithm
from sild.components.centralserver.source_anchors import SourceAnchors
from sild.components.centralserver.source_errors import (
    KeyActionNotPossible,
    KeyNotDeleted,
    KeyNotGenerated,
    SigningKeyNotFound,
    TokensNotFetched,
    UnknownToken,
)
from sild.components.centralserver.source_rows import SigningKey, SourceKind, SourceRows
from sild.components.centralserver.source_tokens import (
    GENERATE_ACTIONS,
    KeyAction,
    SigningKeyView,
    TokenView,
    key_actions,
    require_token_action,
    view_key,
    view_token,
)
from sild.components.centralserver.token_login import TokenLogin
from sild.model.tokens import Key, KeyAlgorithm, KeyUsage, Token
from sild.protocol.errors import ProtocolError
from sild.protocol.pki.certificate import Certificate, read_certificate
from sild.protocol.pki.selfsigned import prepare_self_signed
from sild.runtime.clock import Clock
from sild.runtime.rpc import RpcError

_LOG = logging.getLogger(__name__)
_ALGORITHMS = {
    SigningKeyAlgorithm.RSA: KeyAlgorithm.RSA_2048,
    SigningKeyAlgorithm.EC: KeyAlgorithm.EC_P256,
}
_NAMES = {SourceKind.INTERNAL: "internalSigningKey", SourceKind.EXTERNAL: "externalSigningKey"}
_GONE = "key_not_found"


@dataclass(frozen=True, slots=True)
class SourceSettings:
    """Which keys are made for each source, and whether other instances may be federated with."""

    internal: SigningKeyAlgorithm = SigningKeyAlgorithm.RSA
    external: SigningKeyAlgorithm = SigningKeyAlgorithm.RSA
    federation: bool = True

    def algorithm_of(self, kind: SourceKind) -> KeyAlgorithm:
        """The kind of key that is made for a source."""
        return _ALGORITHMS[self.internal if kind is SourceKind.INTERNAL else self.external]


class Sources:
    """The signing keys of this node's sources, and the anchors that tell of them."""

    def __init__(
        self, anchors: SourceAnchors, keys: Keys, settings: SourceSettings, clock: Clock
    ) -> None:
        self.anchors = anchors
        self.login = TokenLogin(self.get_token, keys)
        self._database = anchors.database
        self._node = anchors.node
        self._keys = keys
        self._settings = settings
        self._clock = clock
        # Keys are this node's alone, and one process administers a node.
        self._changing = asyncio.Lock()

    async def tokens(self) -> tuple[TokenView, ...]:
        """Every token of this node with its signing keys; raises TokensNotFetched."""
        known = await self._known()
        return tuple(view_token(token, known) for token in await self.fetch_tokens())

    async def get_token(self, token_id: str) -> TokenView:
        """One token; raises UnknownToken, TokensNotFetched."""
        return view_token(await self._fetch_token(token_id), await self._known())

    async def get_key(self, key_id: str) -> SigningKey:
        """One signing key of this node; raises SigningKeyNotFound."""
        async with self._database.reading() as connection:
            return await self._get_key(SourceRows(connection), key_id)

    async def find_active(self, kind: SourceKind) -> SigningKey | None:
        """The key that signs for a source of this node."""
        async with self._database.reading() as connection:
            return await SourceRows(connection).find_active(kind, self._node.name)

    async def active_keys(self) -> Mapping[str, str | None]:
        """The id of the active key of each source: `external` where federation is allowed."""
        kinds = SourceKind if self._settings.federation else (SourceKind.INTERNAL,)
        found = {kind.value: await self.find_active(kind) for kind in kinds}
        return {name: None if key is None else key.key_id for name, key in found.items()}

    async def add_key(self, kind: SourceKind, token_id: str, label: str) -> SigningKeyView:
        """Make a key with its certificate; the first of a source signs at once.

        Raises UnknownToken, TokenActionNotPossible, KeyNotGenerated, InstanceNotSet.
        """
        async with self._changing:
            token = await self._fetch_token(token_id)
            require_token_action(GENERATE_ACTIONS[kind], token, await self._known())
            key = await self._generate(kind, token, label)
            try:
                added = await self._adopt(kind, key, token_id)
            except BaseException:
                await self._discard(key)
                raise
            # It is made, whatever becomes of the signer now.
            held = replace(
                token,
                keys=(*token.keys, key),
                available_keys=token.available_keys | {key.id},
            )
            return view_key(held, added)

    async def activate_key(self, key_id: str) -> None:
        """Let another key sign; raises SigningKeyNotFound, KeyActionNotPossible."""
        async with self._changing, self._database.transaction() as connection:
            rows = SourceRows(connection)
            key = await self._get_key(rows, key_id)
            await self._require(KeyAction.ACTIVATE, key)
            await rows.activate(key)

    async def delete_key(self, key_id: str) -> None:
        """Remove a key that does not sign, and make the anchor anew.

        Raises SigningKeyNotFound, KeyActionNotPossible, KeyNotDeleted.
        """
        async with self._changing, self._database.transaction() as connection:
            rows = SourceRows(connection)
            key = await self._get_key(rows, key_id)
            await self._require(KeyAction.DELETE, key)
            await rows.remove_key(key)
            await self.anchors.recreate_in(connection, key.kind)
            # The last step: when it fails, nothing has happened.
            await self._delete_from_token(key)

    async def recreate_anchors(self, connection: AsyncConnection) -> None:
        """Make the anchors of the sources that have signing keys anew, in this transaction."""
        await self.anchors.recreate_anchors(connection)

    async def fetch_tokens(self) -> tuple[Token, ...]:
        """What the signer tells of its tokens; raises TokensNotFetched."""
        try:
            return await self._keys.tokens()
        except (ProtocolError, RpcError) as error:
            raise TokensNotFetched(f"the signer does not tell of its tokens: {error}") from error

    async def _fetch_token(self, token_id: str) -> Token:
        for token in await self.fetch_tokens():
            if token.id == token_id:
                return token
        raise UnknownToken(f"there is no token {token_id}")

    async def _known(self) -> tuple[SigningKey, ...]:
        """The keys of this node; token ids are not unique among nodes."""
        async with self._database.reading() as connection:
            keys = await SourceRows(connection).keys()
        return tuple(key for key in keys if key.node == self._node.name)

    async def _get_key(self, rows: SourceRows, key_id: str) -> SigningKey:
        key = await rows.find_key(key_id)
        if key is None or key.node != self._node.name:
            raise SigningKeyNotFound(f"there is no signing key {key_id}")
        return key

    async def _require(self, action: KeyAction, key: SigningKey) -> None:
        token = await self._fetch_token(key.token_id)
        if action not in key_actions(token, key):
            raise KeyActionNotPossible(f"{action.value} is not possible for {key.key_id} now")

    async def _generate(self, kind: SourceKind, token: Token, label: str) -> Key:
        algorithm = self._settings.algorithm_of(kind)
        try:
            return await self._keys.generate_key(token.id, label, KeyUsage.SIGNING, algorithm)
        except (ProtocolError, RpcError) as error:
            raise KeyNotGenerated(f"the token {token.id} made no key: {error}") from error

    async def _adopt(self, kind: SourceKind, key: Key, token_id: str) -> SigningKey:
        certificate = await self._certify(kind, key)
        async with self._database.transaction() as connection:
            rows = SourceRows(connection)
            added = SigningKey(
                kind=kind,
                node=self._node.name,
                key_id=key.id,
                token_id=token_id,
                certificate=certificate.der,
                generated_at=self._clock.now(),
                active=await rows.find_active(kind, self._node.name) is None,
            )
            await rows.add_key(added)
            await self.anchors.recreate_in(connection, kind)
        return added

    async def _certify(self, kind: SourceKind, key: Key) -> Certificate:
        try:
            public_key = load_der_public_key(key.public_key)
            unsigned = prepare_self_signed(_NAMES[kind], public_key)
            digest, algorithm = unsigned.digest_to_sign, unsigned.algorithm
            signature = await self._keys.sign(key.id, digest, algorithm.uri)
            algorithm.verify(public_key, signature, unsigned.tbs)
            return read_certificate(unsigned.finish(signature))
        except (ProtocolError, RpcError, ValueError) as error:
            raise KeyNotGenerated(f"the key {key.id} got no certificate: {error}") from error

    async def _discard(self, key: Key) -> None:
        try:
            await self._keys.delete_key(key.id)
        except (ProtocolError, RpcError) as error:
            _LOG.warning("the key %s, which is of no use, was not deleted: %s", key.id, error)

    async def _delete_from_token(self, key: SigningKey) -> None:
        try:
            await self._keys.delete_key(key.key_id)
        except ProtocolError as error:
            if error.code != _GONE:
                raise KeyNotDeleted(f"the token keeps {key.key_id}: {error}") from error
        except RpcError as error:
            raise KeyNotDeleted(f"the token keeps {key.key_id}: {error}") from error
