"""Who may call what: default deny, and a right never reaches further than its pattern.

A path is allowed only if *every way in which a server might read it* is allowed: as it stands,
with its dot segments resolved, with encoded slashes as separators, without `;` parameters, cut at
an encoded question mark. What one server calls `/public/x` and another `/admin` needs both rights.
The reference knows one reading of these; no reading here allows what that one refuses.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sild.model.services import ANY_METHOD, AccessRight, Endpoint, LocalGroup
from sild.protocol.errors import AccessDenied
from sild.protocol.ids import ClientId, GlobalGroupId, ServiceId

_LONGEST_PATH = 16 * 1024
_ENCODED_SLASH = re.compile("%2[Ff]")
_RAW = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*", re.ASCII)
# What may come out of percent-decoding. The reference refuses the rest of ASCII too: percent signs
# (double encoding), backslashes, blanks, braces, quotes.
_DECODED = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/?#"
)
# Stands for an encoded slash that is read as part of its segment; nothing decodes to it, as it is
# no character.
_OPAQUE_SLASH = "\ufffe"


@dataclass(frozen=True, slots=True)
class Call:
    """What is called; a SOAP call has no method and path.

    The path is what follows the service code in the request line: still percent-encoded, without
    the query, empty or beginning with a slash.
    """

    service: ServiceId
    method: str | None = None
    path: str | None = None


class PathPattern:
    """A path pattern: `*` is anything within a segment, `**` anything, a backslash escapes a star.

    A single star takes as much of its segment as there is and never gives back, as in the
    reference: `/*.json` matches nothing.
    """

    __slots__ = ("_matches", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._matches = re.compile(_regex_of(text)).fullmatch

    def matches(self, path: str) -> bool:
        """Whether a decoded path is within the pattern."""
        return self._matches(path) is not None


_PIECE = re.compile(r"\\[*\\]|\*+|[^*\\]+|\\", re.DOTALL)


def _regex_of(pattern: str) -> str:
    runs = [""]  # between double stars
    for piece in _PIECE.findall(pattern):
        if piece == "*":
            runs[-1] += "[^/]*+"
        elif piece.startswith("*"):
            runs.append("")
        elif piece in {"\\*", "\\\\"}:
            runs[-1] += re.escape(piece[1])
        else:
            runs[-1] += re.escape(piece)
    first, *rest = runs
    if not rest:
        return f"(?s:{first})"
    # Atomic groups: the leftmost match of a middle run is always as good as any later one, so
    # a hostile path cannot make the match try them all.
    middle = "".join(f"(?>.*?{run})" for run in rest[:-1])
    return f"(?s:{first}{middle}.*{rest[-1]})"


@dataclass(slots=True)
class _Grants:
    """What one subject may do with one service; rows are (method or None, pattern)."""

    whole: bool = False
    patterns: list[tuple[str | None, PathPattern]] = field(default_factory=list)
    endpoints: list[Endpoint] = field(default_factory=list)

    def add(self, endpoint: Endpoint) -> None:
        self.endpoints.append(endpoint)
        if endpoint.is_base:
            self.whole = True
        else:
            method = None if endpoint.method == ANY_METHOD else endpoint.method.upper()
            self.patterns.append((method, PathPattern(endpoint.path)))


_Service = tuple[ClientId, str]


class AccessRules:
    """The rights of one server, ready to be asked.

    Rights to endpoints that are not listed and to local groups that do not exist give nothing.
    """

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        rights: Iterable[AccessRight],
        groups: Iterable[LocalGroup],
    ) -> None:
        known = frozenset(endpoints)
        members = {(group.owner, group.code): group.members for group in groups}
        clients: dict[_Service, dict[ClientId, _Grants]] = defaultdict(lambda: defaultdict(_Grants))
        global_groups: dict[_Service, dict[GlobalGroupId, _Grants]] = defaultdict(
            lambda: defaultdict(_Grants)
        )
        for right in rights:
            endpoint = right.endpoint
            if endpoint not in known:
                continue
            service = (endpoint.provider, endpoint.service_code)
            if isinstance(right.subject, ClientId):
                clients[service][right.subject].add(endpoint)
            elif isinstance(right.subject, GlobalGroupId):
                global_groups[service][right.subject].add(endpoint)
            else:
                code = right.subject.group_code
                for member in members.get((endpoint.provider, code), frozenset()):
                    clients[service][member].add(endpoint)
        self._clients: Mapping[_Service, Mapping[ClientId, _Grants]] = {
            service: dict(subjects) for service, subjects in clients.items()
        }
        self._global_groups: Mapping[_Service, Mapping[GlobalGroupId, _Grants]] = {
            service: dict(subjects) for service, subjects in global_groups.items()
        }

    def check_access(self, caller: ClientId, groups: frozenset[GlobalGroupId], call: Call) -> None:
        """Return if the caller, who is in these global groups, may make the call.

        Raises AccessDenied.
        """
        grants = self._grants(caller, groups, call.service)
        if not grants or not _is_allowed(grants, call):
            raise AccessDenied(
                f"{caller} has no right to {_named(call)}; its provider is who can give one"
            )

    def allowed_endpoints(
        self, caller: ClientId, groups: frozenset[GlobalGroupId], service: ServiceId
    ) -> tuple[Endpoint, ...]:
        """The endpoints of the service that the caller has a right to, for the metaservices."""
        grants = self._grants(caller, groups, service)
        return tuple(dict.fromkeys(endpoint for grant in grants for endpoint in grant.endpoints))

    def _grants(
        self, caller: ClientId, groups: frozenset[GlobalGroupId], service: ServiceId
    ) -> list[_Grants]:
        key = (service.provider, service.service_code)
        own = self._clients.get(key, {}).get(caller)
        found = [] if own is None else [own]
        by_group = self._global_groups.get(key)
        if by_group:
            found += [grants for group, grants in by_group.items() if group in groups]
        return found


def _named(call: Call) -> str:
    if call.method is None:
        return str(call.service)
    return f"{call.method} {call.path or '/'} of {call.service}"


def _is_allowed(grants: list[_Grants], call: Call) -> bool:
    whole = any(grant.whole for grant in grants)
    if call.path is None or call.method is None:
        return whole and call.path is None and call.method is None
    readings = readings_of(call.path)
    if not readings:
        return False
    if whole:
        return True
    method = call.method.upper()
    patterns = [
        pattern
        for grant in grants
        for wanted, pattern in grant.patterns
        if wanted is None or wanted == method
    ]
    return all(any(pattern.matches(reading) for pattern in patterns) for reading in readings)


def readings_of(path: str) -> frozenset[str]:
    """Every way in which a server might read a percent-encoded path; none if it is refused.

    Refused: what is no path, what does not decode once to printable text without percent signs
    and backslashes, and two dots beside each other wherever they stand after normalisation.
    """
    if len(path) > _LONGEST_PATH or not (path == "" or path.startswith("/")):
        return frozenset()
    if _RAW.fullmatch(path) is None:
        return frozenset()
    separated = opaque = path
    if "%" in path:
        separated = _decode(path)
        opaque = _OPAQUE_SLASH.join(_decode(piece) for piece in _ENCODED_SLASH.split(path))
        if not all(map(_may_stand, separated)):
            return frozenset()
    if separated == "//":
        return frozenset()
    texts = {opaque, separated}
    if separated.startswith("//"):
        # The reference takes what follows two slashes for a host name.
        texts.add(re.sub("^//[^/]*", "", separated))
    if "?" in separated or "#" in separated:
        texts |= {re.split("[?#]", text, maxsplit=1)[0] for text in texts}
    if ";" in separated:
        texts |= {re.sub(";[^/]*", "", text) for text in texts}
    normalized = {_normalized(text) for text in texts}
    if any(".." in text for text in normalized):
        return frozenset()
    return frozenset(texts | normalized)


def _decode(path: str) -> str:
    """The text once percent-decoded; bytes that are no UTF-8 become what may not stand."""
    first, *rest = path.split("%")
    data = first.encode("ascii") + b"".join(
        bytes.fromhex(piece[:2]) + piece[2:].encode("ascii") for piece in rest
    )
    return data.decode("utf-8", errors="surrogateescape")


def _may_stand(character: str) -> bool:
    return character in _DECODED if character.isascii() else character.isprintable()


def _normalized(path: str) -> str:
    """The path without empty and `.` segments, each `..` having taken the segment before it."""
    if "//" not in path and "/." not in path:
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for segment in segments:
        if segment == ".." and kept and kept[-1] != "..":
            kept.pop()
        elif segment not in {"", "."}:
            kept.append(segment)
    is_folder = segments[-1] in {"", "."} or (segments[-1] == ".." and kept[-1:] != [".."])
    return "/" + "/".join(kept) + ("/" if is_folder and kept else "")
