"""Whoever changes the registry waits for its turn, so that nobody waits for each other."""

import asyncio

import pytest

from components.centralserver.registry_builder import OTHER, PORTAL
from components.centralserver.request_builders import MEMBER, SERVER, requested
from sild.components.centralserver.registered_servers import RegisteredServers
from sild.components.centralserver.registry import Registry
from sild.model.refusals import Refusal
from sild.model.registration import Origin
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.management.requests import AuthCertRegistration, ClientRegistration

pytestmark = pytest.mark.anyio

ROUNDS = 12
OWNER = ClientId("DEV", "COM", "M7")
OWNED = SecurityServerId(OWNER, "SS7")


async def _at_once(*acts):
    """Do them all; each may be refused, for what another has done, and none may fail."""

    async def done(act):
        try:
            await act
        except Refusal:
            return False
        return True

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(done(act)) for act in acts]
    return [task.result() for task in tasks]


async def test_an_approval_and_the_removal_of_the_owner_do_not_wait_for_each_other(database):
    made = await requested(database)
    registry = Registry(database, made.clock, made.requests)
    servers = RegisteredServers(database, made.clock, made.requests)
    for _ in range(ROUNDS):
        await registry.add_member("COM", "M7", "Owner")
        await made.change(lambda rows: rows.add_server(OWNED, "x"))
        register = AuthCertRegistration(OWNED, made.new_certificate(), "y", None)
        saved = await made.submit(register)
        await _at_once(
            made.requests.approve(saved.id),
            registry.remove_member(OWNER),
            servers.remove(OWNED),
            servers.set_address(OWNED, "z"),
        )
        await _at_once(registry.remove_member(OWNER))
        assert await made.read(lambda rows: rows.find_server(OWNED)) is None


async def test_groups_and_members_change_at_once(database):
    made = await requested(database)
    registry = Registry(database, made.clock, made.requests)
    groups = made.registered.groups
    await groups.add("friends", "Friends")
    wanted = [each.encoded for each in (MEMBER, OTHER, PORTAL)]
    for _ in range(ROUNDS):
        await registry.add_member("COM", "M7", "Friend")
        await groups.add_members("friends", [OWNER.encoded])
        await _at_once(
            groups.add_members("friends", wanted),
            groups.add_members("friends", reversed(wanted)),
            registry.remove_member(OWNER),
            groups.remove_member("friends", OWNER.encoded),
        )
        for client in wanted:
            await groups.remove_member("friends", client)


async def test_more_register_at_once_than_the_database_has_connections_for(database):
    made = await requested(database)
    made.requests = type(made.requests)(
        database, made.requests.node, made.clock, _Reading(database, made.requests.current)
    )
    registrations = [
        AuthCertRegistration(SERVER, made.new_certificate(), "x", None) for _ in range(12)
    ]
    async with asyncio.timeout(120):
        assert all(await _at_once(*(made.submit(each) for each in registrations)))
    clients = [ClientRegistration(SERVER, OTHER.subsystem(f"s{number}")) for number in range(12)]
    assert all(await _at_once(*(made.submit(each, Origin.SECURITY_SERVER) for each in clients)))


class _Reading:
    """An ecosystem that is found in the database, as the Central Server's is."""

    def __init__(self, database, ecosystems):
        self._database = database
        self._ecosystems = ecosystems

    async def ecosystem(self):
        async with self._database.reading():
            await asyncio.sleep(0.01)
        return await self._ecosystems.ecosystem()
