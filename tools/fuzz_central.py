"""A Central Server of one's own for fuzzing: on loopback, initialised, with a few of everything."""

import asyncio
import base64
import http.client
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from fuzz_server import PIN, START_SECONDS, Filled, Wanted, restore_and_forget
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey, Authorities, Form, Login, NamedFile, Server
from sild.devnet.certification import CaSettings, CertificationAuthority
from sild.devnet.credentials import CredentialStore
from sild.devnet.ports import free_ports
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.clock import SystemClock

USER, PASSWORD = "fuzzer", "Fuzzers-password-0001"
_PEOPLE = ("XROAD_SYSTEM_ADMINISTRATOR", "XROAD_SECURITY_OFFICER", "XROAD_REGISTRATION_OFFICER")
_SERVICE = "XROAD_MANAGEMENT_SERVICE"
_PROFILE = "ee.ria.xroad.common.certificateprofile.impl.BasicCertificateProfileInfoProvider"
_FIRST_PORT = 21000
_MEMBERS, _SERVERS = 12, 4
_ADDRESS = "127.0.0.1"


class FuzzedCentralServer:
    """The processes, from start to end; what they print goes to a file."""

    def __init__(self, wanted: Wanted) -> None:
        self.home = wanted.home
        self.limited = wanted.limited
        ports = free_ports(_FIRST_PORT, [_ADDRESS], 5)
        self._port = ports[0]
        self._settings = _settings(ports, wanted)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the API is."""
        return f"https://localhost:{self._port}"

    @property
    def log(self) -> Path:
        """What the processes printed."""
        return self.home / "server.log"

    @property
    def verify(self) -> str:
        """What the server's identity is verified by."""
        return str(self.certificate)

    @property
    def login(self) -> tuple[str, str]:
        """Who has every role of people."""
        return USER, PASSWORD

    @property
    def certificate(self) -> Path:
        """The server's certificate."""
        return self.home / "api-tls.pem"

    def start(self) -> None:
        """Start it, with an account that has every role of people, and wait until it answers."""
        self.home.mkdir(parents=True, mode=0o700)
        (self.home / "sild.toml").write_text(self._settings)
        sild = [sys.executable, "-m", "sild", "central-server"]
        roles = [word for role in _PEOPLE for word in ("--role", role)]
        add = [*sild, "user", "add", USER, *roles, "--home", str(self.home)]
        subprocess.run(add, input=f"{PASSWORD}\n".encode(), check=True, stdout=subprocess.DEVNULL)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*sild, "--home", str(self.home)], stdout=log, stderr=log, start_new_session=True
            )
        self.until_up()

    def until_up(self) -> None:
        """Wait until the API answers."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self.status("/")
            except OSError:
                time.sleep(0.2)
            else:
                return
        raise TimeoutError(f"the server did not start: see {self.log}")

    def status(self, path: str, headers: Mapping[str, str] | None = None) -> int:
        """Ask for a path; give the status."""
        context = ssl.create_default_context(cafile=str(self.certificate))
        connection = http.client.HTTPSConnection(
            "localhost", self._port, timeout=10, context=context
        )
        try:
            connection.request("GET", path, headers=dict(headers or {}))
            return connection.getresponse().status
        finally:
            connection.close()

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()

    def restore(self, filled: Filled) -> None:
        """Make a backup and restore it; come back when what was made after it is gone."""
        asyncio.run(self._restore(filled.people))

    async def _restore(self, key: str) -> None:
        async with self.client(key) as client:
            group = {"code": "after-the-backup", "description": "A group"}
            await restore_and_forget(client, "/global-groups", group)

    def make_keys(self) -> Filled:
        """Make API keys of everybody, and of the management services."""
        return asyncio.run(self._make_keys())

    def fill(self, filled: Filled) -> None:
        """Initialise it, and make a few of everything."""
        asyncio.run(self._fill(filled))

    def client(self, key: str = "") -> ApiClient:
        """A client of the API, by a key or as the user."""
        credentials = ApiKey(key) if key else Login(USER, PASSWORD)
        return ApiClient(Server(self.url, Authorities(self.certificate), credentials))

    async def _make_keys(self) -> Filled:
        async with self.client() as client:
            people = await client.call("POST", "/api-keys", json=list(_PEOPLE))
            service = await client.call("POST", "/api-keys", json=[_SERVICE])
        return Filled(people.json["key"], service.json["key"])

    async def _fill(self, filled: Filled) -> None:
        async with self.client(filled.people) as people, self.client(filled.service) as service:
            filling = _Filling(people, service, filled)
            await filling.found()
            await filling.approve_services()
            await filling.register()
            await filling.keep()


class _Filling:
    def __init__(self, people: ApiClient, service: ApiClient, filled: Filled) -> None:
        self._people = people
        self._service = service
        self._filled = filled
        self._ca = CertificationAuthority(
            CaSettings(instance="DEV"), SystemClock(), CredentialStore(None)
        )

    async def found(self) -> None:
        await self._post("/initialization", {
            "instance_identifier": "DEV",
            "central_server_address": "localhost",
            "software_token_pin": PIN,
        })  # fmt: skip
        await self._people.call("PUT", "/tokens/0/login", json={"password": PIN})
        self._filled.knows("token_id", "0")
        self._filled.knows("password", PIN)
        for kind in ("INTERNAL", "EXTERNAL"):
            for number in range(2):
                key = {"token_id": "0", "key_label": f"{kind} {number}"}
                made = await self._post(f"/configuration-sources/{kind}/signing-keys", key)
                self._filled.knows("sign_key_id", made["id"])

    async def approve_services(self) -> None:
        root, other = self._ca.root.credential.certificate.der, self._stamper("other")
        self._filled.files["certificate"] = [root, other]
        settings = {"certificate_profile_info": _PROFILE, "tls_auth": "false"}
        self._filled.knows("certificate_profile_info", _PROFILE)
        for number in range(3):
            made = await self._upload(
                "/certification-services", settings | {"default_csr_format": "DER"}, root
            )
            self._filled.knows("certification_service_id", made["id"])
            place = f"/certification-services/{made['id']}"
            address = {"url": f"http://ocsp{number}.test/", "cost_type": "FREE"}
            responder = await self._upload(f"{place}/ocsp-responders", address, other)
            ca = await self._upload(f"{place}/intermediate-cas", {}, other)
            self._filled.knows("intermediate_ca_id", ca["id"])
            lower = f"/intermediate-cas/{ca['id']}/ocsp-responders"
            another = await self._upload(lower, address, None)
            self._filled.knows("ocsp_responder_id", responder["id"], another["id"])
            address = {"url": f"http://tsa{number}.test/", "cost_type": "FREE"}
            stamper = self._stamper(f"tsa{number}")
            tsa = await self._upload("/timestamping-services", address, stamper)
            self._filled.knows("timestamping_service_id", tsa["id"])
        self._filled.knows("url", "http://one.test/")

    async def register(self) -> None:
        knows = self._filled.knows
        for code in ("GOV", "COM", "ORG"):
            await self._post("/member-classes", {"code": code, "description": "A class"})
            knows("member_class", code)
            knows("code", code)
        for group in ("first", "second", "third"):
            await self._post("/global-groups", {"code": group, "description": "A group"})
            knows("group_code", group)
        for number in range(_MEMBERS):
            member = {"member_class": "GOV", "member_code": f"M{number}"}
            await self._post("/members", {"member_name": f"M {number}", "member_id": member})
            await self._post("/subsystems", {"subsystem_id": member | {"subsystem_code": "S"}})
            knows("member_code", f"M{number}")
            knows("member_id", f"DEV:GOV:M{number}")
            knows("subsystem_id", f"DEV:GOV:M{number}:S")
            knows("client_id", f"DEV:GOV:M{number}:S")
            knows("service_provider_id", f"DEV:GOV:M{number}:S")
            members = {"items": [f"DEV:GOV:M{number}", f"DEV:GOV:M{number}:S"]}
            await self._post("/global-groups/first/members/add", members)
        knows("subsystem_code", "S")
        provider = {"service_provider_id": "DEV:GOV:M0:S"}
        await self._people.call("PATCH", "/management-services-configuration", json=provider)
        for number in range(_SERVERS):
            await self._register_server(number)

    async def _register_server(self, number: int) -> None:
        server = f"DEV:GOV:M{number}:SS{number}"
        request = _certificate_request(number)
        certificate = self._ca.sign_request(request, CertificateUse.AUTHENTICATION).der
        self._filled.files.setdefault("byte", []).append(certificate)
        asked = {"origin": "SECURITY_SERVER", "security_server_id": server}
        registered = await self._ask_once_published(
            asked
            | {
                "type": "AUTH_CERT_REGISTRATION_REQUEST",
                "server_address": f"ss{number}.test",
                "authentication_certificate": base64.b64encode(certificate).decode(),
            }
        )
        await self._people.call("POST", f"/management-requests/{registered}/approval")
        for client in (f"DEV:GOV:M{number}:S", f"DEV:GOV:M{number + _SERVERS}:S"):
            wanted = asked | {"type": "CLIENT_REGISTRATION_REQUEST", "client_id": client}
            waiting = await self._ask(wanted)
        await self._people.call("POST", f"/management-requests/{waiting}/approval")
        path = f"/security-servers/{server}/authentication-certificates"
        found = (await self._people.call("GET", path)).json
        self._filled.knows("certificate_id", *(each["id"] for each in found))
        self._filled.knows("server_id", server)
        self._filled.knows("security_server_id", server)
        self._filled.knows("security_server", server)
        self._filled.knows("server_address", f"other{number}.test")

    async def keep(self) -> None:
        made = (await self._people.call("POST", "/backups")).json
        self._filled.knows("filename", made["filename"])
        self._filled.knows("content_identifier", "SHARED-PARAMETERS", "MONITORING")
        source = "/configuration-sources/EXTERNAL/anchor/download"
        self._filled.files["anchor"] = [(await self._people.call("GET", source)).content]
        self._filled.files["file"] = [b"<?xml version='1.0'?><a/>"]
        for key in (await self._people.call("GET", "/management-requests")).json["items"]:
            self._filled.knows("management_request_id", key["id"])

    def _stamper(self, name: str) -> bytes:
        usage = ExtendedKeyUsageOID.TIME_STAMPING
        return self._ca.issue_service(name, name, usage).certificate.der

    async def _ask_once_published(self, body: dict[str, Any]) -> int:
        # What certificates are verified by is published a moment after it changed.
        for _ in range(START_SECONDS):
            try:
                return await self._ask(body)
            except ApiError:
                await asyncio.sleep(1)
        return await self._ask(body)

    async def _ask(self, body: dict[str, Any]) -> int:
        made = await self._service.call("POST", "/management-requests", json=body)
        number: int = made.json["id"]
        self._filled.knows("management_request_id", number)
        return number

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self._people.call("POST", path, json=body)
        return answer.json if answer.content else None

    async def _upload(self, path: str, fields: dict[str, str], der: bytes | None) -> Any:
        files = {} if der is None else {"certificate": NamedFile("certificate.cer", der)}
        return (await self._people.call("POST", path, upload=Form(fields, files))).json


def _certificate_request(number: int) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"SS{number}")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    key = ec.generate_private_key(ec.SECP256R1())
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def _settings(ports: tuple[int, ...], wanted: Wanted) -> str:
    api, registration, management, plain, secured = ports
    where = f'database = "{wanted.database}"' if wanted.database else ""
    return f"""\
[listeners]
listen-address = "{_ADDRESS}"
api-port = {api}
registration-port = {registration}
management-port = {management}
configuration-http-port = {plain}
configuration-https-port = {secured}

[center]
{where}
internal-key-algorithm = "EC"
external-key-algorithm = "EC"
generate-on-change = false
global-conf-generation-interval = 5.0

[admin-api]
rate-limit-enabled = {str(wanted.limited).lower()}
"""
