"""An instance from nothing, as its administrators meet it: servers, a CA, services, and APIs.

world = await World.start(folder)          a Central Server, two security servers, stand-ins
await world.ss1.ask("GET", "/clients")     what an API answers, read
"""

import asyncio
import json
import os
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import ClassVar

import httpx
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from ports import base_port
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiError, ApiUnreachable
from sild.apiclient.values import Login, Patience, Pin, Server
from sild.devnet.central import CentralPlan, CentralPorts, RunningCentral
from sild.devnet.ports import free_ports
from sild.devnet.process import start_server, stop_server
from sild.protocol.algorithms import DigestAlgorithm
from sild.runtime.files import make_private_directory, write_private
from sild.servers.layout import Layout
from softhsm import SoftHsm
from standins.authority import TestAuthority
from standins.services import Services

USER, PASSWORD = "xrd", "administrator of tests"
CENTRAL, FIRST, SECOND, WORLD = ("127.0.83.1", "127.0.83.2", "127.0.83.3", "127.0.83.4")
THIRD = "127.0.83.5"
_SECONDS = 180


@dataclass(frozen=True)
class Places:
    """The ports of every server, each on its own address."""

    api: int
    registration: int
    management: int
    configuration: int
    http: int
    https: int
    server: int
    ocsp: int

    @classmethod
    def find(cls):
        return cls(*free_ports(base_port(), (CENTRAL, FIRST, SECOND, THIRD), 8))


@dataclass
class Administered:
    """A security server in a home of its own, and who administers it by the API."""

    home: object
    address: str
    places: Places
    further: dict = field(default_factory=dict)
    environment: dict = field(default_factory=dict)
    process: object = None
    client: object = None
    refreshes: bool = False
    """Whether to have it fetch its configuration whenever something is waited for."""

    @property
    def layout(self):
        return Layout(self.home)

    @property
    def url(self):
        return f"https://{self.address}:{self.places.api}"

    @property
    def http_url(self):
        return f"http://{self.address}:{self.places.http}"

    def settings(self):
        """The server's settings by section."""
        places = self.places
        sections = {
            "server": {
                "first-user-file": str(self.home / "first-user"),
                "internal-host": self.address,
                "refresh-interval": 0.2,
            },
            "listeners": {"listen-address": self.address, "api-port": places.api},
            "admin-api": {"rate-limit-enabled": False},
            "proxy": {
                "connector-host": self.address,
                "client-http-port": places.http,
                "client-https-port": places.https,
                "listen-address": self.address,
                "server-port": places.server,
                "ocsp-responder-port": places.ocsp,
            },
            "ocsp": {"ocsp-retry-delay": 1.0},
            "configuration-client": {"update-interval": 1.0, "retry-interval": 1.0},
        }
        for name, settings in self.further.items():
            sections.setdefault(name, {}).update(settings)
        return sections

    def write_settings(self):
        """Write what the server reads when it starts."""
        make_private_directory(self.home)
        write_private(self.home / "first-user", f"{USER}:{PASSWORD}".encode())
        write_private(self.layout.settings_file, _sections(self.settings()).encode())

    async def start(self):
        """Start it, and come back when its API answers."""
        await self.spawn()
        await self.until_up()

    async def spawn(self):
        """Start it; no other may be started meanwhile, as the environment is that of all."""
        self.write_settings()
        before = dict(os.environ)
        os.environ.update(self.environment)
        try:
            self.process = await start_server("security-server", self.home)
        finally:
            os.environ.clear()
            os.environ.update(before)

    async def until_up(self):
        """Come back when the API answers."""
        for _ in range(_SECONDS * 10):
            assert self.process.returncode is None, (self.home / "server.log").read_text()
            if self.layout.api_tls.exists():
                if self.client is None:
                    self.client = self.connect(Login(USER, PASSWORD))
                try:
                    await self.client.call("GET", "/initialization/status")
                except ApiUnreachable:
                    pass
                else:
                    return
            await asyncio.sleep(0.1)
        raise AssertionError((self.home / "server.log").read_text())

    def connect(self, credentials):
        """A client of the API, which knows the server by its certificate."""
        (certificate,) = load_pem_x509_certificates(self.layout.api_tls.read_bytes())
        pin = DigestAlgorithm.SHA256.digest(certificate.public_bytes(Encoding.DER))
        return ApiClient(Server(self.url, Pin(pin), credentials, Patience(connect=10.0)))

    async def stop(self):
        """Stop it and wait for its end."""
        await self.forget_session()
        await stop_server(self.process)

    async def forget_session(self):
        """Close the connections to the API; the next are to whatever it is then."""
        if self.client is not None:
            await self.client.close()
            self.client = None

    async def ask(self, method, path, body=None, **how):
        """What the API answers, read."""
        answer = await self.client.call(method, path, json=body, **how)
        return answer.json if answer.content else None

    async def until(self, path, holds, seconds=120):
        """Come back when what the API answers is so."""
        for _ in range(seconds * 5):
            if self.refreshes and self.layout.anchor_file.exists():
                with suppress(ApiError):
                    await self.ask("POST", "/api/sild/v1/refresh")
            answer = await self.ask("GET", path)
            if holds(answer):
                return answer
            await asyncio.sleep(0.2)
        raise AssertionError(f"{path} is still {answer}")


