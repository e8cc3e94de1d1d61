"""How the demo speaks to a person in a terminal."""

import os
import textwrap
from collections.abc import Iterable, Sequence
from typing import TextIO

from sild.devnet.errors import DevnetError

_WIDTH = 96
_BOLD, _DIM, _GREEN, _RED, _CYAN, _PLAIN = "1", "2", "32", "31", "36", "0"


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


class StoryWentWrong(DevnetError):
    """A step did not give what it must."""


def expect(holds: bool, otherwise: str) -> None:
    """Raise StoryWentWrong unless it is so."""
    if not holds:
        raise StoryWentWrong(otherwise)


class Teller:
    """Writes the story; with colours where they are shown."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._colours = out.isatty() and "NO_COLOR" not in os.environ
        self.story_told = False

    def title(self, text: str) -> None:
        """What this is."""
        self._line(self._as(_BOLD, f"Sild demo: {text}"))
        self._line()

    def progress(self, seconds: float, what: str) -> None:
        """Something came up."""
        self._line(f"  {self._as(_GREEN, '✓')} {self._as(_DIM, f'{seconds:4.1f} s')}  {what}")

    def scene(self, number: int, title: str) -> None:
        """A new scene; number 0 is none of the story."""
        self._line()
        self._line(self._as(_BOLD, f"{number}. {title}" if number else title))

    def say(self, text: str) -> None:
        """A sentence."""
        for line in textwrap.wrap(text, _WIDTH - 3) or [""]:
            self._line(f"   {line}")

    def command(self, text: str) -> None:
        """What can be typed."""
        self._line(f"   {self._as(_CYAN, '$ ' + text)}")

    def note(self, text: str) -> None:
        """A remark."""
        self._line(f"   {self._as(_DIM, text)}")

    def excerpt(self, lines: Iterable[str]) -> None:
        """What is sent, as it stands there, but for what the terminal has no room for."""
        for line in lines:
            self._line(f"     {self._as(_DIM, _shorten(line, _WIDTH - 5))}")

    def steps(self, title: str, side: str, steps: Iterable[tuple[str, str, float]]) -> None:
        """The steps of an exchange on one server."""
        self._line(f"   {self._as(_BOLD, title)} {self._as(_DIM, f'({side})')}")
        for step, detail, milliseconds in steps:
            shown = _shorten(detail, 56)
            time = self._as(_DIM, f"{milliseconds:7.2f} ms")
            self._line(f"     {time}  {step:<20} {self._as(_DIM, shown)}")

    def numbered(self, number: int, question: str, answer: str) -> None:
        """A step of a verification."""
        shown = _shorten(answer, 60)
        self._line(f"     {number}. {question}  {self._as(_DIM, shown)}")

    def form(self, rows: Sequence[tuple[str, str, str]]) -> None:
        """A form and where each answer is from."""
        for name, value, source in rows:
            self._line(f"     {name:<16} {value:<24} {self._as(_DIM, source)}")

    def result(self, what: str, text: str) -> None:
        """What a scene gave, as it should."""
        lines = textwrap.wrap(f"{what}  {text}", _WIDTH - 5)
        self._line(f"   {self._as(_GREEN, '✓')} {lines[0]}")
        for line in lines[1:]:
            self._line(f"     {line}")

    def failed(self, text: str) -> None:
        """What a scene should not have given."""
        self._line(f"   {self._as(_RED, '✗')} {text}")

    def place(self, what: str, where: str) -> None:
        """Where something is."""
        self._line(f"   {what:<26} {self._as(_DIM, where)}")

    def end(self, seconds: float, wrong: Sequence[str]) -> None:
        """The end of the story."""
        self._line()
        if wrong:
            self._line(self._as(_RED, f"{len(wrong)} of the steps did not give what they must."))
        else:
            self._line(self._as(_GREEN, f"Every step gave what it must, in {seconds:.1f} s."))

    def _as(self, style: str, text: str) -> str:
        return f"\x1b[{style}m{text}\x1b[{_PLAIN}m" if self._colours else text

    def _line(self, text: str = "") -> None:
        self._out.write(text + "\n")
        self._out.flush()
