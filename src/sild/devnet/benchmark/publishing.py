"""What a round of publishing costs a Central Server with a whole country in its registry.

    figures = await measure_publishing(home, rounds=20)

runs `python -m sild.devnet.benchmark.publishing HOME ROUNDS` as a process of its own, which prints
lines of JSON: `told` while it works, and the figures at the end. Between rounds a subsystem is
added, so that no round says what the one before said.
"""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Table, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.cluster import Cluster
from sild.components.centralserver.configuration_parts import KNOWN_PARTS, ConfigurationParts
from sild.components.centralserver.publish import Publisher, Surroundings
from sild.components.centralserver.publishing_files import PublicationDirectory
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_tables import (
    AUTH_CERTIFICATE,
    CLIENT,
    GROUP,
    GROUP_MEMBER,
    MEMBER_CLASS,
    SERVER,
    SERVER_CLIENT,
)
from sild.components.centralserver.schema import MIGRATIONS
from sild.components.centralserver.source_anchors import SourceAnchors
from sild.components.centralserver.source_rows import SourceKind
from sild.components.centralserver.sources import Sources, SourceSettings
from sild.components.centralserver.system import Node, Parameter, set_parameter
from sild.components.centralserver.trusted_anchors import TrustedAnchors
from sild.devnet.benchmark.figures import PublishingFigures, RoundFigures
from sild.devnet.benchmark.pipes import Process
from sild.devnet.benchmark.processes import cpu_seconds, memory_bytes, peak_memory_bytes
from sild.devnet.credentials import PrivateKey, generate_key
from sild.devnet.errors import DevnetError
from sild.model.tokens import Key, KeyAlgorithm, KeyUsage, Token, TokenStatus
from sild.protocol.algorithms import KeyFamily, SignatureAlgorithm
from sild.protocol.globalconf.anchor import Anchor
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.database import Database
from sild.runtime.loop import run
from sild.runtime.migrations import migrate

_CLIENTS_OF_A_SERVER = 7
_CERTIFICATE_BYTES = 1_000
_INSTANCE, _CLASS, _ADDRESS = "BENCH", "COM", "cs.bench.test"
_SILENCE_SECONDS = 300.0
_CHUNK = 1_000
_TOKEN = "0"  # noqa: S105 - a name, no secret


@dataclass(frozen=True, slots=True)
class Country:
    """How much there is in the registry."""

    members: int = 3_000
    subsystems: int = 10_000
    servers: int = 1_500

    def __str__(self) -> str:
        return f"{self.members:,} members, {self.subsystems:,} subsystems, {self.servers:,} servers"


async def measure_publishing(
    home: Path, rounds: int, progress: Callable[[str], None]
) -> PublishingFigures:
    """Measure in a process of its own; raises DevnetError where it fails."""
    process = await Process.start("publishing", str(home), str(rounds))
    try:
        while "told" in (said := await process.read(_SILENCE_SECONDS)):
            progress(said["told"])
    finally:
        await process.close()
    if "failed" in said:
        raise DevnetError(f"publishing: {said['failed']}")
    figures = tuple(RoundFigures(**each) for each in said.pop("rounds"))
    return PublishingFigures(rounds=figures, **said)


