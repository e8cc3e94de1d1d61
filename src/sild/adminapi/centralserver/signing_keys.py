"""Configuration signing keys: made, activated and deleted."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from sild.adminapi.asked import Act, Asked
from sild.adminapi.bodies import Body, Plain, ShortText
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.configuration_types import KINDS
from sild.adminapi.centralserver.source_views import signing_key_body, told_token
from sild.adminapi.centralserver.token_bodies import ConfigurationSigningKey, ConfigurationType
from sild.adminapi.operations import Operations
from sild.components.centralserver.source_rows import SourceKind
from sild.components.centralserver.sources import Sources
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.protocol.pki.certificate import read_certificate

OPERATIONS = Operations("signing-keys")

_INTERNAL, _EXTERNAL = SourceKind.INTERNAL, SourceKind.EXTERNAL
_GENERATED = {
    _INTERNAL: AuditEvent.GENERATE_INTERNAL_CONFIGURATION_SIGNING_KEY,
    _EXTERNAL: AuditEvent.GENERATE_EXTERNAL_CONFIGURATION_SIGNING_KEY,
}
_ACTIVATED = {
    _INTERNAL: AuditEvent.ACTIVATE_INTERNAL_CONFIGURATION_SIGNING_KEY,
    _EXTERNAL: AuditEvent.ACTIVATE_EXTERNAL_CONFIGURATION_SIGNING_KEY,
}
_DELETED = {
    _INTERNAL: AuditEvent.DELETE_INTERNAL_CONFIGURATION_SIGNING_KEY,
    _EXTERNAL: AuditEvent.DELETE_EXTERNAL_CONFIGURATION_SIGNING_KEY,
}

KeyPath = Annotated[str, Path(min_length=1), Plain]


class ConfigurationSigningKeyAdd(Body):
    """Which key to make."""

    token_id: Annotated[str, Field(min_length=1), Plain]
    key_label: ShortText


# Existing clients are answered 200 and wait for it, where the contract says 201.
@OPERATIONS.post(
    "/configuration-sources/{configuration_type}/signing-keys",
    "addKey",
    permission=Permission.GENERATE_SIGNING_KEY,
    event=AuditEvent.GENERATE_KEY,
    status=200,
    also=(201, 400, 404),
)
async def add_key(
    configuration_type: ConfigurationType,
    body: ConfigurationSigningKeyAdd,
    asked: Asked,
    central: Central,
) -> ConfigurationSigningKey:
    """Make a signing key for a source."""
    kind = KINDS[configuration_type]
    asked.becomes(_GENERATED[kind])
    asked.tell(tokenId=body.token_id)
    asked.tell(**told_token((await central.sources.get_token(body.token_id)).token))
    added = await central.sources.add_key(kind, body.token_id, body.key_label)
    certificate = read_certificate(added.signing_key.certificate)
    asked.tell(
        keyId=added.key.id,
        keyFriendlyName=added.key.label,
        certHash=certificate.sha256.hex(":").upper(),
        certHashAlgorithm="SHA-256",
    )
    return signing_key_body(added)


@OPERATIONS.put(
    "/signing-keys/{sign_key_id}/activate",
    "activateKey",
    permission=Permission.ACTIVATE_SIGNING_KEY,
    event=AuditEvent.ACTIVATE_SIGNING_KEY,
    status=204,
)
async def activate_key(sign_key_id: KeyPath, asked: Asked, central: Central) -> None:
    """Let another key sign."""
    kind = await _tell(asked, central.sources, sign_key_id)
    asked.becomes(_ACTIVATED[kind])
    await central.sources.activate_key(sign_key_id)


@OPERATIONS.delete(
    "/signing-keys/{sign_key_id}",
    "deleteKey",
    permission=Permission.DELETE_SIGNING_KEY,
    event=AuditEvent.DELETE_SIGNING_KEY,
    status=204,
)
async def delete_key(sign_key_id: KeyPath, asked: Asked, central: Central) -> None:
    """Delete a key that does not sign."""
    kind = await _tell(asked, central.sources, sign_key_id)
    asked.becomes(_DELETED[kind])
    await central.sources.delete_key(sign_key_id)


async def _tell(asked: Act, sources: Sources, key_id: str) -> SourceKind:
    key = await sources.get_key(key_id)
    asked.tell(tokenId=key.token_id, keyId=key_id)
    for view in await sources.tokens():
        if view.token.id == key.token_id:
            asked.tell(**told_token(view.token))
    return key.kind
