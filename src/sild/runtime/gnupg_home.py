"""A GnuPG home of this program's own: keys made, files signed, and signatures verified.

What is opened must be one message, signed by a key whose secret half is in the home: GnuPG itself
is content with any key that it knows, and with no signature at all.
"""

import asyncio
import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sild.runtime.files import make_private_directory
from sild.runtime.gnupg import GnupgError

_SECONDS_TO_END = 300
_TOLD = 2000
# The agent's sockets stand in the home; their names may have 107 bytes, the longest adds 20.
_LONGEST_HOME = 80
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_STATUS = "[GNUPG:] "
# Each of these, once, is one message with one good signature; nothing may contradict it.
_WANTED_ONCE = ("PLAINTEXT", "GOODSIG", "VALIDSIG")
_REFUSED = frozenset(
    {
        "BADSIG",
        "ERRSIG",
        "EXPSIG",
        "EXPKEYSIG",
        "REVKEYSIG",
        "NODATA",
        "UNEXPECTED",
        "FAILURE",
        "DECRYPTION_FAILED",
    }
)


class SignatureMissing(GnupgError):
    """A file is not signed by a key of this home."""


class SecretKeyMissing(GnupgError):
    """A file is encrypted, and not for this home; `keys` are the ids that it is encrypted for."""

    def __init__(self, name: str, keys: Sequence[str]) -> None:
        super().__init__(f"{name} is encrypted for {', '.join(keys)}, of which none is here")
        self.keys = tuple(keys)


@dataclass(frozen=True, slots=True)
class _Answer:
    output: bytes
    told: str
    code: int

    def statuses(self) -> list[list[str]]:
        lines = self.told.splitlines()
        return [line.removeprefix(_STATUS).split(" ") for line in lines if line.startswith(_STATUS)]


