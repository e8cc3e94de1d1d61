"""A reference server's backup, decrypted and its signature verified, as the tar that it is."""

import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sild.components.takeover.archive import is_tar
from sild.components.takeover.errors import BackupUnreadable, SignatureNotShown
from sild.runtime.files import make_private_directory, read_bounded
from sild.runtime.gnupg import GnupgError
from sild.runtime.gnupg_home import GnupgHome, SecretKeyMissing, SignatureMissing

_LARGEST_BACKUP = 8 * 1024**3
_LARGEST_KEY = 4 * 1024 * 1024
_LARGEST_HOME = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class BackupTrust:
    """How it is known who made a backup, and what decrypts it.

    Without `plain` or `unsigned` the key must have signed that `signer_key` holds, or else one
    whose secret half is in the old server's GnuPG home.
    """

    plain: bool = False
    unsigned: bool = False
    gpg_home: Path | None = None
    signer_key: Path | None = None


async def open_backup(backup: Path, trust: BackupTrust, work: Path) -> Path:
    """The tar that a backup is, which may be in the work directory.

    Raises SignatureNotShown, BackupUnreadable and OSError.
    """
    if trust.plain:
        return backup
    if _is_tar(backup):
        raise SignatureNotShown(
            f"{backup.name} is a tar that nobody has signed: with --plain it is trusted as it is"
        )
    if not (trust.unsigned or trust.signer_key or trust.gpg_home):
        raise SignatureNotShown(
            "say whose signature is on the backup, by --signer-key or --gpg-home;"
            " with --no-signature-check whoever made it is trusted"
        )
    opened = work / "opened.tar"
    home = GnupgHome(work / "gnupg")
    try:
        if trust.gpg_home is not None:
            _copy_home(trust.gpg_home, home.directory)
        by = None
        if trust.signer_key is not None:
            by = await home.import_key(read_bounded(trust.signer_key, _LARGEST_KEY))
        signed = not trust.unsigned
        await home.open(backup, opened, _LARGEST_BACKUP, signed=signed, by=by)
    except SecretKeyMissing as error:
        raise SignatureNotShown(
            f"the backup is encrypted for {', '.join(error.keys)}, and none of these keys is here:"
            " name by --gpg-home a GnuPG home that has the secret half of one"
        ) from error
    except SignatureMissing as error:
        raise SignatureNotShown(f"the backup cannot be trusted: {error}") from error
    except GnupgError as error:
        raise BackupUnreadable(f"the backup cannot be opened: {error}") from error
    finally:
        await home.stop_agent()
    return opened


def _is_tar(path: Path) -> bool:
    with path.open("rb") as file:
        return is_tar(file.read(512))


def _copy_home(source: Path, target: Path) -> None:
    """Copy what is in a GnuPG home, but for sockets and links: the old one stays as it is."""
    make_private_directory(target)
    left = _LARGEST_HOME
    for path in sorted(source.rglob("*")):
        found = path.lstat()
        copy = target / path.relative_to(source)
        if stat.S_ISDIR(found.st_mode):
            make_private_directory(copy)
        elif stat.S_ISREG(found.st_mode) and path.suffix != ".lock":
            left -= found.st_size
            if left < 0:
                raise SignatureNotShown(f"{source} is too large for a GnuPG home")
            shutil.copyfile(path, copy)
            copy.chmod(0o600)


@contextmanager
def work_directory(path: Path) -> Iterator[Path]:
    """A private directory of this name, gone afterwards with all that is in it."""
    make_private_directory(path)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
