"""What changes of the server's address and maintenance mode are refused for.

Conflict
├── AddressChangeSubmitted          address_change_request_already_submitted
├── SameAddress                     same_address_change_request
├── MaintenanceChangeSubmitted      maintenance_mode_change_request_already_submitted
├── MaintenanceAlreadyEnabled       already_enabled_maintenance_mode
├── MaintenanceAlreadyDisabled      already_disabled_maintenance_mode
└── MaintenanceOfManagementServices forbidden_enable_maintenance_mode_for_management_service
"""

from sild.model.refusals import Conflict


class AddressChangeSubmitted(Conflict):
    """Another change of the address is under way."""

    code = "address_change_request_already_submitted"


class SameAddress(Conflict):
    """The server has this address already."""

    code = "same_address_change_request"


class MaintenanceChangeSubmitted(Conflict):
    """A change of the maintenance mode is under way."""

    code = "maintenance_mode_change_request_already_submitted"


class MaintenanceAlreadyEnabled(Conflict):
    """The server is in maintenance."""

    code = "already_enabled_maintenance_mode"


class MaintenanceAlreadyDisabled(Conflict):
    """The server is not in maintenance."""

    code = "already_disabled_maintenance_mode"


class MaintenanceOfManagementServices(Conflict):
    """Without this server nobody could send management requests, this one's end among them."""

    code = "forbidden_enable_maintenance_mode_for_management_service"
