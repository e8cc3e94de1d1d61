"""What is refused about service clients, who have rights, and about what is looked up of others.

NotFound
├── ServiceClientNotFound        service_client_not_found
├── InstanceNotFound             instance_identifier_not_found
├── MemberNameNotFound           member_name_not_found
└── SecurityServerNotFound       security_server_not_found
"""

from sild.model.refusals import NotFound


class ServiceClientNotFound(NotFound):
    """Nobody is called so, or nobody who is has a right."""

    code = "service_client_not_found"


class InstanceNotFound(NotFound):
    """The global configuration has no such instance."""

    code = "instance_identifier_not_found"


class MemberNameNotFound(NotFound):
    """The instance has no such member."""

    code = "member_name_not_found"


class SecurityServerNotFound(NotFound):
    """The global configuration has no such security server."""

    code = "security_server_not_found"
