"""The table of the reference's SOAP cases: what is asked, what is answered, what comes of it."""

import csv
import re
from dataclasses import dataclass

DEFAULT_TYPE = "text/xml; charset=UTF-8"
NORMAL = "normal response"

_ANSWER = re.compile(r"(?P<file>\S+)?(?: \((?P<type>.*)\))?(?: \+/(?P<besides>\S+))?")
_MESSAGE_ID = re.compile(rb"(<xroad:id>)[^<]*(</xroad:id>)")


@dataclass(frozen=True)
class Row:
    """One case; a file that the case does not use is None, `besides` is one its code names."""

    name: str
    is_tls: bool
    request: str | None
    request_type: str
    answer: str | None
    answer_type: str
    besides: str | None
    expected: str

    @property
    def is_normal(self):
        return self.expected == NORMAL

    @property
    def is_of_service(self):
        """Whether a fault is expected that the service itself has told."""
        return self.expected.startswith('"')

    @property
    def code(self):
        """The fault code, where one is expected."""
        return self.expected.strip('"')


class Cases:
    """The rows of the table by name, and the files that they name."""

    def __init__(self, directory):
        self._queries = directory / "queries"
        with (directory / "CASES.tsv").open(encoding="utf-8", newline="") as table:
            rows = csv.reader(table, delimiter="\t", quoting=csv.QUOTE_NONE)
            next(rows)
            self.rows = {row.name: row for row in map(_row, rows)}

    def read(self, name, message_id):
        """A file with another message id, so that the log of a run is told from that of others."""
        content = (self._queries / name).read_bytes()
        return _MESSAGE_ID.sub(rb"\g<1>" + message_id.encode() + rb"\g<2>", content)


def _row(columns):
    case, request, request_type, answer, expected = columns
    name, _, tls = case.partition(" ")
    answered = _ANSWER.fullmatch(answer)
    return Row(
        name,
        tls == "(TLS)",
        _file(request),
        request_type.removesuffix(" (default)"),
        _file(answered["file"]),
        answered["type"] or DEFAULT_TYPE,
        answered["besides"],
        expected,
    )


def _file(name):
    return None if name == "-" else name
