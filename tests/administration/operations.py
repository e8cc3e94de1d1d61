"""Every operation of a security server as it is to be: who may, and what the audit log tells.

The table beside this is of what the reference does, and is compared with that. Two of its rows
differ: rights to an endpoint are audited here as rights to a service are.
"""

import re
from dataclasses import dataclass
from pathlib import Path

PREFIX = "/api/v1"
ROLES = {
    "SO": "XROAD_SECURITY_OFFICER",
    "RO": "XROAD_REGISTRATION_OFFICER",
    "SA": "XROAD_SERVICE_ADMINISTRATOR",
    "SYS": "XROAD_SYSTEM_ADMINISTRATOR",
    "OBS": "XROAD_SECURITYSERVER_OBSERVER",
}
NOBODY = "nobody"
ANY, OPEN = "any", "nobody"
_NOTHING = "-"


@dataclass(frozen=True)
class Row:
    """One operation; any of its permissions suffices, none of them means: who is logged in."""

    method: str
    path: str
    permissions: frozenset
    roles: frozenset
    event: str | None

    @property
    def name(self):
        return f"{self.method} {self.path}"

    @property
    def shape(self):
        """Method and path, whatever the parameters are called."""
        return shape_of(self.method, self.path)


def shape_of(method, path):
    return method, re.sub(r"\{[^}]*\}", "{}", path)


def _row(line):
    method, path, permissions, roles, event = line.split("\t")
    named = frozenset(permissions.split()) - {ANY, OPEN}
    return Row(method, path, named, frozenset(roles.split()), None if event == _NOTHING else event)


ROWS = tuple(
    _row(line) for line in Path(__file__).with_name("operations.tsv").read_text().splitlines()[1:]
)


def published_rows(document):
    """The security server's rows of a description of the reference's operations."""
    for line in document.splitlines():
        if line.startswith("| SS-"):
            _, method, path, _, _, allowed, event, _ = map(str.strip, line.strip("| \n").split("|"))
            yield method, path.strip("`"), allowed, event or None


def published_permissions(document):
    """The permissions of each role of a security server, of the same description."""
    section = document.partition("**Security Server: ")[2].partition("**Central Server: ")[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if cells[0] in ROLES.values():
            yield cells[0], frozenset(cells[2].split(", "))
