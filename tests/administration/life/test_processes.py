"""A server is stopped, started, reloaded, killed, and entered PINs for; nothing gets lost."""

import asyncio
import json
import os
import signal
import socket
import sys
from contextlib import asynccontextmanager, closing, suppress

import httpx
import pytest

from administration.life.world import ALONE, CONSUMER, GREETING, everything, rows
from administration.world import start_server
from ecosystem.processes import child_of, children_of, until
from sild.apiclient.errors import ApiClientError
from sild.runtime.files import write_private

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

NO_PIN = "no PIN of a token was entered"
SECONDS = 120


async def log_in(life, server):
    await server.ask("PUT", "/tokens/0/login", {"password": life.pin})


@asynccontextmanager
async def restarted(life, server, **environment):
    """The server is stopped, for the block to start it; what it was started with is taken back."""
    further = json.loads(json.dumps(server.further))
    await server.stop()
    server.environment = environment
    try:
        yield
    finally:
        server.further, server.environment = further, {}
        if server.process.returncode is not None:
            await server.start()
            await log_in(life, server)
        server.write_settings()
        await life.answers_soon()


@rows("HA-03", "EX-13")
async def test_a_server_that_starts_again_is_what_it_was_and_waits_for_its_pin(life):
    ss2 = life.ss2
    await life.greets()
    before = await everything(ss2)
    assert len(before) == 10
    assert (await life.health(ss2))["healthy"]
    assert "sild_healthy 1.0" in await life.metrics(ss2)
    async with restarted(life, ss2):
        assert ss2.process.returncode == 0
        with pytest.raises(httpx.ConnectError):
            await life.health(ss2)
        await ss2.start()
        told = await life.health(ss2)
        assert told["reasons"]["token"] == NO_PIN
        numbers = await life.metrics(ss2)
        assert "sild_healthy 0.0" in numbers
        assert 'sild_token_logged_in{token="0"} 0.0' in numbers
        assert (await life.call()).status_code == 500
        alerts = await ss2.ask("GET", "/notifications/alerts")
        assert alerts["soft_token_pin_entered"] is False
        await log_in(life, ss2)
        await life.until_healthy(ss2)
        assert await everything(ss2) == before
        await life.answers_soon()
    numbers = await life.metrics(ss2)
    assert "sild_healthy 1.0" in numbers
    assert 'outcome="ok",protocol="rest",side="provider"' in numbers.replace(" ", "")


@rows("CLI-02")
@pytest.mark.parametrize("how", ["file", "variable", "command"])
async def test_pins_enter_themselves(life, how):
    ss2 = life.ss2
    pins = ss2.home / "pins"
    environment = {}
    async with restarted(life, ss2):
        match how:
            case "file":
                write_private(pins, life.pin.encode())
                ss2.further["server"]["token-pin-file"] = str(pins)
            case "variable":
                ss2.further["signer"] = {"autologin-variable": "TEST_PINS"}
                environment = {"TEST_PINS": life.pin}
            case "command":
                # Who knows the PIN is asked again, for at first it does not answer.
                mark = ss2.home / "asked"
                program = (
                    "import pathlib, sys\n"
                    f"mark = pathlib.Path({str(mark)!r})\n"
                    "sys.exit(mark.touch() or 1) if not mark.exists() else None\n"
                    f"print('0:{life.pin}')\nprint('card:1234')\n"
                )
                ss2.further["signer"] = {
                    "autologin-command": [sys.executable, "-c", program],
                    "autologin-retry-interval": 0.3,
                }
        ss2.environment = environment
        await ss2.start()
        await life.until_healthy(ss2)
        (token,) = await ss2.ask("GET", "/tokens")
        assert token["logged_in"]
        await life.answers_soon()
        assert life.pin not in (ss2.home / "server.log").read_text()


@rows("HA-03")
async def test_messages_flow_while_somebody_else_has_the_port_of_the_api(life):
    ss2 = life.ss2
    async with restarted(life, ss2):
        write_private(ss2.home / "pins", life.pin.encode())
        ss2.further["server"]["token-pin-file"] = str(ss2.home / "pins")
        with closing(socket.socket()) as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind((ss2.address, ss2.places.api))
            taken.listen()
            ss2.write_settings()
            ss2.process = await start_server("security-server", ss2.home)
            await life.answers_soon(seconds=SECONDS)
            await life.until_healthy(ss2)
            assert "the management API is not served" in (ss2.home / "server.log").read_text()
        await ss2.until_up()
        assert await life.status(ss2, ALONE) == "REGISTERED"


