"""Renew the evidence in files, and follow its renewals."""

import asyncio
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sild.cli.verify_conf import read_conf
from sild.components.messagelog.settings import MessageLogSettings
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.asic.augment import with_entries
from sild.protocol.asic.container import MIME_TYPE, Container, read_container, read_entries
from sild.protocol.asic.verify import verify_container
from sild.protocol.errors import ProtocolError, TimestampRefused
from sild.protocol.evidence.archive_manifest import NEWEST, prepare_renewal, verify_renewals
from sild.protocol.evidence.evidence_record import (
    ArchiveTimestamp,
    EvidenceRecord,
    HashTree,
    digest_to_renew,
    read_evidence_record,
    verify_evidence_record,
    with_renewal,
    write_evidence_record,
)
from sild.protocol.evidence.renewal import (
    RENEWAL_DIGESTS,
    Renewal,
    RenewalTrust,
    check_in_time,
    usual_strength,
)
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.timestamp import (
    TimestampToken,
    VerifiedTimestamp,
    build_timestamp_request,
    read_timestamp_response,
    read_timestamp_token,
    verify_stamped_digest,
    with_certificate,
)
from sild.protocol.pki.trust import ApprovedTsa, Trust
from sild.runtime.clock import SystemClock
from sild.runtime.fetch import Fetcher
from sild.runtime.files import FileError, read_bounded, write_private
from sild.servers.tsa_http import HttpTimestamps

RECORD_SUFFIX = ".ers"

_LARGEST_CONTAINER = 300_000_000
_LARGEST_RECORD = 16_000_000
_LARGEST_CERTIFICATE = 64 * 1024
_PIECE = 1024 * 1024
_NONCE_BYTES = 8
_COMMENT = b"mimetype=" + MIME_TYPE


class NotStamped(Exception):
    """The authority gave no time-stamp that counts."""


_FAILURES = (NotStamped, ProtocolError, FileError, OSError)


@dataclass(frozen=True, slots=True)
class Known:
    """Whose time-stamps count, and what each configuration says of containers."""

    tsas: tuple[ApprovedTsa, ...]
    confs: tuple[Mapping[str, Trust], ...]

    def trust(self) -> RenewalTrust:
        """The same, as of now."""
        return RenewalTrust(self.tsas, SystemClock().now())


@dataclass(frozen=True, slots=True)
class Order:
    """Who stamps, what is digested with, and who counts."""

    url: str
    algorithm: DigestAlgorithm
    known: Known


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one file: valid, renewed, lapsed, unprotected, invalid, failed or unknown."""

    path: Path
    verdict: str
    reason: str = ""
    renewals: tuple[Renewal, ...] = ()


def read_known(confs: Sequence[Path], certificates: Sequence[Path]) -> Known:
    """Whose time-stamps count; raises UnreadableConfiguration, ProtocolError, OSError."""
    trusts = tuple(read_conf(path, usual_strength(SystemClock().now())) for path in confs)
    tsas = [tsa for conf in trusts for trust in conf.values() for tsa in trust.tsas]
    for path in certificates:
        certificate = read_certificate(read_bounded(path, _LARGEST_CERTIFICATE))
        tsas.append(ApprovedTsa(certificate.name, "", certificate))
    return Known(tuple(tsas), trusts)


def protected_file(path: Path) -> Path:
    """The file that an evidence record is beside; any other file stands for itself."""
    is_record = path.suffix == RECORD_SUFFIX and path.with_suffix("").is_file()
    return path.with_suffix("") if is_record else path


def verify_all(paths: Sequence[Path], known: Known) -> list[Outcome]:
    """Follow the renewals of each file."""
    return [_verify(path, known.trust()) for path in paths]


def _verify(path: Path, trust: RenewalTrust) -> Outcome:
    try:
        if is_container(path):
            renewals = verify_renewals(read_entries(_read(path)), trust)
        else:
            record = _find_record(path)
            digests = digest_file(path)
            renewals = verify_evidence_record(record, digests, trust) if record else ()
    except ProtocolError as error:
        return Outcome(path, "invalid", error.message)
    except (FileError, OSError) as error:
        return Outcome(path, "unknown", str(error))
    if not renewals:
        return Outcome(path, "unprotected", "it was never renewed")
    if renewals[-1].protected_until < trust.now:
        return Outcome(path, "lapsed", "it was not renewed in time", renewals)
    return Outcome(path, "valid", "", renewals)


async def renew_all(paths: Sequence[Path], order: Order) -> list[Outcome]:
    """Renew each file: a container by itself, all others by one time-stamp."""
    outcomes: dict[Path, Outcome] = {}
    others: list[_Archive] = []
    async with Fetcher(trusting=True) as fetcher:
        stamper = _Stamper(HttpTimestamps(fetcher, MessageLogSettings()), order)
        for path in paths:
            try:
                if is_container(path):
                    outcomes[path] = await _renew_container(path, stamper)
                else:
                    others.append(await asyncio.to_thread(_prepare_archive, path, order))
            except _FAILURES as error:
                outcomes[path] = _failed(path, error)
        if others:
            outcomes |= await _renew_archives(others, stamper)
    return [outcomes[path] for path in paths]


def _failed(path: Path, error: Exception) -> Outcome:
    if isinstance(error, NotStamped):
        return Outcome(path, "failed", f"no time-stamp was had: {error}")
    if isinstance(error, ProtocolError):
        return Outcome(path, "invalid", error.message)
    return Outcome(path, "unknown", str(error))


class _Stamper:
    """Gets verified time-stamps over digests."""

    def __init__(self, http: HttpTimestamps, order: Order) -> None:
        self._http = http
        self.order = order

    async def stamp(self, digest: bytes) -> tuple[TimestampToken, VerifiedTimestamp]:
        """A token over the digest, its authority's certificate in it; raises NotStamped."""
        try:
            return await self._stamp(digest)
        except ProtocolError as error:
            raise NotStamped(error.message) from error

    async def _stamp(self, digest: bytes) -> tuple[TimestampToken, VerifiedTimestamp]:
        nonce = int.from_bytes(SystemClock().random_bytes(_NONCE_BYTES), "big") >> 1
        request = build_timestamp_request(digest, self.order.algorithm, nonce)
        answer = await self._http.fetch_timestamp(self.order.url, request)
        token = read_timestamp_response(answer)
        if token.nonce != nonce:
            raise TimestampRefused("the time-stamp answers another request")
        proof = verify_stamped_digest(token, digest, self.order.known.tsas)
        whole = read_timestamp_token(with_certificate(token, proof.tsa.certificate))
        return whole, proof


