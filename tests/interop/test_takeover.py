"""`sild import` on what the reference itself made."""

import asyncio
import hashlib
import io
import re
import shutil
import tarfile

import pytest
from cryptography.hazmat.primitives.serialization import load_der_public_key

from components.takeover.builders import LABEL, CustomDump, anchor, rows, tar_of
from pki_builder import TestCa
from servers.signer_process import SignerProcess
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.takeover.archive import ArchiveLimits, read_entries
from sild.components.takeover.dump import DumpLimits, read_dump
from sild.components.takeover.errors import (
    BackupOfAnother,
    BackupUnreadable,
    PinRefused,
    SignatureNotShown,
)
from sild.components.takeover.keyconf import read_keyconf
from sild.model.tokens import SOFT_TOKEN_ID, KeyUsage
from sild.protocol.algorithms import SignatureAlgorithm
from sild.runtime.clock import SystemClock
from sild.runtime.gnupg_home import GnupgHome
from sild.servers.import_opening import BackupTrust
from sild.servers.importing import ImportOrder, PartsLostReport, import_backup

RSA = SignatureAlgorithm.RSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()
DUMP = "var/lib/xroad/dbdump.dat"


def take_over(backup, home, pin=None, **said):
    order = ImportOrder(backup, home, pin=pin, **said)
    return asyncio.run(import_backup(order, SystemClock()))


def packed(tmp_path, files):
    path = tmp_path / "backup.tar"
    tables = rows(TestCa.create().certificate.der)
    further = {"etc/xroad/configuration-anchor.xml": anchor(), DUMP: CustomDump().of(tables)}
    path.write_bytes(tar_of({**further, **files}, LABEL))
    return path


