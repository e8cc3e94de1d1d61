"""The configuration client: a round downloads, verifies and stores every configuration wanted.

The rules are in `sild.protocol.globalconf`; here are the network, the disk and the order of the
locations. A round begins with the local instance. Its private parameters then lead to the
instances that it federates with; one of those that fails costs no more than itself, as its last
configuration is kept until it expires.

Another anchor begins anew: nothing that was accepted by the former one, neither announced keys
nor a date of expiry, binds what the new one leads to.
"""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from sild.components.confclient.cache import folder_of, read_cached, save
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfError,
    GlobalConfUnanswered,
    MalformedGlobalConf,
    ProtocolError,
)
from sild.protocol.globalconf.anchor import Anchor, read_anchor
from sild.protocol.globalconf.directory import SUPPORTED_VERSIONS
from sild.protocol.globalconf.fetch import (
    Answer,
    Attempt,
    Conversation,
    Download,
    Get,
    NoAnswer,
    download,
    locations_of,
)
from sild.protocol.globalconf.trusted import Federations, InstanceConf, Scope, TrustedConf
from sild.runtime.clock import Clock
from sild.runtime.fetch import Fetcher, FetchError, FetchLimits, FetchRequest
from sild.runtime.files import FileError, read_bounded

_LOG = logging.getLogger(__name__)
_ANCHOR_LIMIT = 1024 * 1024
_TRIED_AT_ONCE = 4


class AnchorFileNotFound(GlobalConfError):
    """There is no configuration anchor to begin with."""

    code = "anchor_file_not_found"


@dataclass(frozen=True, slots=True)
class Places:
    """The file of the anchor, and the directory of the copy."""

    anchor_file: Path
    directory: Path


@dataclass(frozen=True, slots=True)
class Source:
    """What became of one instance in a round: the locations tried, and what each said."""

    instance: str
    attempts: tuple[Attempt, ...]

    @property
    def location(self) -> str | None:
        """The location that gave the configuration."""
        return next((each.location for each in self.attempts if each.error is None), None)


@dataclass(frozen=True, slots=True)
class Round:
    """A round that succeeded for the local instance, and whether it brought anything new."""

    ended: datetime
    expires: datetime
    changed: bool
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    """What has been accepted by an anchor so far, and where it came from."""

    anchor: Anchor
    instances: Mapping[str, InstanceConf]
    locations: Mapping[str, str] = field(default_factory=dict)


