"""The life of a client, from being added to being forgotten, as both servers and callers see it."""

import asyncio

import pytest

from administration.life.world import ALONE, OWNER, PROVIDER, SHARED, refused, rows

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

RIGHTS = f"/clients/{ALONE}/service-clients/{{}}/access-rights"


@pytest.fixture
async def client(life, request):
    """A subsystem of the consumer's server that may call the service; it is gone in the end."""
    code = "".join(word.title() for word in request.node.name.removeprefix("test_").split("_"))
    made = await life.founding.add_client(life.ss1, "4321", code[:40], f"Name of {code[:40]}")
    yield made
    await life.forget(life.ss1, made)


async def register(life, client):
    """Have a client registered, and let it call the service."""
    await life.founding.register(life.ss1, client)
    await life.settle()
    items = {"items": [{"service_code": "mock1"}]}
    await life.ss2.ask("POST", RIGHTS.format(client), items)


@rows("CL-05", "CL-11", "CL-12")
async def test_a_client_is_registered_once_it_was_approved(life, client):
    ss1, place = life.ss1, f"/clients/{client}"
    told = await ss1.ask("GET", place)
    assert (told["status"], told["rename_status"]) == ("SAVED", "NAME_SET")
    assert "unknown_member" in (await life.call(client=client)).text
    await ss1.ask("PUT", f"{place}/register")
    assert await life.status(ss1, client) == "REGISTRATION_IN_PROGRESS"
    for act, code in (
        ("register", "action_not_possible"),
        ("disable", "action_not_possible"),
        ("enable", "action_not_possible"),
    ):
        async with refused(409, code):
            await ss1.ask("PUT", f"{place}/{act}")
    async with refused(409, "action_not_possible"):
        await ss1.ask("DELETE", place)
    assert await life.statuses_after_settling(ss1, client) == "REGISTRATION_IN_PROGRESS"
    await life.founding.approve()
    assert await life.statuses_after_settling(ss1, client) == "REGISTERED"
    told = await ss1.ask("GET", place)
    assert told["subsystem_name"].startswith("Name of ")
    assert "rename_status" not in told
    assert told["member_name"] == "Test client"
    assert told["has_valid_local_sign_cert"]
    (certificate,) = await ss1.ask("GET", f"{place}/sign-certificates")
    assert (certificate["active"], certificate["ocsp_status"]) == (True, "OCSP_RESPONSE_GOOD")
    await life.refuses("access_denied", client=client)
    items = {"items": [{"service_code": "mock1"}]}
    await life.ss2.ask("POST", RIGHTS.format(client), items)
    await life.greets(client=client)


@rows("CL-05", "CL-06", "CL-07")
async def test_a_client_that_was_declined_waits_until_it_is_unregistered_and_deleted(life, client):
    ss1, place = life.ss1, f"/clients/{client}"
    await ss1.ask("PUT", f"{place}/register")
    request = await life.newest_request()
    await life.central.ask("DELETE", f"/management-requests/{request['id']}")
    assert await life.statuses_after_settling(ss1, client) == "REGISTRATION_IN_PROGRESS"
    await ss1.ask("PUT", f"{place}/unregister")
    assert await life.statuses_after_settling(ss1, client) == "DELETION_IN_PROGRESS"
    for act in ("register", "unregister", "disable", "enable"):
        async with refused(409, "action_not_possible"):
            await ss1.ask("PUT", f"{place}/{act}")
    await ss1.ask("DELETE", place)
    async with refused(404, "client_not_found"):
        await ss1.ask("GET", place)


@rows("CL-06")
async def test_who_unregisters_before_it_was_approved_takes_the_request_back(life, client):
    await life.ss1.ask("PUT", f"/clients/{client}/register")
    request = await life.newest_request()
    await life.ss1.ask("PUT", f"/clients/{client}/unregister")
    told = await life.central.ask("GET", f"/management-requests/{request['id']}")
    assert told["status"] == "REVOKED"
    assert await life.statuses_after_settling(life.ss1, client) == "DELETION_IN_PROGRESS"


