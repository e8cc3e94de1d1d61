"""One download for people and scripts: by an anchor alone, kept nowhere or in a plain folder.

Nothing that was downloaded before counts, neither announced keys nor a date of expiry. What an
anchor leads to, internal configuration or external, shows when it is there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from sild.components.confclient.cache import files_of, folder_of
from sild.components.confclient.download import ConfigurationClient, Source
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfMissingPart,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.fetch import Download
from sild.protocol.globalconf.trusted import Federations, InstanceConf, Scope, TrustedConf
from sild.runtime.files import write_private

_VERSION = "version"
_READABLE = 0o644


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What an anchor led to: configuration by instance, and what became of each source."""

    instance: str
    is_internal: bool
    instances: Mapping[str, InstanceConf]
    sources: tuple[Source, ...]


async def download_once(
    client: ConfigurationClient, anchor: Anchor, federations: Federations
) -> Downloaded:
    """Download what an anchor leads to, and what its private parameters lead to of these partners.

    A partner that fails costs no more than itself. Raises MalformedGlobalConf, or another
    GlobalConfError: what the first source said that gave something, else GlobalConfDownloadFailed.
    """
    folder_of(anchor.instance)
    outcome = await client.fetch(TrustedConf(anchor, Scope.OWN, federations))
    is_internal = outcome.trusted is not None
    if not is_internal and _lacks_a_part(outcome):
        outcome = await client.fetch(TrustedConf(anchor, Scope.FEDERATED))
    trusted = _trusted(outcome).held
    held = {name: conf for name, conf in trusted.items() if _is_storable(name)}
    sources = [Source(anchor.instance, outcome.attempts)]
    for partner in _partners(held[anchor.instance], anchor, federations):
        theirs = await client.fetch(TrustedConf(partner, Scope.FEDERATED))
        sources.append(Source(partner.instance, theirs.attempts))
        if theirs.trusted is not None:
            held |= theirs.trusted.held
    return Downloaded(anchor.instance, is_internal, held, tuple(sources))


def pin_version(anchor: Anchor, version: int) -> Anchor:
    """The anchor to configuration in one version and no other."""
    sources = (replace(each, url=_pinned(each.url, version)) for each in anchor.sources)
    return replace(anchor, sources=tuple(sources), document=None)


def write_plainly(folder: Path, downloaded: Downloaded) -> None:
    """Write configuration into a folder that need not be there; raises OSError.

    Other instances in there stay; parts that an instance has no more go.
    """
    files = files_of(downloaded.instances, downloaded.instance)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, content, mode=_READABLE)
    for instance in downloaded.instances:
        for kind in PartKind:
            name = f"{folder_of(instance)}/{kind.file_name}"
            if name not in files:
                (folder / name).unlink(missing_ok=True)
                (folder / f"{name}.metadata").unlink(missing_ok=True)


def _lacks_a_part(outcome: Download) -> bool:
    return any(isinstance(each.error, GlobalConfMissingPart) for each in outcome.attempts)


def _trusted(outcome: Download) -> TrustedConf:
    if outcome.trusted is None:
        for attempt in outcome.attempts:
            if attempt.error and not isinstance(attempt.error, GlobalConfDownloadFailed):
                raise attempt.error
    return outcome.get_trusted()


def _partners(conf: InstanceConf, anchor: Anchor, federations: Federations) -> Iterator[Anchor]:
    for partner in conf.private.anchors if conf.private is not None else ():
        is_other = partner.instance != anchor.instance
        if is_other and federations.allows(partner.instance) and _is_storable(partner.instance):
            yield partner


def _is_storable(instance: str) -> bool:
    try:
        folder_of(instance)
    except MalformedGlobalConf:
        return False
    return True


def _pinned(url: str, version: int) -> str:
    parts = urlsplit(url)
    query = [each for each in parse_qsl(parts.query, keep_blank_values=True) if each[0] != _VERSION]
    return urlunsplit(parts._replace(query=urlencode([*query, (_VERSION, str(version))])))