def signer_files(folder):
    return {
        f"etc/xroad/signer/{path.relative_to(folder)}": path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def kit(vectors, tmp_path):
    """A backup with the list of keys and the software token that the reference's signer wrote."""
    return packed(tmp_path, signer_files(vectors / "v6-kit" / "signer"))


@pytest.mark.anyio
async def test_a_server_with_the_keys_of_the_reference_signs(kit, vectors, tmp_path):
    home = tmp_path / "home"
    report = await asyncio.to_thread(
        take_over, kit, home, "Secret1234", trust=BackupTrust(plain=True)
    )
    assert report.lost == ()
    assert len(report.keys) == 3
    known = re.findall(
        "<keyId>([0-9A-F]+)</keyId>", (vectors / "v6-kit/signer/keyconf.xml").read_text()
    )
    async with SignerProcess(home) as signer:
        await signer.control.login(SOFT_TOKEN_ID, "Secret1234")
        (token,) = await signer.control.tokens()
        assert token.available_keys == set(known)
        for key in token.keys:
            assert key.saved_to_configuration
            if key.usage is KeyUsage.SIGNING:
                signature = await signer.worker.sign(key.id, DIGEST, RSA.uri)
                RSA.verify(load_der_public_key(key.public_key), signature, b"message")
                assert key.certificates[0].member.short in {"DEV/COM/1234", "DEV/COM/4321"}
            else:
                assert await signer.worker.auth_key(key.certificates[0].sha256)


def test_the_wrong_pin_opens_no_key_of_the_reference(kit, tmp_path):
    with pytest.raises(PinRefused):
        take_over(kit, tmp_path / "home", "Secret1235", trust=BackupTrust(plain=True))
    assert not (tmp_path / "home").exists()


def test_key_files_of_older_releases_come_over(vectors, tmp_path):
    folder = vectors / "signer"
    lax = SignerSettings(enforce_token_pin_policy=False, pin_rounds=1000)
    SoftToken(tmp_path / "token", SystemClock(), lax).initialize("test")
    files = {
        f"etc/xroad/signer/softtoken/{path.name}": path.read_bytes()
        for path in folder.glob("*.p12")
    }
    pin = (tmp_path / "token" / ".softtoken.p12").read_bytes()
    files["etc/xroad/signer/softtoken/.softtoken.p12"] = pin
    backup = packed(tmp_path, files)
    report = take_over(backup, tmp_path / "home", "test", trust=BackupTrust(plain=True))
    assert {key.partition(" ")[0] for key in report.keys} == {
        path.stem for path in folder.glob("*.p12")
    }


def test_lists_of_keys_of_older_releases_are_read_and_what_they_lack_is_lost(vectors, tmp_path):
    folder = vectors / "signer"
    old = (folder / "deviceconf.xml").read_bytes()
    found = read_keyconf(old)
    assert [key.label for key in found.tokens[0].keys][:2] == [
        "Signing key of producer",
        "Signing key of consumer",
    ]
    merging = folder / "mergetesting" / "keyconf_base_no_duplicate_keyIds.xml"
    assert read_keyconf(merging.read_bytes()).tokens
    backup = packed(tmp_path, {"etc/xroad/signer/keyconf.xml": old})
    with pytest.raises(PartsLostReport) as refused:
        take_over(backup, tmp_path / "home", trust=BackupTrust(plain=True))
    lost = refused.value.report.lost
    assert lost[0].what.startswith("key 'Signing key of producer'")
    assert {each.why for each in lost} <= {
        "its file is not in the backup",
        "its public key is not known",
        "it is of another key",
    }


def test_a_backup_of_a_central_server_is_refused_as_that(vectors, tmp_path):
    backup = vectors / "backups" / "test_backup.gpg"
    for trust, error, told in (
        (BackupTrust(unsigned=True), BackupOfAnother, "Central Server"),
        (BackupTrust(), SignatureNotShown, "whose signature"),
        (BackupTrust(plain=True), BackupUnreadable, "no tar"),
    ):
        with pytest.raises(error, match=told):
            take_over(backup, tmp_path / "home", trust=trust)


def test_a_signature_by_a_key_that_is_not_known_is_refused(vectors, tmp_path):
    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    gnupg = GnupgHome(tmp_path / "gnupg")

    async def key():
        made = await gnupg.make_key("Somebody")
        exported = await gnupg.export_key(made)
        await gnupg.stop_agent()
        return exported

    (tmp_path / "key.asc").write_bytes(asyncio.run(key()))
    backup = vectors / "backups" / "test_backup.gpg"
    with pytest.raises(SignatureNotShown, match="cannot be trusted"):
        take_over(backup, tmp_path / "home", trust=BackupTrust(signer_key=tmp_path / "key.asc"))


def test_a_file_that_is_no_backup_is_refused(vectors, tmp_path):
    backup = vectors / "backups" / "backup.tar"
    with pytest.raises(BackupUnreadable, match="gzip"):
        take_over(backup, tmp_path / "home", trust=BackupTrust(plain=True))
    with pytest.raises(BackupUnreadable):
        take_over(backup, tmp_path / "home", trust=BackupTrust(unsigned=True))
    assert not (tmp_path / "home").exists()


def test_the_tar_and_the_dump_of_a_real_backup_are_read(vectors, tmp_path):
    gnupg = GnupgHome(tmp_path / "gnupg")
    opened = tmp_path / "opened.tar"

    async def open_it():
        source = vectors / "backups" / "test_backup.gpg"
        await gnupg.open(source, opened, 10**7, signed=False)
        await gnupg.stop_agent()

    if shutil.which("gpg") is None:
        pytest.skip("there is no GnuPG")
    asyncio.run(open_it())
    with tarfile.open(opened) as archive:
        expected = [each.name.rstrip("/") for each in archive]
    names, tables = [], {}
    with opened.open("rb") as file:
        for entry in read_entries(file, ArchiveLimits()):
            names.append(entry.name.rstrip("/"))
            if entry.name == DUMP:
                wanted = {"identifiers", "security_servers", "databasechangelog"}
                tables = read_dump(io.BufferedReader(entry.content), wanted, DumpLimits())
    assert names == expected
    assert {name: len(content) for name, content in tables.items()} == {
        "identifiers": 46,
        "security_servers": 2,
        "databasechangelog": 16,
    }
    assert tables["security_servers"][0]["server_code"] == "SS0"