class _Keys:
    """A token in this process's memory."""

    def __init__(self) -> None:
        self._keys: dict[str, tuple[Key, PrivateKey]] = {}

    async def tokens(self) -> tuple[Token, ...]:
        keys = tuple(key for key, _ in self._keys.values())
        available = frozenset(self._keys)
        return (Token(_TOKEN, "bench", TokenStatus.OK, True, keys, available),)

    async def generate_key(
        self, token_id: str, label: str, usage: KeyUsage, algorithm: KeyAlgorithm
    ) -> Key:
        private = generate_key(algorithm)
        public = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        key = Key(f"KEY{len(self._keys)}", label, usage, algorithm, public, token_id=token_id)
        self._keys[key.id] = (key, private)
        return key

    async def sign(self, key_id: str, digest: bytes, algorithm: str) -> bytes:
        private = self._keys[key_id][1]
        chosen = SignatureAlgorithm.from_uri(algorithm)
        prehashed = utils.Prehashed(chosen.digest_algorithm.primitive)
        if isinstance(private, ec.EllipticCurvePrivateKey):
            return private.sign(digest, ec.ECDSA(prehashed))
        if chosen.family is not KeyFamily.RSA:
            raise DevnetError(f"{algorithm} is not for keys of RSA")
        return private.sign(digest, padding.PKCS1v15(), prehashed)

    async def delete_key(self, key_id: str) -> None:
        del self._keys[key_id]

    async def initialize(self, pin: str) -> None:
        raise DevnetError("the token has been initialised")

    async def login(self, token_id: str, pin: str) -> None:
        raise DevnetError("the token is open")

    async def logout(self, token_id: str) -> None:
        raise DevnetError("the token stays open")


class _NoPartners:
    async def verify(self, anchor: Anchor) -> None:
        raise DevnetError(f"{anchor.instance} is not verified here")


class _NoRegistration:
    async def find_certificate(self) -> Certificate | None:
        return None


async def measure_here(
    home: Path, rounds: int, progress: Callable[[str], None], country: Country | None = None
) -> PublishingFigures:
    """Measure in this process, whose memory is told of."""
    country = country or Country()
    clock, node = SystemClock(), Node()
    async with Database.open(f"sqlite:///{home / 'central.db'}") as database:
        await migrate(database, MIGRATIONS)
        async with database.transaction() as connection:
            await _set_up(connection, node)
            await _register(connection, country, clock)
        progress(f"registered {country}")
        keys = _Keys()
        sources = Sources(SourceAnchors(database, node, clock), keys, SourceSettings(), clock)
        for kind in SourceKind:
            await sources.add_key(kind, _TOKEN, kind.value)
        files = PublicationDirectory(home / "public")
        parts = ConfigurationParts(database, node, KNOWN_PARTS, files, clock)
        cluster = Cluster(database, node, timedelta(minutes=1), clock)
        anchors = TrustedAnchors(database, node, _NoPartners())
        publisher = Publisher(parts, Surroundings(keys, _NoRegistration(), anchors, cluster))
        figures = []
        for number in range(rounds):
            figures.append(await _round(publisher, clock))
            progress(f"round {number + 1}: {figures[-1].seconds:.2f} s")
            await _change(database, number % country.members, clock)
    (process,) = _processes()
    return PublishingFigures(tuple(figures), peak_memory_bytes(process), _size(files))


async def _round(publisher: Publisher, clock: Clock) -> RoundFigures:
    began, spent = clock.monotonic(), cpu_seconds(_processes())
    await publisher.publish()
    return RoundFigures(
        seconds=clock.monotonic() - began,
        cpu_seconds=cpu_seconds(_processes()) - spent,
        memory_bytes=memory_bytes(_processes()),
    )


def _processes() -> tuple[int, ...]:
    return (int(Path("/proc/self").readlink().name),)


def _size(files: PublicationDirectory) -> int:
    newest = {
        version: max(each for each in (files.path / f"V{version}").iterdir() if each.is_dir())
        for version in files.versions()
    }
    return sum(path.stat().st_size for folder in newest.values() for path in folder.iterdir())


async def _change(database: Database, number: int, clock: Clock) -> None:
    async with database.transaction() as connection:
        member = ClientId(_INSTANCE, _CLASS, _code(number))
        rows = RegistryRows(connection, clock.now())
        await rows.add_subsystem(member.subsystem(f"NEW{number}"), f"New in round {number}")


