import pytest

from components.centralserver.registry_builder import (
    MEMBER,
    OTHER,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    registered,
)
from sild.components.centralserver.paging import InvalidSorting, Page
from sild.components.centralserver.registry_errors import ServerNotFound
from sild.components.centralserver.registry_searching import ClientFilter, ClientKind
from sild.protocol.ids import SecurityServerId

pytestmark = pytest.mark.anyio

ALL = [MEMBER, OTHER, SUBSYSTEM, PORTAL]


async def _found(made, **wanted):
    found = await made.registry.search(ClientFilter(**wanted))
    assert found.total == len(found.items)
    return [row.id for row in found.items]


async def test_a_blank_search_finds_everybody(database):
    made = await registered(database)
    assert await _found(made) == ALL
    assert await _found(made, text=" ", name="", member_code=" ") == ALL


async def test_clients_are_found_by_any_part_in_any_case(database):
    made = await registered(database)
    assert await _found(made, text="FIRST") == [MEMBER, SUBSYSTEM]
    assert await _found(made, text="com") == [OTHER, PORTAL]
    assert await _found(made, text="EGIS") == [SUBSYSTEM]
    assert await _found(made, text="dev") == []
    assert await _found(made, instance="dev") == ALL
    assert await _found(made, name="second") == [OTHER, PORTAL]
    assert await _found(made, member_class="ov") == [MEMBER, SUBSYSTEM]
    assert await _found(made, member_code="m2") == [OTHER, PORTAL]
    assert await _found(made, subsystem_code="PORTAL") == [PORTAL]
    assert await _found(made, member_code="M", subsystem_code="t") == [SUBSYSTEM, PORTAL]


async def test_names_are_found_in_any_case_of_any_script(database):
    made = await registered(database)
    await made.registry.rename_member(OTHER, "TÕNU ŠOKOLAAD")
    assert await _found(made, name="tõnu š") == [OTHER, PORTAL]


@pytest.mark.parametrize("text", ["%", "_", "\\", "/", "'", "1%", '"; --'])
async def test_what_is_searched_is_text_and_no_pattern(database, text):
    made = await registered(database)
    assert await _found(made, text=text) == []
    assert await _found(made, name=text) == []
    await made.registry.rename_member(OTHER, f"a{text}b")
    assert await _found(made, name=text) == [OTHER, PORTAL]


async def test_clients_are_found_by_kind_server_and_group(database):
    made = await registered(database)
    assert await _found(made, kind=ClientKind.MEMBER) == [MEMBER, OTHER]
    assert await _found(made, kind=ClientKind.SUBSYSTEM) == [SUBSYSTEM, PORTAL]
    assert await _found(made, server=SERVER) == [SUBSYSTEM, PORTAL]
    assert await _found(made, server=SERVER, text="portal") == [PORTAL]
    assert await _found(made, excluding_group="security-server-owners") == [
        OTHER,
        SUBSYSTEM,
        PORTAL,
    ]
    assert await _found(made, excluding_group="nothing") == ALL
    with pytest.raises(ServerNotFound):
        await _found(made, server=SecurityServerId(OTHER, "SS9"))


async def test_clients_are_sorted_and_paged(database):
    made = await registered(database)
    await made.registry.rename_member(MEMBER, "zebra")

    async def page(**page):
        found = await made.registry.search(ClientFilter(), Page(**page))
        assert found.total == 4
        return [row.id for row in found.items]

    assert await page(limit=3) == [MEMBER, OTHER, SUBSYSTEM]
    assert await page(limit=3, first=3) == [PORTAL]
    assert await page(limit=3, first=6) == []
    assert await page(sort="id", descending=True) == [PORTAL, SUBSYSTEM, OTHER, MEMBER]
    assert await page(sort="member_name") == [OTHER, PORTAL, MEMBER, SUBSYSTEM]
    assert await page(sort="client_id.member_class") == [OTHER, PORTAL, MEMBER, SUBSYSTEM]
    assert await page(sort="client_id.member_code", descending=True) == [
        OTHER,
        PORTAL,
        MEMBER,
        SUBSYSTEM,
    ]
    assert await page(sort="client_id.instance_id") == ALL
    assert await page(sort="client_type") == [SUBSYSTEM, PORTAL, MEMBER, OTHER]
    with pytest.raises(InvalidSorting):
        await page(sort="subsystem_code")
