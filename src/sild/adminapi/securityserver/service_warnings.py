"""Warnings of the use cases on services, as answers that say them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sild.adminapi.problems import Deviation, WarningsDetected
from sild.components.serverconf.service_errors import WarningsFound


@contextmanager
def warnings_are_answered() -> Iterator[None]:
    """Let warnings that are not to be ignored be answered with what each of them is about."""
    try:
        yield
    except WarningsFound as found:
        told = (Deviation(each.code, each.about) for each in found.warnings)
        raise WarningsDetected(*told) from found