# Containers


def is_container(path: Path) -> bool:
    """Whether a file is an ASiC-E container rather than any other file; raises OSError."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":
            return False
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - len(_COMMENT)))
        ends_so = file.read() == _COMMENT
    if ends_so or path.suffix.lower() == ".asice":
        return True
    if size > _LARGEST_CONTAINER:
        return False
    with suppress(ProtocolError):
        return read_entries(_read(path)).get("mimetype", b"").lower() == MIME_TYPE
    return False


async def _renew_container(path: Path, stamper: _Stamper) -> Outcome:
    order, data = stamper.order, await asyncio.to_thread(_read, path)
    entries, container = read_entries(data), read_container(data)
    before = verify_renewals(entries, order.known.trust())
    own = _verify_contents(container, order.known.confs)
    prepared = prepare_renewal(entries, order.algorithm)
    token, stamp = await stamper.stamp(order.algorithm.digest(prepared.manifest))
    if own is not None:
        check_in_time(own, (before[0].stamped_at if before else stamp.gen_time), NEWEST)
    added = prepared.finish(token.der)
    renewed = with_entries(data, added, prepared.renamed, stamp.gen_time)
    renewals = verify_renewals(read_entries(renewed), _from(stamp.gen_time, order.known))
    await asyncio.to_thread(_replace, path, renewed, data)
    note = "" if own is not None else "its contents were not verified: that needs --conf"
    return Outcome(path, "renewed", note, renewals)


def _from(stamped_at: datetime, known: Known) -> RenewalTrust:
    """Judge from the authority's clock, should ours be behind."""
    return RenewalTrust(known.tsas, max(stamped_at, SystemClock().now()))


def _verify_contents(
    container: Container, confs: Sequence[Mapping[str, Trust]]
) -> VerifiedTimestamp | None:
    """The container's own time-stamp by the first configuration that it is valid by."""
    if not confs:
        return None
    for number, conf in enumerate(confs, 1):
        try:
            report = verify_container(container, conf)
        except ProtocolError:
            if number == len(confs):
                raise
        else:
            return VerifiedTimestamp(report.timestamped_at, report.tsa)
    return None


def _replace(path: Path, content: bytes, expected: bytes) -> None:
    if _read(path) != expected:
        raise FileError(f"{path} was changed meanwhile")
    write_private(path, content, mode=stat.S_IMODE(path.stat().st_mode))


def _read(path: Path) -> bytes:
    return read_bounded(path, _LARGEST_CONTAINER)


# Archives and other files


@dataclass(frozen=True, slots=True)
class _Archive:
    path: Path
    record: EvidenceRecord | None
    digests: Mapping[DigestAlgorithm, bytes]
    leaf: bytes


def _prepare_archive(path: Path, order: Order) -> _Archive:
    record, digests = _find_record(path), digest_file(path)
    if record is not None:
        verify_evidence_record(record, digests, order.known.trust())
    return _Archive(path, record, digests, digest_to_renew(record, digests, order.algorithm))


def _find_record(path: Path) -> EvidenceRecord | None:
    try:
        return read_evidence_record(read_bounded(_record_path(path), _LARGEST_RECORD))
    except FileNotFoundError:
        return None


def _record_path(path: Path) -> Path:
    return path.with_name(path.name + RECORD_SUFFIX)


def digest_file(path: Path) -> dict[DigestAlgorithm, bytes]:
    """The digests of a file, however large; raises OSError."""
    running = {algorithm: algorithm.new() for algorithm in RENEWAL_DIGESTS}
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            for digest in running.values():
                digest.update(piece)
    return {algorithm: digest.digest() for algorithm, digest in running.items()}


async def _renew_archives(archives: Sequence[_Archive], stamper: _Stamper) -> dict[Path, Outcome]:
    algorithm = stamper.order.algorithm
    tree = HashTree([archive.leaf for archive in archives], algorithm)
    try:
        token, stamp = await stamper.stamp(tree.top)
    except _FAILURES as error:
        return {archive.path: _failed(archive.path, error) for archive in archives}
    trust, outcomes = _from(stamp.gen_time, stamper.order.known), {}
    for place, archive in enumerate(archives):
        timestamp = ArchiveTimestamp(token, tree.steps(place))
        record = with_renewal(archive.record, timestamp, algorithm)
        try:
            renewals = verify_evidence_record(record, archive.digests, trust)
            mode = stat.S_IMODE(archive.path.stat().st_mode)
            write_private(_record_path(archive.path), write_evidence_record(record), mode=mode)
        except _FAILURES as error:
            outcomes[archive.path] = _failed(archive.path, error)
        else:
            outcomes[archive.path] = Outcome(archive.path, "renewed", "", renewals)
    return outcomes
