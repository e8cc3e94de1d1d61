"""Operations that tests ask for: no server has them."""

from typing import Annotated

from fastapi import Form, Path, Response

from sild.adminapi.asked import Asked
from sild.adminapi.bodies import (
    Body,
    HostAddress,
    Identifier,
    Paging,
    ShortText,
    Upload,
    read_upload,
)
from sild.adminapi.operations import Operations
from sild.adminapi.problems import Deviation, WarningsDetected
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission
from sild.model.refusals import Conflict, Failed, NotFound, Unavailable
from sild.protocol.errors import InvalidIdentifier

THINGS = Operations("things")


class NewMemberId(Body):
    member_class: Identifier
    member_code: Identifier


class MemberAdd(Body):
    member_name: ShortText
    member_id: NewMemberId
    address: HostAddress | None = None


class Thing(Body):
    name: str
    note: str | None = None


class Uploaded(Body):
    size: int
    name: str


class ThingExists(Conflict):
    code = "thing_exists"


@THINGS.post(
    "/things",
    "addThing",
    permission=Permission.ADD_NEW_MEMBER,
    event=AuditEvent.ADD_MEMBER,
    status=201,
    also=(409,),
)
async def add_thing(body: MemberAdd, asked: Asked) -> Thing:
    asked.tell(memberName=body.member_name)
    if body.member_name == "taken":
        raise ThingExists("there is such a thing already", body.member_id.member_code)
    return Thing(name=body.member_name)


@THINGS.get("/things", "findThings", permission=None)
async def find_things(paging: Paging) -> list[str]:
    return [f"{paging.limit} from {paging.first}"]


@THINGS.get("/things/special", "getSpecialThing", permission=Permission.VIEW_MEMBERS)
async def get_special() -> Thing:
    return Thing(name="special")


@THINGS.get("/things/{thing_id}", "getThing", permission=Permission.VIEW_MEMBERS)
async def get_thing(thing_id: Annotated[int, Path(ge=1, le=2**31 - 1)]) -> Thing:
    return Thing(name=str(thing_id))


@THINGS.delete(
    "/things/{thing_id}",
    "deleteThing",
    permission=Permission.DELETE_MEMBER,
    event=AuditEvent.DELETE_MEMBER,
    status=204,
)
async def delete_thing(thing_id: int, asked: Asked) -> None:
    asked.tell(memberCode=thing_id)


_FAILURES = {
    "missing": NotFound("there is no such thing", "x"),
    "failed": Failed("it did not work"),
    "unavailable": Unavailable("not now"),
    "malformed": InvalidIdentifier("that is no identifier"),
    "unforeseen": RuntimeError("a secret detail"),
}


@THINGS.put(
    "/failures/{kind}",
    "failThing",
    permission=Permission.DELETE_MEMBER,
    event=AuditEvent.EDIT_MEMBER_NAME,
)
async def fail(kind: str) -> None:
    raise _FAILURES[kind]


@THINGS.post(
    "/warnings", "warn", permission=Permission.DELETE_MEMBER, event=AuditEvent.UPLOAD_BACKUP
)
async def warn(ignore_warnings: bool = False) -> Thing:
    if not ignore_warnings:
        raise WarningsDetected(Deviation("warning_file_already_exists", ("a.gpg",)))
    return Thing(name="done")


@THINGS.post("/uploads", "upload", permission=Permission.ADD_APPROVED_CA, status=201)
async def upload(certificate: Upload, url: Annotated[str, Form()] = "") -> Uploaded:
    return Uploaded(size=len(await read_upload(certificate)), name=certificate.filename or url)


@THINGS.get("/downloads", "download", permission=None, gives="application/xml")
async def download() -> Response:
    return Response(b"<a/>", media_type="application/xml")
