"""The language of whoever asks, which their client keeps."""

from typing import Annotated

from fastapi import Path
from pydantic import Field

from sild.adminapi.bodies import Body, Plain
from sild.adminapi.operations import Operations

OPERATIONS = Operations("language")

LanguagePath = Annotated[str, Field(min_length=2, max_length=2), Plain, Path(alias="code")]
"""A parameter of an operation: a language by its two letters."""


class Language(Body):
    """A language by its two letters."""

    id: str


@OPERATIONS.put("/language/{code}", "language", permission=None, also=(400, 404, 406))
async def set_language(code: LanguagePath) -> Language:
    """Answer the language that is wanted: answers have codes for texts, and nothing is kept."""
    return Language(id=code)
