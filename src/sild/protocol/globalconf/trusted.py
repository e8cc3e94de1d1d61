"""TrustedConf: a configuration that only verified, unexpired and newer configuration can enter.

It is the client workflow of PR-GCONF 2.6 without the network:

    1   `begin` takes the bytes of a signed directory. It must be signed by a certificate of the
        anchor or of the sources in the shared parameters that are held *now*, must not have
        expired, and must not expire earlier than what is held, unless it says that its parts were
        published later: configuration may be made valid for shorter than before.
    2   The `Update` says which parts differ from what is held; the caller brings them.
    3   `finish` takes their bytes. Each must have its digest, fit its schema and belong to the
        instance that it is listed for. What comes out is the next TrustedConf.

Keys rotate because of the second half of step 1: a central server announces its next key in the
shared parameters, and signs with it later. A key that is neither announced any more nor in the
anchor is not trusted, however often it was before: no certificate is remembered elsewhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from types import MappingProxyType

from sild.protocol.errors import (
    GlobalConfInstanceMismatch,
    GlobalConfMissingPart,
    GlobalConfPartIntegrityFailure,
    GlobalConfRolledBack,
)
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.globalconf.directory import (
    Directory,
    Part,
    PartKind,
    read_directory,
    verify_directory,
)
from sild.protocol.globalconf.extensions import (
    Extensions,
    read_fetch_interval,
    read_monitoring,
    read_next_update,
)
from sild.protocol.globalconf.private_parameters import PrivateParameters, read_private_parameters
from sild.protocol.globalconf.shared_parameters import SharedParameters, read_shared_parameters
from sild.protocol.pki.certificate import Certificate

_STAMP_DIGITS = 23
_STAMP = re.compile(rf"/([0-9]{{14,{_STAMP_DIGITS}}})/")


class Scope(Enum):
    """Whose configuration an anchor leads to: the server's own instance, or a federated one."""

    OWN = "own"
    FEDERATED = "federated"


_REQUIRED = {
    Scope.OWN: (PartKind.SHARED_PARAMETERS, PartKind.PRIVATE_PARAMETERS),
    Scope.FEDERATED: (PartKind.SHARED_PARAMETERS,),
}
_ACCEPTED = {
    Scope.OWN: frozenset(PartKind),
    # Another instance says who its members are, and nothing about this one's ways.
    Scope.FEDERATED: frozenset({PartKind.SHARED_PARAMETERS}),
}


@dataclass(frozen=True, slots=True)
class Federations:
    """Which other instances' configuration is taken: the setting `allowed-federations`."""

    all: bool = False
    names: frozenset[str] = frozenset()

    def allows(self, instance: str) -> bool:
        """Whether this instance's configuration is taken."""
        return self.all or instance.casefold() in self.names

    @classmethod
    def from_text(cls, text: str) -> "Federations":
        """What `none`, `all` or a comma-separated list of instances allows; `none` wins."""
        names = frozenset(name.strip().casefold() for name in text.split(",")) - {""}
        if "none" in names:
            return cls()
        return cls(all="all" in names, names=names)


@dataclass(frozen=True, slots=True)
class PartContent:
    """The exact bytes of a part, and where the directory said that they are."""

    location: str
    data: bytes


@dataclass(frozen=True, slots=True)
class InstanceConf:
    """The configuration of one instance: the exact bytes of its parts, and what they say."""

    instance: str
    version: int
    expires: datetime
    contents: Mapping[PartKind, PartContent]
    shared: SharedParameters
    private: PrivateParameters | None
    extensions: Extensions


@dataclass(frozen=True, slots=True)
class Issue:
    """Which issue of an instance's configuration some parts belong to."""

    instance: str
    version: int
    expires: datetime


def read_instance(
    issue: Issue, contents: Mapping[PartKind, PartContent], held: InstanceConf | None = None
) -> InstanceConf:
    """What the parts of an instance say; parts that are held already are not read again.

    Raises MalformedGlobalConf, GlobalConfInstanceMismatch and GlobalConfMissingPart.
    """
    if PartKind.SHARED_PARAMETERS not in contents:
        raise GlobalConfMissingPart(f"there are no shared parameters of {issue.instance}")
    reader = _PartReader(issue, contents, held)
    return InstanceConf(
        instance=issue.instance,
        version=issue.version,
        expires=issue.expires,
        contents=MappingProxyType(dict(contents)),
        shared=reader.shared(),
        private=reader.private(),
        extensions=reader.extensions(),
    )


@dataclass(frozen=True, slots=True)
class _PartReader:
    issue: Issue
    contents: Mapping[PartKind, PartContent]
    held: InstanceConf | None

    def shared(self) -> SharedParameters:
        kind = PartKind.SHARED_PARAMETERS
        if self.held is not None and self._is_held(kind):
            return self.held.shared
        shared = read_shared_parameters(self.contents[kind].data, self.issue.version)
        self._check_instance(kind, shared.instance)
        return shared

    def private(self) -> PrivateParameters | None:
        kind = PartKind.PRIVATE_PARAMETERS
        if kind not in self.contents:
            return None
        private = read_private_parameters(self.contents[kind].data, self.issue.version)
        self._check_instance(kind, private.instance)
        return private

    def extensions(self) -> Extensions:
        extensions = Extensions()
        if (part := self.contents.get(PartKind.MONITORING)) is not None:
            extensions = replace(extensions, monitoring_client=read_monitoring(part.data))
        if (part := self.contents.get(PartKind.FETCHINTERVAL)) is not None:
            seconds = read_fetch_interval(part.data)
            extensions = replace(extensions, ocsp_fetch_interval_seconds=seconds)
        if (part := self.contents.get(PartKind.NEXTUPDATE)) is not None:
            extensions = replace(extensions, verify_next_update=read_next_update(part.data))
        return extensions

    def _is_held(self, kind: PartKind) -> bool:
        held = self.held
        return (
            held is not None
            and (held.instance, held.version) == (self.issue.instance, self.issue.version)
            and held.contents[kind].data == self.contents[kind].data
        )

    def _check_instance(self, kind: PartKind, named: str) -> None:
        if named != self.issue.instance:
            raise GlobalConfInstanceMismatch(
                f"{kind.value} is listed for {self.issue.instance}, but belongs to {named}"
            )


