"""The steps of one exchange with their durations, for people who ask what happened to a message."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import TextIO

from sild.components.proxy.tally import Tally

Write = Callable[[str], object]


class Steps:
    """The steps of one exchange on one side, in the order they were taken."""

    __slots__ = (
        "_began",
        "_closed",
        "_last",
        "_marks",
        "_protocol",
        "_side",
        "_tally",
        "_write",
        "reached",
        "request_id",
        "title",
    )

    def __init__(self, side: str, protocol: str, write: Write | None, tally: Tally) -> None:
        self._side = side
        self._protocol = protocol
        self._write = write
        self._tally = tally
        self._marks: list[tuple[str, float, str]] = []
        self._began = self._last = perf_counter()
        self._closed = False
        self.request_id = ""
        self.title = ""
        """Who calls what, once it is known."""
        self.reached = ""
        """The last step that was completed."""

    @property
    def story(self) -> str:
        """Who called what and how far it came, for the log."""
        far = f"after {self.reached!r}" if self.reached else "at once"
        return f"{self._side}, {self.title or 'a request'}, {far}"

    def mark(self, step: str, detail: str = "") -> None:
        """Note that a step was completed just now."""
        self.reached = step
        if self._write is not None:
            now = perf_counter()
            self._marks.append((step, now - self._last, detail))
            self._last = now

    def close(self, outcome: str) -> None:
        """Count the exchange and write it down with its outcome: "ok" or a fault code.

        The first outcome counts.
        """
        if self._closed:
            return
        self._closed = True
        self._tally.note(self._side, self._protocol, outcome, perf_counter() - self._began)
        if self._write is None:
            return
        line = {
            "request_id": self.request_id,
            "side": self._side,
            "outcome": outcome,
            "steps": [
                {"step": step, "ms": round(seconds * 1000, 3), "detail": detail}
                for step, seconds, detail in self._marks
            ],
        }
        # Without the file messages go on: the message log is the record, this is not.
        with suppress(OSError):
            self._write(json.dumps(line, ensure_ascii=False) + "\n")


class ExchangeLog:
    """Gives each exchange its steps, and counts it; without a file steps cost nothing."""

    def __init__(self, path: Path | None) -> None:
        self.tally = Tally()
        self._file: TextIO | None = None
        if path is not None:
            self._file = path.open("a", buffering=1, encoding="utf-8")

    def steps(self, side: str, protocol: str) -> Steps:
        """Start noting an exchange; "consumer" or "provider", "rest" or "soap"."""
        return Steps(side, protocol, self._file.write if self._file else None, self.tally)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            with suppress(OSError):
                self._file.close()