@rows("SP-09")
async def test_after_a_hang_up_settings_are_new_and_no_message_is_lost(life):
    ss2 = life.ss2
    further = json.loads(json.dumps(ss2.further))
    elsewhere = life.places.configuration
    answers = []

    async def call_on():
        while True:
            with suppress(httpx.TransportError):
                answers.append(await life.call())
            await asyncio.sleep(0.05)

    calling = asyncio.create_task(call_on())
    try:
        ss2.further["health"]["port"] = elsewhere
        before = children_of(ss2.process.pid)
        ss2.write_settings()
        async with life.under_way():
            ss2.process.send_signal(signal.SIGHUP)
            # What is under way is waited for, and nothing more is taken.
            await asyncio.sleep(0.3)
        await life.started_anew(ss2, before, elsewhere)
        with pytest.raises(httpx.ConnectError):
            await life.health(ss2)
        (token,) = await ss2.ask("GET", "/tokens")
        assert token["logged_in"]
    finally:
        calling.cancel()
        ss2.further = further
        await life.reload(ss2)
    whole = [each.json() for each in answers if each.status_code == 200]
    assert whole
    assert all(each == GREETING for each in whole)
    # While nobody listened, the consumer's server could not reach it: no message was begun.
    codes = {each.json()["type"] for each in answers if each.status_code != 200}
    assert codes <= {"server.clientproxy.network_error"}, codes


@rows("SP-09")
async def test_settings_that_cannot_be_read_leave_those_of_before(life):
    ss2 = life.ss2
    before = children_of(ss2.process.pid)
    with ss2.layout.settings_file.open("a") as settings:
        settings.write("\n[no-such-section]\n")
    ss2.process.send_signal(signal.SIGHUP)
    await life.started_anew(ss2, before)
    assert "the settings of before are used" in (ss2.home / "server.log").read_text()
    ss2.write_settings()


@rows("SP-09")
async def test_settings_are_checked_before_anything_starts(life):
    ss2 = life.ss2
    code, out, _ = await sild("security-server", "--home", str(ss2.home), "--check")
    assert code == 0
    assert f'internal-host = "{ss2.address}"' in out
    bad = ss2.home.parent / "bad"
    bad.mkdir(mode=0o700, exist_ok=True)
    write_private(bad / "sild.toml", b"[proxy]\nclient-http-prot = 80\n")
    code, _, error = await sild("security-server", "--home", str(bad), "--check")
    assert code == 2
    assert "client-http-prot" in error


async def sild(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sild", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, error = await process.communicate()
    return process.returncode, out.decode(), error.decode()


@rows("AR-03")
async def test_control_that_is_killed_while_the_api_changes_things_leaves_no_half_change(life):
    ss2 = life.ss2
    codes = ("getRandom", "helloService", "listPeople", "personDetails")
    wanted = {"url": life.services.wsdl_url, "type": "WSDL", "ignore_warnings": True}
    made = await ss2.ask("POST", f"/clients/{ALONE}/service-descriptions", wanted)
    await life.founding.call_all_at(ss2, made, life.services.soap_url)
    await ss2.ask("PUT", f"/service-descriptions/{made['id']}/enable")
    rights = f"/clients/{ALONE}/service-clients/{CONSUMER}/access-rights"
    items = {"items": [{"service_code": code} for code in codes]}
    done = [0]

    async def change_on():
        """Give four rights at once and take them, again and again, whatever becomes of it."""
        while True:
            with suppress(ApiClientError):
                await ss2.ask("POST", rights, items)
                done[0] += 1
            with suppress(ApiClientError):
                await ss2.ask("POST", f"{rights}/delete", items)

    try:
        for wait in (0.0, 0.03, 0.11):
            changing = asyncio.create_task(change_on())
            started = done[0]
            await until(lambda started=started: done[0] > started, SECONDS, "a change")
            await asyncio.sleep(wait)
            control = child_of(ss2.process.pid, "control")
            os.kill(control, signal.SIGKILL)
            changing.cancel()
            await asyncio.gather(changing, return_exceptions=True)
            # Messages need no control.
            await life.greets()
            await until(
                lambda control=control: (
                    children_of(ss2.process.pid).get("control", control) != control
                ),
                SECONDS,
                "control runs again",
            )
            await ss2.forget_session()
            await ss2.until_up()
            given = {each["service_code"] for each in await ss2.ask("GET", rights)}
            assert given & set(codes) in (set(), set(codes))
            await life.until_healthy(ss2)
            # What the API says is what workers do.
            answer = await life.soap_call("getRandom")
            said = "getRandomResponse" if given & set(codes) else "access_denied"
            assert said in answer, answer
            with suppress(ApiClientError):
                await ss2.ask("POST", f"{rights}/delete", items)
    finally:
        changing.cancel()
        await ss2.ask("DELETE", f"/service-descriptions/{made['id']}")
    await life.greets()


@rows("SP-09")
async def test_one_setting_puts_a_server_on_postgresql(life, postgres):
    await life.greets()
    ss2 = life.ss2
    assert not list(ss2.home.rglob("*.db"))
    assert list(life.ss1.home.rglob("*.db"))
    assert int(postgres.sql(life.database, "select count(*) from serverconf_client")) >= 3
    assert await life.count_of_messages(ss2) > 0
