"""Backups as a security server of the reference makes them: the tar, the dump, the list of keys."""

import base64
import io
import struct
import tarfile
import zlib
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_public_key,
)

from pki_builder import AUTHENTICATION, SIGNING, TestCa, Wish, build_certificate, name_of
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.model.tokens import KeyAlgorithm, KeyUsage
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.runtime.clock import SystemClock

PIN = "Secret1234"
SERVER = "DEV/COM/1234/SS0"
LABEL = f"security_XROAD_7.1_{SERVER}"
MOMENT = "2024-03-01 10:20:30.456"

# The columns as the reference's tables have them.
COLUMNS = {
    "serverconf": ("id", "servercode", "owner"),
    "identifier": (
        *("id", "discriminator", "type", "xroadinstance", "memberclass", "membercode"),
        *("subsystemcode", "serviceversion", "servicecode", "groupcode", "servercode"),
    ),
    "client": ("id", "conf_id", "identifier", "clientstatus", "isauthentication"),
    "certificate": ("id", "data", "client_id"),
    "servicedescription": (
        *("id", "client_id", "url", "disabled", "disablednotice", "refresheddate", "type"),
    ),
    "service": (
        *("id", "servicedescription_id", "servicecode", "serviceversion", "title", "url"),
        *("sslauthentication", "timeout"),
    ),
    "endpoint": ("id", "client_id", "servicecode", "method", "path", "generated"),
    "accessright": ("id", "subjectid", "rightsgiven", "client_id", "endpoint_id"),
    "localgroup": ("id", "groupcode", "description", "updated", "client_id"),
    "groupmember": ("id", "groupmemberid", "added", "localgroup_id"),
    "tsp": ("id", "name", "url", "conf_id", "cost_type"),
    "apikey": ("id", "encodedkey"),
    "uiuser": ("id", "username", "locale"),
    "history": ("id", "operation", "table_name"),
}


def identifier(key, parts, kind=None, group=None):
    """A row of `identifier` for a client, or for a group."""
    instance, member_class, member_code, subsystem = (*parts, None, None, None, None)[:4]
    kind = kind or ("SUBSYSTEM" if subsystem else "MEMBER")
    row = dict.fromkeys(COLUMNS["identifier"])
    row |= {"id": key, "discriminator": "C", "type": kind, "xroadinstance": instance}
    row |= {"memberclass": member_class, "membercode": member_code}
    return tuple({**row, "subsystemcode": subsystem, "groupcode": group}.values())


def rows(certificate=b"\x30\x00"):
    """A configuration with something of everything; keys of rows are counted through."""
    return {
        "identifier": [
            identifier(1, ("DEV", "COM", "1234")),
            identifier(2, ("DEV", "COM", "1234", "Own")),
            identifier(3, ("DEV", "GOV", "9", "Other sub")),
            identifier(4, ("DEV",), "GLOBALGROUP", "everyone"),
            identifier(5, (None,), "LOCALGROUP", "friends"),
        ],
        "serverconf": [(1, "SS0", 10)],
        "client": [
            (10, 1, 1, "registered", "SSLNOAUTH"),
            (11, 1, 2, "registered", "NOSSL"),
        ],
        "certificate": [(20, certificate, 11)],
        "servicedescription": [
            (30, 11, "https://is.test/api", False, None, MOMENT, "REST"),
            (31, 11, "http://is.test/spec.yaml", True, "later\tor never", MOMENT, "OPENAPI3"),
            (32, 11, "http://is.test/wsdl", False, None, None, "WSDL"),
        ],
        "service": [
            (40, 30, "rest", None, None, "https://is.test/api", False, 60),
            (41, 31, "pets", None, None, "http://is.test/pets", None, 17),
            (42, 32, "getRandom", "v1", "A title", "http://is.test/soap", None, 60),
            (43, 32, "getRandom", "v2", None, "https://is.test/soap", True, 60),
        ],
        "endpoint": [
            (50, 11, "rest", "*", "**", True),
            (51, 11, "rest", "GET", "/a/*", False),
            (52, 11, "pets", "*", "**", True),
            (53, 11, "pets", "POST", "/pets", True),
            (54, 11, "getRandom", "*", "**", True),
        ],
        "localgroup": [(60, "friends", "Füür", MOMENT, 11)],
        "groupmember": [(70, 3, "2023-01-02 03:04:05", 60)],
        "accessright": [
            (80, 3, MOMENT, 11, 50),
            (81, 5, MOMENT, 11, 51),
            (82, 4, MOMENT, 11, 54),
            (83, 1, MOMENT, 11, 53),
        ],
        "tsp": [(90, "TSA", "http://tsa.test", 1, "FREE")],
        "apikey": [(95, "$2a$10$digest")],
        "uiuser": [],
        "history": [(1, "INSERT", "client")],
    }


