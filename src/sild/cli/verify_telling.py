"""How verdicts are told to a person in a terminal."""

import os
import re
import shutil
from collections.abc import Iterator
from typing import TextIO

_WIDEST = 100
_BOLD, _DIM, _GREEN, _RED, _YELLOW, _PLAIN = "1", "2", "32", "31", "33", "0"
# Where a long identifier may go on in the next line.
_PIECE = re.compile(r"[^/:,;=_-]*[/:,;=_-]|[^/:,;=_-]+")


def say(out: TextIO, text: str) -> None:
    """Write all of it now; whoever does not read it to the end may go away."""
    try:
        out.write(text)
        out.flush()
    except BrokenPipeError:
        # Else the interpreter would try again, and complain, when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


class Page:
    """A verification as it is shown, with colours where they are."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lines: list[str] = []
        self._colours = out.isatty() and "NO_COLOR" not in os.environ
        columns = shutil.get_terminal_size((_WIDEST, 0)).columns if out.isatty() else _WIDEST
        self._width = min(max(columns, 40), _WIDEST)
        encodes = "✓✗".encode(out.encoding or "ascii", "ignore") != b""
        self._marks = ("✓", "✗") if encodes else ("+", "x")

    def title(self, text: str) -> None:
        """What is being verified."""
        self._paragraph(text, "", "", _BOLD)
        self._line()

    def step(self, number: int, question: str, answer: str, *, held: bool) -> None:
        """A step, and what came of it."""
        place = f"{number:>2}. "
        self._line(f"  {self._mark(held)} {place}{self._as(_BOLD, printable(question))}")
        self._paragraph(answer, " " * 8, " " * 8, _DIM if held else _RED)

    def item(self, text: str, details: tuple[str, ...], *, held: bool) -> None:
        """A thing that was verified, and what is to be said of it."""
        lines = list(wrap(printable(text), self._width - 4))
        self._line(f"  {self._mark(held)} {self._as(_BOLD, lines[0])}")
        for line in lines[1:]:
            self._line(f"    {self._as(_BOLD, line)}")
        for detail in details:
            self._paragraph(detail, " " * 6, " " * 8, _DIM if held else _RED)

    def verdict(self, word: str, text: str = "", *, good: bool) -> None:
        """What came of all of it."""
        self._line()
        colour = _GREEN if good else _RED
        mark = self._marks[not good]
        self._line(self._as(f"{_BOLD};{colour}", f"{mark} {word}"))
        if text:
            self._paragraph(text, "  ", "  ", _PLAIN if good else colour)

    def fact(self, name: str, value: str) -> None:
        """Something that is proven."""
        label = f"  {name:<16} "
        self._paragraph(value, label, " " * len(label), _PLAIN)

    def warning(self, word: str, texts: tuple[str, ...]) -> None:
        """What is not proven, and must not be overlooked."""
        self._line()
        self._line(self._as(f"{_BOLD};{_YELLOW}", f"! {word}"))
        for text in texts:
            self._paragraph(text, "  ", "    ", _YELLOW)

    def note(self, text: str) -> None:
        """A remark."""
        self._line()
        self._paragraph(text, "", "", _DIM)

    def plain(self, text: str) -> None:
        """A line that is to be copied, whole."""
        self._line(printable(text))

    def show(self) -> None:
        """Write all of it."""
        say(self._out, "".join(self._lines))

    def _mark(self, held: bool) -> str:
        return self._as(_GREEN if held else _RED, self._marks[not held])

    def _paragraph(self, text: str, first: str, rest: str, style: str) -> None:
        for number, line in enumerate(wrap(printable(text), self._width - len(rest))):
            self._line((rest if number else first) + self._as(style, line))

    def _as(self, style: str, text: str) -> str:
        if not self._colours or style == _PLAIN:
            return text
        return f"\x1b[{style}m{text}\x1b[{_PLAIN}m"

    def _line(self, text: str = "") -> None:
        self._lines.append(text + "\n")


def printable(text: str) -> str:
    """The text without control characters, which could make a terminal show another verdict."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in text
    )


def wrap(text: str, width: int) -> Iterator[str]:
    """Lines of at most this width; long identifiers are broken behind their separators."""
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) <= width:
            line += f" {word}"
            continue
        if line:
            yield line
        line = ""
        for piece in _pieces(word, width):
            if len(line) + len(piece) > width:
                yield line
                line = ""
            line += piece
    yield line


def _pieces(word: str, width: int) -> Iterator[str]:
    for piece in _PIECE.findall(word):
        for start in range(0, len(piece), width):
            yield piece[start : start + width]
