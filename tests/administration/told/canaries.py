"""Canaries: secrets that must not be told, and where they are looked for."""

import asyncio
import base64
import io
import os
import re
import subprocess
import tarfile
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, pkcs12

_SEEN_EVERY_SECONDS = 0.2
_KEY_BYTES = 24
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END", re.DOTALL)


@dataclass
class Secrets:
    """Canaries by what they are called, each in every form that it might be told in."""

    forms: dict = field(default_factory=dict)

    def add(self, name, secret):
        """Look for a text or bytes from now on; gives it."""
        data = secret.encode() if isinstance(secret, str) else secret
        forms = {data, data.hex().encode(), data.hex().upper().encode(), *_base64_of(data)}
        forms.add(data.replace(b" ", b"+"))
        forms.add(data.replace(b" ", b"%20"))
        self.forms[name] = forms
        return secret

    def add_key(self, name, key):
        """Look for the private numbers of a key."""
        numbers = key.private_numbers()
        if isinstance(key, rsa.RSAPrivateKey):
            found = {"d": numbers.d, "p": numbers.p, "q": numbers.q}
        else:
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            found = {"d": numbers.private_value}
        for part, number in found.items():
            data = number.to_bytes((number.bit_length() + 7) // 8)
            # The beginning will do; where it stands in base64 is any of three places.
            self.add(f"{name} ({part})", data[:_KEY_BYTES])

    def in_(self, data):
        """The names of those that are there; base64 may be broken into lines."""
        joined = data.replace(b"\r", b"").replace(b"\n", b"").replace(b"\\n", b"")
        return {
            name
            for name, forms in self.forms.items()
            if any(form in data or form in joined for form in forms)
        }


def _base64_of(data):
    """What is in base64 wherever the secret stands in what was encoded."""
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + data)
        whole = len(data) + before
        first = -(-before * 4 // 3)
        yield encoded[first : whole * 4 // 3].rstrip(b"=")
        yield base64.urlsafe_b64encode(b"\0" * before + data)[first : whole * 4 // 3].rstrip(b"=")


def token_keys(folder, pin):
    """The keys of a software token, by the names of their files."""
    for path in sorted(folder.glob("*.p12")):
        key, _, _ = pkcs12.load_key_and_certificates(path.read_bytes(), pin.encode())
        yield path.name, key


def pem_key(path):
    """The key in a PEM file, where a certificate may stand beside it."""
    return load_pem_private_key(_PRIVATE_KEY.search(path.read_bytes())[0] + _end(path), None)


def _end(path):
    return path.read_bytes().partition(b"-----END")[2].partition(b"\n")[0] + b"\n"


def files_below(folder):
    """Every file below a folder, with what is in it; of sockets and links nothing."""
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path, path.read_bytes()


def opened_backups(folder, gnupg):
    """The files in each backup of a folder, as whoever may open backups reads them."""
    for path in sorted(folder.glob("*.gpg")):
        opened = subprocess.run(
            ["gpg", "--homedir", str(gnupg), "--batch", "--trust-model", "always", "--decrypt"],
            input=path.read_bytes(),
            capture_output=True,
            check=True,
        ).stdout
        yield from files_of_tar(path, opened)


def files_of_tar(path, data):
    """The files in an archive, by where they stand."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for member in archive:
            if member.isfile():
                yield Path(str(path)) / member.name, archive.extractfile(member).read()


class Watch:
    """What the system tells of processes while a run lasts: how they were called, and with what."""

    def __init__(self):
        self.seen = {}
        self._named = set()

    @asynccontextmanager
    async def watching(self, *roots):
        """Look again and again at the families of these processes, until the block ends."""
        looking = asyncio.create_task(self._look(roots))
        try:
            yield self
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking

    async def _look(self, roots):
        while True:
            for pid in _family({root() for root in roots}):
                self._see(pid)
            await asyncio.sleep(_SEEN_EVERY_SECONDS)

    def _see(self, pid):
        with suppress(OSError):
            name = Path(f"/proc/{pid}/comm").read_text().strip()
            # One that was only just forked has its name before it forgets what its parent was told.
            known = (pid, name) in self._named
            self._named.add((pid, name))
            for what in ("cmdline", "environ") if known else ("cmdline",):
                said = Path(f"/proc/{pid}/{what}").read_bytes()
                self.seen.setdefault((name, what), set()).add(said)


def _family(roots):
    """These processes and all that descend from them."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents.setdefault(int(fields[1]), set()).add(int(entry.name))
    found, waiting = set(), {root for root in roots if root is not None}
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting |= parents.get(pid, set()) - found
    return found
