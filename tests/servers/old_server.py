"""A backup of a reference security server that could be taken over, whole or changed."""

import asyncio
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from components.takeover.builders import (
    LABEL,
    PIN,
    CustomDump,
    OldKeys,
    backup_files,
    rows,
    tar_of,
)
from pki_builder import TestCa
from sild.model.tokens import KeyUsage
from sild.runtime.clock import SystemClock
from sild.runtime.gnupg_home import GnupgHome
from sild.servers.import_opening import BackupTrust
from sild.servers.importing import ImportOrder, import_backup

DUMP = "var/lib/xroad/dbdump.dat"


@dataclass
class OldServer:
    """What its backup holds: a signing and an authentication key, and the usual rows."""

    directory: Path
    label: str = LABEL
    tables: dict = field(default_factory=lambda: rows(TestCa.create().certificate.der))
    further: dict = field(default_factory=dict)
    extra: list = field(default_factory=list)

    def __post_init__(self):
        self.keys = OldKeys(self.directory / "old-softtoken")
        self.signing, self.sign_certificate = self.keys.add(KeyUsage.SIGNING)
        self.authentication, _ = self.keys.add(KeyUsage.AUTHENTICATION)
        self.home = self.directory / "new"

    def tar(self):
        files = {**backup_files(self.keys, **self.further), DUMP: CustomDump().of(self.tables)}
        files = {name: content for name, content in files.items() if content is not None}
        path = self.directory / "backup.tar"
        path.write_bytes(tar_of(files, self.label, self.extra))
        return path

    def order(self, **changes):
        usual = ImportOrder(self.tar(), self.home, BackupTrust(plain=True), PIN)
        return replace(usual, **changes)

    def take_over(self, **changes):
        return asyncio.run(import_backup(self.order(**changes), SystemClock()))

    def left_beside(self):
        """What stands beside the home that was not there before."""
        known = {"old-softtoken", "backup.tar", "new"}
        return {path.name for path in self.directory.iterdir()} - known


@dataclass
class OldGnupg:
    """GnuPG of the old server: its own key, and perhaps one to encrypt for."""

    directory: Path

    def __post_init__(self):
        if shutil.which("gpg") is None:
            pytest.skip("there is no GnuPG")
        self.home = GnupgHome(self.directory)

    def make_key(self, name):
        return asyncio.run(self.home.make_key(name))

    def public_key(self, key):
        return asyncio.run(self.home.export_key(key))

    def seal(self, path, signer, recipients=()):
        sealed = path.with_suffix(".gpg")
        sealed.unlink(missing_ok=True)
        asyncio.run(self.home.seal(path, sealed, signer, recipients))
        return sealed

    def close(self):
        asyncio.run(self.home.stop_agent())
