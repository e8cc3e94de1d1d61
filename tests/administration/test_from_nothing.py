"""An instance brought up through the management APIs alone, call by call, until messages flow."""

import httpx
import pytest

from administration.world import World
from sild.apiclient.values import Form, NamedFile, Octets
from softhsm import USER_PIN
from standins.authority import PROFILE
from standins.services import SOAP_CODES

pytestmark = pytest.mark.anyio

PIN = "Token-PIN-0001"
OWNERS = "DEV:security-server-owners"
MANAGEMENT_CODES = (
    "authCertDeletion",
    "clientDeletion",
    "clientReg",
    "ownerChange",
    "clientEnable",
    "clientDisable",
    "addressChange",
    "clientRename",
    "maintenanceModeEnable",
    "maintenanceModeDisable",
)
CONSUMER = "DEV:COM:4321:TestClient"
PROVIDER = "DEV:COM:1234:TestService"
SOAP = """<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"
    xmlns:x="http://x-road.eu/xsd/xroad.xsd" xmlns:i="http://x-road.eu/xsd/identifiers"><e:Header>
  <x:client i:objectType="SUBSYSTEM"><i:xRoadInstance>DEV</i:xRoadInstance>
    <i:memberClass>COM</i:memberClass><i:memberCode>4321</i:memberCode>
    <i:subsystemCode>TestClient</i:subsystemCode></x:client>
  <x:service i:objectType="SERVICE"><i:xRoadInstance>DEV</i:xRoadInstance>
    <i:memberClass>COM</i:memberClass><i:memberCode>1234</i:memberCode>
    <i:subsystemCode>TestService</i:subsystemCode><i:serviceCode>getRandom</i:serviceCode>
    <i:serviceVersion>v1</i:serviceVersion></x:service>
  <x:id>ID11234</x:id><x:userId>EE1234567890</x:userId><x:protocolVersion>4.0</x:protocolVersion>
</e:Header><e:Body><p:getRandom xmlns:p="http://test.x-road.fi/producer"><p:request/></p:getRandom>
</e:Body></e:Envelope>"""


