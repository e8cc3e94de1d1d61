"""The copy on disk of a verified global configuration, swapped as one.

The layout is the reference implementation's, inside the current generation of a directory, with
the anchor by which the copy was accepted beside it:

    instance-identifier
    configuration-anchor.xml
    <instance>/shared-params.xml        the exact bytes, as they were signed for
    <instance>/shared-params.xml.metadata
    ...

The instance is written as in an HTML form, so that any identifier is a file name. The control
process saves copies; every process reads them back with `read_cached`, which costs little when
only the date of expiry has changed. `generation_of` says whether reading is worth while.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sild.protocol.errors import GlobalConfError, GlobalConfMissingPart, MalformedGlobalConf
from sild.protocol.globalconf.anchor import Anchor, read_anchor, write_anchor
from sild.protocol.globalconf.directory import SUPPORTED_VERSIONS, PartKind
from sild.protocol.globalconf.fetch import PART_LIMIT
from sild.protocol.globalconf.lookup import GlobalConf, make_trust
from sild.protocol.globalconf.shared_parameters import SharedParameters, read_shared_parameters
from sild.protocol.globalconf.trusted import InstanceConf, Issue, PartContent, read_instance
from sild.protocol.ids import file_name_part
from sild.protocol.pki.trust import OcspPolicy, Trust
from sild.runtime.files import FileError, GenerationDirectory, read_bounded

_LOCAL = "instance-identifier"
_ANCHOR = "configuration-anchor.xml"
_METADATA = ".metadata"
_SMALL = 1024 * 1024
_NAME_LIMIT = 200
_FIRST_VERSION = 2
_TRIES = 5


@dataclass(frozen=True, slots=True)
class CachedConf:
    """A copy as it was read: what it says, which generation it is, which anchor accepted it."""

    generation: str
    conf: GlobalConf
    anchor: Anchor


def folder_of(instance: str) -> str:
    """The directory of an instance; raises MalformedGlobalConf for one that has none."""
    name = file_name_part(instance)
    if not name.strip(".") or len(name) > _NAME_LIMIT or name in {_LOCAL, _ANCHOR}:
        raise MalformedGlobalConf(f"the instance {instance!r} cannot be stored under its name")
    return name


def save(directory: Path, conf: Mapping[str, InstanceConf], anchor: Anchor) -> None:
    """Replace the copy in a directory; the anchor's instance is the local one."""
    files = files_of(conf, anchor.instance)
    GenerationDirectory(directory).replace({**files, _ANCHOR: write_anchor(anchor)})


def files_of(conf: Mapping[str, InstanceConf], local: str) -> dict[str, bytes]:
    """The files of a copy, but for the anchor; raises MalformedGlobalConf."""
    files = {_LOCAL: local.encode("utf-8")}
    for instance in conf.values():
        for kind, content in instance.contents.items():
            name = f"{folder_of(instance.instance)}/{kind.file_name}"
            files[name] = content.data
            files[name + _METADATA] = _write_metadata(instance, kind, content)
    return files


def _write_metadata(conf: InstanceConf, kind: PartKind, content: PartContent) -> bytes:
    metadata = {
        "contentIdentifier": kind.value,
        "instanceIdentifier": conf.instance,
        "expirationDate": conf.expires.isoformat().replace("+00:00", "Z"),
        "contentLocation": content.location,
        "configurationVersion": str(conf.version),
    }
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def generation_of(directory: Path) -> str | None:
    """The name of the current generation, if there has been any: another name, another copy."""
    current = GenerationDirectory(directory).current()
    return None if current is None else current.name


def read_cached(directory: Path, previous: CachedConf | None = None) -> CachedConf:
    """The current copy; tables of what has not changed since `previous` are taken over.

    Whether it may still be used is for `GlobalConf.check_valid` to say.

    Raises MalformedGlobalConf where there is no copy, or one that is not whole.
    """
    generations = GenerationDirectory(directory)
    for _ in range(_TRIES):
        if (current := generations.current()) is None:
            break
        if previous is not None and current.name == previous.generation:
            return previous
        try:
            found = _read(current, previous)
        except (OSError, FileError, GlobalConfError) as error:
            # A generation is removed, file by file, some time after it has been replaced.
            if generations.current() == current:
                raise MalformedGlobalConf(f"the copy in {current} is not whole: {error}") from None
        else:
            if generations.current() == current:
                return found
    raise MalformedGlobalConf(f"there is no copy of a configuration in {directory}")