@dataclass(frozen=True, slots=True)
class TrustedConf:
    """An anchor, and what was accepted by it so far: by instance, the anchor's own and others.

    Several instances come from one directory where a configuration proxy gathers them.
    """

    anchor: Anchor
    scope: Scope = Scope.OWN
    federations: Federations = field(default_factory=Federations)
    held: Mapping[str, InstanceConf] = field(default_factory=dict)

    @property
    def own(self) -> InstanceConf | None:
        """What is held of the anchor's instance."""
        return self.held.get(self.anchor.instance)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """The certificates that may sign the next directory."""
        return (*self.anchor.certificates, *self._source_certificates())

    def _source_certificates(self) -> Iterator[Certificate]:
        if self.own is None:
            return
        for source in self.own.shared.sources:
            # A configuration proxy announces its keys as both.
            if self.scope is Scope.OWN:
                yield from source.internal_certificates
            else:
                yield from source.external_certificates

    def begin(self, directory: bytes, now: datetime) -> "Update":
        """Step 1: the update that a signed directory stands for.

        Raises GlobalConfError where the directory is not to be used.
        """
        verified = verify_directory(read_directory(directory), self.certificates, now)
        if self.own is not None and _is_older(verified, self.own):
            raise GlobalConfRolledBack(
                f"the directory expires at {verified.expires:%FT%TZ}, before the one that is held"
                f" ({self.own.expires:%FT%TZ}), and was not published later"
            )
        parts = {
            (part.instance, part.kind): part
            for part in verified.parts
            if part.kind is not None and self._accepts(part, part.kind)
        }
        for kind in _REQUIRED[self.scope]:
            if (self.anchor.instance, kind) not in parts:
                raise GlobalConfMissingPart(
                    f"the directory names no {kind.value} of {self.anchor.instance}"
                )
        return Update(self, verified, tuple(parts.values()))

    def _accepts(self, part: Part, kind: PartKind) -> bool:
        if part.instance == self.anchor.instance:
            return kind in _ACCEPTED[self.scope]
        return (
            self.scope is Scope.OWN
            and kind in _ACCEPTED[Scope.FEDERATED]
            and self.federations.allows(part.instance)
        )


@dataclass(frozen=True, slots=True)
class Update:
    """A verified directory on its way to become the configuration that is held."""

    trusted: TrustedConf
    directory: Directory
    parts: tuple[Part, ...]

    @property
    def missing(self) -> tuple[Part, ...]:
        """Step 2: the parts that are not held, or differ from what is."""
        return tuple(part for part in self.parts if self._find_held(part) is None)

    def _find_held(self, part: Part) -> bytes | None:
        held = self.trusted.held.get(part.instance)
        content = held.contents.get(part.kind) if held is not None and part.kind else None
        return content.data if content is not None and part.is_of(content.data) else None

    def finish(self, fetched: Mapping[Part, bytes]) -> TrustedConf:
        """Step 3: the configuration that is held from now on; raises GlobalConfError."""
        by_instance: dict[str, dict[PartKind, PartContent]] = {}
        for part in self.parts:
            data = self._find_held(part)
            if data is None:
                if part not in fetched:
                    raise GlobalConfMissingPart(f"{part.identifier} was not brought")
                data = fetched[part]
                _check_digest(part, data)
            if part.kind is not None:
                contents = by_instance.setdefault(part.instance, {})
                contents[part.kind] = PartContent(part.location, data)
        held = {name: self._read(name, contents) for name, contents in by_instance.items()}
        return replace(self.trusted, held=MappingProxyType(held))

    def _read(self, instance: str, contents: Mapping[PartKind, PartContent]) -> InstanceConf:
        issue = Issue(instance, self.directory.version, self.directory.expires)
        return read_instance(issue, contents, self.trusted.held.get(instance))


def _is_older(directory: Directory, held: InstanceConf) -> bool:
    if directory.expires >= held.expires:
        return False
    before = [_published(content.location) for content in held.contents.values()]
    now = [_published(part.location) for part in directory.parts if part.instance == held.instance]
    return not (all(before) and min(now, default="") > max(before))


def _published(location: str) -> str:
    """When a part was published, by the name of its folder: to the nanosecond, blank if unsaid."""
    found = _STAMP.search(location)
    return found[1].ljust(_STAMP_DIGITS, "0") if found else ""


def _check_digest(part: Part, data: bytes) -> None:
    if not part.is_of(data):
        raise GlobalConfPartIntegrityFailure(
            f"{part.identifier} of {part.instance} has not the digest in the directory"
        )
