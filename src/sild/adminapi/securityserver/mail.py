"""Mail notifications, which nobody has configured."""

from enum import Enum

from sild.adminapi.bodies import Body, ShortText, Text
from sild.adminapi.operations import Operations
from sild.model.permissions import Permission

OPERATIONS = Operations("mail")


class MailNotificationType(Enum):
    """Of what people are notified."""

    ACME_FAILURE = "ACME_FAILURE"
    ACME_SUCCESS = "ACME_SUCCESS"
    AUTH_CERT_REGISTERED = "AUTH_CERT_REGISTERED"
    ACME_CERT_AUTOMATICALLY_ACTIVATED = "ACME_CERT_AUTOMATICALLY_ACTIVATED"
    ACME_CERT_AUTOMATIC_ACTIVATION_FAILURE = "ACME_CERT_AUTOMATIC_ACTIVATION_FAILURE"


class MailStatus(Enum):
    """What became of a mail."""

    SUCCESS = "success"
    ERROR = "error"


class MailNotificationStatus(Body):
    """Who is notified of what."""

    enabled_notifications: list[MailNotificationType] | None = None
    configuration_present: bool | None = None
    recipients_emails: list[ShortText] | None = None


class MailRecipient(Body):
    """Who is to have a mail."""

    mail_address: ShortText


class TestMailResponse(Body):
    """What became of a mail."""

    status: MailStatus
    text: Text


@OPERATIONS.get(
    "/mail/mail-notification-status",
    "getMailNotificationStatus",
    permission=Permission.DIAGNOSTICS,
    also=(),
)
async def get_mail_notification_status() -> MailNotificationStatus:
    """Show who is notified of what."""
    return MailNotificationStatus(enabled_notifications=[], configuration_present=False)


@OPERATIONS.put(
    "/mail/send-test-mail", "sendTestMail", permission=Permission.DIAGNOSTICS, also=(400,)
)
async def send_test_mail(body: MailRecipient) -> TestMailResponse:
    """Try to send a mail."""
    del body
    return TestMailResponse(
        status=MailStatus.ERROR, text="Error: no mail server is configured on this security server"
    )
