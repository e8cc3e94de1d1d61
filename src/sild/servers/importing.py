"""A server of the reference becomes one here: all that its backup holds, in one step or not at all.

Everything is made in a directory beside the home, which becomes the home when nothing is wrong.
A rehearsal makes the same, and throws it away.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from sild.components.backup.errors import BackupKeyNotMade
from sild.components.takeover.bundle import Bundle, read_bundle
from sild.components.takeover.configuration import TakenConfiguration, read_configuration
from sild.components.takeover.devices import read_devices
from sild.components.takeover.errors import (
    BackupUnreadable,
    HomeNotEmpty,
    PartsLost,
    PinRefused,
)
from sild.components.takeover.findings import Finding, FindingKind, lost, note
from sild.components.takeover.inifile import Parameters, merged, read_ini
from sild.components.takeover.keyconf import TakenKeyConf, read_keyconf
from sild.components.takeover.parameters import read_parameters
from sild.protocol.errors import MalformedAnchor
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.ids import SecurityServerId
from sild.runtime.clock import Clock
from sild.runtime.files import make_private_directory, sync_directory, write_private
from sild.servers.import_configuration import put_configuration
from sild.servers.import_keys import KeyImport
from sild.servers.import_opening import BackupTrust, open_backup, work_directory
from sild.servers.import_settings import SettingsImport
from sild.servers.layout import Layout
from sild.servers.server_backups import make_backup_key

_ANCHOR, _KEYCONF, _LOCAL = "configuration-anchor.xml", "signer/keyconf.xml", "conf.d/local.ini"
_DEVICES = ("signer/devices.ini", "devices.ini")
# A tar's volume label has room for so many bytes.
_LONGEST_LABEL = 99 - len("security_XROAD_7.1_")


@dataclass(frozen=True, slots=True)
class ImportOrder:
    """What is to be done; `leave_out` says that it may be done without what cannot come over."""

    backup: Path
    home: Path
    trust: BackupTrust
    pin: str | None = field(repr=False)
    rehearse: bool = False
    leave_out: bool = False


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What came over, how much of each kind, and what did not simply come over."""

    server: SecurityServerId
    taken: Mapping[str, int]
    settings: tuple[str, ...]
    findings: tuple[Finding, ...]
    keys: tuple[str, ...]

    @property
    def lost(self) -> tuple[Finding, ...]:
        """What the new server would be without."""
        return tuple(each for each in self.findings if each.kind is FindingKind.LOST)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What an administrator should know."""
        return tuple(each for each in self.findings if each.kind is FindingKind.NOTE)


class PartsLostReport(PartsLost):
    """What could not come over, with all that could."""

    def __init__(self, report: ImportReport) -> None:
        count = len(report.lost)
        super().__init__(
            f"{count} part{'s' if count > 1 else ''} of the old server cannot come over, the first:"
            f" {report.lost[0]}; with --leave-out all the rest does"
        )
        self.report = report


async def import_backup(order: ImportOrder, clock: Clock) -> ImportReport:
    """Make a home of a backup.

    Raises BackupUnreadable, BackupOfAnother, SignatureNotShown, PinRefused, HomeNotEmpty,
    PartsLostReport, DatabaseError, FileError and OSError; nothing has changed then.
    """
    home = order.home
    await asyncio.to_thread(_check_empty, home)
    beside = f".{home.name}.import-{clock.random_bytes(4).hex()}"
    with work_directory(home.parent / beside) as work:
        tar = await open_backup(order.backup, order.trust, work)
        bundle = await asyncio.to_thread(_read, tar)
        if tar != order.backup:
            await asyncio.to_thread(tar.unlink)
        making = _Making(Layout(work / "home"), bundle, clock)
        report = await making.make(order.pin, rehearse=order.rehearse)
        if report.lost and not order.leave_out and not order.rehearse:
            raise PartsLostReport(report)
        if not order.rehearse:
            await asyncio.to_thread(_install, making.layout.home, home)
    return report


def _read(tar: Path) -> Bundle:
    with tar.open("rb") as file:
        return read_bundle(file)


def _check_empty(home: Path) -> None:
    if home.is_symlink() or (home.exists() and not home.is_dir()):
        raise HomeNotEmpty(f"{home} is no directory")
    if home.exists() and any(home.iterdir()):
        raise HomeNotEmpty(f"{home} is not empty: a server is taken over into a new home only")
    if not home.parent.is_dir():
        raise HomeNotEmpty(f"{home.parent} is not there")


def _install(made: Path, home: Path) -> None:
    # What is empty gives way; what has come meanwhile does not.
    try:
        made.replace(home)
    except OSError as error:
        mounted = ": it is mounted, so name a directory in it" if home.is_mount() else ""
        raise HomeNotEmpty(f"{home} cannot be made: {error.strerror}{mounted}") from error
    sync_directory(home.parent)


@dataclass(slots=True)
class _Making:
    layout: Layout
    bundle: Bundle
    clock: Clock
    findings: list[Finding] = field(default_factory=list)

    async def make(self, pin: str | None, *, rehearse: bool) -> ImportReport:
        layout, files = self.layout, self.bundle.files
        for directory in (layout.home, layout.keys):
            make_private_directory(directory)
        configuration = read_configuration(self.bundle.tables)
        self._check_label(configuration.server)
        self._put_anchor(files, configuration.server)
        keyconf = read_keyconf(files[_KEYCONF]) if _KEYCONF in files else TakenKeyConf((), ())
        has_keys = any(name.endswith(".p12") and "softtoken/" in name for name in files)
        if has_keys and pin is None and not rehearse:
            raise PinRefused("the PIN of the old server's software token is needed")
        keys = KeyImport(layout.keys, self.clock)
        conf = await keys.put(files, keyconf, pin)
        settings = self._put_settings()
        self._put_identity("internal", layout.internal_tls)
        self._put_identity("proxy-ui-api", layout.api_tls)
        await put_configuration(layout, configuration)
        if not rehearse:
            await self._make_backup_key(configuration.server)
        self.findings += [*keyconf.findings, *keys.findings, *configuration.findings]
        self.findings += self.bundle.left
        return ImportReport(
            configuration.server,
            {
                **_counts(configuration),
                "keys": len(conf.keys),
                "certificates": sum(len(key.certificates) for key in conf.keys),
                "tokens in devices": len(conf.tokens),
            },
            settings,
            tuple(self.findings),
            tuple(f"{key.label} ({key.id})" for key in conf.keys),
        )

    def _check_label(self, server: SecurityServerId) -> None:
        said = self.bundle.server
        cut = len(said.encode()) >= _LONGEST_LABEL
        if server.short != said and not (cut and server.short.startswith(said)):
            raise BackupUnreadable(
                f"the backup says that it is of {said}, and its database is of {server.short}"
            )

    def _put_anchor(self, files: Mapping[str, bytes], server: SecurityServerId) -> None:
        if _ANCHOR not in files:
            self.findings.append(lost("the configuration anchor", "the backup holds none"))
            return
        try:
            anchor = read_anchor(files[_ANCHOR])
        except MalformedAnchor as error:
            raise BackupUnreadable(f"the configuration anchor cannot be read: {error}") from error
        if anchor.instance != server.owner.instance:
            raise BackupUnreadable(
                f"the configuration anchor is of {anchor.instance}, and the server is of"
                f" {server.owner.instance}"
            )
        write_private(self.layout.anchor_file, files[_ANCHOR])

    def _put_settings(self) -> tuple[str, ...]:
        files = self.bundle.files
        overrides = sorted(name for name in files if name.startswith("conf.d/override-"))
        names = [*overrides, *((_LOCAL,) if _LOCAL in files else ())]
        taken = read_parameters(merged(read_ini(name, files[name]) for name in names))
        writing = SettingsImport(self.layout)
        settings = writing.put(taken.settings)
        writing.put_devices(read_devices(self._devices()))
        self.findings += [*taken.findings, *writing.findings]
        return tuple(f"[{each.section}] {each.name} = {each.value}" for each in settings)

    def _devices(self) -> Parameters:
        files = self.bundle.files
        name = next((name for name in _DEVICES if name in files), None)
        return {} if name is None else read_ini(name, files[name])

    def _put_identity(self, name: str, path: Path) -> None:
        try:
            identity = _identity(self.bundle.files, name)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            self.findings.append(lost(f"TLS key and certificate {name}", str(error)))
            return
        if identity is None:
            why = "the backup holds none: a new one is made when the server starts"
            self.findings.append(note(f"TLS key and certificate {name}", why))
        else:
            write_private(path, identity)

    async def _make_backup_key(self, server: SecurityServerId) -> None:
        try:
            await make_backup_key(self.layout, server.short)
        except BackupKeyNotMade as error:
            self.findings.append(
                note("the key of backups", f"{error}; later: sild security-server backup key")
            )


def _identity(files: Mapping[str, bytes], name: str) -> bytes | None:
    """A key and its certificate in PEM, from such files or else from PKCS #12."""
    pem, certificate = files.get(f"ssl/{name}.key"), files.get(f"ssl/{name}.crt")
    if pem is not None and certificate is not None:
        key = load_pem_private_key(pem, None)
        chain = x509.load_pem_x509_certificates(certificate)
    elif (packed := files.get(f"ssl/{name}.p12")) is not None:
        opened = pkcs12.load_pkcs12(packed, name.encode())
        if opened.key is None or opened.cert is None:
            raise ValueError("the file holds no key and certificate")
        key = opened.key
        chain = [opened.cert.certificate, *(each.certificate for each in opened.additional_certs)]
    else:
        return None
    if chain[0].public_key() != key.public_key():
        raise ValueError("the certificate is of another key")
    written = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return written + b"".join(each.public_bytes(Encoding.PEM) for each in chain)


def _counts(configuration: TakenConfiguration) -> Mapping[str, int]:
    kinds = Counter(each.type.value for each in configuration.descriptions)
    return {
        "clients": len(configuration.clients),
        **{f"{kind} descriptions": count for kind, count in sorted(kinds.items())},
        "services": sum(len(each.services) for each in configuration.descriptions),
        "endpoints": len(configuration.endpoints),
        "access rights": len(configuration.rights),
        "local groups": len(configuration.groups),
        "TLS certificates of clients": sum(
            len(client.certificates) for client in configuration.clients
        ),
        "time-stamping services": len(configuration.timestamping),
    }
