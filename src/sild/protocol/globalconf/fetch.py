"""The download of a configuration as a conversation: it yields addresses and is sent bodies.

Whoever drives it has the network, the order of the locations and the time; every failure stays
with its location, so that an operator sees which source said what.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfUnanswered,
    MalformedGlobalConf,
    ProtocolError,
)
from sild.protocol.globalconf.anchor import Anchor, check_url
from sild.protocol.globalconf.directory import SUPPORTED_VERSIONS, Part, PartKind
from sild.protocol.globalconf.shared_parameters import SharedParameters
from sild.protocol.globalconf.trusted import TrustedConf

DIRECTORY_LIMIT = 1024 * 1024
PART_LIMIT = 32_000_000
_SMALL_PART_LIMIT = 1024 * 1024
_OK, _NOT_FOUND = 200, 404


@dataclass(frozen=True, slots=True)
class Get:
    """Wanted: the body at this address, of at most so many bytes; redirects are not followed."""

    url: str
    limit: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A server answered; redirects and errors are answers too."""

    status: int
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody answered, or with too many bytes."""

    reason: str


@dataclass(frozen=True, slots=True)
class Attempt:
    """What became of one location: nothing wrong, or what was."""

    location: str
    error: ProtocolError | None = None


@dataclass(frozen=True, slots=True)
class Download:
    """The outcome: the configuration that is held from now on, if any location gave it."""

    trusted: TrustedConf | None
    attempts: tuple[Attempt, ...]

    @property
    def location(self) -> str | None:
        """The location that gave the configuration."""
        return self.attempts[-1].location if self.trusted is not None else None

    def get_trusted(self) -> TrustedConf:
        """The new configuration; raises GlobalConfDownloadFailed, saying what each source said."""
        if self.trusted is None:
            reasons = "; ".join(f"{a.location}: {a.error}" for a in self.attempts)
            raise GlobalConfDownloadFailed(f"no source gave a usable configuration: {reasons}")
        return self.trusted


Conversation = Generator[Get, Answer | NoAnswer, Download]
_Step = Generator[Get, Answer | NoAnswer, Answer]


def locations_of(anchor: Anchor, shared: SharedParameters | None) -> tuple[tuple[str, ...], ...]:
    """Where the configuration may be downloaded: ranks to try in order, equals within a rank.

    Sources of the shared parameters stand before those of the anchor, HTTPS before HTTP. An
    address of the anchor with HTTP is tried with HTTPS first.
    """
    anchored = tuple(source.url for source in anchor.sources)
    published: tuple[str, ...] = ()
    if shared is not None and anchored:
        path = _path_of(min(anchored, key=_is_https))
        published = tuple(f"http://{source.address}{path}" for source in shared.sources)
    ranks = (
        _with_https(published),
        published,
        _with_https(anchored),
        tuple(url for url in anchored if not _is_https(url)),
    )
    rank_of: dict[str, int] = {}
    for number, rank in enumerate(ranks):
        for url in rank:
            rank_of.setdefault(url, number)
    return tuple(
        tuple(url for url, found in rank_of.items() if found == number)
        for number in range(len(ranks))
    )


def _path_of(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(("", "", parts.path, parts.query, ""))


def _is_https(url: str) -> bool:
    return url.startswith("https:")


def _with_https(urls: Sequence[str]) -> tuple[str, ...]:
    return tuple(url if _is_https(url) else "https:" + url.removeprefix("http:") for url in urls)


def download(
    trusted: TrustedConf,
    locations: Sequence[str],
    versions: Sequence[int] = SUPPORTED_VERSIONS,
) -> Conversation:
    """Try the locations in order until one gives a configuration that is accepted.

    Versions are asked for in the order given; none below the lowest of them is accepted.
    """
    attempts: list[Attempt] = []
    for location in locations:
        try:
            updated = yield from _from_location(trusted, location, versions)
        except ProtocolError as error:
            attempts.append(Attempt(location, error))
            continue
        attempts.append(Attempt(location))
        return Download(updated, tuple(attempts))
    return Download(None, tuple(attempts))


def _from_location(
    trusted: TrustedConf, location: str, versions: Sequence[int]
) -> Generator[Get, Answer | NoAnswer, TrustedConf]:
    # Addresses in shared parameters were written by people, and come from other instances too.
    check_url(location)
    answer = yield from _directory(location, versions)
    update = trusted.begin(answer.body, answer.at)
    if (version := update.directory.version) < min(versions):
        raise MalformedGlobalConf(f"version {version} of the configuration is no longer accepted")
    fetched: dict[Part, bytes] = {}
    for part in update.missing:
        url = urljoin(location, part.location)
        answer = yield from _get(url, _limit_of(part.kind))
        fetched[part] = answer.body
    return update.finish(fetched)


def _limit_of(kind: PartKind | None) -> int:
    return PART_LIMIT if kind is PartKind.SHARED_PARAMETERS else _SMALL_PART_LIMIT


def _directory(location: str, versions: Sequence[int]) -> _Step:
    """The directory in the newest version that the source has (PR-GCONF 2.7)."""
    if "version" in dict(parse_qsl(urlsplit(location).query, keep_blank_values=True)):
        return (yield from _get(location, DIRECTORY_LIMIT))
    for version in versions[:-1]:
        answer = yield Get(_versioned(location, version), DIRECTORY_LIMIT)
        if not (isinstance(answer, Answer) and answer.status == _NOT_FOUND):
            return _checked(answer, location)
    return (yield from _get(_versioned(location, versions[-1]), DIRECTORY_LIMIT))


def _versioned(location: str, version: int) -> str:
    parts = urlsplit(location)
    query = [*parse_qsl(parts.query, keep_blank_values=True), ("version", str(version))]
    return urlunsplit(parts._replace(query=urlencode(query)))


def _get(url: str, limit: int) -> _Step:
    return _checked((yield Get(url, limit)), url)


def _checked(answer: Answer | NoAnswer, url: str) -> Answer:
    if isinstance(answer, NoAnswer):
        raise GlobalConfUnanswered(f"{url} could not be downloaded: {answer.reason}")
    if answer.status != _OK:
        raise GlobalConfDownloadFailed(f"{url} answered with status {answer.status}")
    return answer