class ConfigurationClient:
    """Keeps the copy in a directory fresh."""

    def __init__(
        self,
        places: Places,
        settings: ConfigurationClientSettings,
        fetcher: Fetcher,
        clock: Clock,
    ) -> None:
        self._places = places
        self._settings = settings
        self._fetcher = fetcher
        self._clock = clock
        # Of two rounds at once each would clear away what the other is about to use.
        self._turn = asyncio.Lock()
        self._federations = Federations.from_text(settings.allowed_federations)
        lowest = settings.minimum_global_configuration_version
        self._versions = tuple(each for each in SUPPORTED_VERSIONS if each >= lowest)
        self._tls = _tls_context(settings)
        self._held: _Held | None = None
        # What the last round met at each source, for diagnostics; after a failed round, too.
        self.sources: tuple[Source, ...] = ()
        self.problem: ProtocolError | None = None
        """Why the last round failed."""

    @property
    def location(self) -> str | None:
        """The source of the local instance in the last round that succeeded."""
        held = self._held
        return None if held is None else held.locations.get(held.anchor.instance)

    async def refresh(self) -> Round:
        """Do a round; raises GlobalConfError where the local instance's configuration failed."""
        self.sources = ()
        try:
            async with self._turn:
                done = await self._round()
        except GlobalConfError as error:
            self.problem = self._worst_error() or error
            raise
        self.problem = None
        return done

    def _worst_error(self) -> ProtocolError | None:
        """What the last location that answered did wrong, or that none did."""
        attempts = self.sources[0].attempts if self.sources else ()
        errors = [attempt.error for attempt in attempts if attempt.error is not None]
        errors.sort(key=lambda error: not isinstance(error, GlobalConfUnanswered))
        return errors[-1] if errors else None

    async def try_sources(self) -> tuple[Source, ...]:
        """What each location of each wanted instance gives by itself; nothing of it is kept.

        Raises GlobalConfError where there is no anchor to begin with.
        """
        held = await asyncio.to_thread(self._load)
        own = TrustedConf(held.anchor, Scope.OWN, self._federations, held.instances)
        partners = (
            TrustedConf(partner, Scope.FEDERATED, held=_held_of_partner(partner, own, held))
            for partner in self._partners(own)
        )
        return tuple([await self._try(each) for each in (own, *partners)])

    async def _try(self, trusted: TrustedConf) -> Source:
        shared = trusted.own.shared if trusted.own is not None else None
        locations = [url for rank in locations_of(trusted.anchor, shared) for url in rank]
        limit = asyncio.Semaphore(_TRIED_AT_ONCE)

        async def attempt(location: str) -> Attempt:
            async with limit:
                conversation = download(trusted, [location], self._versions)
                return (await self._converse(conversation)).attempts[0]

        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(attempt(each)) for each in locations]
        return Source(trusted.anchor.instance, tuple(each.result() for each in running))

    async def _round(self) -> Round:
        held = await asyncio.to_thread(self._load)
        own = TrustedConf(held.anchor, Scope.OWN, self._federations, held.instances)
        conf = (await self._download(own, held)).get_trusted()
        instances = {name: each for name, each in conf.held.items() if _is_storable(name)}
        for partner in self._partners(conf):
            trusted = TrustedConf(
                partner, Scope.FEDERATED, held=_held_of_partner(partner, own, held)
            )
            outcome = await self._download(trusted, held)
            kept = outcome.trusted or trusted
            if kept.own is not None and kept.own.expires > self._clock.now():
                instances[partner.instance] = kept.own
        return await self._keep(held, instances)

    async def fetch(self, trusted: TrustedConf) -> Download:
        """What the locations of an anchor give now; nothing of it is kept."""
        locations = self._ordered(trusted, None)
        return await self._converse(download(trusted, locations, self._versions))

    async def verify(self, anchor: Anchor) -> None:
        """Download what an anchor leads to, and keep nothing of it.

        Raises what the first source said that gave something, or GlobalConfDownloadFailed.
        """
        folder_of(anchor.instance)
        outcome = await self.fetch(TrustedConf(anchor, Scope.OWN, self._federations))
        if outcome.trusted is not None:
            return
        for attempt in outcome.attempts:
            if attempt.error and not isinstance(attempt.error, GlobalConfDownloadFailed):
                raise attempt.error
        outcome.get_trusted()

    async def _keep(self, held: _Held, instances: Mapping[str, InstanceConf]) -> Round:
        locations = {each.instance: each.location for each in self.sources if each.location}
        changed = self._held is None or instances != held.instances
        if changed:
            await asyncio.to_thread(save, self._places.directory, instances, held.anchor)
        self._held = _Held(held.anchor, instances, locations)
        expires = instances[held.anchor.instance].expires
        return Round(self._clock.now(), expires, changed, self.sources)

    def _load(self) -> _Held:
        """What is held by the anchor that is in its file now."""
        anchor = self._read_anchor()
        folder_of(anchor.instance)
        if self._held is not None and _is_same_trust(self._held.anchor, anchor):
            return _Held(anchor, self._held.instances, self._held.locations)
        try:
            cached = read_cached(self._places.directory)
        except GlobalConfError as error:
            _LOG.info("beginning without a configuration: %s", error)
            return _Held(anchor, {})
        if not _is_same_trust(cached.anchor, anchor):
            _LOG.warning("the configuration anchor has changed: beginning anew")
            return _Held(anchor, {})
        return _Held(anchor, cached.conf.instances)

    def _read_anchor(self) -> Anchor:
        path = self._places.anchor_file
        try:
            return read_anchor(read_bounded(path, _ANCHOR_LIMIT))
        except (OSError, FileError) as error:
            raise AnchorFileNotFound(f"the configuration anchor cannot be read: {error}") from None

    def _partners(self, conf: TrustedConf) -> tuple[Anchor, ...]:
        private = conf.own.private if conf.own is not None else None
        return tuple(
            anchor
            for anchor in (private.anchors if private is not None else ())
            if anchor.instance != conf.anchor.instance
            and self._federations.allows(anchor.instance)
            and _is_storable(anchor.instance)
        )

    async def _download(self, trusted: TrustedConf, held: _Held) -> Download:
        instance = trusted.anchor.instance
        locations = self._ordered(trusted, held.locations.get(instance))
        outcome = await self._converse(download(trusted, locations, self._versions))
        for attempt in outcome.attempts:
            if attempt.error is not None:
                _LOG.warning(
                    "no configuration of %s from %s: %s", instance, attempt.location, attempt.error
                )
        self.sources = (*self.sources, Source(instance, outcome.attempts))
        return outcome

    def _ordered(self, trusted: TrustedConf, last: str | None) -> list[str]:
        """The location that served last, then rank by rank, by chance within a rank."""
        shared = trusted.own.shared if trusted.own is not None else None
        locations = [
            url
            for rank in locations_of(trusted.anchor, shared)
            for url in sorted(rank, key=lambda _: self._clock.random_bytes(8))
        ]
        return sorted(locations, key=lambda url: url != last)

    async def _converse(self, conversation: Conversation) -> Download:
        answer: Answer | NoAnswer | None = None
        while True:
            # Verifying and reading a large configuration takes long enough to be noticed.
            wanted = await asyncio.to_thread(_proceed, conversation, answer)
            if isinstance(wanted, Download):
                return wanted
            answer = await self._get(wanted)

    async def _get(self, wanted: Get) -> Answer | NoAnswer:
        connect = self._settings.downloader_connect_timeout
        limits = FetchLimits(
            total=connect + self._settings.downloader_read_timeout,
            connect=connect,
            body=wanted.limit,
        )
        try:
            response = await self._fetcher.fetch(FetchRequest(wanted.url, tls=self._tls), limits)
        except FetchError as error:
            return NoAnswer(str(error))
        return Answer(response.status, response.body, self._clock.now())