@dataclass(frozen=True, slots=True)
class GnupgHome:
    """The home's directory, which is made when needed, and the program."""

    directory: Path
    program: str = "gpg"

    async def find_secret_key(self, name: str) -> str | None:
        """The fingerprint of the first of our own keys with this user id."""
        found = await self._secret_keys(f"={name}")
        return found[0] if found else None

    async def make_key(self, name: str) -> str:
        """Make a key that signs and decrypts without a passphrase; give its fingerprint."""
        asked = ("--pinentry-mode", "loopback", "--passphrase", "", "--quick-generate-key")
        answer = await self._ask(
            *("--status-fd", "2", *asked, "--", name, "future-default", "default", "never")
        )
        for word, *rest in answer.statuses():
            if word == "KEY_CREATED" and _FINGERPRINT.fullmatch(rest[1]):
                return rest[1]
        raise GnupgError("GnuPG does not tell which key it made")

    async def export_key(self, fingerprint: str) -> bytes:
        """The public half of a key, in ASCII; raises GnupgError where there is none."""
        exported = await self._ask("--armor", "--export", fingerprint)
        if not exported.output:
            raise GnupgError(f"there is no key {fingerprint}")
        return exported.output

    async def import_key(self, key: bytes) -> tuple[str, ...]:
        """Take the public key of somebody else, or several; give their fingerprints."""
        answer = await self._ask("--status-fd", "2", "--import", given=key)
        found = (words for words in answer.statuses() if words[0] == "IMPORT_OK")
        return tuple(dict.fromkeys(words[-1] for words in found))

    async def seal(
        self, source: Path, sealed: Path, signer: str, recipients: Sequence[str]
    ) -> None:
        """Sign a file and, where there are recipients, encrypt it for them; `sealed` is new."""
        words = tuple(word for each in recipients for word in ("--recipient", each))
        encrypt = ("--encrypt", "--cipher-algo", "AES256", *words) if recipients else ()
        await self._ask(
            *("--trust-model", "always", "--no-auto-key-locate", "--digest-algo", "SHA256"),
            *("--local-user", signer, "--sign", *encrypt),
            *("--output", str(sealed), "--", str(source)),
        )

    async def open(
        self,
        sealed: Path,
        opened: Path,
        limit: int,
        *,
        signed: bool = True,
        by: Collection[str] | None = None,
    ) -> str | None:
        """Decrypt a file of at most `limit` bytes and verify its signature, if `signed`.

        One of the keys `by` must have signed, by fingerprint, and without these one whose secret
        half is here; gives the fingerprint. Raises SecretKeyMissing, SignatureMissing and
        GnupgError; what is in `opened` is of no use then.
        """
        check = () if signed else ("--skip-verify",)
        answer = await self._ask(
            *("--status-fd", "2", "--trust-model", "always", "--max-output", str(limit)),
            *(*check, "--output", str(opened), "--decrypt", "--", str(sealed)),
            fails=True,
        )
        statuses = answer.statuses()
        words = [status[0] for status in statuses]
        if "DECRYPTION_FAILED" in words and (missing := _without_secret(statuses)):
            raise SecretKeyMissing(sealed.name, missing)
        if not signed:
            if answer.code != 0:
                _fail(answer)
            return None
        if any(words.count(wanted) != 1 for wanted in _WANTED_ONCE) or _REFUSED.intersection(words):
            raise SignatureMissing(f"{sealed.name} is not signed by this server: {_told(answer)}")
        if answer.code != 0:
            _fail(answer)
        # The last word is the primary key's fingerprint, which a subkey's signature has, too.
        signer = next(status for status in statuses if status[0] == "VALIDSIG")[-1]
        if signer not in (await self._secret_keys() if by is None else by):
            raise SignatureMissing(f"{sealed.name} is signed by {signer}, not by this server")
        return signer

    async def stop_agent(self) -> None:
        """End the agent that GnuPG left running, if any."""
        with contextlib.suppress(OSError):
            home = await asyncio.to_thread(self._reachable)
            process = await asyncio.create_subprocess_exec(
                *("gpgconf", "--homedir", str(home), "--kill", "all"),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await process.wait()
            if home != self.directory:
                home.unlink()
                home.parent.rmdir()

    async def _secret_keys(self, *selected: str) -> list[str]:
        answer = await self._ask("--with-colons", "--list-secret-keys", *selected, fails=True)
        found: list[str] = []
        is_primary = False
        for line in answer.output.decode("utf-8", "replace").splitlines():
            kind, *fields = line.split(":")
            if kind == "sec":
                is_primary = True
            elif kind == "fpr" and is_primary:
                found.append(fields[8])
                is_primary = False
        return found

    async def _ask(self, *arguments: str, given: bytes = b"", fails: bool = False) -> _Answer:
        home = await asyncio.to_thread(self._reachable)
        # No pipe: nothing is to fail where GnuPG ends before it was given all.
        with tempfile.TemporaryFile() as standing:
            standing.write(given)
            standing.seek(0)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(self.program, "--homedir", str(home), "--batch", "--no-tty", "--yes"),
                    *arguments,
                    stdin=standing,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=asyncio.subprocess.PIPE,
                    env={**os.environ, "LC_ALL": "C"},
                )
            except OSError as error:
                raise GnupgError(f"{self.program} cannot be run: {error.strerror}") from error
        try:
            async with asyncio.timeout(_SECONDS_TO_END):
                output, told = await process.communicate()
        except TimeoutError:
            raise GnupgError(f"GnuPG did not end within {_SECONDS_TO_END} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        answer = _Answer(output, told.decode("utf-8", "replace"), process.returncode or 0)
        if answer.code != 0 and not fails:
            _fail(answer)
        return answer

    def _reachable(self) -> Path:
        """A name of the home that leaves room for those of sockets; it is made if need be."""
        make_private_directory(self.directory)
        if len(os.fsencode(self.directory)) <= _LONGEST_HOME:
            return self.directory
        # Always the same, as an agent that runs knows its home by the name that it was told.
        short = self._shortcut()
        make_private_directory(short.parent)
        try:
            short.symlink_to(self.directory)
        except FileExistsError:
            if short.readlink() != self.directory:
                raise GnupgError(f"{short} does not lead to {self.directory}") from None
        return short

    def _shortcut(self) -> Path:
        digest = hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sild-gpg-{os.geteuid()}-{digest}" / "home"


def _without_secret(statuses: list[list[str]]) -> list[str]:
    return [rest[0] for word, *rest in statuses if word == "NO_SECKEY" and rest]


def _fail(answer: _Answer) -> NoReturn:
    raise GnupgError(f"GnuPG ended with code {answer.code}: {_told(answer)}")


def _told(answer: _Answer) -> str:
    lines = [line for line in answer.told.splitlines() if not line.startswith(_STATUS)]
    return "; ".join(lines)[-_TOLD:].strip() or "nothing more is known"