def _sections(settings):
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
        for name, keys in settings.items()
    )


class Centre(RunningCentral):
    """A Central Server that publishes each change at once, and enters no PIN by itself.

    `further` are settings by section.
    """

    further: ClassVar = {}

    def _settings(self, user_file, pin_file):
        text = super()._settings(user_file, pin_file)
        text = text.replace("generate-on-change = false", "generate-on-change = true")
        # It would be the wrong one, and count among those that are tried in a row.
        text = text.replace(f"token-pin-file = {json.dumps(str(pin_file))}", "")
        return f"{text}\n{_sections(self.further)}"

    async def ask(self, method, path, body=None, **how):
        """What the API answers, read."""
        answer = await self.client.call(method, path, json=body, **how)
        return answer.json if answer.content else None


class World:
    """The Central Server, the security servers, the CA and the services."""

    def __init__(self, folder, codes=("ss0", "ss1")):
        self.folder = folder
        self.codes = codes
        self._opened = AsyncExitStack()
        self.hsm = None

    async def start(self, *, device=False):
        """Start everything; with `device`, the second server has a PKCS #11 token."""
        try:
            await self._start(device=device)
        except BaseException:
            await self._opened.aclose()
            raise
        return self

    async def _start(self, *, device):
        opened, folder = self._opened, self.folder
        self.places = places = Places.find()
        self.authority = TestAuthority()
        opened.push_async_callback(self.authority.close)
        await self.authority.serve(WORLD)
        self.services = Services()
        await self.services.serve(WORLD)
        opened.push_async_callback(self.services.close)
        ports = CentralPorts(
            places.api, places.registration, places.management, places.configuration
        )
        self.central = Centre(CentralPlan(folder / "central", CENTRAL, ports, generation=60.0))
        opened.push_async_callback(self.central.stop)
        self.servers = [
            Administered(folder / code, address, places)
            for code, address in zip(self.codes, (FIRST, SECOND, THIRD), strict=False)
        ]
        self.ss0, self.ss1, *_ = self.servers
        for server in self.servers:
            opened.push_async_callback(server.stop)
            make_private_directory(server.home)
        self.set_up()
        if device:
            self._plug_in()
        await self.central.start()
        for each in self.servers:
            await each.spawn()
        await asyncio.gather(self.central.until_up(), *(each.until_up() for each in self.servers))

    def set_up(self):
        """Say what is particular to servers that are not started yet."""

    def _plug_in(self):
        self.hsm = SoftHsm(self.folder / "softhsm")
        self.hsm.make_token("card")
        self.ss1.environment = self.hsm.environment
        write_private(
            self.ss1.layout.devices_file,
            self.hsm.devices().encode(),
        )

    async def close(self):
        """Stop everything."""
        await self._opened.aclose()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def sign(self, pem, use):
        """What the CA's form gives for a request."""
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            answer = await http.post(
                self.authority.sign_at,
                data={"type": use},
                files={"certreq": ("request.pem", pem)},
            )
            answer.raise_for_status()
            return answer.content
