"""What management requests are refused for, besides refusals of the registry.

NotFound
├── RequestNotFound             management_request_not_found
├── ServerOwnerNotFound         management_request_server_owner_not_found
├── RegistrationNotFound        management_request_client_registration_not_found
└── RequestedServerNotFound     management_request_server_not_found
Conflict
├── RequestExists               management_request_exists
├── RequestServerNotFound       management_request_server_not_found
├── RequestMemberNotFound       management_request_member_not_found
├── ServerClientNotFound        management_request_server_client_not_found
├── CertificateUnknown          management_request_invalid_auth_certificate
├── ProviderMayNotRest          mr_forbidden_disable_management_service_client
├── ProviderMayNotBeMaintained  mr_forbidden_enable_maintenance_mode_for_management_service
├── AlreadyInMaintenance        management_request_server_already_in_maintenance_mode
└── NotInMaintenance            management_request_server_not_in_maintenance_mode
BadRequest
├── InvalidAuthCertificate      management_request_invalid_auth_certificate
├── InvalidStateForApproval     management_request_invalid_state_for_approval
├── InvalidState                management_request_invalid_state
├── CannotRegisterOwner         management_request_cannot_register_owner
├── ApprovedServerNotFound      management_request_server_not_found
├── OwnerMustBeMember           management_request_owner_must_be_member
├── OwnerMustBeClient           management_request_owner_must_be_client
├── ClientAlreadyOwner          management_request_client_already_owner
├── InvalidServerAddress        management_request_invalid_server_address
├── InvalidSubsystemName        management_request_invalid_subsystem_name
└── OnlySubsystemsRenamed       management_request_only_subsystem_rename_allowed
"""

from sild.model.refusals import BadRequest, Conflict, NotFound


class RequestNotFound(NotFound):
    """No such request."""

    code = "management_request_not_found"


class ServerOwnerNotFound(NotFound):
    """The Central Server registers a server of nobody that it knows."""

    code = "management_request_server_owner_not_found"


class RegistrationNotFound(NotFound):
    """Neither a client nor its registration is there to be deleted."""

    code = "management_request_client_registration_not_found"


class RequestedServerNotFound(NotFound):
    """No such server to change."""

    code = "management_request_server_not_found"


class RequestExists(Conflict):
    """Another request for the same thing is still to be decided."""

    code = "management_request_exists"


class RequestServerNotFound(Conflict):
    """The request names a server that is not there."""

    code = "management_request_server_not_found"


class RequestMemberNotFound(Conflict):
    """The request names a member that is not there."""

    code = "management_request_member_not_found"


class ServerClientNotFound(Conflict):
    """The request names a client that the server does not have."""

    code = "management_request_server_client_not_found"


class CertificateUnknown(Conflict):
    """Neither an authentication certificate nor its registration is there to be deleted."""

    code = "management_request_invalid_auth_certificate"


class ProviderMayNotRest(Conflict):
    """The provider of the management services may not be disabled."""

    code = "mr_forbidden_disable_management_service_client"


class ProviderMayNotBeMaintained(Conflict):
    """The server of the provider of the management services may not go into maintenance."""

    code = "mr_forbidden_enable_maintenance_mode_for_management_service"


class AlreadyInMaintenance(Conflict):
    """The server is in maintenance."""

    code = "management_request_server_already_in_maintenance_mode"


class NotInMaintenance(Conflict):
    """The server is not in maintenance."""

    code = "management_request_server_not_in_maintenance_mode"


class InvalidAuthCertificate(BadRequest):
    """No valid authentication certificate of a certification service of the instance."""

    code = "management_request_invalid_auth_certificate"


class InvalidStateForApproval(BadRequest):
    """A request that was decided, or never needed to be."""

    code = "management_request_invalid_state_for_approval"


class InvalidState(BadRequest):
    """A request that cannot be declined any more."""

    code = "management_request_invalid_state"


class CannotRegisterOwner(BadRequest):
    """The owner of a server is its client without being registered."""

    code = "management_request_cannot_register_owner"


class ApprovedServerNotFound(BadRequest):
    """The server that a client should join is not there."""

    code = "management_request_server_not_found"


class OwnerMustBeMember(BadRequest):
    """A subsystem cannot own a server."""

    code = "management_request_owner_must_be_member"


class OwnerMustBeClient(BadRequest):
    """Only a client of a server can become its owner."""

    code = "management_request_owner_must_be_client"


class ClientAlreadyOwner(BadRequest):
    """The owner cannot become what it is."""

    code = "management_request_client_already_owner"


class InvalidServerAddress(BadRequest):
    """Neither a host name nor an IP address."""

    code = "management_request_invalid_server_address"


class InvalidSubsystemName(BadRequest):
    """A name that is blank or endless."""

    code = "management_request_invalid_subsystem_name"


class OnlySubsystemsRenamed(BadRequest):
    """Members are not renamed by requests."""

    code = "management_request_only_subsystem_rename_allowed"