def _read(generation: Path, previous: CachedConf | None) -> CachedConf:
    before = previous.conf.instances if previous is not None else {}
    local = _text(generation / _LOCAL).strip()
    instances = {
        conf.instance: conf
        for folder in sorted(generation.iterdir())
        if folder.is_dir()
        for conf in [_read_instance(folder, before)]
    }
    conf = GlobalConf(instances, local, previous.conf if previous is not None else None)
    if instances[local].private is None:
        raise GlobalConfMissingPart(f"there are no private parameters of {local}")
    anchor = read_anchor(read_bounded(generation / _ANCHOR, _SMALL))
    return CachedConf(generation.name, conf, anchor)


def _read_instance(folder: Path, before: Mapping[str, InstanceConf]) -> InstanceConf:
    parts = list(_read_parts(folder))
    issues = {issue for issue, _, _ in parts}
    if len(issues) != 1:
        raise MalformedGlobalConf(f"the parts of {folder.name} are of {len(issues)} issues")
    (issue,) = issues
    if folder_of(issue.instance) != folder.name:
        raise MalformedGlobalConf(f"the parts in {folder.name} are of {issue.instance}")
    contents = {kind: content for _, kind, content in parts}
    return read_instance(issue, contents, before.get(issue.instance))


def _read_parts(folder: Path) -> Iterator[tuple[Issue, PartKind, PartContent]]:
    for kind in PartKind:
        path = folder / kind.file_name
        if path.exists():
            metadata = _read_metadata(path)
            issue = Issue(
                _member(metadata, "instanceIdentifier"),
                _version(metadata),
                _moment(_member(metadata, "expirationDate")),
            )
            location = _member(metadata, "contentLocation")
            yield issue, kind, PartContent(location, read_bounded(path, PART_LIMIT))


def _read_metadata(path: Path) -> Mapping[str, object]:
    try:
        metadata = json.loads(_text(path.with_name(path.name + _METADATA)))
    except (ValueError, RecursionError):
        raise MalformedGlobalConf(f"the metadata of {path} is not JSON") from None
    if not isinstance(metadata, dict):
        raise MalformedGlobalConf(f"the metadata of {path} is not an object")
    return metadata


def _text(path: Path) -> str:
    try:
        return read_bounded(path, _SMALL).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedGlobalConf(f"{path} is not in UTF-8") from None


def _member(metadata: Mapping[str, object], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str) or not value:
        raise MalformedGlobalConf(f"the metadata of a part has no {name}")
    return value


def _version(metadata: Mapping[str, object]) -> int:
    text = metadata.get("configurationVersion", str(_FIRST_VERSION))
    if text not in {str(version) for version in SUPPORTED_VERSIONS}:
        raise MalformedGlobalConf(f"the configuration version {text!r} is not supported")
    return int(str(text))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MalformedGlobalConf(f"the date of expiry {text!r} is not a moment") from None
    if moment.tzinfo is None:
        raise MalformedGlobalConf(f"the date of expiry {text!r} has no time zone")
    return moment.astimezone(UTC)


def read_verification_conf(directory: Path) -> Mapping[str, Trust]:
    """Whom each instance trusted, in a directory that was kept for verifying containers.

    Such a directory has shared parameters only, and does not expire.

    Raises MalformedGlobalConf.
    """
    try:
        local = _text(directory / _LOCAL).strip()
        shared = [_read_shared(path) for path in sorted(directory.glob("*/shared-params.xml"))]
    except (OSError, FileError) as error:
        raise MalformedGlobalConf(f"the configuration cannot be read: {error}") from None
    own = next((found for found in shared if found.instance == local), None)
    if own is None:
        raise MalformedGlobalConf(f"there is no configuration of the instance {local}")
    policy = OcspPolicy(own.ocsp_freshness_seconds)
    return {found.instance: make_trust(found, policy) for found in shared}


def _read_shared(path: Path) -> SharedParameters:
    version = _version(_read_metadata(path))
    return read_shared_parameters(read_bounded(path, PART_LIMIT), version)
