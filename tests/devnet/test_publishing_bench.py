import pytest

from sild.components.centralserver.publishing_files import PublicationDirectory
from sild.devnet.benchmark.publishing import Country, measure_here
from sild.protocol.globalconf.shared_parameters import read_shared_parameters

pytestmark = pytest.mark.anyio


async def test_publishing_is_measured_on_a_whole_registry(tmp_path):
    told = []
    figures = await measure_here(tmp_path, 3, told.append, Country(30, 100, 15))
    assert told[0] == "registered 30 members, 100 subsystems, 15 servers"
    assert len(figures.rounds) == 3
    assert 0 < figures.slowest_seconds < 60
    assert figures.peak_memory_bytes > figures.published_bytes > 10_000
    content = PublicationDirectory(tmp_path / "public").find_part(6, "shared-params.xml")
    shared = read_shared_parameters(content, 6)
    assert len(shared.members) == 30
    assert sum(len(member.subsystems) for member in shared.members) == 102
    assert len(shared.servers) == 15
    assert len(shared.groups[0].members) == 15