class Founding:
    """Who brings the instance up: the steps, in their order."""

    def __init__(self, world):
        self.world = world

    async def found_centre(self):
        """The Central Server: initialised, with its keys, classes, members and trust services."""
        ask, world = self.world.central.ask, self.world
        await ask("POST", "/initialization", {
            "central_server_address": world.central.plan.address,
            "instance_identifier": "DEV",
            "software_token_pin": PIN,
        })  # fmt: skip
        for code in ("ORG", "GOV", "COM"):
            await ask("POST", "/member-classes", {"code": code, "description": code})
        await ask("PUT", "/tokens/0/login", {"password": PIN})
        for kind in ("INTERNAL", "EXTERNAL"):
            key = {"key_label": f"{kind} key", "token_id": "0"}
            await ask("POST", f"/configuration-sources/{kind}/signing-keys", key)
        for code, name in (("1234", "Test member"), ("4321", "Test client")):
            member = {"member_class": "COM", "member_code": code}
            await ask("POST", "/members", {"member_id": member, "member_name": name})
        management = {"member_class": "COM", "member_code": "1234", "subsystem_code": "MANAGEMENT"}
        await ask(
            "POST", "/subsystems", {"subsystem_id": management, "subsystem_name": "Management"}
        )
        provider = {"service_provider_id": "DEV:COM:1234:MANAGEMENT"}
        await ask("PATCH", "/management-services-configuration", provider)
        await self._trust()

    async def _trust(self):
        ask, authority = self.world.central.ask, self.world.authority
        files = {
            name: {"certificate": NamedFile(f"{name}.pem", der)}
            for name, der in authority.certificates().items()
        }
        fields = {
            "certificate_profile_info": PROFILE,
            "tls_auth": "false",
            "default_csr_format": "DER",
        }
        ca = await ask("POST", "/certification-services", upload=Form(fields, files["ca"]))
        await ask(
            "POST",
            f"/certification-services/{ca['id']}/ocsp-responders",
            upload=Form({"url": authority.ocsp_url, "cost_type": "FREE"}, files["ocsp"]),
        )
        stamping = Form({"url": authority.tsa_url, "cost_type": "FREE"}, files["tsa"])
        await ask("POST", "/timestamping-services", upload=stamping)
        # Whoever reads of the CA is to read of its responder, too.
        await ask("POST", "/api/sild/v1/global-configuration")

    async def found_server(self, server, member, code, token=("0", PIN)):
        """A security server: its anchor, owner, keys and certificates, registered and active."""
        central = self.world.central
        anchor = await central.client.call("GET", "/configuration-sources/INTERNAL/anchor/download")
        await server.ask("POST", "/system/anchor", upload=Octets(anchor.content))
        await server.ask("POST", "/initialization", {
            "owner_member_class": "COM",
            "owner_member_code": member,
            "security_server_code": code,
            "software_token_pin": PIN,
            "ignore_warnings": True,
        })  # fmt: skip
        await server.ask("PUT", "/tokens/0/login", {"password": PIN})
        # What was published after the anchor was taken is there soon.
        (ca,) = await server.until("/certificate-authorities", bool)
        self.ca = ca["name"]
        auth = await self.certify(server, "0", "AUTHENTICATION", code)
        if token[0] != "0":
            await server.ask("PUT", f"/tokens/{token[0]}/login", {"password": token[1]})
        await self.certify(server, token[0], "SIGNING", code, f"DEV:COM:{member}")
        address = {"address": server.address}
        await server.ask("PUT", f"/token-certificates/{auth}/register", address)
        await self.approve()
        await server.ask("PUT", f"/token-certificates/{auth}/activate")
        registered = lambda told: told["status"] == "REGISTERED"  # noqa: E731
        await server.until(f"/token-certificates/{auth}", registered)
        (service,) = await server.until("/timestamping-services", bool)
        await server.ask("POST", "/system/timestamping-services", service)
        return auth

    async def certify(self, server, token, usage, code, member=None):
        """A key with its certificate: the CA's form signs the request; gives the hash."""
        order = {
            "key_usage_type": usage,
            "ca_name": self.ca,
            "csr_format": "DER",
            "subject_field_values": {
                "CN": server.address if member is None else member.split(":")[2],
                "C": "FI",
                "O": "Test member",
                "subjectAltName": server.address,
                "serialNumber": f"DEV/{code}/COM",
            },
        }
        if member:
            order["member_id"] = member
        made = await server.ask(
            "POST",
            f"/tokens/{token}/keys-with-csrs",
            {"key_label": f"{usage.title()} key", "csr_generate_request": order},
        )
        path = f"/keys/{made['key']['id']}/csrs/{made['csr_id']}"
        pem = (await server.client.call("GET", path, query={"csr_format": "PEM"})).content
        use = "auth" if usage == "AUTHENTICATION" else "sign"
        certificate = await self.world.sign(pem, use)
        imported = await server.ask("POST", "/token-certificates", upload=Octets(certificate))
        return imported["certificate_details"]["hash"]

    async def approve(self):
        """Approve the newest request that waits."""
        ask = self.world.central.ask
        newest = {"sort": "id", "desc": "true", "status": "WAITING"}
        found = await ask("GET", "/management-requests", query=newest)
        await ask("POST", f"/management-requests/{found['items'][0]['id']}/approval")

    async def carry_management(self, server):
        """The management services, answered for by the first security server."""
        central = self.world.central
        await central.ask(
            "POST",
            "/management-services-configuration/register-provider",
            {"security_server_id": "DEV:COM:1234:SS0"},
        )
        client = await self.add_client(server, "1234", "MANAGEMENT")
        told = await central.ask("GET", "/management-services-configuration")
        description = await server.ask(
            "POST",
            f"/clients/{client}/service-descriptions",
            {"url": self.wsdl_of(told), "type": "WSDL", "ignore_warnings": True},
        )
        await self.call_all_at(server, description, told["services_address"])
        items = [{"service_code": code} for code in MANAGEMENT_CODES]
        path = f"/clients/{client}/service-clients/{OWNERS}/access-rights"
        await server.ask("POST", path, {"items": items})
        await server.ask("PUT", f"/service-descriptions/{description['id']}/enable")

    def wsdl_of(self, told):
        """The description's address; the port of plain HTTP is another in these tests."""
        host = f"{self.world.central.plan.address}:{self.world.places.configuration}"
        return "http://" + host + "/" + told["wsdl_address"].rsplit("/", 1)[1]

    async def call_all_at(self, server, description, url):
        """Let all services of a description be called at an address, without asking who it is."""
        await server.ask(
            "PATCH",
            f"/services/{description['services'][0]['id']}",
            {
                "ignore_warnings": True,
                "ssl_auth": False,
                "ssl_auth_all": True,
                "timeout": 60,
                "timeout_all": True,
                "url": url,
                "url_all": True,
            },
        )

    async def add_client(self, server, member, subsystem, name=None):
        """A client that is saved; gives its id."""
        client = {
            "member_class": "COM",
            "member_code": member,
            "subsystem_code": subsystem,
            "connection_type": "HTTP",
        }
        if name:
            client["subsystem_name"] = name
        made = await server.ask("POST", "/clients", {"ignore_warnings": True, "client": client})
        return made["id"]

    async def settle(self):
        """Have everything published, and all servers with an anchor know it, sooner."""
        await self.world.central.ask("POST", "/api/sild/v1/global-configuration")
        for server in self.world.servers:
            if server.layout.anchor_file.exists():
                await server.ask("POST", "/api/sild/v1/refresh")

    async def register(self, server, client):
        """A client's registration, sent and approved."""
        await server.ask("PUT", f"/clients/{client}/register")
        await self.approve()

    async def offer(self, server):
        """Three services, each described in another way, with a right for one consumer."""
        services, place = self.world.services, f"/clients/{PROVIDER}"
        wsdl = await server.ask(
            "POST",
            f"{place}/service-descriptions",
            {"url": services.wsdl_url, "type": "WSDL", "ignore_warnings": True},
        )
        await self.call_all_at(server, wsdl, services.soap_url)
        rights = f"{place}/service-clients/{CONSUMER}/access-rights"
        items = [{"service_code": code} for code in SOAP_CODES]
        await server.ask("POST", rights, {"items": items})
        rest = {"url": services.rest_url, "type": "REST", "rest_service_code": "mock1"}
        made = await server.ask("POST", f"{place}/service-descriptions", rest)
        await server.ask("POST", rights, {"items": [{"service_code": "mock1"}]})
        openapi = {"url": services.openapi_url, "type": "OPENAPI3", "rest_service_code": "restapi"}
        described = await server.ask("POST", f"{place}/service-descriptions", openapi)
        found = await server.ask("GET", f"/services/{PROVIDER}%3Arestapi")
        (endpoint,) = (each for each in found["endpoints"] if each["path"] == "/api/members")
        who = {"id": CONSUMER, "name": "Test client", "service_client_type": "SUBSYSTEM"}
        await server.ask("POST", f"/endpoints/{endpoint['id']}/service-clients", {"items": [who]})
        url = {"url": services.url, "timeout": 60, "ssl_auth": False, "ignore_warnings": True}
        await server.ask("PATCH", f"/services/{PROVIDER}%3Arestapi", url)
        for description in (wsdl, made, described):
            await server.ask("PUT", f"/service-descriptions/{description['id']}/enable")


