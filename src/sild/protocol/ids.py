"""Member, subsystem, service, server and group identifiers, and their text forms.

Equality is exact and case-sensitive over all parts. Three text forms exist:

    str(id)       MEMBER:EE/GOV/123 or SUBSYSTEM:EE/GOV/123/sub, for people and logs
    id.short      EE/GOV/123/sub, the form of the REST headers, not encoded
    id.encoded    EE:GOV:123:sub, the form of the management APIs
"""

from dataclasses import dataclass, replace
from urllib.parse import quote_plus

from sild.protocol.errors import InvalidIdentifier

_PART_LIMIT = 255
_UNRESERVED = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@"
)
_HEX = frozenset("0123456789abcdefABCDEF")


def _check_part(name: str, value: str) -> None:
    if not value or value.isspace():
        message = f"{name} is missing or blank"
        raise InvalidIdentifier(message)
    if len(value) > _PART_LIMIT:
        message = f"{name} is longer than {_PART_LIMIT} characters"
        raise InvalidIdentifier(message)


@dataclass(frozen=True, slots=True)
class ClientId:
    """A member, or one of its subsystems."""

    instance: str
    member_class: str
    member_code: str
    subsystem_code: str | None = None

    def __post_init__(self) -> None:
        _check_part("xRoadInstance", self.instance)
        _check_part("memberClass", self.member_class)
        _check_part("memberCode", self.member_code)
        if self.subsystem_code is not None:
            _check_part("subsystemCode", self.subsystem_code)

    @property
    def member(self) -> "ClientId":
        """The member itself, without a subsystem."""
        return self if self.subsystem_code is None else replace(self, subsystem_code=None)

    @property
    def is_subsystem(self) -> bool:
        """Whether this names a subsystem."""
        return self.subsystem_code is not None

    def subsystem(self, code: str) -> "ClientId":
        """One of the member's subsystems."""
        return replace(self, subsystem_code=code)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are present, in order."""
        member = (self.instance, self.member_class, self.member_code)
        return member if self.subsystem_code is None else (*member, self.subsystem_code)

    @property
    def short(self) -> str:
        """The parts joined by slashes."""
        return "/".join(self.parts)

    @property
    def encoded(self) -> str:
        """The parts joined by colons."""
        return ":".join(self.parts)

    def __str__(self) -> str:
        return f"{'SUBSYSTEM' if self.is_subsystem else 'MEMBER'}:{self.short}"

    @classmethod
    def from_encoded(cls, text: str) -> "ClientId":
        """The identifier that colon-joined parts give."""
        parts = text.split(":")
        if len(parts) not in (3, 4):
            message = f"{text!r} is no member or subsystem: it needs 3 or 4 parts, has {len(parts)}"
            raise InvalidIdentifier(message)
        return cls(*parts)


@dataclass(frozen=True, slots=True)
class ServiceId:
    """A service of a member or subsystem; REST services have no version."""

    provider: ClientId
    service_code: str
    service_version: str | None = None

    def __post_init__(self) -> None:
        _check_part("serviceCode", self.service_code)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that are present, in order."""
        parts = (*self.provider.parts, self.service_code)
        return parts if self.service_version is None else (*parts, self.service_version)

    @property
    def short(self) -> str:
        """The parts joined by slashes."""
        return "/".join(self.parts)

    @property
    def encoded(self) -> str:
        """The parts joined by colons."""
        return ":".join(self.parts)

    def __str__(self) -> str:
        return f"SERVICE:{self.short}"


@dataclass(frozen=True, slots=True)
class SecurityServerId:
    """A security server: its owner, who is a member, and its code."""

    owner: ClientId
    server_code: str

    def __post_init__(self) -> None:
        _check_part("serverCode", self.server_code)
        if self.owner.is_subsystem:
            message = f"{self.owner} cannot own a security server: it is a subsystem"
            raise InvalidIdentifier(message)

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts, in order."""
        return (*self.owner.parts, self.server_code)

    @property
    def short(self) -> str:
        """The parts joined by slashes."""
        return "/".join(self.parts)

    @property
    def encoded(self) -> str:
        """The parts joined by colons."""
        return ":".join(self.parts)

    def __str__(self) -> str:
        return f"SERVER:{self.short}"


@dataclass(frozen=True, slots=True)
class RepresentedParty:
    """On whose behalf a client calls; the class may be missing."""

    party_class: str | None
    party_code: str


@dataclass(frozen=True, slots=True)
class GlobalGroupId:
    """A group that the Central Server keeps."""

    instance: str
    group_code: str

    def __post_init__(self) -> None:
        _check_part("xRoadInstance", self.instance)
        _check_part("groupCode", self.group_code)

    def __str__(self) -> str:
        return f"GLOBALGROUP:{self.instance}/{self.group_code}"


@dataclass(frozen=True, slots=True)
class LocalGroupId:
    """A group that one client keeps on its own security server."""

    group_code: str

    def __post_init__(self) -> None:
        _check_part("groupCode", self.group_code)

    def __str__(self) -> str:
        return f"LOCALGROUP:{self.group_code}"


SubjectId = ClientId | GlobalGroupId | LocalGroupId


def decode_segment(segment: str) -> str:
    """One segment of a path or REST header, percent-decoded as UTF-8.

    Raises InvalidIdentifier for a character that may not stand unencoded in a segment
    (RFC 3986, 3.3: spaces and slashes among them), for a stray percent sign and for bytes
    that are no UTF-8.
    """
    try:
        raw = segment.encode("ascii")
    except UnicodeEncodeError:
        message = f"{segment!r} has a character that must be percent-encoded"
        raise InvalidIdentifier(message) from None
    out = bytearray()
    position = 0
    while position < len(raw):
        byte = raw[position]
        if byte in _UNRESERVED:
            out.append(byte)
            position += 1
            continue
        code = segment[position + 1 : position + 3]
        if byte != ord("%") or len(code) != 2 or not _HEX.issuperset(code):
            message = f"{segment!r} has a character that must be percent-encoded"
            raise InvalidIdentifier(message)
        out.append(int(code, 16))
        position += 3
    try:
        return out.decode("utf-8")
    except UnicodeDecodeError:
        message = f"{segment!r} does not decode to UTF-8"
        raise InvalidIdentifier(message) from None


def file_name_part(text: str) -> str:
    """A text as part of a file name, in the way of HTML forms: peers look for these names."""
    return quote_plus(text, safe="*").replace("~", "%7E")


def encode_segment(text: str) -> str:
    """A text as one segment of a path: all but RFC 3986 `pchar` percent-encoded."""
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in text.encode("utf-8")
    )


def decode_segments(text: str) -> list[str]:
    """The decoded parts of a slash-joined identifier."""
    return [decode_segment(segment) for segment in text.split("/")]


def encode_segments(parts: tuple[str, ...]) -> str:
    """The slash-joined, percent-encoded form of an identifier's parts."""
    return "/".join(encode_segment(part) for part in parts)
