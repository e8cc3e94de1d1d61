"""What administration refuses: kinds of refusals, which components give their codes.

    Refusal
    ├── BadRequest       what was asked cannot be asked so
    ├── Forbidden        who asks may not
    ├── NotFound         what was named is not there
    ├── Conflict         what is there stands against it
    ├── Failed           it was tried, and did not succeed
    └── Unavailable      it cannot be done now

The edge that answers a refusal turns its kind into a status.
"""

from sild.protocol.errors import ProtocolError


class Refusal(ProtocolError):
    """An act of administration that is refused.

    `code` is what programs read; `metadata` holds the values that the code speaks of.
    """

    def __init__(self, message: str, *metadata: str) -> None:
        super().__init__(message)
        self.metadata = metadata


class BadRequest(Refusal):
    """What was asked cannot be asked so."""

    code = "invalid_parameters"


class Forbidden(Refusal):
    """Who asks may not."""

    code = "access_denied"


class NotFound(Refusal):
    """What was named is not there."""

    code = "not_found"


class Conflict(Refusal):
    """What is there stands against it."""

    code = "conflict"


class Failed(Refusal):
    """It was tried, and did not succeed."""

    code = "internal_error"


class Unavailable(Refusal):
    """It cannot be done now."""

    code = "service_unavailable"