async def _set_up(connection: AsyncConnection, node: Node) -> None:
    for parameter, value in (
        (Parameter.INSTANCE, _INSTANCE),
        (Parameter.ADDRESS, _ADDRESS),
        (Parameter.PROVIDER_CLASS, _CLASS),
        (Parameter.PROVIDER_CODE, _code(0)),
        (Parameter.PROVIDER_SUBSYSTEM, "SUBSYSTEM-0"),
    ):
        await set_parameter(connection, node, parameter, value)


async def _register(connection: AsyncConnection, country: Country, clock: Clock) -> None:
    """Fill the registry row by row: the use cases, one after another, would take minutes."""
    now = {"created": clock.now(), "updated": clock.now()}
    await connection.execute(insert(MEMBER_CLASS).values(code=_CLASS, description="Companies"))
    await _insert(connection, CLIENT, ({**row, **now} for row in _clients(country)))
    await _insert(connection, SERVER, ({**row, **now} for row in _servers(country)))
    await _insert(connection, SERVER_CLIENT, _server_clients(country))
    await _insert(connection, AUTH_CERTIFICATE, _certificates(country, clock))
    owners = {"id": 1, "code": "security-server-owners", "description": "Owners"}
    await connection.execute(insert(GROUP).values({**owners, **now}))
    members = ({"group_id": 1, "client_id": number + 1} for number in range(country.servers))
    await _insert(connection, GROUP_MEMBER, ({**row, "created": clock.now()} for row in members))


async def _insert(
    connection: AsyncConnection, table: Table, rows: Iterator[Mapping[str, object]]
) -> None:
    while chunk := list(islice(rows, _CHUNK)):
        await connection.execute(insert(table), chunk)


def _code(number: int) -> str:
    return f"{10_000_000 + number}"


def _clients(country: Country) -> Iterator[dict[str, object]]:
    """Members have the ids from 1 on, subsystems those after them."""
    for number in range(country.members):
        yield _client(number, None, "", f"Member number {number} of the benchmark, Ltd.")
    for number in range(country.subsystems):
        member = number % country.members
        name = f"Subsystem number {number} of the benchmark"
        yield _client(member, member + 1, f"SUBSYSTEM-{number // country.members}", name)


def _client(member: int, owner: int | None, code: str, name: str) -> dict[str, object]:
    return {
        "member_id": owner,
        "instance": _INSTANCE,
        "member_class": _CLASS,
        "member_code": _code(member),
        "subsystem_code": code,
        "name": name,
        "name_folded": name.casefold(),
    }


def _servers(country: Country) -> Iterator[dict[str, object]]:
    for number in range(country.servers):
        yield {
            "owner_id": number + 1,
            "server_code": f"SERVER-{number}",
            "address": f"server{number}.bench.test",
            "in_maintenance": number % 100 == 0,
            "maintenance_message": None,
        }


def _server_clients(country: Country) -> Iterator[dict[str, object]]:
    for number in range(country.servers):
        for each in range(_CLIENTS_OF_A_SERVER):
            client = (number * _CLIENTS_OF_A_SERVER + each) % country.subsystems
            yield {
                "server_id": number + 1,
                "client_id": country.members + client + 1,
                "enabled": True,
            }


def _certificates(country: Country, clock: Clock) -> Iterator[dict[str, object]]:
    # Nobody looks into them here.
    for number in range(country.servers):
        content = clock.random_bytes(_CERTIFICATE_BYTES)
        yield {"server_id": number + 1, "sha256": f"{number:064x}", "content": content}


async def _main(home: str, rounds: str) -> None:
    said: Mapping[str, object]
    try:
        place = Path(home)
        await asyncio.to_thread(place.mkdir, parents=True, exist_ok=True)
        said = asdict(await measure_here(place, int(rounds), lambda text: _say({"told": text})))
    except DevnetError as error:
        said = {"failed": str(error)}
    _say(said)


def _say(said: Mapping[str, object]) -> None:
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    run(_main(*sys.argv[1:]))
