"""Reads descriptions in a process of its own, for nobody knows who wrote them.

This module is both sides: what asks, and, run as a program, what is asked.
"""

import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from sild.components.serverconf.described import DescribedApi, DescribedService
from sild.components.serverconf.service_errors import (
    InvalidOpenApi,
    InvalidWsdl,
    UnsupportedOpenApi,
)
from sild.model.refusals import Refusal
from sild.runtime.confined import (
    ConfinedError,
    Confinement,
    confine,
    read_input,
    run_confined,
    write_frame,
)
from sild.runtime.packing import Packer, PackingError

_CONFINEMENT = Confinement()
_UNCHECKED = "the description is too large to be checked to its end"
_REFUSALS = {each.code: each for each in (InvalidWsdl, InvalidOpenApi, UnsupportedOpenApi)}


class Kind(Enum):
    """What is to be read."""

    WSDL = "wsdl"
    OPENAPI = "openapi"


@dataclass(frozen=True, slots=True)
class Description:
    """A description that was fetched, and where from."""

    kind: Kind
    url: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Reading:
    """What a description says, or why it is refused: a code and a message."""

    services: tuple[DescribedService, ...] = ()
    api: DescribedApi | None = None
    refused: tuple[str, str] | None = None
    complete: bool = True

    def get_services(self) -> tuple[DescribedService, ...]:
        """What a WSDL offers; raises InvalidWsdl."""
        self._check()
        return self.services

    def get_api(self) -> DescribedApi:
        """What an OpenAPI description offers; raises InvalidOpenApi, UnsupportedOpenApi."""
        self._check()
        if self.api is None:
            raise InvalidOpenApi("the description offers nothing", "the description offers nothing")
        return self.api

    def _check(self) -> None:
        if self.refused is not None:
            code, message = self.refused
            # An unsupported version is told by its code alone.
            metadata = () if code == UnsupportedOpenApi.code else (message,)
            raise _REFUSALS[code](message, *metadata)


Run = Callable[[str, Sequence[str], bytes, Confinement], Awaitable[tuple[bytes, ...]]]
"""Runs a module in a child process, as `run_confined` does."""
Reader = Callable[[Description], Awaitable[Reading]]
"""Reads a description, wherever that is done."""


async def read_confined(
    description: Description, confinement: Confinement = _CONFINEMENT, run: Run = run_confined
) -> Reading:
    """Read a description in a child process; one that is too much for it is refused."""
    arguments = (description.kind.value, description.url)
    try:
        frames = await run(__spec__.name, arguments, description.content, confinement)
        reading = Packer[Reading](Reading).decode(frames[-1])
    except (ConfinedError, PackingError):
        return _too_much(description.kind)
    if reading.refused is not None and reading.refused[0] not in _REFUSALS:
        return _too_much(description.kind)
    if not reading.complete and reading.api is not None:
        warned = replace(reading.api, warnings=(*reading.api.warnings, _UNCHECKED))
        return replace(reading, api=warned)
    return reading


def _too_much(kind: Kind) -> Reading:
    code = InvalidWsdl.code if kind is Kind.WSDL else InvalidOpenApi.code
    return Reading(refused=(code, "reading the description takes too much memory or time"))


def read_steps(description: Description) -> Iterator[Reading]:
    """Read a description here, each time giving all that is known so far."""
    try:
        if description.kind is Kind.WSDL:
            # Here, so that a process reads with what it needs alone.
            from sild.components.serverconf.wsdl_reading import read_wsdl  # noqa: PLC0415

            yield Reading(services=read_wsdl(description.content))
            return
        from sild.components.serverconf.openapi_reading import (  # noqa: PLC0415 - as above
            check_openapi,
            read_openapi,
        )

        document, api = read_openapi(description.content, description.url)
        yield Reading(api=api, complete=False)
        yield Reading(api=replace(api, warnings=(*api.warnings, *check_openapi(document))))
    except Refusal as refusal:
        yield Reading(refused=(refusal.code, refusal.message))


def main() -> None:
    """Read what was given, confined."""
    confine()
    kind, url = sys.argv[1:]
    packer = Packer[Reading](Reading)
    for reading in read_steps(Description(Kind(kind), url, read_input())):
        write_frame(packer.encode(reading))


if __name__ == "__main__":
    main()
