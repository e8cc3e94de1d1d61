"""OCSP responses on disk and in memory, by certificate.

The files are `<SHA-1 of the certificate in hexadecimal>.ocsp`, as the reference names them. What
is in them was verified when it came; whoever uses a response verifies it again.
"""

import logging
import re
from collections.abc import Iterable
from pathlib import Path

from sild.protocol.pki.certificate import Certificate
from sild.runtime.files import FileError, make_private_directory, read_bounded, write_private

_LOG = logging.getLogger(__name__)

_FILE = re.compile(r"([0-9a-f]{40})\.ocsp")
_LARGEST = 128 * 1024


class OcspCache:
    """The responses that are held; the methods that change it block on the disk."""

    def __init__(self, directory: Path) -> None:
        make_private_directory(directory)
        self._directory = directory
        self._responses: dict[str, bytes] = {}
        for path in sorted(directory.iterdir()):
            if name := _FILE.fullmatch(path.name):
                try:
                    self._responses[name[1]] = read_bounded(path, _LARGEST)
                except (OSError, FileError) as error:
                    _LOG.warning("an OCSP response is passed over: %s", error)

    def find(self, certificate: Certificate) -> bytes | None:
        """The response that is held about a certificate, DER."""
        return self._responses.get(certificate.sha1.hex())

    def keep(self, certificate: Certificate, response: bytes) -> None:
        """Hold a response, on disk first."""
        name = certificate.sha1.hex()
        write_private(self._directory / f"{name}.ocsp", response)
        self._responses[name] = response

    def forget_all_but(self, certificates: Iterable[Certificate]) -> None:
        """Let go of responses about other certificates than these."""
        wanted = {certificate.sha1.hex() for certificate in certificates}
        for name in self._responses.keys() - wanted:
            del self._responses[name]
            (self._directory / f"{name}.ocsp").unlink(missing_ok=True)