@rows("CL-08", "CL-12")
async def test_a_client_rests_and_comes_back_by_itself(life, client):
    ss1, place = life.ss1, f"/clients/{client}"
    await register(life, client)
    await life.greets(client=client)
    await ss1.ask("PUT", f"{place}/disable")
    # Nobody need know of it yet: this server lets it call no more.
    assert await life.status(ss1, client) == "DISABLING_IN_PROGRESS"
    await life.refuses("unknown_member", client=client)
    async with refused(409, "action_not_possible"):
        await ss1.ask("PUT", f"{place}/enable")
    assert await life.statuses_after_settling(ss1, client) == "DISABLED"
    await life.refuses("unknown_member", client=client)
    async with refused(409, "action_not_possible"):
        await ss1.ask("DELETE", place)
    await ss1.ask("PUT", f"{place}/enable")
    assert await life.status(ss1, client) == "ENABLING_IN_PROGRESS"
    assert await life.statuses_after_settling(ss1, client) == "REGISTERED"
    await life.greets(client=client)
    await ss1.ask("PUT", f"{place}/disable")
    await life.settle()
    await ss1.ask("PUT", f"{place}/unregister")
    assert await life.status(ss1, client) == "DELETION_IN_PROGRESS"


@rows("CL-08")
async def test_a_provider_that_rests_is_called_at_its_other_server(life):
    ss2, place = life.ss2, f"/clients/{PROVIDER}"
    await life.settle()
    try:
        await ss2.ask("PUT", f"{place}/disable")
        assert await life.statuses_after_settling(ss2, PROVIDER) == "DISABLED"
        for _ in range(3):
            await life.greets(SHARED)
    finally:
        await ss2.ask("PUT", f"{place}/enable")
        assert await life.statuses_after_settling(ss2, PROVIDER) == "REGISTERED"


@rows("CL-08")
async def test_who_carries_the_management_services_does_not_rest(life):
    management = "/clients/DEV:COM:1234:MANAGEMENT"
    assert (await life.ss0.ask("GET", management))["is_management_services_provider"]
    async with refused(409, "forbidden_disable_management_service_client"):
        await life.ss0.ask("PUT", f"{management}/disable")


@rows("CL-12", "CL-07")
async def test_a_client_that_vanishes_is_an_error_until_it_is_back(life, client):
    ss1 = life.ss1
    await register(life, client)
    await life.greets(client=client)
    gone = f"/subsystems/{client}/servers/DEV:COM:4321:SS1"
    await life.central.ask("DELETE", gone)
    assert await life.statuses_after_settling(ss1, client) == "GLOBAL_ERROR"
    await life.refuses("unknown_member", client=client)
    for act in ("register", "unregister", "disable", "enable"):
        async with refused(409, "action_not_possible"):
            await ss1.ask("PUT", f"/clients/{client}/{act}")
    await life.ask_as_management_service({
        "type": "CLIENT_REGISTRATION_REQUEST",
        "origin": "SECURITY_SERVER",
        "security_server_id": "DEV:COM:4321:SS1",
        "client_id": client,
    })  # fmt: skip
    await life.founding.approve()
    assert await life.statuses_after_settling(ss1, client) == "REGISTERED"
    await life.greets(client=client)
    await life.central.ask("DELETE", gone)
    assert await life.statuses_after_settling(ss1, client) == "GLOBAL_ERROR"
    await ss1.ask("DELETE", f"/clients/{client}")
    async with refused(404, "client_not_found"):
        await ss1.ask("GET", f"/clients/{client}")


@rows("CL-06", "CL-07")
async def test_what_is_left_of_a_client_that_was_deleted_is_removed_with_its_keys(life):
    ss2 = life.ss2
    (before,) = await ss2.ask("GET", "/tokens")
    member = await life.add_member(life.ss1, "8765", "SS1")
    assert await life.statuses_after_settling(life.ss1, member) == "REGISTERED"
    subsystem = await life.founding.add_client(life.ss1, "8765", "Passing", "Passing")
    await life.founding.register(life.ss1, subsystem)
    assert await life.statuses_after_settling(life.ss1, subsystem) == "REGISTERED"
    ss1 = life.ss1
    async with refused(409, "additional_member_already_exists"):
        await ss1.ask("POST", "/clients", {"ignore_warnings": True, "client": {
            "member_class": "COM", "member_code": "1234", "connection_type": "HTTP",
        }})  # fmt: skip
    held = await life.keys_of(ss1, member)
    assert len(held) == 1
    for each in (subsystem, member):
        await ss1.ask("PUT", f"/clients/{each}/unregister")
        await ss1.ask("DELETE", f"/clients/{each}")
        if each == subsystem:
            # The member itself is there still, and needs its key.
            async with refused(404, "orphans_not_found"):
                await ss1.ask("GET", f"/clients/{each}/orphans")
    assert await ss1.ask("GET", f"/clients/{member}/orphans") == {"orphans_exist": True}
    assert await life.keys_of(ss1, member) == held
    await ss1.ask("DELETE", f"/clients/{member}/orphans")
    assert await life.keys_of(ss1, member) == set()
    for method in ("GET", "DELETE"):
        async with refused(404, "orphans_not_found"):
            await ss1.ask(method, f"/clients/{member}/orphans")
    await life.settle()
    await life.greets()
    assert (await ss2.ask("GET", "/tokens")) == [before]


