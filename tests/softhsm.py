"""SoftHSM, a device in software: tokens in a directory, which tests can take away."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = (
    Path("/usr/lib/softhsm/libsofthsm2.so"),
    Path("/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"),
    Path("/usr/lib64/pkcs11/libsofthsm2.so"),
)
# SoftHSM may forget the handle of what it has just made while another process works on the token.
_PUT = """
import sys, pkcs11
from pkcs11 import Attribute, CertificateType, ObjectClass
from pkcs11.exceptions import ObjectHandleInvalid
library, label, pin, key_id, der = sys.argv[1:]
token = pkcs11.lib(library).get_token(token_label=label)
made = {
    Attribute.CLASS: ObjectClass.CERTIFICATE,
    Attribute.ID: bytes.fromhex(key_id),
}
for _ in range(50):
    try:
        with token.open(rw=True, user_pin=pin) as session:
            if not list(session.get_objects(made)):
                session.create_object(made | {
                    Attribute.CERTIFICATE_TYPE: CertificateType.X_509,
                    Attribute.TOKEN: True,
                    Attribute.SUBJECT: b"",
                    Attribute.VALUE: bytes.fromhex(der),
                })
        break
    except ObjectHandleInvalid:
        continue
else:
    sys.exit("the token forgets every handle")
"""
USER_PIN, SO_PIN = "1234-user", "1234567890"


class SoftHsm:
    """SoftHSM with its tokens in a directory of the test's own."""

    def __init__(self, path: Path) -> None:
        found = [library for library in LIBRARIES if library.exists()]
        if not found or shutil.which("softhsm2-util") is None:
            pytest.skip("there is no SoftHSM")
        self.library = found[0]
        self.slots: dict[str, str] = {}
        self.tokens = path / "tokens"
        self.tokens.mkdir(parents=True)
        self.conf = path / "softhsm2.conf"
        self.conf.write_text(
            f"directories.tokendir = {self.tokens}\n"
            "objectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        """What a process that uses it must find in its environment."""
        return {"SOFTHSM2_CONF": str(self.conf)}

    def make_token(self, label: str = "token", pin: str = USER_PIN) -> Path:
        """Initialise a token; give its directory."""
        before = set(self.tokens.iterdir())
        told = self._run(
            "--init-token", "--free", "--label", label, "--so-pin", SO_PIN, "--pin", pin
        )
        self.slots[label] = told.split()[-1]
        (made,) = set(self.tokens.iterdir()) - before
        return made

    def put_certificate(self, label: str, key_id: str, der: bytes) -> None:
        """What a CA does that writes its certificate on the card, in a process of its own."""
        arguments = (str(self.library), label, USER_PIN, key_id, der.hex())
        subprocess.run(
            [sys.executable, "-c", _PUT, *arguments],
            env={**os.environ, **self.environment},
            check=True,
        )

    def _run(self, *arguments: object) -> str:
        return subprocess.run(
            ["softhsm2-util", *map(str, arguments)],
            env={**os.environ, **self.environment},
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    def devices(self, **more: str) -> str:
        """The file that names it as a device."""
        lines = [
            f'library = "{self.library}"',
            *(f"{key} = {value}" for key, value in more.items()),
        ]
        return "\n".join(["[hsm]", *lines, ""])
