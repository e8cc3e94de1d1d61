"""Why a declared server was not made true.

ApplyError
├── DeclarationError   the declaration itself is not usable
├── ApplyFailed        something was refused, or failed
└── StillWaiting       all that could be done was; others have to do something first
"""

from collections.abc import Iterable

from sild.apiclient.errors import ApiClientError


class ApplyError(ApiClientError):
    """A declared server was not made true."""


class DeclarationError(ApplyError):
    """The declaration itself is not usable."""


class ApplyFailed(ApplyError):
    """Something was refused, or failed; one line each."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))


class StillWaiting(ApplyError):
    """All that could be done was; one line for each thing that others have to do first."""

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        super().__init__("\n".join(self.reasons))
