"""What the sending of management requests is refused for, or fails of.

Conflict
├── ClientNotMovable          invalid_client_status
├── CertificateNotMovable     action_not_possible
└── OwnerStays                owner_is_fixed
NotFound
├── LocalClientNotFound       client_not_found
└── AuthCertificateUnknown    certificate_not_found
Failed
├── SendingFailed             management_request_sending_failed
└── NoSigningCertificate      cannot_create_signature
"""

from sild.model.refusals import Conflict, Failed, NotFound


class LocalClientNotFound(NotFound):
    """The security server has no such client."""

    code = "client_not_found"


class AuthCertificateUnknown(NotFound):
    """No key of the security server has such an authentication certificate."""

    code = "certificate_not_found"


class ClientNotMovable(Conflict):
    """A client whose state does not allow the act."""

    code = "invalid_client_status"


class CertificateNotMovable(Conflict):
    """An authentication certificate whose state does not allow the act."""

    code = "action_not_possible"


class OwnerStays(Conflict):
    """The owner of the server is neither registered nor unregistered."""

    code = "owner_is_fixed"


class SendingFailed(Failed):
    """The Central Server was not reached, refused the request, or answered something else.

    Whether it took the request is not known where only the answer was lost.
    """

    code = "management_request_sending_failed"


class NoSigningCertificate(Failed):
    """The member whose signature is needed has no certificate that can sign now."""

    code = "cannot_create_signature"