async def test_from_nothing_to_messages_by_the_apis_alone(tmp_path):
    async with await World(tmp_path).start(device=True) as world:
        founding, ss0, ss1 = Founding(world), world.ss0, world.ss1
        await founding.found_centre()
        await founding.found_server(ss0, "1234", "SS0")
        await founding.carry_management(ss0)
        (card,) = (each for each in await ss1.ask("GET", "/tokens") if each["type"] == "HARDWARE")
        await founding.found_server(ss1, "4321", "SS1", (card["id"], USER_PIN))
        await founding.settle()
        consumer = await founding.add_client(ss1, "4321", "TestClient", "Test client")
        await founding.register(ss1, consumer)
        provider = await founding.add_client(ss0, "1234", "TestService")
        await founding.register(ss0, provider)
        assert (consumer, provider) == (CONSUMER, PROVIDER)
        await founding.settle()
        await founding.offer(ss0)
        await founding.settle()
        await ss0.until(f"/clients/{PROVIDER}", lambda told: told["status"] == "REGISTERED")
        await ss1.until(f"/clients/{CONSUMER}", lambda told: told["status"] == "REGISTERED")
        await _exchange(ss1)


async def _exchange(server):
    """Each of the services is called over the road."""
    caller = {"X-Road-Client": CONSUMER.replace(":", "/")}
    road = f"{server.http_url}/r1/{PROVIDER.replace(':', '/')}"
    async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
        rest = await http.post(f"{road}/mock1", json={"service": "random"}, headers=caller)
        assert rest.json() == {"message": "Hello, world from POST service!"}, rest.text
        described = await http.get(f"{road}/restapi/api/members", headers=caller)
        assert described.json() == [{"name": "Mari"}], described.text
        refused = await http.get(f"{road}/restapi/api/random", headers=caller)
        assert refused.json()["type"] == "server.serverproxy.access_denied"
        headers = {"Content-Type": "text/xml"}
        soap = await http.post(server.http_url, content=SOAP, headers=headers)
        assert "getRandomResponse" in soap.text
        assert soap.status_code == 200, soap.text
