"""What goes wrong when a management API is asked.

ApiClientError
├── ApiError             the server answered with an error
├── ApiUnreachable       there is no answer
│   ├── ApiNotTrusted    whoever answers is not the server that is trusted
│   └── ApiTimeout       it took too long
└── UnexpectedAnswer     the answer is none of a management API
"""

from collections.abc import Mapping
from dataclasses import dataclass, field


class ApiClientError(Exception):
    """A management API did not do what it was asked to."""


class ApiUnreachable(ApiClientError):
    """There is no answer."""


class ApiNotTrusted(ApiUnreachable):
    """Whoever answers is not the server that is trusted."""


class ApiTimeout(ApiUnreachable):
    """It took too long."""


class UnexpectedAnswer(ApiClientError):
    """The answer is none of a management API."""


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning: with `ignore_warnings` in its body, the same call may be made again."""

    code: str
    metadata: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as the server told it."""

    status: int
    code: str | None = None
    metadata: tuple[str, ...] = ()
    validation_errors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    warnings: tuple[Warned, ...] = ()
    correlation_id: str | None = None


class ApiError(ApiClientError):
    """The server answered with an error; its text is a sentence for people."""

    def __init__(self, what: str, failure: Failure) -> None:
        super().__init__(f"{what}: {_sentence(failure)}")
        self.failure = failure

    @property
    def status(self) -> int:
        """The status of HTTP."""
        return self.failure.status

    @property
    def code(self) -> str | None:
        """What programs read, such as `member_exists`."""
        return self.failure.code

    @property
    def metadata(self) -> tuple[str, ...]:
        """The values that the code speaks of."""
        return self.failure.metadata

    @property
    def validation_errors(self) -> Mapping[str, tuple[str, ...]]:
        """What is wrong with which field."""
        return self.failure.validation_errors

    @property
    def warnings(self) -> tuple[Warned, ...]:
        """What the call may be repeated in spite of."""
        return self.failure.warnings

    @property
    def correlation_id(self) -> str | None:
        """What the server's logs call the request."""
        return self.failure.correlation_id


# What people make of the statuses that come without a code that says more.
_STATUSES: Mapping[int, str] = {
    400: "the request is not acceptable",
    401: "nobody is logged in, or the key or password is wrong",
    403: "this user may not do that",
    404: "there is no such thing",
    409: "something stands against it",
    413: "the request is too large",
    429: "too many requests",
    500: "the server failed",
    503: "the server cannot do that now",
}


def _sentence(failure: Failure) -> str:
    status = failure.status
    parts = [_STATUSES.get(status, f"the server answered with status {status}")]
    if failure.code is not None:
        parts.append(_told(failure.code, failure.metadata))
    parts += [f"{name} {', '.join(codes)}" for name, codes in failure.validation_errors.items()]
    parts += [f"warning {_told(each.code, each.metadata)}" for each in failure.warnings]
    if status >= 500 and failure.correlation_id is not None:
        parts.append(f"its logs call this {failure.correlation_id}")
    return "; ".join(parts)


def _told(code: str, metadata: tuple[str, ...]) -> str:
    words = code.replace("_", " ")
    return f"{words} ({', '.join(metadata)})" if metadata else words
