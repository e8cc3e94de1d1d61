"""An instance of three security servers, founded through the APIs, and how it is looked at.

SS0 (COM:1234) carries the management services and provides TestService; SS1 (COM:4321) calls it
for TestClient; SS2 (COM:5678) provides TestService as well, and Alone, which no other server has
and most tests call. SS2 uses PostgreSQL, where there is one.
"""

import asyncio
import json
import signal
import sqlite3
import ssl
from contextlib import asynccontextmanager, closing, suppress

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from administration.test_from_nothing import CONSUMER, PIN, PROVIDER, SOAP, Founding
from administration.world import WORLD, World
from ecosystem.processes import children_of, until
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey, Form, NamedFile, Pin, Server
from sild.devnet.serving import serve_app
from sild.protocol.algorithms import DigestAlgorithm

ALONE = "DEV:COM:5678:Alone"
SERVICE = f"{ALONE}:mock1"
SHARED = f"{PROVIDER}:mock1"
OWNER = {"SS0": "DEV:COM:1234", "SS1": "DEV:COM:4321", "SS2": "DEV:COM:5678"}
_SECONDS = 180
GREETING = {"message": "Hello, world from GET service!"}


class Life(World):
    """The instance: `found` makes it, `call` is what an information system does."""

    pin = PIN

    def __init__(self, folder, postgres=None):
        super().__init__(folder, ("ss0", "ss1", "ss2"))
        self._postgres = postgres
        self.database = postgres and postgres.new_database()
        self.asked, self.waiting = asyncio.Event(), asyncio.Event()
        self._speaker = None

    def set_up(self):
        """Let each server say how it fares, and the third use PostgreSQL.

        What is published they learn when they are told to, so that what is pending is seen.
        """
        self.ss2 = self.servers[2]
        for server in self.servers:
            server.refreshes = True
            # Ports that on these addresses nobody else has.
            server.further = {
                "health": {
                    "listen-address": server.address,
                    "port": self.places.registration,
                    "unhealthy-seconds": 0.0,
                    "healthy-seconds": 0.0,
                },
                "metrics": {"listen-address": server.address, "port": self.places.management},
                "configuration-client": {"update-interval": 240.0, "retry-interval": 1.0},
            }
        self.ss2.further["server"] = {"stop-grace": 20.0}
        if self.database:
            self.ss2.further["server"]["database"] = self.database

    async def found(self):
        """Bring everything up, call by call."""
        self.at_first = await self.standing_of_what_is_new()
        self.founding = founding = Founding(self)
        self._slow = await serve_app(
            Starlette(routes=[Route("/slow", self._answer_late, methods=["GET"])]), WORLD
        )
        self._opened.push_async_callback(self._slow.close)
        await founding.found_centre()
        for code, name in (("5678", "Third member"), ("8765", "Passing member")):
            member = {"member_id": {"member_class": "COM", "member_code": code}}
            await self.central.ask("POST", "/members", member | {"member_name": name})
        await founding.found_server(self.ss0, "1234", "SS0")
        await founding.carry_management(self.ss0)
        await founding.found_server(self.ss1, "4321", "SS1")
        await founding.found_server(self.ss2, "5678", "SS2")
        await founding.settle()
        await self._make_clients()

    async def _make_clients(self):
        founding = self.founding
        for server, member, code in (
            (self.ss1, "4321", "TestClient"),
            (self.ss0, "1234", "TestService"),
            (self.ss2, "5678", "Alone"),
        ):
            client = await founding.add_client(server, member, code, f"{code} of {member}")
            await founding.register(server, client)
        await self.add_member(self.ss2, "1234", "SS2")
        again = await founding.add_client(self.ss2, "1234", "TestService")
        await founding.register(self.ss2, again)
        await founding.settle()
        await founding.offer(self.ss0)
        for server, provider in ((self.ss2, PROVIDER), (self.ss2, ALONE)):
            await self.offer(server, provider, "mock1", self.services.rest_url)
        await self.offer(self.ss2, ALONE, "slow", f"{self._slow.url}/slow")
        await founding.settle()

    async def add_member(self, server, code, server_code):
        """An additional member of a server, registered, with a signing key; gives its id."""
        client = {"member_class": "COM", "member_code": code, "connection_type": "HTTP"}
        made = await server.ask("POST", "/clients", {"ignore_warnings": True, "client": client})
        await self.founding.certify(server, "0", "SIGNING", server_code, f"DEV:COM:{code}")
        await self.founding.register(server, made["id"])
        return made["id"]

    async def offer(self, server, provider, code, url):
        """A REST service that the consumer may call; gives its description."""
        place = f"/clients/{provider}"
        rest = {"url": url, "type": "REST", "rest_service_code": code}
        made = await server.ask("POST", f"{place}/service-descriptions", rest)
        rights = f"{place}/service-clients/{CONSUMER}/access-rights"
        await server.ask("POST", rights, {"items": [{"service_code": code}]})
        await server.ask("PUT", f"/service-descriptions/{made['id']}/enable")
        return made

    async def _answer_late(self, request):
        self.asked.set()
        await self.waiting.wait()
        return JSONResponse({"late": True})

    # What is asked of it

    async def settle(self):
        """Have everything published, and all servers know it, sooner than they would."""
        await self.founding.settle()

    async def call(self, service=SERVICE, *, client=CONSUMER, **how):
        """What the road answers an information system of the consumer's, by plain HTTP."""
        headers = {"X-Road-Client": client.replace(":", "/")} | how.pop("headers", {})
        method, path = how.pop("method", "GET"), how.pop("path", "")
        url = f"{how.pop('at', self.ss1.http_url)}/r1/{service.replace(':', '/')}{path}"
        verify = how.pop("verify", True)
        async with httpx.AsyncClient(trust_env=False, timeout=120, verify=verify) as http:
            return await http.request(method, url, headers=headers, **how)

    @asynccontextmanager
    async def under_way(self, **how):
        """A call that the service has, and answers after the block; it must be answered."""
        self.asked.clear()
        self.waiting.clear()
        calling = asyncio.create_task(self.call(f"{ALONE}:slow", **how))
        try:
            async with asyncio.timeout(120):
                await self.asked.wait()
            yield
        finally:
            self.waiting.set()
            answer = await calling
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"late": True}

    async def greets(self, service=SERVICE, **how):
        """Assert that the service answers."""
        answer = await self.call(service, **how)
        assert answer.status_code == 200, answer.text
        assert answer.json() == GREETING

    async def refuses(self, code, service=SERVICE, **how):
        """Assert that a call is refused with this code; gives what is said of it."""
        answer = await self.call(service, **how)
        told = answer.json()
        assert answer.status_code in {400, 500}, answer.text
        assert told["type"].rpartition(".")[2] == code, told
        return told["message"]

    async def refuses_soon(self, code, service=SERVICE, seconds=120):
        """Come back when calls are refused with this code; until then they are treated as before."""
        told = None
        for _ in range(seconds * 10):
            told = (await self.call(service)).json()
            if told.get("type", "").rpartition(".")[2] == code:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(told)

    async def answers_soon(self, service=SERVICE, seconds=120, **how):
        """Come back when a service answers; until then it is refused, or nobody is there."""
        answer = None
        for _ in range(seconds * 10):
            with suppress(httpx.TransportError):
                answer = await self.call(service, **how)
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError(answer and answer.text)

    async def health(self, server, port=None):
        """What a balancer is told: whether the server is healthy, and why not."""
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            answer = await http.get(f"http://{server.address}:{port or self.places.registration}/")
        told = answer.json()
        assert answer.status_code == (200 if told["healthy"] else 503)
        return told

    async def standing_of_what_is_new(self):
        """What a server says of itself before anything was done."""
        ss2 = self.ss2
        return {
            "initialization": await ss2.ask("GET", "/initialization/status"),
            "configuration": await ss2.ask("GET", "/diagnostics/globalconf"),
            "health": await self.health(ss2),
        }

    async def until_healthy(self, server, port=None, seconds=120):
        """Come back when the server serves."""
        told = None
        for _ in range(seconds * 10):
            with suppress(httpx.TransportError):
                told = await self.health(server, port)
                if told["healthy"]:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError(told)

    async def reload(self, server, port=None):
        """Let a server read its settings anew, and come back when it serves by them."""
        before = children_of(server.process.pid)
        server.write_settings()
        server.process.send_signal(signal.SIGHUP)
        await self.started_anew(server, before, port)

    async def started_anew(self, server, before, port=None):
        """Come back when all of a server's processes are others, and serve."""

        def others():
            now = children_of(server.process.pid)
            return set(now) == set(before) and not set(now.values()) & set(before.values())

        await until(others, _SECONDS, "all processes are others")
        await server.forget_session()
        await server.until_up()
        await self.until_healthy(server, port)
        await self.answers_soon()

    async def soap_call(self, code):
        """What a SOAP service of the third server's client says, or its server."""
        names = (("TestService", "Alone"), ("1234<", "5678<"), ("getRandom", code))
        content = SOAP
        for old, new in names:
            content = content.replace(old, new)
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            headers = {"Content-Type": "text/xml"}
            return (await http.post(self.ss1.http_url, content=content, headers=headers)).text

    async def count_of_messages(self, server):
        """How many records a server's message log has."""
        count = "select count(*) from messagelog_record"
        if server is self.ss2 and self.database:
            return int(await asyncio.to_thread(self._postgres.sql, self.database, count))
        with closing(sqlite3.connect(server.layout.message_database)) as database:
            return database.execute(count).fetchone()[0]

    async def until_more_messages_than(self, count, server, seconds=120):
        """Come back when its message log has grown."""
        for _ in range(seconds * 10):
            if await self.count_of_messages(server) > count:
                return
            await asyncio.sleep(0.1)
        raise AssertionError(f"there are still no more than {count}")

    async def metrics(self, server):
        """What Prometheus is told."""
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            return (
                await http.get(f"http://{server.address}:{self.places.management}/metrics")
            ).text

    async def status(self, server, client):
        """Where a client stands; None where there is none."""
        return (await server.ask("GET", f"/clients/{client}"))["status"]

    async def forget(self, server, client):
        """Have no more of a client on its server, wherever it stands."""
        with suppress(ApiError):
            await server.ask("PUT", f"/clients/{client}/unregister")
        with suppress(ApiError):
            await server.ask("DELETE", f"/clients/{client}")

    async def newest_request(self, status="WAITING"):
        """The newest management request of this status, or of any."""
        newest = {"sort": "id", "desc": "true"} | ({"status": status} if status else {})
        found = await self.central.ask("GET", "/management-requests", query=newest)
        return found["items"][0]

    async def ask_as_management_service(self, request):
        """Put a request of a security server to the Central Server, as its own service does."""
        if self._speaker is None:
            made = await self.central.ask("POST", "/api-keys", ["XROAD_MANAGEMENT_SERVICE"])
            (certificate,) = load_pem_x509_certificates(self.central.layout.api_tls.read_bytes())
            pin = DigestAlgorithm.SHA256.digest(certificate.public_bytes(Encoding.DER))
            self._speaker = ApiClient(Server(self.central.api_url, Pin(pin), ApiKey(made["key"])))
            self._opened.push_async_callback(self._speaker.close)
        await self._speaker.call("POST", "/management-requests", json=request)

    def sha256(self, der):
        """The hash of a certificate as the API tells it."""
        return DigestAlgorithm.SHA256.digest(der).hex().upper()

    async def shown_at(self, host, port, seconds=120):
        """The hash of the certificate that is shown at a port, once somebody is there."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        for _ in range(seconds * 10):
            try:
                _, writer = await asyncio.open_connection(host, port, ssl=context)
            except OSError:
                await asyncio.sleep(0.1)
                continue
            der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.close()
            return self.sha256(der)
        raise AssertionError(f"nobody is at {host} port {port}")

    async def signing_keys(self):
        """The keys that sign the Central Server's internal configuration."""
        return [
            key
            for token in await self.central.ask("GET", "/tokens")
            for key in token["configuration_signing_keys"]
            if key["source_type"] == "INTERNAL"
        ]

    async def approve_stamps(self, url):
        """Approve the CA's time-stamper at another address."""
        certificate = NamedFile("tsa.pem", self.authority.certificates()["tsa"])
        form = Form({"url": url, "cost_type": "FREE"}, {"certificate": certificate})
        return await self.central.ask("POST", "/timestamping-services", upload=form)

    async def keys_of(self, server, member):
        """The signing keys that a server has for a member."""
        return {
            key["id"]
            for token in await server.ask("GET", "/tokens")
            for key in token["keys"]
            if any(each.get("owner_id") == member for each in key["certificates"])
        }

    async def name_at(self, server, client):
        """What a server calls a subsystem of any server."""
        query = {"internal_search": "false", "subsystem_code": client.rpartition(":")[2]}
        (found,) = await server.ask("GET", "/clients", query=query)
        return found.get("subsystem_name")

    async def statuses_after_settling(self, server, client):
        """Where a client stands once everybody knows what was published."""
        await self.settle()
        return await self.status(server, client)


