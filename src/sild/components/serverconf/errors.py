"""What changes of the configuration are refused for.

    ServerConfError                  internal_error
    ├── ServerNotSet                 server_not_initialized
    ├── ServerAlreadySet             server_already_initialized
    ├── ClientNotFound               client_not_found
    ├── ClientExists                 client_already_exists
    ├── OwnerIsFixed                 action_not_possible
    ├── DescriptionNotFound          service_description_not_found
    ├── ServiceNotFound              service_not_found
    ├── ServiceExists                service_already_exists
    ├── EndpointNotFound             endpoint_not_found
    ├── EndpointExists               endpoint_already_exists
    ├── EndpointIsFixed              action_not_possible
    ├── GroupNotFound                local_group_not_found
    ├── GroupExists                  local_group_code_already_exists
    ├── CertificateNotFound          certificate_not_found
    ├── CertificateExists            certificate_already_exists
    ├── AccessRightNotFound          accessright_not_found
    └── AccessRightExists            duplicate_accessright

A value that may not be stored at all raises `InvalidConfiguration`, and an act that may not happen
in this state `InvalidMove`, both of `sild.model.services`.
"""

from sild.protocol.errors import ProtocolError


class ServerConfError(ProtocolError):
    """A change that the configuration refuses."""


class ServerNotSet(ServerConfError):
    """The security server has no identity yet."""

    code = "server_not_initialized"


class ServerAlreadySet(ServerConfError):
    """The security server has another identity."""

    code = "server_already_initialized"


class ClientNotFound(ServerConfError):
    """No such client."""

    code = "client_not_found"


class ClientExists(ServerConfError):
    """The client is there already."""

    code = "client_already_exists"


class OwnerIsFixed(ServerConfError):
    """The owner of the server is a client that cannot be added or taken away."""

    code = "action_not_possible"


class DescriptionNotFound(ServerConfError):
    """No such service description."""

    code = "service_description_not_found"


class ServiceNotFound(ServerConfError):
    """No such service."""

    code = "service_not_found"


class ServiceExists(ServerConfError):
    """The client has a service with this code."""

    code = "service_already_exists"


class EndpointNotFound(ServerConfError):
    """No such endpoint."""

    code = "endpoint_not_found"


class EndpointExists(ServerConfError):
    """The service has this endpoint."""

    code = "endpoint_already_exists"


class EndpointIsFixed(ServerConfError):
    """An endpoint that comes and goes with its service."""

    code = "action_not_possible"


class GroupNotFound(ServerConfError):
    """No such local group."""

    code = "local_group_not_found"


class GroupExists(ServerConfError):
    """The client has a group with this code."""

    code = "local_group_code_already_exists"


class CertificateNotFound(ServerConfError):
    """The client has no such certificate."""

    code = "certificate_not_found"


class CertificateExists(ServerConfError):
    """The client has this certificate."""

    code = "certificate_already_exists"


class AccessRightNotFound(ServerConfError):
    """The subject has no such right."""

    code = "accessright_not_found"


class AccessRightExists(ServerConfError):
    """The subject has this right."""

    code = "duplicate_accessright"
