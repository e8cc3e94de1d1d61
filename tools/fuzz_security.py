"""A security server of one's own for fuzzing, in a world that the tests know how to bring up.

There are a Central Server and another security server that answers for it, a CA, a time-stamper and
services to describe: what the fuzzed one asks for is approved or refused as it would be anywhere.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

from anyio.from_thread import BlockingPortal, start_blocking_portal
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from administration.test_from_nothing import CONSUMER, PIN, PROVIDER, Founding
from administration.world import PASSWORD, USER, World
from fuzz_server import Filled, Wanted, restore_and_forget
from sild.apiclient.values import ApiKey, Octets

_ROLES = (
    "XROAD_SYSTEM_ADMINISTRATOR",
    "XROAD_SECURITY_OFFICER",
    "XROAD_REGISTRATION_OFFICER",
    "XROAD_SERVICE_ADMINISTRATOR",
    "XROAD_SECURITYSERVER_OBSERVER",
)
_OWNER, _SERVER = "DEV:COM:4321", "DEV:COM:4321:SS1"
_SUBSYSTEMS = ("first", "second", "third")
_FURTHER = 4


class _FuzzedWorld(World):
    """The world, whose second security server is as it is wanted."""

    def __init__(self, wanted: Wanted) -> None:
        super().__init__(wanted.home)
        self._wanted = wanted

    def set_up(self) -> None:
        self.ss1.further["admin-api"] = {"rate-limit-enabled": self._wanted.limited}
        if self._wanted.database:
            self.ss1.further["server"] = {"database": self._wanted.database}


class FuzzedSecurityServer:
    """The world, from start to end; what the server prints goes to a file."""

    def __init__(self, wanted: Wanted) -> None:
        self.limited = wanted.limited
        wanted.home.mkdir(parents=True, mode=0o700)
        self._world = _FuzzedWorld(wanted)
        self._opened = ExitStack()
        self._portal: BlockingPortal | None = None

    @property
    def url(self) -> str:
        """Where the API is."""
        url: str = self._world.ss1.url
        return url

    @property
    def log(self) -> Path:
        """What the processes printed."""
        log: Path = self._world.ss1.home / "server.log"
        return log

    @property
    def verify(self) -> str:
        """Nothing verifies it: it is asked for new certificates of its own."""
        return "false"

    @property
    def login(self) -> tuple[str, str]:
        """Who has every role."""
        return USER, PASSWORD

    def start(self) -> None:
        """Start it, and all that is around it."""
        # What is around it answers while it is fuzzed: the loop has a thread of its own.
        self._portal = self._opened.enter_context(start_blocking_portal())
        self._call(self._world.start)
        self._opened.callback(self._call, self._world.close)

    def stop(self) -> None:
        """End it, and all that is around it."""
        self._opened.close()

    def make_keys(self) -> Filled:
        """Make an API key of everybody."""
        made: dict[str, Any] = self._call(self._world.ss1.ask, "POST", "/api-keys", list(_ROLES))
        return Filled(people=made["key"])

    def fill(self, filled: Filled) -> None:
        """Bring the instance up, and make a few of everything."""
        self._call(_Filling(self._world, filled).fill)

    def restore(self, filled: Filled) -> None:
        """Make a backup and restore it; come back when what was made after it is gone."""
        self._call(self._restore, filled)

    async def _restore(self, filled: Filled) -> None:
        server = self._world.ss1
        await server.forget_session()
        async with server.connect(ApiKey(filled.people)) as client:
            (owner,) = [
                each for each in (await client.call("GET", "/clients")).json if each["owner"]
            ]
            subsystem = {"member_class": "COM", "member_code": "4321", "subsystem_code": "Restored"}
            body = {"client": subsystem | {"connection_type": "HTTP"}, "ignore_warnings": True}
            await client.call("POST", "/clients", json=body)
            group = {"code": "after-the-backup", "description": "A group"}
            place = f"/clients/{owner['id']}:Restored/local-groups"
            await restore_and_forget(client, place, group)

    def _call(self, do: Any, *words: Any) -> Any:
        if self._portal is None:
            raise RuntimeError("the world has not begun")
        return self._portal.call(do, *words)


class _Filling:
    def __init__(self, world: World, filled: Filled) -> None:
        self._world = world
        self._server = world.ss1
        self._ask = world.ss1.ask
        self._founding = Founding(world)
        self._filled = filled

    async def fill(self) -> None:
        founding, world = self._founding, self._world
        await founding.found_centre()
        for code in ("friends", "others"):
            await world.central.ask("POST", "/global-groups", {"code": code, "description": "-"})
        await founding.found_server(world.ss0, "1234", "SS0")
        await founding.carry_management(world.ss0)
        await founding.found_server(self._server, "4321", "SS1")
        await founding.settle()
        await self._add_clients()
        await founding.settle()
        await self._add_groups()
        await self._describe()
        await self._make_keys()
        await self._keep()

    async def _add_clients(self) -> None:
        founding, server, knows = self._founding, self._server, self._filled.knows
        consumer = await founding.add_client(server, "4321", "TestClient", "Test client")
        await founding.register(server, consumer)
        added = [await founding.add_client(server, "4321", code) for code in _SUBSYSTEMS]
        other = await founding.add_client(server, "1234", "TestService")
        self._clients = [consumer, *added, other]
        knows("clients.id", *self._clients, _OWNER)
        knows("client_id", consumer, _OWNER)
        knows("target_client_id", PROVIDER, "DEV:COM:1234:MANAGEMENT")
        knows("service_id", "DEV:COM:1234:MANAGEMENT:clientReg")
        knows("security_server_id", "DEV:COM:1234:SS0", _SERVER)
        knows("member_id", _OWNER, "DEV:COM:1234")
        knows("member_class", "COM", "ORG")
        knows("member_code", "4321", "1234")
        knows("subsystem_code", "TestClient", "new", "newer")
        knows("security-servers.id", _SERVER)
        knows("instance", "DEV")
        knows("member-classes.id", "DEV")

    async def _add_groups(self) -> None:
        knows, certificates = self._filled.knows, self._world.authority.certificates()
        subjects = [CONSUMER, "DEV:friends"]
        for number, client in enumerate(self._clients):
            group = {"code": f"group{number}", "description": "A group"}
            made = await self._ask("POST", f"/clients/{client}/local-groups", group)
            members = {"items": [CONSUMER]}
            await self._ask("POST", f"/local-groups/{made['id']}/members", members)
            knows("local-groups.group_id", made["id"])
            subjects.append(made["id"])
        knows("items", [CONSUMER], [])
        knows("id", *subjects)
        knows("sc_id", *subjects)
        for name in ("ca", "ocsp"):
            der = certificates[name]
            path = f"/clients/{CONSUMER}/tls-certificates"
            made = await self._ask("POST", path, upload=Octets(der))
            knows("clients.hash", made["hash"])
        self._filled.files["certificate"] = list(certificates.values())

    async def _describe(self) -> None:
        services, knows = self._world.services, self._filled.knows
        urls = (services.wsdl_url, services.openapi_url, services.rest_url, services.soap_url)
        knows("url", *urls)
        knows("rest_service_code", "rest", "new")
        friends = {"id": "DEV:friends", "name": "-", "service_client_type": "GLOBALGROUP"}
        for client in self._clients:
            place = f"/clients/{client}/service-descriptions"
            for body in (
                {"type": "WSDL", "url": services.wsdl_url},
                {"type": "REST", "url": services.rest_url, "rest_service_code": "rest"},
                {"type": "OPENAPI3", "url": services.openapi_url, "rest_service_code": "openapi"},
            ):
                made = await self._ask("POST", place, body | {"ignore_warnings": True})
                knows("service-descriptions.id", made["id"])
                for service in made["services"]:
                    await self._know(service)
                    right = f"/services/{service['id']}/service-clients"
                    await self._ask("POST", right, {"items": [friends]})

    async def _know(self, service: dict[str, Any]) -> None:
        knows = self._filled.knows
        knows("services.id", service["id"])
        knows("service_code", service["service_code"])
        knows("endpoints.id", *(each["id"] for each in service["endpoints"]))
        if service["service_code"] == "rest":
            added = {"service_code": "rest", "method": "GET", "path": "/of/its/own"}
            made = await self._ask("POST", f"/services/{service['id']}/endpoints", added)
            knows("endpoints.id", made["id"])

    async def _make_keys(self) -> None:
        knows, founding = self._filled.knows, self._founding
        ca = founding.ca
        knows("ca_name", ca)
        knows("csr_format", "DER")
        knows("key_usage_type", "AUTHENTICATION", "SIGNING")
        knows("acme_order", False)
        for _ in range(_FURTHER):
            bare = await self._ask("POST", "/tokens/0/keys", {"label": "of nothing yet"})
            knows("keys.id", bare["id"])
            knows("key_id", bare["id"])
        subject = {
            "CN": "SS1",
            "C": "FI",
            "O": "Test client",
            "subjectAltName": "ss1.test",
            "serialNumber": "DEV/SS1/COM",
        }
        knows("subject_field_values", subject)
        order = {"ca_name": ca, "csr_format": "DER", "subject_field_values": subject}
        for number in range(_FURTHER):
            usage = "AUTHENTICATION" if number % 2 else "SIGNING"
            wanted = order | {"key_usage_type": usage}
            if usage == "SIGNING":
                wanted["member_id"] = _OWNER
            body = {"key_label": f"key {number}", "csr_generate_request": wanted}
            made = await self._ask("POST", "/tokens/0/keys-with-csrs", body)
            key, csr = made["key"]["id"], made["csr_id"]
            knows("keys.id", key)
            knows("keys.csr_id", csr)
            path = f"/keys/{key}/csrs/{csr}"
            pem = (await self._server.client.call("GET", path, query={"csr_format": "PEM"})).content
            certificate = await self._world.sign(pem, "auth" if number % 2 else "sign")
            der = x509.load_pem_x509_certificate(certificate).public_bytes(Encoding.DER)
            self._filled.files["certificate"].append(der)
            if number < _FURTHER // 2:
                await self._ask("POST", "/token-certificates", upload=Octets(der))
        for token in await self._ask("GET", "/tokens"):
            knows("tokens.id", token["id"])
            for key in token["keys"]:
                knows("keys.id", key["id"])
                hashes = [each["certificate_details"]["hash"] for each in key["certificates"]]
                knows("token-certificates.hash", *hashes)

    async def _keep(self) -> None:
        knows, files, client = self._filled.knows, self._filled.files, self._server.client
        knows("password", PIN)
        knows("old_pin", PIN)
        knows("new_pin", PIN)
        name = (await self._ask("POST", "/backups"))["filename"]
        knows("filename", name)
        files["anchor"] = [(await client.call("GET", "/system/anchor/download")).content]
        files["file"] = [(await client.call("GET", f"/backups/{name}/download")).content]
        (service,) = await self._ask("GET", "/timestamping-services")
        knows("name", service["name"])
        knows("url", service["url"])
