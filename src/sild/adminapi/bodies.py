"""Bodies and parameters that several areas share, as the published contracts lay them out."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Self

from fastapi import Body as WholeBody
from fastapi import Depends, File, Query, UploadFile
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from sild.adminapi.texts import check_host, check_identifier, check_plain
from sild.model.refusals import BadRequest
from sild.protocol import ids

_LONGEST = 255
_LONGEST_ID = 1023
_INT32 = 2**31 - 1


class Body(BaseModel):
    """A JSON object: white space around texts does not count, nor do fields that nobody knows."""

    model_config = ConfigDict(
        frozen=True,
        str_strip_whitespace=True,
        coerce_numbers_to_str=True,
        populate_by_name=True,
        use_enum_values=False,
        json_schema_serialization_defaults_required=False,
    )


def _as_published(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Plain = AfterValidator(check_plain)
"""Refuses control characters; stands in an annotation."""
Identifier = Annotated[
    str, Field(min_length=1, max_length=_LONGEST), AfterValidator(check_identifier)
]
"""A part of a new identifier."""
HostAddress = Annotated[str, Field(max_length=_LONGEST), AfterValidator(check_host)]
"""A host's name or IPv4 address."""

Text = Annotated[str, Plain]
"""A text of any length within the request's."""
ShortText = Annotated[str, Field(min_length=1, max_length=_LONGEST), Plain]
"""A text of 1 to 255 characters: names, codes, descriptions, addresses."""
EncodedIdText = Annotated[str, Field(min_length=1, max_length=_LONGEST_ID), Plain]
"""An identifier in its text form, DEV:GOV:M1 and so on."""

Instant = Annotated[
    datetime,
    PlainSerializer(_as_published, return_type=str),
]
"""A moment, written in UTC with milliseconds."""


class CodeWithDetails(Body):
    """What went wrong or is to be warned of."""

    code: str
    metadata: list[str] | None = None
    validation_errors: dict[str, list[str]] | None = None


class ErrorInfo(Body):
    """How errors are answered."""

    status: int
    error: CodeWithDetails | None = None
    warnings: list[CodeWithDetails] | None = None


class PagingMetadata(Body):
    """Which part of a list is answered."""

    total_items: int
    items: int
    limit: int
    offset: int


class InvalidPaging(BadRequest):
    """A page that cannot be."""

    code = "invalid_pagination_properties"


class InvalidSorting(BadRequest):
    """An order that a list does not have."""

    code = "invalid_sort_properties"


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for, in which order."""

    sort: str | None = None
    desc: bool = False
    limit: int = 25
    """How many items a page has."""
    offset: int = 0
    """Which page, the first being 0."""

    @property
    def first(self) -> int:
        """How many items stand before the page."""
        return self.offset * self.limit

    def metadata(self, total: int, items: int) -> PagingMetadata:
        """Say of an answer which part of the list it is."""
        return PagingMetadata(total_items=total, items=items, limit=self.limit, offset=self.offset)


def page_of(
    sort: Annotated[str | None, Query(min_length=2, max_length=25, pattern="^[a-zA-Z_.]+$")] = None,
    desc: Annotated[bool, Query()] = False,
    limit: Annotated[int, Query(ge=-_INT32 - 1, le=_INT32)] = 25,
    offset: Annotated[int, Query(ge=-_INT32 - 1, le=_INT32)] = 0,
) -> Page:
    """Read which page is asked for; raises InvalidPaging."""
    if limit < 1:
        raise InvalidPaging("Page size must not be less than one", str(limit))
    if offset < 0:
        raise InvalidPaging("Page index must not be less than zero", str(offset))
    return Page(sort, desc, limit, offset)


Paging = Annotated[Page, Depends(page_of)]
"""A parameter of an operation: the page that is asked for."""


class XRoadIdType(Enum):
    """What an identifier names."""

    MEMBER = "MEMBER"
    SUBSYSTEM = "SUBSYSTEM"
    SERVER = "SERVER"
    GLOBALGROUP = "GLOBALGROUP"
    SERVICE = "SERVICE"
    LOCALGROUP = "LOCALGROUP"


class ClientId(Body):
    """A member or subsystem."""

    instance_id: ShortText
    type: XRoadIdType
    member_class: ShortText
    member_code: ShortText
    subsystem_code: ShortText | None = None
    encoded_id: str | None = None

    @classmethod
    def of(cls, client: ids.ClientId) -> Self:
        """Lay out an identifier."""
        kind = XRoadIdType.SUBSYSTEM if client.is_subsystem else XRoadIdType.MEMBER
        return cls(
            instance_id=client.instance,
            type=kind,
            member_class=client.member_class,
            member_code=client.member_code,
            subsystem_code=client.subsystem_code,
            encoded_id=client.encoded,
        )


class SecurityServerId(Body):
    """A security server."""

    instance_id: ShortText
    type: XRoadIdType
    member_class: ShortText
    member_code: ShortText
    server_code: ShortText
    encoded_id: str | None = None

    @classmethod
    def of(cls, server: ids.SecurityServerId) -> Self:
        """Lay out an identifier."""
        return cls(
            instance_id=server.owner.instance,
            type=XRoadIdType.SERVER,
            member_class=server.owner.member_class,
            member_code=server.owner.member_code,
            server_code=server.server_code,
            encoded_id=server.encoded,
        )


class User(Body):
    """Who is logged in."""

    username: str
    roles: list[str]
    permissions: list[str]


Upload = Annotated[UploadFile, File()]
"""A parameter of an operation: a file in a form, named as the parameter is."""


async def read_upload(upload: UploadFile) -> bytes:
    """Give a file's bytes; how large they can be is the request's limit."""
    return await upload.read()


Octets = Annotated[bytes, WholeBody(media_type="application/octet-stream")]
"""A parameter of an operation: the bytes that were sent, which are a file."""
