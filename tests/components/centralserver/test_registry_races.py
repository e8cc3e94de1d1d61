import asyncio

import pytest

from components.centralserver.registry_builder import MEMBER, SERVER, SUBSYSTEM, registered
from sild.components.centralserver.registry_errors import (
    AuthCertificateExists,
    GroupExists,
    MemberClassExists,
    MemberExists,
    ServerExists,
    SubsystemExists,
    SubsystemRegistered,
)
from sild.model.refusals import Refusal
from sild.protocol.ids import SecurityServerId

pytestmark = pytest.mark.anyio

SECOND = SecurityServerId(MEMBER, "SS2")


async def _at_once(*acts):
    """What each act was refused for, if it was."""

    async def refusal_of(act):
        try:
            await act
        except Refusal as refusal:
            return type(refusal)
        return None

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(refusal_of(act)) for act in acts]
    return [task.result() for task in tasks]


async def test_of_those_who_add_the_same_at_once_all_but_one_are_refused(database):
    made = await registered(database)
    certificate = b"a new one"
    for refusal, act in (
        (MemberExists, lambda: made.registry.add_member("GOV", "M3", "Third")),
        (SubsystemExists, lambda: made.registry.add_subsystem("GOV", "M1", "new", None)),
        (MemberClassExists, lambda: made.classes.add("ORG", "Others")),
        (GroupExists, lambda: made.groups.add("friends", "Friends")),
        (ServerExists, lambda: made.change(lambda rows: rows.add_server(SECOND, "x"))),
        (
            AuthCertificateExists,
            lambda: made.change(lambda rows: rows.add_auth_certificate(SERVER, certificate)),
        ),
    ):
        refusals = await _at_once(*(act() for _ in range(4)))
        assert sorted(refusals, key=str) == sorted([None, *[refusal] * 3], key=str)


async def test_an_owner_stays_an_owner_when_servers_come_and_go_at_once(database):
    made = await registered(database)
    for there, other in ((SERVER, SECOND), (SECOND, SERVER)) * 3:
        refusals = await _at_once(
            made.change(lambda rows, other=other: rows.add_server(other, "x")),
            made.change(lambda rows, there=there: rows.remove_server(there)),
        )
        assert refusals == [None, None]
        assert await made.owners() == {MEMBER}


async def test_a_subsystem_is_removed_or_registered_but_not_both(database):
    made = await registered(database)
    await made.change(lambda rows: rows.add_server(SECOND, "x"))
    for _ in range(5):
        await made.change(lambda rows: rows.remove_client(SERVER, SUBSYSTEM))
        added, removed = await _at_once(
            made.change(lambda rows: rows.add_client(SERVER, SUBSYSTEM)),
            made.registry.remove_subsystem(SUBSYSTEM),
        )
        assert (added is None) != (removed is None)
        if removed is None:
            await made.registry.add_subsystem("GOV", "M1", "register", None)
            await made.change(lambda rows: rows.add_client(SERVER, SUBSYSTEM))
        else:
            assert removed is SubsystemRegistered