@asynccontextmanager
async def refused(status, code):
    """Assert that what is asked in the block is refused."""
    with pytest.raises(ApiError) as caught:
        yield caught
    assert (caught.value.status, caught.value.code) == (status, code)


def audit_records(server):
    """What the audit log of a server says, the newest last."""
    lines = server.layout.audit_log.read_text().splitlines()
    return [json.loads(line[line.index("{") :]) for line in lines if "{" in line]


def rows(*codes):
    """The marks of the features that a test shows."""

    def mark(test):
        for code in codes:
            test = pytest.mark.feature(code)(test)
        return test

    return mark


async def everything(server, client=ALONE):
    """What the API tells of a server's configuration."""
    told = {}
    for path in (
        "/clients?internal_search=true",
        "/system/timestamping-services",
        "/system/anchor",
        "/system/certificate",
        "/security-servers",
        f"/clients/{client}/service-descriptions",
        f"/clients/{client}/service-clients",
        f"/clients/{client}/local-groups",
        *([f"/services/{ALONE}:mock1/service-clients"] if client == ALONE else []),
    ):
        told[path] = await server.ask("GET", path)
    (token,) = await server.ask("GET", "/tokens")
    told["keys"] = {
        key["id"]: [each["status"] for each in key["certificates"]] for key in token["keys"]
    }
    return told
