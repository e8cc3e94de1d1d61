"""Everything that can be done to a security server, once, and much that cannot."""

import asyncio
import os
import subprocess
import sys

import httpx

from administration.askers import KEY, Asker, api_of
from administration.test_from_nothing import CONSUMER, PIN, Founding
from administration.told.applied import APPLIED_PIN, DATABASE_PASSWORD, Applied
from administration.told.canaries import Secrets, Watch
from administration.world import PASSWORD, World
from ecosystem.processes import children_of, is_running, until
from sild.apiclient.errors import ApiError
from sild.apiclient.values import Form, NamedFile, Octets
from sild.devnet.certification import CertificateUse
from sild.runtime.files import make_private_directory, write_private
from softhsm import USER_PIN

NEXT_PIN, WRONG_PIN, WEAK_PIN = "Canary-PIN-0002", "Canary-PIN-0003", "canarypinweak4"
OTHER_USER, OTHER_PASSWORD, NEXT_PASSWORD = "eve", "canary password five", "canary-password-six"
WRONG_PASSWORD = "canary-password-seven"
PIN_VARIABLE = "PINS_OF_TESTS"
OFTEN = {"backup-cron": "0/15 * * * * ?", "backup-cleanup-cron": "0/15 * * * * ?"}
OLD_BACKUPS = {
    "ss0": "ss-automatic-backup-20200101-000000.gpg",
    "central": "cs-automatic-backup-20200101-000000.gpg",
}
GROUP, SECOND_MEMBER = "friends", "DEV:COM:1234"
THINGS = f"{CONSUMER}:things"
SYSTEM_CERTIFICATE = "/system/certificate"


