"""What changes of the registry are refused for.

NotFound
├── MemberClassNotFound       member_class_not_found
├── MemberNotFound            member_not_found
├── SubsystemNotFound         subsystem_not_found
├── ServerNotFound            security_server_not_found
├── AuthCertificateNotFound   ss_auth_certificate_not_found
├── MemberNotRegistered       member_not_registered_to_security_server
├── SubsystemNotRegistered    subsystem_not_registered_to_security_server
└── GroupNotFound             global_group_not_found
Conflict
├── MemberClassExists         member_class_exists
├── MemberClassInUse          member_class_is_in_use
├── MemberExists              member_exists
├── SubsystemExists           subsystem_exists
├── ServerExists              management_request_server_code_exists
├── AuthCertificateExists     management_request_security_server_exists
├── ClientRegistered          management_request_client_already_registered
└── GroupExists               global_group_exists
BadRequest
├── InvalidEncodedId          invalid_encoded_id
├── InvalidMemberId           invalid_member_id
├── InvalidSubsystemId        invalid_subsystem_id
├── InvalidText               validation_failure
├── SubsystemRegistered       subsystem_registered_and_cannot_be_deleted
├── OwnersGroupStays          owners_global_group_cannot_be_deleted
├── OwnersGroupTakesNobody    cannot_add_member_to_owners_group
├── OwnersGroupKeepsMembers   owners_global_group_member_cannot_be_deleted
└── InstanceNotSet            instance_identifier_not_set
"""

from sild.model.refusals import BadRequest, Conflict, NotFound


class MemberClassNotFound(NotFound):
    """No such member class."""

    code = "member_class_not_found"


class MemberNotFound(NotFound):
    """No such member."""

    code = "member_not_found"


class SubsystemNotFound(NotFound):
    """No such subsystem."""

    code = "subsystem_not_found"


class ServerNotFound(NotFound):
    """No such security server."""

    code = "security_server_not_found"


class AuthCertificateNotFound(NotFound):
    """The server has no such authentication certificate."""

    code = "ss_auth_certificate_not_found"


class MemberNotRegistered(NotFound):
    """The member is no client of the server."""

    code = "member_not_registered_to_security_server"


class SubsystemNotRegistered(NotFound):
    """The subsystem is no client of the server."""

    code = "subsystem_not_registered_to_security_server"


class GroupNotFound(NotFound):
    """No such global group."""

    code = "global_group_not_found"


class GroupMemberNotFound(NotFound):
    """The global group has no such member."""

    code = "member_not_found"


class MemberClassExists(Conflict):
    """The member class is there already."""

    code = "member_class_exists"


class MemberClassInUse(Conflict):
    """Members have the class."""

    code = "member_class_is_in_use"


class MemberExists(Conflict):
    """The member is there already."""

    code = "member_exists"


class SubsystemExists(Conflict):
    """The subsystem is there already."""

    code = "subsystem_exists"


class ServerExists(Conflict):
    """The owner has a server with this code."""

    code = "management_request_server_code_exists"


class AuthCertificateExists(Conflict):
    """Some server has this authentication certificate."""

    code = "management_request_security_server_exists"


class ClientRegistered(Conflict):
    """The client is one of the server's already."""

    code = "management_request_client_already_registered"


class GroupExists(Conflict):
    """The global group is there already."""

    code = "global_group_exists"


class InvalidEncodedId(BadRequest):
    """A text that is no identifier with colons."""

    code = "invalid_encoded_id"


class InvalidMemberId(BadRequest):
    """An identifier that is no member's."""

    code = "invalid_member_id"


class InvalidSubsystemId(BadRequest):
    """An identifier that is no subsystem's."""

    code = "invalid_subsystem_id"


class InvalidText(BadRequest):
    """A text that may not be stored as it is."""

    code = "validation_failure"


class SubsystemRegistered(BadRequest):
    """A subsystem that is some server's client."""

    code = "subsystem_registered_and_cannot_be_deleted"


class OwnersGroupStays(BadRequest):
    """The group of the servers' owners is not deleted."""

    code = "owners_global_group_cannot_be_deleted"


class OwnersGroupTakesNobody(BadRequest):
    """Nobody joins the group of the servers' owners but by owning one."""

    code = "cannot_add_member_to_owners_group"


class OwnersGroupKeepsMembers(BadRequest):
    """Nobody leaves the group of the servers' owners but by owning none."""

    code = "owners_global_group_member_cannot_be_deleted"


class InstanceNotSet(BadRequest):
    """The Central Server was not initialised yet."""

    code = "instance_identifier_not_set"
