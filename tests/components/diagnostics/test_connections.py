"""Which sources of the global configuration are told of after a test of all."""

import pytest

from sild.components.diagnostics.connections import ConnectionTests
from sild.components.diagnostics.ports import Tried
from sild.components.diagnostics.settings import DiagnosticsSettings
from sild.protocol.errors import GlobalConfSignatureFailure
from sild.runtime.clock import TurnedClock

pytestmark = pytest.mark.anyio


class Sources:
    """What each source gave, those of partners among them."""

    def __init__(self, *tried):
        self.tried = tried

    async def try_sources(self):
        return self.tried


async def test_a_source_that_is_written_with_and_without_its_port_is_told_of_once():
    wrong = GlobalConfSignatureFailure("it is signed by another")
    sources = Sources(
        Tried("http://cs.test/conf"),
        Tried("https://cs.test/conf", wrong),
        Tried("http://cs.test:80/conf"),
        Tried("https://cs.test:443/conf", wrong),
    )
    tests = ConnectionTests(sources, None, None, None, TurnedClock(), DiagnosticsSettings())
    found = await tests.global_conf()
    assert [each.url for each in found] == ["http://cs.test:80/conf", "https://cs.test:443/conf"]
    assert [each.finding.trouble is None for each in found] == [True, False]