class Run(World):
    """The run; `secrets` are what nobody is told, `answered` is what everybody was."""

    def __init__(self, folder, database=None):
        super().__init__(folder, ("ss0", "ss1", "ss2"))
        self.database = database
        self.secrets, self.watch, self.answered = Secrets(), Watch(), []
        self.founding = Founding(self)

    async def start(self, *, device=True):
        """Start everything; the second server reads PINs in its environment, and has a card."""
        return await super().start(device=device)

    def set_up(self):
        """Have one server enter the PIN that stands in its environment, from its next start on."""
        self.ss1.further = {
            "signer": {
                "autologin-variable": PIN_VARIABLE,
                "autologin-retry-interval": 600.0,
                "module-scan-interval": 1.0,
            }
        }
        self.ss1.environment = {PIN_VARIABLE: NEXT_PIN}
        self.ss0.further = {"backup": OFTEN}
        self.central.further = {"backup": OFTEN}
        self.ss2 = self.servers[2]
        self.applied = Applied(self, self.ss2)
        if self.database:
            database = self.database.replace("//sild@", f"//sild:{DATABASE_PASSWORD}@")
            self.ss2.further = {"server": {"database": database}}
        for which, name in OLD_BACKUPS.items():
            backups = getattr(self, which).layout.backups
            make_private_directory(backups)
            write_private(backups / name, b"old")
            os.utime(backups / name, (0, 0))

    def _plug_in(self):
        variables = self.ss1.environment
        super()._plug_in()
        self.ss1.environment = self.ss1.environment | variables

    async def live(self):
        """Do it all."""
        runs = (*self.servers, self.central, self.applied)
        roots = [lambda each=each: each.process and each.process.pid for each in runs]
        self._know_secrets()
        async with self.watch.watching(*roots):
            await self._live()

    async def _live(self):
        founding, ss0, ss1 = self.founding, self.ss0, self.ss1
        await founding.found_centre()
        await founding.found_server(ss0, "1234", "SS0")
        await founding.carry_management(ss0)
        self.auth = await founding.found_server(ss1, "4321", "SS1")
        await founding.settle()
        await founding.register(
            ss1, await founding.add_client(ss1, "4321", "TestClient", "Test client")
        )
        await founding.settle()
        await self._declared()
        await self._people()
        await self._tokens_and_keys()
        await self._card()
        await self._certificates()
        await self._clients()
        await self._services()
        await self._system()
        await self._mistakes()
        await self._commands()
        await self._backups()
        await self._central()

    def _know_secrets(self):
        add = self.secrets.add
        for name, secret in {
            "the first PIN": PIN,
            "the next PIN": NEXT_PIN,
            "a wrong PIN": WRONG_PIN,
            "a weak PIN": WEAK_PIN,
            "the card's PIN": USER_PIN,
            "the first user's password": PASSWORD,
            "another user's password": OTHER_PASSWORD,
            "that user's next password": NEXT_PASSWORD,
            "a wrong password": WRONG_PASSWORD,
            "the PIN that is applied": APPLIED_PIN,
            "ss2's password of the database": DATABASE_PASSWORD,
        }.items():
            add(name, secret)

    # How things are asked for

    async def wrong(self, server, method, path, body=None, **how):
        """Do what is refused, and keep what was answered."""
        try:
            await server.ask(method, path, body, **how)
        except ApiError as error:
            self.answered.append(f"{error!r} {error} {vars(error)}")
            return
        raise AssertionError(f"{method} {path} was done")

    async def raw(self, http, method, path, **content):
        """What an API answers to anything, kept."""
        answer = await http.request(method, path, **content)
        self.answered.append(f"{answer.text} {answer.headers}")
        return answer

    def key(self, server, text):
        """Who asks by a key."""
        http = api_of(server, {"authorization": f"X-Road-ApiKey token={text}"})
        return Asker("every", KEY, http)

    # What is done

    async def _declared(self):
        """A server is applied, and does what tells of its settings and of its database."""
        await self.applied.apply_thrice()
        ss2 = self.ss2
        backup = (await ss2.ask("POST", "/backups"))["filename"]
        before = children_of(ss2.process.pid).values()
        await ss2.ask("PUT", f"/backups/{backup}/restore")
        await until(lambda: not any(map(is_running, before)), 180, "the processes of before end")
        await ss2.forget_session()
        await ss2.until_up()
        report = await ss2.client.call("GET", "/diagnostics/info/download")
        self.answered += [*self.applied.printed, report.content.decode()]
        command = [sys.executable, "-m", "sild", "security-server"]
        self._run([*command, "--home", ss2.home, "--check"])
        away = self.folder / "away"
        make_private_directory(away)
        url = f"postgresql://sild:{DATABASE_PASSWORD}@127.0.0.1:1/none"
        write_private(away / "sild.toml", f'[server]\ndatabase = "{url}"\n'.encode())
        self._run([*command, "--home", away], code=1)
        self._run([*command, "backup", "list", "--home", away], code=1)

    async def _people(self):
        """Keys come and go, people log in and out, and some of them fail."""
        ss1 = self.ss1
        roles = ["XROAD_SYSTEM_ADMINISTRATOR"]
        made = await ss1.ask("POST", "/api-keys", roles)
        self.secrets.add("an API key", made["key"])
        await ss1.ask("PUT", f"/api-keys/{made['id']}", [*roles, "XROAD_SECURITY_OFFICER"])
        await ss1.ask("GET", "/api-keys")
        async with self.key(ss1, made["key"]).http as http:
            await self.raw(http, "GET", "/api/v1/user")
            await self.raw(http, "POST", "/api/v1/api-keys", json=roles)
        await ss1.ask("DELETE", f"/api-keys/{made['id']}")
        async with self.key(ss1, made["key"]).http as http:
            assert (await self.raw(http, "GET", "/api/v1/user")).status_code == 401
        lasting = await ss1.ask("POST", "/api-keys", roles)
        self.lasting_key = self.secrets.add("a lasting API key", lasting["key"])
        await self._log_ins()

    async def _log_ins(self):
        self._user("add", OTHER_USER, "--role", "XROAD_SYSTEM_ADMINISTRATOR", given=OTHER_PASSWORD)
        self._user("password", OTHER_USER, given=NEXT_PASSWORD)
        async with api_of(self.ss1) as http:
            for password in (WRONG_PASSWORD, OTHER_PASSWORD, NEXT_PASSWORD):
                form = {"username": OTHER_USER, "password": password}
                answer = await http.post("/login", data=form)
                if answer.status_code != 200:
                    self.answered.append(f"{answer.text} {answer.headers}")
            self.secrets.add("a session", http.cookies["JSESSIONID"])
            self.secrets.add("a session's token", http.cookies["XSRF-TOKEN"])
            # As some people do.
            swapped = {"username": NEXT_PASSWORD[:5], "password": OTHER_USER}
            await self.raw(http, "POST", "/login", json=swapped)
            http.headers["x-xsrf-token"] = http.cookies["XSRF-TOKEN"]
            assert (await http.post("/logout")).status_code == 200
        async with api_of(self.ss1) as http:
            for password in (WRONG_PASSWORD, NEXT_PASSWORD):
                await http.get("/api/v1/api-keys", auth=(OTHER_USER, password))
            broken = {"authorization": f"Basic {NEXT_PASSWORD}"}
            await self.raw(http, "GET", "/api/v1/api-keys", headers=broken)
            broken = {"authorization": f"Bearer {self.lasting_key}"}
            await self.raw(http, "GET", "/api/v1/user", headers=broken)
            path = f"/api/v1/user?token={'x' * 9}"
            await self.raw(http, "GET", path)

    def _user(self, act, *words, given, server="security-server"):
        command = [sys.executable, "-m", "sild", server, "user", act]
        command += ["--home", str(self.ss1.home), *words]
        self._run(command, given)

    def _run(self, command, given="", code=0, environment=None):
        done = subprocess.run(
            list(map(str, command)),
            input=given + "\n",
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
            env=environment,
        )
        self.answered.append(done.stdout + done.stderr)
        assert done.returncode == code, (command, done.stdout, done.stderr)
        return done.stdout

    async def _tokens_and_keys(self):
        ss1, ask = self.ss1, self.ss1.ask
        await ask("PUT", "/tokens/0/logout")
        for pin in (WRONG_PIN, WEAK_PIN):
            await self.wrong(ss1, "PUT", "/tokens/0/login", {"password": pin})
        await ask("PUT", "/tokens/0/login", {"password": PIN})
        pins = [(WRONG_PIN, NEXT_PIN), (PIN, WEAK_PIN), (PIN, "õ" + WRONG_PIN)]
        for old, new in pins:
            await self.wrong(ss1, "PUT", "/tokens/0/pin", {"old_pin": old, "new_pin": new})
        await ask("PUT", "/tokens/0/pin", {"old_pin": PIN, "new_pin": NEXT_PIN})
        await ask("PUT", "/tokens/0/login", {"password": NEXT_PIN})
        await ask("PATCH", "/tokens/0", {"name": "The token"})
        key = await ask("POST", "/tokens/0/keys", {"label": "a key"})
        path = f"/keys/{key['id']}"
        await ask("PATCH", path, {"name": "This key"})
        order = self._order("SIGNING", "DEV:COM:4321")
        await self.ss1.client.call("POST", f"{path}/csrs", json=order)
        (request,) = (await ask("GET", path))["certificate_signing_requests"]
        await ask("DELETE", f"{path}/csrs/{request['id']}")
        await ask("DELETE", path)
        acme = {"csr_id": "none", "key_usage_type": "SIGNING"}
        authority = f"/certificate-authorities/{self.founding.ca}/acme-order"
        await self.wrong(ss1, "POST", authority, acme)

    def _order(self, usage, member=None):
        fields = {"CN": "4321", "C": "FI", "O": "Test", "serialNumber": "DEV/SS1/COM"}
        fields["subjectAltName"] = self.ss1.address
        order = {
            "key_usage_type": usage,
            "ca_name": self.founding.ca,
            "csr_format": "DER",
            "subject_field_values": fields,
        }
        return order | ({"member_id": member} if member else {})

    async def _card(self):
        """A certificate that a CA has put on the card is found, used, and removed."""
        ask = self.ss1.ask
        (card,) = (each for each in await ask("GET", "/tokens") if each["type"] == "HARDWARE")
        path = f"/tokens/{card['id']}"
        await self.wrong(self.ss1, "PUT", f"{path}/login", {"password": WRONG_PIN})
        await ask("PUT", f"{path}/login", {"password": USER_PIN})
        for comes_home in (True, False):
            key = await ask("POST", f"{path}/keys", {"label": f"card {comes_home}"})
            sha256 = await self._put_on_card(key["id"])
            found = f"/token-certificates/{sha256}"
            for _ in range(600):
                if any(
                    sha256 == each["certificate_details"]["hash"]
                    for kept in (await ask("GET", path))["keys"]
                    for each in kept["certificates"]
                ):
                    break
                await asyncio.sleep(0.2)
            if comes_home:
                await ask("POST", f"{found}/import")
            else:
                await ask("DELETE", found)
        await ask("PUT", f"{path}/logout")

    async def _put_on_card(self, key_id):
        """Have a certificate of a key made, and put on the card; gives its hash."""
        call = self.ss1.client.call
        order = self._order("SIGNING", "DEV:COM:4321")
        csr = (await call("POST", f"/keys/{key_id}/csrs", json=order)).content
        made = self.authority.authorities.ca.sign_request(csr, CertificateUse.SIGNING)
        await asyncio.to_thread(self.hsm.put_certificate, "card", key_id, made.der)
        return made.sha256.hex().upper()

    async def _certificates(self):
        """Further certificates of the server: registered and not, used and not."""
        ask, founding = self.ss1.ask, self.founding
        # A card that is logged out just now might still be the one to sign with.
        await founding.settle()
        second = await founding.certify(self.ss1, "0", "AUTHENTICATION", "SS1")
        path = f"/token-certificates/{second}"
        await ask("PUT", f"{path}/register", {"address": self.ss1.address})
        await founding.approve()
        await founding.settle()
        registered = lambda told: told["status"] == "REGISTERED"  # noqa: E731
        await self.ss1.until(path, registered)
        await ask("PUT", f"{path}/activate")
        await ask("PUT", f"{path}/disable")
        await ask("PUT", f"{path}/unregister")
        await ask("DELETE", path)
        third = (
            f"/token-certificates/{await founding.certify(self.ss1, '0', 'AUTHENTICATION', 'SS1')}"
        )
        await ask("PUT", f"{third}/register", {"address": self.ss1.address})
        await ask("PUT", f"{third}/mark-for-deletion")
        await ask("DELETE", third)

    async def _clients(self):
        ask, founding, ss1 = self.ss1.ask, self.founding, self.ss1
        path = f"/clients/{CONSUMER}"
        await ask("PATCH", path, {"connection_type": "HTTPS"})
        certificate = self.authority.certificates()["tsa"]
        added = await ask("POST", f"{path}/tls-certificates", upload=Octets(certificate))
        await ask("DELETE", f"{path}/tls-certificates/{added['hash']}")
        group = {"code": GROUP, "description": "Friends"}
        made = await ask("POST", f"{path}/local-groups", group)
        group = f"/local-groups/{made['id']}"
        await ask("PATCH", group, {"description": "Good friends"})
        await ask("POST", f"{group}/members", {"items": [CONSUMER]})
        await ask("POST", f"{group}/members/delete", {"items": [CONSUMER]})
        await ask("DELETE", group)
        await ask("PUT", f"{path}/rename", {"client_name": "Renamed client"})
        await ask("PUT", f"{path}/disable")
        await founding.settle()
        await ss1.until(path, lambda told: told["status"] == "DISABLED")
        await ask("PUT", f"{path}/enable")
        await founding.settle()
        await ss1.until(path, lambda told: told["status"] == "REGISTERED")
        await self._second_member()

    async def _second_member(self):
        """A second member comes, would own the server, and goes with all that it had."""
        ask, founding, ss1 = self.ss1.ask, self.founding, self.ss1
        client = {"member_class": "COM", "member_code": "1234", "connection_type": "HTTP"}
        await ask("POST", "/clients", {"ignore_warnings": True, "client": client})
        await founding.certify(ss1, "0", "SIGNING", "SS1", SECOND_MEMBER)
        path = f"/clients/{SECOND_MEMBER}"
        await founding.register(ss1, SECOND_MEMBER)
        await founding.settle()
        await ss1.until(path, lambda told: told["status"] == "REGISTERED")
        await ask("PUT", f"{path}/make-owner")
        await ask("PUT", f"{path}/unregister")
        await ask("DELETE", path)
        await ask("DELETE", f"{path}/orphans")

    async def _services(self):
        ask, place = self.ss1.ask, f"/clients/{CONSUMER}"
        rest = {"url": self.services.rest_url, "type": "REST", "rest_service_code": "things"}
        made = await ask("POST", f"{place}/service-descriptions", rest)
        path, service = f"/service-descriptions/{made['id']}", f"/services/{THINGS}"
        endpoint = {"service_code": "things", "method": "GET", "path": "/one"}
        added = await ask("POST", f"{service}/endpoints", endpoint)
        one = f"/endpoints/{added['id']}"
        await ask("PATCH", one, {"method": "POST", "path": "/two"})
        who = {"items": [{"id": CONSUMER, "name": "x", "service_client_type": "SUBSYSTEM"}]}
        for granted in (service, one):
            await ask("POST", f"{granted}/service-clients", who)
            await ask("POST", f"{granted}/service-clients/delete", who)
        await ask("DELETE", one)
        rights = f"{place}/service-clients/{CONSUMER}/access-rights"
        for where in (rights, f"{rights}/delete"):
            await ask("POST", where, {"items": [{"service_code": "things"}]})
        await ask("PUT", f"{path}/enable")
        await ask("PUT", f"{path}/disable", {"disabled_notice": "Not now"})
        await ask("PUT", f"{path}/refresh", {"ignore_warnings": True})
        params = {"url": self.services.url, "timeout": 30, "ssl_auth": False}
        await ask("PATCH", service, params | {"ignore_warnings": True})
        changed = {"url": self.services.rest_url, "type": "REST", "rest_service_code": "things"}
        await ask("PATCH", path, changed | {"new_rest_service_code": "others"})
        await ask("DELETE", path)

    async def _system(self):
        ask, founding = self.ss1.ask, self.founding
        (service,) = await ask("GET", "/system/timestamping-services")
        await ask("POST", "/system/timestamping-services/delete", service)
        await ask("POST", "/system/timestamping-services", service)
        await self._internal_tls()
        anchor = await self.central.client.call(
            "GET", "/configuration-sources/INTERNAL/anchor/download"
        )
        await ask("PUT", "/system/anchor", upload=Octets(anchor.content))
        await ask("PUT", "/system/maintenance-mode/enable", {"message": "Back soon"})
        mode = "/system/maintenance-mode"
        await founding.settle()
        await self.ss1.until(mode, lambda told: told["status"] == "ENABLED_MAINTENANCE_MODE")
        await ask("PUT", f"{mode}/disable")
        await founding.settle()
        await self.ss1.until(mode, lambda told: told["status"] == "DISABLED_MAINTENANCE_MODE")
        await ask("PUT", "/system/server-address", {"address": "ss1.example.org"})
        report = await self.ss1.client.call("GET", "/diagnostics/info/download")
        self.answered.append(report.content.decode())

    async def _internal_tls(self):
        call = self.ss1.client.call
        await call("POST", SYSTEM_CERTIFICATE)
        name = {"name": "CN=ss1.example.org"}
        csr = (await call("POST", f"{SYSTEM_CERTIFICATE}/csr", json=name)).content
        made = await self.sign(csr, "auth")
        await call("POST", f"{SYSTEM_CERTIFICATE}/import", upload=Octets(made))

    async def _back_up_beside_the_automatic_ones(self, ask):
        while True:
            try:
                return await ask("POST", "/backups")
            except ApiError as busy:
                if busy.code != "backup_or_restore_running":
                    raise
            await asyncio.sleep(0.2)

    async def _mistakes(self):
        """Secrets where they do not belong, and bodies that are none."""
        ss1 = self.ss1
        for path, body in (
            ("/tokens/0/login", {"password": [NEXT_PIN]}),
            ("/tokens/0/login", {"password": {"pin": NEXT_PIN}}),
            ("/tokens/0/pin", {"old_pin": NEXT_PIN}),
            ("/tokens/0/pin", {"old_pin": NEXT_PIN, "new_pin": [WRONG_PIN]}),
            ("/tokens/0/pin", {"old_pin": NEXT_PIN, "new_pin": WEAK_PIN * 100}),
            ("/tokens/9/login", {"password": NEXT_PIN}),
            ("/tokens/9/pin", {"old_pin": NEXT_PIN, "new_pin": WRONG_PIN}),
        ):
            await self.wrong(ss1, "PUT", path, body)
        again = {
            "owner_member_class": "COM",
            "owner_member_code": "4321",
            "security_server_code": "SS1",
            "software_token_pin": WRONG_PIN,
        }
        await self.wrong(ss1, "POST", "/initialization", again)
        await self.wrong(ss1, "POST", "/initialization", again | {"software_token_pin": [WEAK_PIN]})
        async with self.key(ss1, self.lasting_key).http as http:
            for content in (f'{{"password": "{NEXT_PIN}"', f'"{NEXT_PIN}"', NEXT_PIN, "\0" * 9):
                how = {"content": content, "headers": {"content-type": "application/json"}}
                await self.raw(http, "PUT", "/api/v1/tokens/0/login", **how)
            await self.raw(http, "PUT", "/api/v1/tokens/0/login", content=NEXT_PIN)
        keys = [key for _, key in self._keys()]
        pem = keys[0]
        await self.wrong(ss1, "POST", "/token-certificates", upload=Octets(pem))
        await self.wrong(ss1, "POST", f"{SYSTEM_CERTIFICATE}/import", upload=Octets(pem))
        tls = f"/clients/{CONSUMER}/tls-certificates"
        # Of this the certificate is taken.
        await ss1.ask("POST", tls, upload=Octets(pem))
        await self.wrong(ss1, "POST", tls, upload=Octets(pem.partition(b"-----BEGIN CERT")[0]))
        await self.wrong(ss1, "PUT", "/system/anchor", upload=Octets(pem))
        await self._bad_descriptions()

    def _keys(self):
        """The TLS keys of the server, as somebody who is careless would upload them."""
        for path in (self.ss1.layout.internal_tls, self.ss1.layout.api_tls):
            yield path, path.read_bytes()

    async def _bad_descriptions(self):
        place = f"/clients/{CONSUMER}/service-descriptions"
        for url, kind in (
            (f"{self.services.url}/nothing", "WSDL"),
            (f"{self.services.url}/api/members", "OPENAPI3"),
            (self.services.openapi_url, "WSDL"),
            ("http://127.0.0.1:1/", "WSDL"),
        ):
            body = {"url": url, "type": kind, "rest_service_code": "bad"}
            await self.wrong(self.ss1, "POST", place, body)
        async with httpx.AsyncClient(trust_env=False, timeout=120) as http:
            for content in (b"", b"<", b"<a/>", NEXT_PIN.encode()):
                answer = await http.post(self.ss1.http_url, content=content)
                self.answered.append(answer.text)

    async def _commands(self):
        """The commands of the server's machine, and of whoever speaks to its API."""
        folder = self.folder / "commands"
        folder.mkdir()
        key = folder / "key"
        key.write_text(self.lasting_key)
        key.chmod(0o600)
        sild = [sys.executable, "-m", "sild"]
        where = ["--server", self.ss1.url, "--insecure", "--api-key-file", key]
        self._run([*sild, "ctl", "tokens", "list", *where])
        pin = folder / "pin"
        pin.write_text(WRONG_PIN)
        pin.chmod(0o600)
        self._run([*sild, "ctl", "tokens", "login", "9", *where, "--password-file", pin], code=1)
        self._run([*sild, "ctl", "system", "nothing", *where], code=2)
        self._run([*sild, "security-server", "--home", self.ss1.home, "--check"])

    async def _backups(self):
        ask = self.ss1.ask
        first = (await ask("POST", "/backups"))["filename"]
        second = (await ask("POST", "/backups/ext"))["filename"]
        content = (await self.ss1.client.call("GET", f"/backups/{first}/download")).content
        form = Form(files={"file": NamedFile("again.gpg", content)})
        await ask("POST", "/backups/upload", upload=form)
        await ask("DELETE", "/backups/again.gpg")
        await self.wrong(self.ss1, "PUT", "/backups/none.gpg/restore")
        spoilt = Form(files={"file": NamedFile("spoilt.gpg", b"\xff" + NEXT_PIN.encode())})
        await ask("POST", "/backups/upload", upload=spoilt)
        await self.wrong(self.ss1, "PUT", "/backups/spoilt.gpg/restore")
        await ask("DELETE", "/backups/spoilt.gpg")
        before = children_of(self.ss1.process.pid)
        await ask("PUT", f"/backups/{second}/restore")
        await until(lambda: not any(map(is_running, before.values())), 180, "the old are gone")
        await self.ss1.forget_session()
        await self.ss1.until_up()
        # It reads its PIN where it stands.
        await self.ss1.until("/tokens/0", lambda told: told["logged_in"])

    async def _central(self):
        """The same with the Central Server, as far as it differs."""
        ask, central = self.central.ask, self.central
        made = await ask("POST", "/api-keys", ["XROAD_SYSTEM_ADMINISTRATOR"])
        self.secrets.add("an API key of the Central Server", made["key"])
        await ask("PUT", "/tokens/0/logout")
        for password in (WRONG_PIN, [NEXT_PIN], WEAK_PIN):
            await self.wrong(central, "PUT", "/tokens/0/login", {"password": password})
        await ask("PUT", "/tokens/0/login", {"password": PIN})
        again = {"central_server_address": "x", "instance_identifier": "DEV"}
        for pin in (WRONG_PIN, [WEAK_PIN]):
            body = again | {"software_token_pin": pin}
            await self.wrong(central, "POST", "/initialization", body)
        await ask("POST", "/management-services-configuration/certificate")
        await self._back_up_beside_the_automatic_ones(ask)
        await ask("POST", "/api/sild/v1/global-configuration")
        key = central.layout.api_tls.read_bytes()
        form = Form(files={"certificate": NamedFile("ca.pem", key)})
        await self.wrong(central, "POST", "/certification-services", upload=form)
        place = "/management-services-configuration/upload-certificate"
        await self.wrong(central, "POST", place, upload=form)
