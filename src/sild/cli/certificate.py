"""`sild certificate`: a new TLS key with a certificate that it signs itself."""

import argparse
import sys
from pathlib import Path
from typing import Any

_DESCRIPTION = """\
Makes a TLS key and a certificate that it signs itself, valid for 20 years, both in PEM in one
private file, as Sild's servers keep them. A server that runs shows it after its next start.
"""
_EPILOG = """\
examples:
  sild certificate /var/lib/sild/api-tls.pem --host ss1.example.org --host 192.0.2.7
  sild certificate /var/lib/sild/internal-tls.pem --host ss1.example.org --replace
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "certificate",
        help="make a TLS key with a self-signed certificate",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the file to write")
    parser.add_argument(
        "--host",
        action="append",
        dest="hosts",
        metavar="NAME",
        help="a host name or address that it is for, the first its common name; else this host's",
    )
    parser.add_argument(
        "--algorithm",
        choices=("EC-P256", "RSA-2048", "RSA-3072", "RSA-4096"),
        default="EC-P256",
        help="the kind of key (EC-P256)",
    )
    parser.add_argument(
        "--replace", action="store_true", help="replace what is there; the old key is lost"
    )
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Make a key and its certificate."""
    import socket

    from sild.components.tlsidentity.selfsigned import TlsSubject
    from sild.model.tokens import KeyAlgorithm
    from sild.runtime.clock import SystemClock
    from sild.runtime.files import FileError
    from sild.servers.internal_tls import write_self_signed

    if asked.file.exists() and not asked.replace:
        print(f"sild: {asked.file} is there already; --replace puts another there", file=sys.stderr)
        return 1
    host, *others = asked.hosts or [socket.getfqdn()]
    subject = TlsSubject(host, tuple(others), KeyAlgorithm(asked.algorithm))
    try:
        fingerprint = write_self_signed(asked.file, subject, SystemClock().now())
    except (OSError, FileError, ValueError) as error:
        print(f"sild: {error}", file=sys.stderr)
        return 1
    print(f"{asked.file}: {', '.join(subject.names)}")
    print(f"SHA-256 {fingerprint.hex(':').upper()}")
    return 0