@rows("CL-05", "CL-06", "CL-07", "CL-10")
async def test_an_owner_stays_what_it_is(life):
    place = f"/clients/{OWNER['SS1']}"
    for act, status, code in (
        ("register", 400, "cannot_register_owner"),
        ("unregister", 409, "cannot_unregister_owner"),
        ("make-owner", 400, "member_already_owner"),
    ):
        async with refused(status, code):
            await life.ss1.ask("PUT", f"{place}/{act}")
    async with refused(409, "cannot_delete_owner"):
        await life.ss1.ask("DELETE", place)
    assert await life.status(life.ss1, OWNER["SS1"]) == "REGISTERED"


@rows("CL-09", "CL-12")
async def test_a_subsystem_is_renamed_here_and_is_called_so_everywhere(life, client):
    ss1, place = life.ss1, f"/clients/{client}"
    await ss1.ask("PUT", f"{place}/rename", {"client_name": "Second name"})
    told = await ss1.ask("GET", place)
    # What it is called is what everybody calls it.
    assert "subsystem_name" not in told
    assert told["rename_status"] == "NAME_SET"
    await life.founding.register(ss1, client)
    await life.settle()
    assert await life.name_at(life.ss0, client) == "Second name"
    await ss1.ask("PUT", f"{place}/rename", {"client_name": "Third name"})
    told = await ss1.ask("GET", place)
    assert (told["subsystem_name"], told["rename_status"]) == ("Second name", "NAME_SUBMITTED")
    async with refused(409, "client_rename_already_submitted"):
        await ss1.ask("PUT", f"{place}/rename", {"client_name": "Fourth name"})
    await life.settle()
    told = await ss1.ask("GET", place)
    assert told["subsystem_name"] == "Third name"
    assert "rename_status" not in told
    assert await life.name_at(life.ss0, client) == "Third name"
    newest = await life.newest_request(status=None)
    assert newest["type"] == "CLIENT_RENAME_REQUEST"


@rows("CL-09")
async def test_a_subsystem_that_the_central_server_renames_is_called_so_here(life, client):
    await register(life, client)
    name = {"subsystem_name": "Renamed there"}
    await life.central.ask("PATCH", f"/subsystems/{client}", name)
    await life.settle()
    told = await life.ss1.ask("GET", f"/clients/{client}")
    assert told["subsystem_name"] == "Renamed there"
    assert "rename_status" not in told
    assert await life.name_at(life.ss0, client) == "Renamed there"


@rows("CL-05")
async def test_a_registration_that_reaches_nobody_changes_nothing(life, client):
    """The management services' server refuses whom it does not know, and says so."""
    owners = "DEV:security-server-owners"
    place = f"/clients/DEV:COM:1234:MANAGEMENT/service-clients/{owners}/access-rights"
    items = {"items": [{"service_code": "clientReg"}]}
    await life.ss0.ask("POST", f"{place}/delete", items)
    try:
        async with refused(500, "management_request_sending_failed") as caught:
            await life.ss1.ask("PUT", f"/clients/{client}/register")
        assert "access_denied" in str(caught.value.metadata)
        assert await life.status(life.ss1, client) == "SAVED"
    finally:
        await life.ss0.ask("POST", place, items)
    await life.ss1.ask("PUT", f"/clients/{client}/register")
    assert await life.status(life.ss1, client) == "REGISTRATION_IN_PROGRESS"


@rows("CL-05", "CL-06", "CL-08")
async def test_of_two_who_act_at_once_one_is_refused(life, client):
    """A double click, or two administrators."""
    for act, after in (
        ("register", "REGISTRATION_IN_PROGRESS"),
        ("disable", "DISABLED"),
        ("enable", "REGISTERED"),
        ("unregister", "DELETION_IN_PROGRESS"),
    ):
        calls = (life.ss1.client.call("PUT", f"/clients/{client}/{act}") for _ in range(2))
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert sorted(each.status for each in answers) == [204, 409], (act, answers)
        assert await life.statuses_after_settling(life.ss1, client) == after
        if act == "register":
            await life.founding.approve()
            await life.settle()