def copy_text(row):
    """A row as COPY writes it."""
    return b"\t".join(map(_copied, row)) + b"\n"


def _copied(value):
    match value:
        case None:
            return b"\\N"
        case bool():
            return b"t" if value else b"f"
        case bytes():
            return b"\\\\x" + value.hex().encode()
        case _:
            text = str(value).replace("\\", "\\\\")
            for special, name in (("\t", "t"), ("\n", "n"), ("\r", "r")):
                text = text.replace(special, f"\\{name}")
            return text.encode()


def copy_statement(table):
    return f"COPY serverconf.{table} ({', '.join(COLUMNS[table])}) FROM stdin;\n"


def plain_dump(tables):
    """What pg_dump writes without -F."""
    written = [b"--\n-- PostgreSQL database dump\n--\n\nSET statement_timeout = 0;\n"]
    for table, content in tables.items():
        written += [copy_statement(table).encode(), *map(copy_text, content), b"\\.\n\n\n"]
    return b"".join([*written, b"--\n-- PostgreSQL database dump complete\n--\n"])


@dataclass
class CustomDump:
    """What pg_dump writes with -F c, by the version of the format."""

    version: int = 14
    compressed: bool = True
    algorithm: int | None = None
    piece: int = 4096
    end: bytes = b"\\.\n\n\n"
    written: io.BytesIO = field(default_factory=io.BytesIO)

    def of(self, tables):
        self.written.write(b"PGDMP" + bytes([1, self.version, 0, 4, 8, 1]))
        if self.version >= 15:
            self.written.write(bytes([int(self.compressed)]) if self.algorithm is None else b"")
            self.written.write(bytes([self.algorithm]) if self.algorithm is not None else b"")
        else:
            self._integer(-1 if self.compressed else 0)
        for _ in range(7):
            self._integer(1)
        for text in ("serverconf", "15.1", "15.1"):
            self._text(text)
        self._integer(len(tables) + 1)
        self._content(1, "SCHEMA", None, data=False)
        for number, table in enumerate(tables, 2):
            self._content(number, "TABLE DATA", copy_statement(table), data=True)
        for number, content in enumerate(tables.values(), 2):
            self.written.write(b"\1")
            self._integer(number)
            self._data(b"".join(map(copy_text, content)) + self.end)
        return self.written.getvalue()

    def _content(self, number, description, statement, *, data):
        self._integer(number)
        self._integer(int(data))
        for text in ("0", "0", "tag", description):
            self._text(text)
        self._integer(3)
        for text in ("", "", statement, "serverconf", ""):
            self._text(text)
        if self.version >= 14:
            self._text("")
        if self.version >= 16:
            self._integer(0)
        for text in ("owner", "false", "1", None):
            self._text(text)
        self.written.write(b"\2" + bytes(8))

    def _data(self, data):
        data = zlib.compress(data) if self.compressed else data
        for start in range(0, len(data), self.piece):
            piece = data[start : start + self.piece]
            self._integer(len(piece))
            self.written.write(piece)
        self._integer(0)

    def _integer(self, number):
        self.written.write(struct.pack("<BI", number < 0, abs(number)))

    def _text(self, text):
        if text is None:
            self._integer(-1)
        else:
            self._integer(len(text.encode()))
            self.written.write(text.encode())


def tar_of(files, label=LABEL, extra=()):
    """The tar of files by name, behind a volume label; `extra` are TarInfo and content."""
    packed = io.BytesIO()
    if label is not None:
        packed.write(label_header(label))
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        for entry, content in extra:
            archive.addfile(entry, io.BytesIO(content))
    return packed.getvalue()


