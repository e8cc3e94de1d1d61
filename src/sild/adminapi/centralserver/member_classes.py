"""Member classes."""

from sild.adminapi.asked import Asked
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    CodePath,
    MemberClass,
    MemberClassBody,
    MemberClassDescription,
)
from sild.adminapi.operations import Operations
from sild.model.audit import AuditEvent
from sild.model.permissions import Permission

OPERATIONS = Operations("member-classes")


@OPERATIONS.get(
    "/member-classes", "getMemberClasses", permission=Permission.VIEW_MEMBER_CLASSES, also=()
)
async def get_member_classes(central: Central) -> list[MemberClassBody]:
    """List the member classes."""
    found = await central.classes.all()
    return [MemberClassBody(code=each.code, description=each.description) for each in found]


@OPERATIONS.post(
    "/member-classes",
    "addMemberClass",
    permission=Permission.ADD_MEMBER_CLASS,
    event=AuditEvent.ADD_MEMBER_CLASS,
    status=201,
    also=(400, 409),
)
async def add_member_class(body: MemberClass, asked: Asked, central: Central) -> MemberClassBody:
    """Add a member class."""
    asked.tell(code=body.code, description=body.description)
    added = await central.classes.add(body.code, body.description)
    return MemberClassBody(code=added.code, description=added.description)


@OPERATIONS.delete(
    "/member-classes/{code}",
    "deleteMemberClass",
    permission=Permission.DELETE_MEMBER_CLASS,
    event=AuditEvent.DELETE_MEMBER_CLASS,
    status=204,
    also=(400, 404, 409),
)
async def delete_member_class(code: CodePath, asked: Asked, central: Central) -> None:
    """Remove a member class that no member has."""
    asked.tell(code=code)
    await central.classes.remove(code)


@OPERATIONS.patch(
    "/member-classes/{code}",
    "updateMemberClass",
    permission=Permission.EDIT_MEMBER_CLASS,
    event=AuditEvent.EDIT_MEMBER_CLASS,
    also=(400, 404, 406),
)
async def update_member_class(
    code: CodePath, body: MemberClassDescription, asked: Asked, central: Central
) -> MemberClassBody:
    """Say what a member class stands for."""
    asked.tell(code=code, description=body.description)
    changed = await central.classes.describe(code, body.description)
    return MemberClassBody(code=changed.code, description=changed.description)
