"""Publishes signed global configuration as a Central Server does (PR-GCONF), version 6 only.

It stands in for the Central Server in a devnet.

    publisher = Publisher("DEV", SystemClock())
    await publisher.serve("127.0.0.1", port)
    publisher.publish(registry)
    publisher.anchor()                     what a security server starts from
    publisher.publish(registry.with_client(server, client))

Directories are signed when they are published, and again when one is asked for and the last
signature is older than the interval: nothing runs by itself. Part files stay available until the
directories that name them have expired.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from scripted.registry import Registry
from sild.devnet.certificates import make_self_signed, name_of
from sild.devnet.credentials import Credential, CredentialStore
from sild.devnet.errors import DevnetError
from sild.devnet.serving import Served, serve_app
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.protocol.globalconf.directory import (
    Boundaries,
    DirectoryContents,
    Part,
    PartKind,
    prepare_directory,
)
from sild.protocol.globalconf.shared_parameters import ConfigurationSource
from sild.runtime.clock import Clock

_VERSION = 6
# What a Central Server gives to those who ask for no version.
_DEFAULT_VERSION = "2"
_INTERNAL, _EXTERNAL = "internalconf", "externalconf"
_BOUNDARY_BYTES = 10
_NOTES = "signing-keys"


@dataclass(frozen=True, slots=True)
class PublisherSettings:
    """How often directories are signed again, how long they hold, and by what kind of key."""

    resign_seconds: int = 60
    expire_seconds: int = 600
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256


@dataclass(frozen=True, slots=True)
class _SigningKeys:
    """The keys of the two directories; they are replaced together."""

    internal: Credential
    external: Credential


@dataclass(frozen=True, slots=True)
class _Issue:
    """What was signed together, at one moment."""

    name: str
    signed_at: datetime
    expires: datetime
    directories: Mapping[str, bytes]
    files: Mapping[str, bytes] = field(repr=False)


class Publisher:
    """The global configuration of one instance, at `address` (host and port).

    While `frozen` is set nothing is signed again by itself, until what is published expires.
    Without a state directory the signing keys are new.
    """

    def __init__(
        self,
        instance: str,
        clock: Clock,
        settings: PublisherSettings | None = None,
        state: Path | None = None,
    ) -> None:
        self.instance = instance
        self.address = ""
        self.frozen = False
        self._clock = clock
        self._settings = settings or PublisherSettings()
        self._store = CredentialStore(state)
        notes = self._store.read_notes(_NOTES) or {"known": 1, "active": 0}
        self._keys = [self._key(number) for number in range(notes["known"])]
        self._active: int = notes["active"]
        self._registry: Registry | None = None
        self._issues: dict[str, _Issue] = {}
        self.app = Starlette(
            routes=[
                Route("/{directory:str}", self._get_directory, methods=["GET"]),
                Route("/V6/{directory:str}", self._get_named_directory, methods=["GET"]),
                Route("/V6/{issue:str}/{name:str}", self._get_file, methods=["GET"]),
            ]
        )

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> Served:
        """Publish over HTTP; from then on the publisher knows its address."""
        served = await serve_app(self.app, host, port)
        self.address = served.address
        return served

    def publish(self, registry: Registry) -> None:
        """Sign and publish what the registry says, with the newest key that has been announced.

        Raises DevnetError and MalformedGlobalConf for what cannot be published; what was published
        before then stays.
        """
        if registry.instance != self.instance:
            raise DevnetError(f"this is the publisher of {self.instance}, not {registry.instance}")
        before, self._active = self._active, len(self._keys) - 1
        try:
            self._sign(registry)
        except BaseException:
            self._active = before
            raise
        self._note_keys()

    def rotate(self) -> None:
        """Announce a new signing key, still signing with the old one.

        The next `publish` signs with it. A client that has not asked in between knows only the
        old key, and refuses what it gets.
        """
        registry = self._published()
        self._keys.append(self._key(len(self._keys)))
        self._note_keys()
        self._sign(registry)

    def anchor(self) -> bytes:
        """The anchor for servers of the instance, with the key that is in use."""
        return self._anchor(_INTERNAL, self._keys[self._active].internal)

    def external_anchor(self) -> bytes:
        """The anchor for other instances, which federate with this one."""
        return self._anchor(_EXTERNAL, self._keys[self._active].external)

    def _anchor(self, directory: str, key: Credential) -> bytes:
        source = Source(f"http://{self._located()}/{directory}", (key.certificate.der,))
        return write_anchor(Anchor(self.instance, (source,), self._clock.now()))

    def _published(self) -> Registry:
        if self._registry is None:
            raise DevnetError("nothing has been published yet")
        return self._registry

    def _located(self) -> str:
        if not self.address:
            raise DevnetError("the publisher has no address yet: serve it first")
        return self.address

    def _key(self, number: int) -> _SigningKeys:
        def make() -> Credential:
            name = name_of(self.instance, f"Conf key {number}")
            return make_self_signed(name, self._settings.key_algorithm, self._clock)

        now = self._clock.now()
        return _SigningKeys(
            internal=self._store.find_or_make(f"internal-{number}", now, make),
            external=self._store.find_or_make(f"external-{number}", now, make),
        )

    def _note_keys(self) -> None:
        self._store.write_notes(_NOTES, {"known": len(self._keys), "active": self._active})

    def _sign(self, registry: Registry) -> None:
        source = ConfigurationSource(
            self._located(),
            tuple(keys.internal.certificate for keys in self._keys),
            tuple(keys.external.certificate for keys in self._keys),
        )
        shared = {PartKind.SHARED_PARAMETERS: registry.write_shared(source)}
        internal = shared | registry.write_internal()
        now, keys = self._clock.now(), self._keys[self._active]
        expires = (now + timedelta(seconds=self._settings.expire_seconds)).replace(microsecond=0)
        name = self._new_name(now)
        issue = _Issue(
            name=name,
            signed_at=now,
            expires=expires,
            directories={
                _INTERNAL: self._directory(keys.internal, expires, self._parts(name, internal)),
                _EXTERNAL: self._directory(keys.external, expires, self._parts(name, shared)),
            },
            files={kind.file_name: content for kind, content in internal.items()},
        )
        kept = {each.name: each for each in self._issues.values() if each.expires >= now}
        self._issues, self._registry = kept | {name: issue}, registry

    def _new_name(self, now: datetime) -> str:
        """The moment, to the nanosecond, as names of directories on a Central Server."""
        nanoseconds = now.microsecond * 1000
        while (name := f"{now:%Y%m%d%H%M%S}{nanoseconds:09d}") in self._issues:
            nanoseconds += 1
        return name

    def _parts(self, name: str, contents: Mapping[PartKind, bytes]) -> tuple[Part, ...]:
        digest = DigestAlgorithm.SHA512
        return tuple(
            Part(
                identifier=kind.value,
                instance=self.instance,
                location=f"/V{_VERSION}/{name}/{kind.file_name}",
                algorithm=digest,
                digest=digest.digest(content),
            )
            for kind, content in contents.items()
        )

    def _directory(self, key: Credential, expires: datetime, parts: tuple[Part, ...]) -> bytes:
        unsigned = prepare_directory(
            DirectoryContents(_VERSION, expires, parts),
            key.certificate,
            SignatureAlgorithm.for_key(key.certificate.public_key),
            Boundaries(self._boundary(), self._boundary()),
        )
        return unsigned.finish(key.sign(unsigned.to_sign))

    def _boundary(self) -> str:
        return self._clock.random_bytes(_BOUNDARY_BYTES).hex()

    def _current(self) -> _Issue | None:
        """What is published now, signed again if its time has come."""
        if self._registry is None:
            return None
        newest = list(self._issues.values())[-1]
        age = self._clock.now() - newest.signed_at
        if not self.frozen and age >= timedelta(seconds=self._settings.resign_seconds):
            self._sign(self._registry)
            newest = list(self._issues.values())[-1]
        return newest

    async def _get_directory(self, request: Request) -> Response:
        if request.query_params.get("version", _DEFAULT_VERSION) != str(_VERSION):
            return _not_found()
        return await self._get_named_directory(request)

    async def _get_named_directory(self, request: Request) -> Response:
        issue = self._current()
        if issue is None or request.path_params["directory"] not in issue.directories:
            return _not_found()
        directory = issue.directories[request.path_params["directory"]]
        return Response(directory, media_type="application/octet-stream")

    async def _get_file(self, request: Request) -> Response:
        issue = self._issues.get(request.path_params["issue"])
        if issue is None or request.path_params["name"] not in issue.files:
            return _not_found()
        return Response(issue.files[request.path_params["name"]], media_type="text/xml")


def _not_found() -> Response:
    return PlainTextResponse("not published", 404)