def label_header(label):
    """The block that `tar --label` writes first; it has no magic."""
    header = bytearray(512)
    name = label.encode()[:99]
    header[: len(name)] = name
    header[136:148] = b"14431144354\0"
    header[148:156] = b" " * 8
    header[156:157] = b"V"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


@dataclass
class OldKeys:
    """A software token of the old server in a directory, and what its list says."""

    directory: object
    ca: TestCa = field(default_factory=TestCa.create)
    devices: list[str] = field(default_factory=list)

    def __post_init__(self):
        settings = SignerSettings(enforce_token_pin_policy=False, pin_rounds=1000)
        self.token = SoftToken(self.directory, SystemClock(), settings)
        self.token.initialize(PIN)
        self.token.login(PIN)
        self.keys = []

    def add(self, usage, member=("DEV", "COM", "1234"), status="registered", **said):
        """Make a key with a certificate; gives its id and the certificate in DER."""
        made = self.token.generate(KeyAlgorithm.EC_P256)
        signing = usage is KeyUsage.SIGNING
        der = build_certificate(
            name_of(CN="/".join(member)),
            load_der_public_key(made.public_key),
            self.ca.certificate.x509.subject,
            self.ca.key,
            Wish(usage=SIGNING if signing else AUTHENTICATION),
        ).der
        public_key = said.get("public_key", made.public_key)
        self.keys.append(
            f'<key usage="{usage.value}"><friendlyName>{usage.value} key</friendlyName>'
            f"<keyId>{said.get('key_id', made.id)}</keyId>"
            f"<publicKey>{base64.b64encode(public_key).decode()}</publicKey>"
            f"{said.get('requests', '')}"
            f'<cert active="true" id="ABCD">{_member(member) if signing else ""}'
            f"<contents>{base64.b64encode(said.get('certificate', der)).decode()}</contents>"
            f"{f'<status>{status}</status>' if status else ''}</cert></key>"
        )
        return made.id, der

    def keyconf(self):
        return (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
            '<ns3:keyConf xmlns:ns2="http://x-road.eu/xsd/identifiers"'
            ' xmlns:ns3="http://x-road.eu/xsd/xroad.xsd"><device>'
            "<deviceType>softToken</deviceType><friendlyName>Old token</friendlyName><id>0</id>"
            f"<pinIndex>0</pinIndex>{''.join(self.keys)}</device>{''.join(self.devices)}"
            "</ns3:keyConf>"
        ).encode()

    def files(self):
        """What of a backup the signer has."""
        found = {
            f"etc/xroad/signer/softtoken/{path.name}": path.read_bytes()
            for path in self.directory.glob("*.p12")
        }
        pin = self.directory / ".softtoken.p12"
        found[f"etc/xroad/signer/softtoken/{pin.name}"] = pin.read_bytes()
        return {**found, "etc/xroad/signer/keyconf.xml": self.keyconf()}


def _member(member):
    names = ("xRoadInstance", "memberClass", "memberCode", "subsystemCode")
    parts = "".join(
        f"<ns2:{name}>{part}</ns2:{name}>" for name, part in zip(names, member, strict=False)
    )
    return f'<memberId ns2:objectType="MEMBER">{parts}</memberId>'


def anchor(instance="DEV", ca=None):
    """The anchor of an instance."""
    certificate = (ca or TestCa.create()).certificate
    source = Source("http://cs.test/internalconf", (certificate.der,))
    return write_anchor(Anchor(instance, (source,)))


def pem_of(issued):
    """A TLS key and its certificate, each in PEM."""
    key = issued.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    certificate = x509.load_der_x509_certificate(issued.certificate.der)
    return key, certificate.public_bytes(Encoding.PEM)


def backup_files(keys, **further):
    """All files of a whole backup but the dump, by name; `further` replace or add some."""
    issued = keys.ca.issue(name_of(CN="ss0.test"), number=7)
    key, certificate = pem_of(issued)
    return {
        "etc/xroad/configuration-anchor.xml": anchor(),
        "etc/xroad/conf.d/local.ini": b"[proxy]\nclient-http-port = 8081\n",
        "etc/xroad/ssl/internal.key": key,
        "etc/xroad/ssl/internal.crt": certificate,
        **keys.files(),
        **further,
    }
