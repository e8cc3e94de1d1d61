"""Archives of one chain, put in its order."""

from dataclasses import dataclass

from sild.protocol.asic.archive import ChainHead, VerifiedArchive
from sild.protocol.errors import ProtocolError


class BrokenChain(ProtocolError):
    """Archives that do not follow one another."""


@dataclass(frozen=True, slots=True)
class NamedArchive:
    """A verified archive and the name of its file."""

    name: str
    archive: VerifiedArchive


def order_archives(archives: list[NamedArchive], start: str | None) -> list[NamedArchive]:
    """The archives in the order of their chain, given in any.

    The start is the link that the first of them goes on from: empty for the first archive that
    there ever was, None to take the word of the archives for it. Raises BrokenChain.
    """
    after = _by_previous(archives)
    if start is None:
        start = _own_start(archives)
    ordered = []
    digest = start
    while (found := after.pop(digest, None)) is not None:
        ordered.append(found)
        digest = found.archive.last_digest
    if not ordered:
        raise BrokenChain(_no_start(start, archives))
    if after:
        raise BrokenChain(_gap(ordered[-1], list(after.values())))
    return ordered


def check_reached(ordered: list[NamedArchive], known: str) -> None:
    """Raise BrokenChain where no archive ends with a digest that one has ended with before."""
    if known not in {named.archive.last_digest for named in ordered}:
        last = ordered[-1]
        raise BrokenChain(
            f"the chain ends with {last.name}, whose last digest is {last.archive.last_digest}, and"
            f" no archive ends with {known}: what followed was removed, or all of it replaced"
        )


def _by_previous(archives: list[NamedArchive]) -> dict[str, NamedArchive]:
    after: dict[str, NamedArchive] = {}
    for named in archives:
        previous = named.archive.previous.digest
        if previous in after:
            raise BrokenChain(
                f"{after[previous].name} and {named.name} {_going_on(previous)}: they are copies,"
                " or not of one chain (archives of each group have their own)"
            )
        after[previous] = named
    return after


def _going_on(previous: str) -> str:
    return f"both go on from {previous}" if previous else "both begin a chain"


def _own_start(archives: list[NamedArchive]) -> str:
    last = {named.archive.last_digest for named in archives}
    previous = {named.archive.previous.digest for named in archives}
    if not (starts := sorted(previous - last)):
        raise BrokenChain("each of the archives goes on from another of them")
    return starts[0]


def _no_start(start: str, archives: list[NamedArchive]) -> str:
    said = "; ".join(f"{named.name} {_goes_on(named.archive.previous)}" for named in archives[:3])
    if start:
        return f"no archive goes on from {start}: {said}"
    return f"no archive is the first of a chain: {said}"


def _goes_on(previous: ChainHead) -> str:
    if previous.is_start:
        return "begins a chain"
    return f"goes on from {previous.digest} of {previous.archive or 'an archive without a name'}"


def _gap(before: NamedArchive, others: list[NamedArchive]) -> str:
    held = {named.archive.last_digest for named in others}
    said = [
        f"{named.name} {_goes_on(named.archive.previous)}"
        for named in others
        if named.archive.previous.digest not in held
    ]
    return (
        f"the chain breaks after {before.name}, whose last digest is {before.archive.last_digest}:"
        f" {'; '.join(said[:3]) or 'no other archive goes on from it'}"
    )
