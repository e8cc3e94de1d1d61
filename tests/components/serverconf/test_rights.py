import pytest

from components.serverconf.builders import CALLER, PROVIDER, server_conf
from sild.components.serverconf.errors import (
    AccessRightExists,
    AccessRightNotFound,
    EndpointNotFound,
    GroupNotFound,
)
from sild.model.services import AccessRight, Endpoint, InvalidConfiguration
from sild.protocol.ids import GlobalGroupId, LocalGroupId

pytestmark = pytest.mark.anyio

BASE = Endpoint(PROVIDER, "people")
NAMES = Endpoint(PROVIDER, "people", "GET", "/names")
GROUP = GlobalGroupId("DEV", "all")


async def rights(conf):
    return set((await conf.snapshot()).rights)


async def test_rights_are_given_and_taken(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.rights.grant(BASE, [CALLER, GROUP])
        assert await rights(conf) == {AccessRight(BASE, CALLER), AccessRight(BASE, GROUP)}
        await conf.rights.revoke(BASE, [CALLER])
        assert await rights(conf) == {AccessRight(BASE, GROUP)}


async def test_a_right_is_given_once(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.rights.grant(BASE, [CALLER])
        with pytest.raises(AccessRightExists):
            await conf.rights.grant(BASE, [GROUP, CALLER])
        assert await rights(conf) == {AccessRight(BASE, CALLER)}


async def test_a_right_that_is_not_there_is_not_taken(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(AccessRightNotFound):
            await conf.rights.revoke(BASE, [CALLER])


async def test_a_right_to_nothing_is_refused(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(EndpointNotFound):
            await conf.rights.grant(NAMES, [CALLER])


async def test_a_member_as_such_gets_no_rights(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration, match="subsystem"):
            await conf.rights.grant(BASE, [CALLER.member])


async def test_a_local_group_must_be_there(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(GroupNotFound):
            await conf.rights.grant(BASE, [LocalGroupId("friends")])


async def test_with_the_right_to_a_service_goes_every_right_to_its_endpoints(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.descriptions.add_endpoint(NAMES)
        await conf.rights.grant(BASE, [CALLER, GROUP])
        await conf.rights.grant(NAMES, [CALLER, GROUP])
        await conf.rights.revoke(NAMES, [GROUP])
        await conf.rights.revoke(BASE, [CALLER])
        assert await rights(conf) == {AccessRight(BASE, GROUP)}