def _proceed(conversation: Conversation, answer: Answer | NoAnswer | None) -> Get | Download:
    try:
        return next(conversation) if answer is None else conversation.send(answer)
    except StopIteration as done:
        outcome: Download = done.value
        return outcome


def _tls_context(settings: ConfigurationClientSettings) -> ssl.SSLContext | None:
    """How to treat servers, if not as the system's authorities have it."""
    verifying = settings.global_conf_tls_cert_verification
    if verifying and settings.global_conf_hostname_verification:
        return None
    context = ssl.create_default_context()
    context.check_hostname = False
    if not verifying:
        context.verify_mode = ssl.CERT_NONE
    return context


def _is_same_trust(first: Anchor, second: Anchor) -> bool:
    return first.instance == second.instance and _keys(first) == _keys(second)


def _keys(anchor: Anchor) -> frozenset[bytes]:
    return frozenset(each for source in anchor.sources for each in source.certificates)


def _held_of_partner(partner: Anchor, own: TrustedConf, held: _Held) -> Mapping[str, InstanceConf]:
    """What is held of a partner, if the private parameters held had the same trust in it."""
    private = own.own.private if own.own is not None else None
    known = private.anchors if private is not None else ()
    if any(_is_same_trust(each, partner) for each in known) and partner.instance in held.instances:
        return {partner.instance: held.instances[partner.instance]}
    return {}


def _is_storable(instance: str) -> bool:
    try:
        folder_of(instance)
    except MalformedGlobalConf:
        _LOG.warning("the configuration of %r is passed over: it has no file name", instance)
        return False
    return True
