"""ASN.1 classes made ready before threads read with them.

`asn1crypto` prepares a class when it is first used, field by field, on the class itself: of two
threads that use one for the first time at once, both are left with fields that are none, and so is
everybody after them. Whoever reads in threads calls this before the first.
"""

from collections.abc import Iterator
from contextlib import suppress

from asn1crypto import core

# What cannot be made of nothing: the class that others are made from.
_ABSTRACT = (TypeError, ValueError, AttributeError)


def prepare_classes() -> int:
    """Have every class that is known by now prepared; give how many there are."""
    classes = set(_below(core.Asn1Value))
    for one in classes:
        with suppress(*_ABSTRACT):
            one()
    return len(classes)


def _below(parent: type[core.Asn1Value]) -> Iterator[type[core.Asn1Value]]:
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)
