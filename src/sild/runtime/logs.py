"""Structured logs on standard error, each record with its process and request id."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TextIO

from sild.runtime.clock import SystemClock

_request_id: ContextVar[str] = ContextVar("request_id", default="")

# What every record has; anything else came as `extra` and is printed.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LogFormat(Enum):
    """How a record is printed."""

    TEXT = "text"
    JSON = "json"


class LogLevel(Enum):
    """From which level on records are printed."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class LogSettings:
    """The settings of the logs."""

    format: LogFormat = LogFormat.TEXT
    level: LogLevel = LogLevel.INFO


def configure_logs(settings: LogSettings, process: str, stream: TextIO | None = None) -> None:
    """Send every record of this process to the stream, replacing what was configured before."""
    handler = logging.StreamHandler(stream)
    formatter = _JsonFormatter if settings.format is LogFormat.JSON else _TextFormatter
    handler.setFormatter(formatter(process))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.value.upper())
    # A line for each request that goes out is for those who ask for details.
    quiet = logging.DEBUG if settings.level is LogLevel.DEBUG else logging.WARNING
    logging.getLogger("httpx").setLevel(quiet)


@contextmanager
def request_id(value: str) -> Iterator[None]:
    """Put this id on every record of the block and of the tasks started in it."""
    token = _request_id.set(value)
    try:
        yield
    finally:
        _request_id.reset(token)


def current_request_id() -> str:
    """Give the id that records now carry, or an empty text."""
    return _request_id.get()


def log_id() -> str:
    """Give a short random id by which a person finds in the log what an answer keeps silent on."""
    return SystemClock().random_bytes(6).hex()


class _Formatter(logging.Formatter):
    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def _fields(self, record: logging.LogRecord) -> dict[str, object]:
        moment = datetime.fromtimestamp(record.created, UTC)
        fields: dict[str, object] = {
            "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
        }
        if request := _request_id.get():
            fields["request"] = request
        fields["message"] = record.getMessage()
        fields |= {key: value for key, value in vars(record).items() if key not in _STANDARD}
        return fields

    def _traceback(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


class _JsonFormatter(_Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = self._fields(record)
        if traceback := self._traceback(record):
            fields["traceback"] = traceback
        return json.dumps(fields, default=str)


class _TextFormatter(_Formatter):
    """One line a record, then the indented traceback: a message cannot pretend to be a record."""

    def format(self, record: logging.LogRecord) -> str:
        fields = {key: _one_line(str(value)) for key, value in self._fields(record).items()}
        head = [fields.pop(key) for key in ("time", "level", "process", "logger")]
        message = fields.pop("message")
        tail = [f"{key}={value}" for key, value in fields.items()]
        lines = [" ".join([*head, message, *tail])]
        lines += [f"    {_one_line(line)}" for line in self._traceback(record).splitlines()]
        return "\n".join(lines)


def _one_line(text: str) -> str:
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )
