"""Where a server stands: its address, maintenance mode, owner, certificate, anchor and stamps."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from administration.life.world import ALONE, OWNER, SHARED, refused, rows
from sild.apiclient.values import Octets
from sild.protocol.globalconf.anchor import read_anchor, write_anchor

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

ELSEWHERE = "127.0.83.6"
SS2 = "DEV:COM:5678:SS2"
MODE, ADDRESS = "/system/maintenance-mode", "/system/server-address"
STAMPS = "/system/timestamping-services"


class Relay:
    """Another address of a server: what comes there is passed on, and counted."""

    def __init__(self, server):
        self._server = server
        self.calls = 0

    @asynccontextmanager
    async def open(self):
        ports = (self._server.places.server, self._server.places.ocsp)
        listeners = [
            await asyncio.start_server(
                lambda *ends, port=port: self._pass(port, *ends), ELSEWHERE, port
            )
            for port in ports
        ]
        try:
            yield self
        finally:
            for listener in listeners:
                listener.close()

    async def _pass(self, port, reader, writer):
        self.calls += 1
        there, back = await asyncio.open_connection(self._server.address, port)
        try:
            await asyncio.gather(_pump(reader, back), _pump(there, writer))
        finally:
            back.close()
            writer.close()


async def _pump(reader, writer):
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


@rows("SP-03")
async def test_a_server_is_found_elsewhere_once_that_is_published(life):
    ss2, here = life.ss2, life.ss2.address
    await life.greets()
    async with Relay(ss2).open() as relay:
        async with refused(409, "same_address_change_request"):
            await ss2.ask("PUT", ADDRESS, {"address": here})
        await ss2.ask("PUT", ADDRESS, {"address": ELSEWHERE})
        pending = {"current_address": {"address": here}, "requested_change": {"address": ELSEWHERE}}
        assert await ss2.ask("GET", ADDRESS) == pending
        async with refused(409, "address_change_request_already_submitted"):
            await ss2.ask("PUT", ADDRESS, {"address": "elsewhere.example.org"})
        await life.greets()
        await life.settle()
        assert await ss2.ask("GET", ADDRESS) == {"current_address": {"address": ELSEWHERE}}
        await life.greets()
        assert relay.calls
        await ss2.ask("PUT", ADDRESS, {"address": here})
        await life.settle()
        assert await ss2.ask("GET", ADDRESS) == {"current_address": {"address": here}}
    await life.greets()


@rows("MM-01", "MM-02", "MM-03", "MM-04")
async def test_in_maintenance_a_server_is_passed_over_or_its_message_is_shown(life):
    ss2 = life.ss2
    assert await _mode(life) == ("DISABLED_MAINTENANCE_MODE", None)
    async with refused(409, "already_disabled_maintenance_mode"):
        await ss2.ask("PUT", f"{MODE}/disable")
    await ss2.ask("PUT", f"{MODE}/enable", {"message": "Back at noon"})
    assert (await _mode(life))[0] == "PENDING_ENABLE_MAINTENANCE_MODE"
    for act in ("enable", "disable"):
        async with refused(409, "maintenance_mode_change_request_already_submitted"):
            await ss2.ask("PUT", f"{MODE}/{act}", {"message": "Back at noon"})
    await life.greets()
    await life.settle()
    assert await _mode(life) == ("ENABLED_MAINTENANCE_MODE", "Back at noon")
    async with refused(409, "already_enabled_maintenance_mode"):
        await ss2.ask("PUT", f"{MODE}/enable", {"message": "Again"})
    assert "Back at noon" in await life.refuses("maintenance_mode")
    for _ in range(4):
        await life.greets(SHARED)
    told = await life.central.ask("GET", f"/security-servers/{SS2}")
    assert (told["in_maintenance_mode"], told["maintenance_mode_message"]) == (True, "Back at noon")
    # Who is in maintenance still calls others, or the mode could never be left.
    await ss2.ask("PUT", f"{MODE}/disable")
    assert (await _mode(life))[0] == "PENDING_DISABLE_MAINTENANCE_MODE"
    assert "Back at noon" in await life.refuses("maintenance_mode")
    await life.settle()
    assert await _mode(life) == ("DISABLED_MAINTENANCE_MODE", None)
    await life.greets()


async def _mode(life):
    told = await life.ss2.ask("GET", MODE)
    assert not told["is_management_services_provider"]
    return told["status"], told.get("message")


@rows("MM-01")
async def test_who_carries_the_management_services_cannot_be_in_maintenance(life):
    assert (await life.ss0.ask("GET", MODE))["is_management_services_provider"]
    code = "forbidden_enable_maintenance_mode_for_management_service"
    async with refused(409, code):
        await life.ss0.ask("PUT", f"{MODE}/enable", {"message": "Never"})


@rows("CL-10", "CL-04", "CL-12")
async def test_a_member_becomes_the_owner_and_messages_flow_again(life):
    before, after = OWNER["SS2"], OWNER["SS0"]
    old, new = f"{before}:SS2", f"{after}:SS2"
    async with refused(409, "action_not_possible"):
        await life.ss2.ask("PUT", f"/clients/{ALONE}/make-owner")
    await _change_owner(life, before, after)
    await life.refuses("invalid_security_server", headers=_at(old))
    await life.greets(headers=_at(new))
    # Management requests are of the server that it is now.
    passing = await life.founding.add_client(life.ss2, "5678", "Passing")
    await life.founding.register(life.ss2, passing)
    assert await life.statuses_after_settling(life.ss2, passing) == "REGISTERED"
    request = await life.newest_request("APPROVED")
    about = request["security_server_id"]
    assert f"DEV:COM:{about['member_code']}:{about['server_code']}" == new
    await life.forget(life.ss2, passing)
    await _change_owner(life, after, before)
    await life.refuses("invalid_security_server", headers=_at(new))
    await life.greets(headers=_at(old))


def _at(server):
    return {"X-Road-Security-Server": server.replace(":", "/")}


async def _change_owner(life, before, after):
    ss2 = life.ss2
    told = (ss2.home / "server.log").stat().st_size
    await life.greets(headers=_at(f"{before}:SS2"))
    await ss2.ask("PUT", f"/clients/{after}/make-owner")
    await life.settle()
    assert (await ss2.ask("GET", f"/clients/{before}"))["owner"]
    await life.founding.approve()
    await life.settle()
    for member, is_owner in ((before, False), (after, True)):
        shown = await ss2.ask("GET", f"/clients/{member}")
        assert (shown["owner"], shown["status"]) == (is_owner, "REGISTERED")
    await life.until_healthy(ss2)
    # Nor did any client seem to have vanished meanwhile, whose messages were refused then.
    with (ss2.home / "server.log").open() as log:
        log.seek(told)
        assert "global error" not in log.read()


@rows("KC-13", "KC-14", "KC-15", "KC-16", "KC-20")
async def test_a_server_changes_to_a_second_authentication_certificate(life):
    ss2 = life.ss2
    (old,) = await _auth_certificates(life)
    new = await life.founding.certify(ss2, "0", "AUTHENTICATION", "SS2")
    assert await _auth_certificates(life) == {old: ("REGISTERED", True), new: ("SAVED", False)}
    async with refused(409, "action_not_possible"):
        await ss2.ask("PUT", f"/token-certificates/{new}/unregister")
    await ss2.ask("PUT", f"/token-certificates/{new}/register", {"address": ss2.address})
    assert (await _auth_certificates(life))[new][0] == "REGISTRATION_IN_PROGRESS"
    await life.founding.approve()
    await life.settle()
    assert (await _auth_certificates(life))[new] == ("REGISTERED", False)
    await ss2.ask("PUT", f"/token-certificates/{new}/activate")
    await life.greets()
    await ss2.ask("PUT", f"/token-certificates/{old}/disable")
    assert await life.shown_at(ss2.address, ss2.places.server) == new
    await life.greets()
    async with refused(409, "action_not_possible"):
        await ss2.ask("DELETE", f"/token-certificates/{old}")
    await ss2.ask("PUT", f"/token-certificates/{old}/unregister")
    assert (await _auth_certificates(life))[old][0] == "DELETION_IN_PROGRESS"
    await life.settle()
    await life.greets()
    await ss2.ask("DELETE", f"/token-certificates/{old}")
    assert await _auth_certificates(life) == {new: ("REGISTERED", True)}
    await life.greets()


@rows("KC-16")
async def test_a_certificate_that_vanishes_is_an_error_and_may_be_deleted(life):
    ss2 = life.ss2
    (kept,) = await _auth_certificates(life)
    gone = await life.founding.certify(ss2, "0", "AUTHENTICATION", "SS2")
    await ss2.ask("PUT", f"/token-certificates/{gone}/register", {"address": ss2.address})
    await life.founding.approve()
    await life.settle()
    place = f"/security-servers/{SS2}/authentication-certificates"
    found = await life.central.ask("GET", place)
    (number,) = (each["id"] for each in found if each["hash"].replace(":", "").upper() == gone)
    await life.central.ask("DELETE", f"{place}/{number}")
    await life.settle()
    assert (await _auth_certificates(life))[gone][0] == "GLOBAL_ERROR"
    await ss2.ask("DELETE", f"/token-certificates/{gone}")
    assert set(await _auth_certificates(life)) == {kept}
    await life.greets()


async def _auth_certificates(life):
    """By hash, where each stands and whether it is active."""
    (token,) = await life.ss2.ask("GET", "/tokens")
    return {
        each["certificate_details"]["hash"]: (each["status"], each["active"])
        for key in token["keys"]
        if key.get("usage") == "AUTHENTICATION"
        for each in key["certificates"]
    }


@rows("SP-02", "SP-07")
async def test_an_anchor_is_replaced_after_the_central_server_has_another_key(life):
    central, ss2 = life.central, life.ss2
    source = "/configuration-sources/INTERNAL"
    first = await ss2.ask("GET", "/system/anchor")
    key = {"key_label": "second", "token_id": "0"}
    added = await central.ask("POST", f"{source}/signing-keys", key)
    (old,) = (each["id"] for each in await life.signing_keys() if each["active"])
    # Announced by the key that everybody knows, it is believed by all with their old anchors.
    await life.settle()
    await central.ask("PUT", f"/signing-keys/{added['id']}/activate")
    await life.settle()
    await life.greets()
    content = (await central.client.call("GET", f"{source}/anchor/download")).content
    seen = await ss2.ask("POST", "/system/anchor/previews", upload=Octets(content))
    assert seen["hash"] != first["hash"]
    dead = replace(
        (anchor := read_anchor(content)),
        sources=tuple(
            replace(each, url=f"http://{ELSEWHERE}:1/internalconf") for each in anchor.sources
        ),
    )
    for useless, status, code in (
        (b"<no/>", 400, "malformed_anchor"),
        (write_anchor(dead), 500, "conf_verification.unreachable"),
    ):
        async with refused(status, code):
            await ss2.ask("PUT", "/system/anchor", upload=Octets(useless))
        assert await ss2.ask("GET", "/system/anchor") == first
    for server in life.servers:
        await server.ask("PUT", "/system/anchor", upload=Octets(content))
        assert await server.ask("GET", "/system/anchor") == seen
        kept = await server.client.call("GET", "/system/anchor/download")
        assert kept.content == content
    await central.ask("DELETE", f"/signing-keys/{old}")
    await life.settle()
    await life.greets()


@rows("TS-07")
async def test_messages_are_stamped_by_whom_the_server_has_chosen_and_by_no_other(life):
    """With a setting by which each message waits for its stamp, so that it shows."""
    ss2, authority = life.ss2, life.authority
    ss2.further["message-log"] = {"timestamp-immediately": True}
    await life.reload(ss2)
    (chosen,) = await ss2.ask("GET", STAMPS)
    async with refused(409, "duplicate_configured_timestamping_service"):
        await ss2.ask("POST", STAMPS, chosen)
    async with refused(400, "timestamping_service_not_found"):
        await ss2.ask("POST", STAMPS, chosen | {"name": "No such service"})
    await life.greets()
    await ss2.ask("POST", f"{STAMPS}/delete", chosen)
    assert await ss2.ask("GET", STAMPS) == []
    # Not even by those that are approved: whoever removed the last one wanted none of them.
    # A worker looks once a second.
    await life.refuses_soon("no_timestamping_provider_found")
    async with refused(400, "timestamping_service_not_found"):
        await ss2.ask("POST", f"{STAMPS}/delete", chosen)
    second = await life.approve_stamps(f"http://{ELSEWHERE}:1/")
    await life.settle()
    approved = await ss2.ask("GET", "/timestamping-services")
    assert {each["url"] for each in approved} == {authority.tsa_url, f"http://{ELSEWHERE}:1/"}
    (silent,) = (each for each in approved if each != chosen)
    await ss2.ask("POST", STAMPS, silent)
    await life.refuses_soon("timestamping_failed")
    await ss2.ask("POST", STAMPS, chosen)
    assert await ss2.ask("GET", STAMPS) == [silent, chosen]
    await life.answers_soon()
    await ss2.ask("POST", f"{STAMPS}/delete", silent)
    await life.central.ask("DELETE", f"/timestamping-services/{second['id']}")
    await life.settle()
    assert await ss2.ask("GET", STAMPS) == [chosen]
    await life.greets()
    del ss2.further["message-log"]
    await life.reload(ss2)
    await life.greets()


@rows("SP-01", "HA-03")
async def test_what_is_new_says_what_is_missing(life):
    told = life.at_first
    assert told["initialization"] == {
        "is_anchor_imported": False,
        "is_server_code_initialized": False,
        "is_server_owner_initialized": False,
        "software_token_init_status": "NOT_INITIALIZED",
        "enforce_token_pin_policy": True,
    }
    assert told["configuration"]["status_class"] in {"WAITING", "FAIL"}
    assert not told["health"]["healthy"]
    reasons = told["health"]["reasons"]
    assert reasons["token"] == "no PIN of a token was entered"
    assert reasons["global-configuration"] == "the global configuration is expired or missing"
    now = await life.ss2.ask("GET", "/initialization/status")
    assert now["software_token_init_status"] == "INITIALIZED"
    assert (await life.ss2.ask("GET", "/diagnostics/globalconf"))["status_class"] == "OK"
    assert (await life.health(life.ss2))["healthy"]


@rows("DG-01", "SP-06")
async def test_a_central_server_that_is_away_shows_and_messages_flow_on(life):
    central = life.central
    await central.stop()
    for server in life.servers:
        await server.until("/diagnostics/globalconf", lambda told: told["status_class"] == "FAIL")
    told = await life.ss2.ask("GET", "/diagnostics/globalconf")
    assert told["error"]["code"] == "global_conf_download_url_connection_failure"
    await life.greets()
    await central.start()
    await central.until_up()
    await central.ask("PUT", "/tokens/0/login", {"password": life.pin})
    await life.settle()
    for server in life.servers:
        told = await server.ask("GET", "/diagnostics/globalconf")
        assert told["status_class"] == "OK"
