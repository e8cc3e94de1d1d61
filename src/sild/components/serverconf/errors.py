"""What changes of the configuration are refused for.

    NotFound
    ├── ClientNotFound                    client_not_found
    ├── DescriptionNotFound               service_description_not_found
    ├── ServiceNotFound                   service_not_found
    ├── EndpointNotFound                  endpoint_not_found
    ├── GroupNotFound                     local_group_not_found
    ├── GroupMemberNotFound               local_group_member_not_found
    ├── CertificateNotFound               certificate_not_found
    ├── AccessRightNotFound               accessright_not_found
    └── OrphansNotFound                   orphans_not_found
    Conflict
    ├── ServerNotSet                      server_not_initialized
    ├── ServerAlreadySet                  server_already_initialized
    ├── ClientExists                      client_already_exists
    ├── AdditionalMemberExists            additional_member_already_exists
    ├── ClientNotReady                    action_not_possible
    ├── OwnerNotDeletable                 cannot_delete_owner
    ├── OwnerNotUnregistrable             cannot_unregister_owner
    ├── ManagementServiceNotDisablable    forbidden_disable_management_service_client
    ├── NameUnchanged                     invalid_client_name
    ├── RenameSubmitted                   client_rename_already_submitted
    ├── OwnerIsFixed                      action_not_possible
    ├── ServiceExists                     service_already_exists
    ├── EndpointExists                    endpoint_already_exists
    ├── EndpointIsFixed                   action_not_possible
    ├── GroupExists                       local_group_code_already_exists
    ├── GroupMemberExists                 local_group_member_already_exists
    ├── GroupMemberGone                   local_group_member_not_found
    ├── CertificateExists                 certificate_already_exists
    └── AccessRightExists                 duplicate_accessright
    BadRequest
    ├── InvalidMemberClass                invalid_member_class
    ├── InvalidInstance                   invalid_instance_identifier
    ├── InvalidTlsCertificate             invalid_certificate
    ├── UnregisteredMember                unregistered_member
    ├── GroupMembersMissing               missing_member_id
    ├── OwnerNotRegistrable               cannot_register_owner
    └── OwnerAlready                      member_already_owner

A value that may not be stored at all raises `InvalidConfiguration`, and an act that may not happen
in this state `InvalidMove`, both of `sild.model.services`.
"""

from sild.model.refusals import BadRequest, Conflict, NotFound


class ServerNotSet(Conflict):
    """The security server has no identity yet."""

    code = "server_not_initialized"


class ServerAlreadySet(Conflict):
    """The security server has another identity."""

    code = "server_already_initialized"


class ClientNotFound(NotFound):
    """No such client."""

    code = "client_not_found"


class ClientExists(Conflict):
    """The client is there already."""

    code = "client_already_exists"


class AdditionalMemberExists(Conflict):
    """There is a member beside the owner, and no other may be added."""

    code = "additional_member_already_exists"


class ClientNotReady(Conflict):
    """The client is not in a state for this, or not of a kind for this."""

    code = "action_not_possible"


class OwnerNotDeletable(Conflict):
    """The owner of the server cannot be taken away."""

    code = "cannot_delete_owner"


class OwnerNotRegistrable(BadRequest):
    """The owner of the server is a client without being registered as one."""

    code = "cannot_register_owner"


class OwnerNotUnregistrable(Conflict):
    """The owner of the server cannot cease to be its client."""

    code = "cannot_unregister_owner"


class OwnerAlready(BadRequest):
    """The member owns the server."""

    code = "member_already_owner"


class ManagementServiceNotDisablable(Conflict):
    """Without the client that provides the management services nobody could be enabled again."""

    code = "forbidden_disable_management_service_client"


class InvalidMemberClass(BadRequest):
    """The instance has no such member class."""

    code = "invalid_member_class"


class InvalidInstance(BadRequest):
    """The client is of another instance than the server."""

    code = "invalid_instance_identifier"


class UnregisteredMember(BadRequest):
    """The member is unknown to the Central Server: a warning, which can be ignored."""

    code = "unregistered_member"


class InvalidTlsCertificate(BadRequest):
    """What was sent is no certificate."""

    code = "invalid_certificate"


class NameUnchanged(Conflict):
    """The subsystem has this name."""

    code = "invalid_client_name"


class RenameSubmitted(Conflict):
    """The Central Server was asked for another name, which is not there yet."""

    code = "client_rename_already_submitted"


class OrphansNotFound(NotFound):
    """Nothing is left of the client."""

    code = "orphans_not_found"


class OwnerIsFixed(Conflict):
    """The owner of the server is a client that cannot be added or taken away."""

    code = "action_not_possible"


class DescriptionNotFound(NotFound):
    """No such service description."""

    code = "service_description_not_found"


class ServiceNotFound(NotFound):
    """No such service."""

    code = "service_not_found"


class ServiceExists(Conflict):
    """The client has a service with this code."""

    code = "service_already_exists"


class EndpointNotFound(NotFound):
    """No such endpoint."""

    code = "endpoint_not_found"


class EndpointExists(Conflict):
    """The service has this endpoint."""

    code = "endpoint_already_exists"


class EndpointIsFixed(Conflict):
    """An endpoint that comes and goes with its service."""

    code = "action_not_possible"


class GroupNotFound(NotFound):
    """No such local group."""

    code = "local_group_not_found"


class GroupExists(Conflict):
    """The client has a group with this code."""

    code = "local_group_code_already_exists"


class GroupMemberNotFound(NotFound):
    """Nobody knows such a subsystem, so it cannot be put in a group."""

    code = "local_group_member_not_found"


class GroupMemberGone(Conflict):
    """The group has no such member that could be taken out."""

    code = "local_group_member_not_found"


class GroupMemberExists(Conflict):
    """The group has this member."""

    code = "local_group_member_already_exists"


class GroupMembersMissing(BadRequest):
    """It was not said who is to be put in the group."""

    code = "missing_member_id"


class CertificateNotFound(NotFound):
    """The client has no such certificate."""

    code = "certificate_not_found"


class CertificateExists(Conflict):
    """The client has this certificate."""

    code = "certificate_already_exists"


class AccessRightNotFound(NotFound):
    """The subject has no such right."""

    code = "accessright_not_found"


class AccessRightExists(Conflict):
    """The subject has this right."""

    code = "duplicate_accessright"
