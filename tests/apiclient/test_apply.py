"""A declared server is made true, once, and a change in the declaration changes just that."""

import asyncio
import contextlib
import hashlib
from dataclasses import replace

import pytest

from apiclient.pretended_server import PretendedServer
from apiclient.served import serving
from sild.apiclient.apply import apply
from sild.apiclient.apply_errors import ApplyError, ApplyFailed, StillWaiting
from sild.apiclient.apply_values import Happening, Options
from sild.apiclient.declared_reading import read_declared
from sild.apiclient.errors import ApiClientError, ApiError
from sild.runtime.clock import SystemClock
from sild.runtime.files import write_private

pytestmark = pytest.mark.anyio

OWNER, SHOP = "DEV:GOV:1", "DEV:COM:2:shop"
REGISTER, PORTAL = f"{OWNER}:register", f"{OWNER}:portal"
WSDL = "http://wsdl.example/?wsdl"
FULL = {
    "owner": OWNER,
    "code": "ss1",
    "address": "ss1.example",
    "anchor": "anchor.xml",
    "pin": {"file": "pin"},
    "fields": {"C": "EE"},
    "timestamping": ["tsa 1"],
    "clients": [
        {"id": PORTAL, "connection-type": "HTTP"},
        {"id": SHOP, "certificates": ["shop.pem"]},
        {
            "id": REGISTER,
            "name": "Register of things",
            "groups": [{"code": "friends", "description": "Our friends", "members": [SHOP]}],
            "services": [
                {
                    "type": "REST",
                    "code": "things",
                    "url": "https://10.0.0.1/things",
                    "timeout": 30,
                    "verify-tls": False,
                    "access": [PORTAL, "friends"],
                    "endpoints": [{"method": "GET", "path": "/public", "access": [SHOP]}],
                },
                {
                    "type": "OPENAPI3",
                    "code": "pets",
                    "url": "http://10.0.0.1/openapi.yaml",
                    "disabled": "not yet",
                    "endpoints": [{"method": "GET", "path": "/pets", "access": [PORTAL]}],
                },
                {
                    "type": "WSDL",
                    "url": WSDL,
                    "service-url": "https://10.0.0.1/soap",
                    "access": ["DEV:security-server-owners"],
                    "services": [{"code": "b.v1", "timeout": 9, "access": [PORTAL]}],
                },
            ],
        },
    ],
}
OWNERS = "DEV:security-server-owners"


class Authority:
    """Whoever gives certificates, when they do."""

    def __init__(self):
        self.orders = []
        self.slowly = 0

    async def certify(self, order):
        if self.slowly:
            self.slowly -= 1
            return None
        self.orders.append((order.usage, order.member))
        return order.csr.replace(b"request", b"certificate")

    def wanted(self, order):
        return f"a certificate for {order.member}"


class Sleeping(SystemClock):
    """A clock on which time passes only while somebody sleeps."""

    def __init__(self):
        self.passed = 0.0

    def monotonic(self):
        return self.passed

    async def sleep(self, seconds):
        self.passed += seconds
        await asyncio.sleep(0.001)


class World:
    """A server on a socket, and what applies declarations to it."""

    def __init__(self, served, server, folder):
        self.client = served.client()
        self.server = server
        self.authority = Authority()
        self.events = []
        self.options = Options(folder, self.authority, timeout=5, poll=0.001, longest_poll=0.01)

    async def apply(self, declared, **options):
        """Apply; give what was changed."""
        self.server.calls.clear()
        self.events.clear()
        wished = replace(self.options, clock=Sleeping(), **options)
        return await apply(read_declared(declared), self.client, wished, self.events.append)

    @property
    def waited(self):
        return {each.what for each in self.events if each.happening is Happening.WAITS}


@contextlib.asynccontextmanager
async def a_world(tmp_path, **server):
    (tmp_path / "anchor.xml").write_bytes(b"<anchor/>")
    (tmp_path / "shop.pem").write_bytes(b"a certificate in DER")
    write_private(tmp_path / "pin", b"Secret-1234\n")
    server = PretendedServer(**server)
    server.wsdl[WSDL] = ["a.v1", "b.v1"]
    async with serving(server.application, tmp_path) as served:
        world = World(served, server, tmp_path)
        try:
            yield world
        finally:
            await world.client.close()


def changed(**parts):
    """The declaration, with the register's parts changed."""
    *others, register = FULL["clients"]
    return FULL | {"clients": [*others, register | parts]}


def service(number, **parts):
    """The declaration, with one of the register's services changed."""
    services = [*FULL["clients"][2]["services"]]
    services[number] = services[number] | parts
    return changed(services=services)


async def test_an_empty_server_becomes_what_is_declared(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        server = world.server
    assert (server.owner, server.code, server.pin) == (OWNER, "ss1", "Secret-1234")
    assert sorted(world.authority.orders) == [
        ("AUTHENTICATION", OWNER),
        ("SIGNING", "DEV:COM:2"),
        ("SIGNING", OWNER),
    ]
    certificates = [each for key in server.keys for each in key["certificates"]]
    assert {(each["status"], each["active"]) for each in certificates} == {("REGISTERED", True)}
    assert {client["status"] for client in server.clients.values()} == {"REGISTERED"}
    assert server.clients[PORTAL]["connection_type"] == "HTTP"
    assert server.clients[REGISTER]["subsystem_name"] == "Register of things"
    sha256 = hashlib.sha256(b"a certificate in DER").hexdigest().upper()
    assert server.tls[SHOP] == [{"hash": sha256}]
    assert server.service_rights == {
        (PORTAL, "things"),
        ("friends", "things"),
        (SHOP, "GET /public"),
        (PORTAL, "GET /pets"),
        (OWNERS, "a"),
        (OWNERS, "b"),
        (PORTAL, "b"),
    }
    told = {
        each["full_service_code"]: (each["url"], each["timeout"], each["ssl_auth"])
        for found in server.descriptions.values()
        for each in found["services"]
    }
    assert told == {
        "things": ("https://10.0.0.1/things", 30, False),
        "pets": ("http://described.example/", 60, False),
        "a.v1": ("https://10.0.0.1/soap", 60, True),
        "b.v1": ("https://10.0.0.1/soap", 9, True),
    }
    switched_off = [each["type"] for each in server.descriptions.values() if each["disabled"]]
    assert switched_off == ["OPENAPI3"]
    assert [each["name"] for each in server.stamping] == ["tsa 1"]
    assert server.address == "ss1.example"


async def test_a_second_run_changes_nothing(tmp_path):
    async with a_world(tmp_path) as world:
        assert (await world.apply(FULL)).changed
        outcome = await world.apply(FULL)
        assert outcome.changes == ()
        assert world.server.calls == []
        assert world.events == []


@pytest.mark.parametrize(
    ("declared", "calls"),
    [
        (service(0, timeout=31), [("PATCH", "/services/")]),
        (service(0, access=[PORTAL]), [("POST", "/services/")]),
        (service(0, access=[PORTAL, "friends", OWNERS]), [("POST", "/clients/")]),
        (service(0, endpoints=[]), [("DELETE", "/endpoints/")]),
        (service(1, disabled=None), [("PUT", "/service-descriptions/")]),
        (service(1, disabled="closed"), [("PUT", "/service-descriptions/")]),
        (service(1, url="http://10.0.0.2/o.yaml"), [("PATCH", "/service-descriptions/")]),
        (service(1, endpoints=[]), [("POST", "/endpoints/")]),
        (service(2, services=[]), [("PATCH", "/services/"), ("POST", "/services/")]),
        (changed(services=FULL["clients"][2]["services"][:2]), [("DELETE", "/service-desc")]),
        (
            changed(groups=[{"code": "friends", "description": "Ours", "members": [SHOP]}]),
            [("PATCH", "/local-groups/")],
        ),
        (
            changed(groups=[{"code": "friends", "description": "Our friends"}]),
            [("POST", "/local-groups/")],
        ),
        (changed(name="Another name"), [("PUT", "/clients/")]),
        (changed(**{"connection-type": "HTTP"}), [("PATCH", "/clients/")]),
        (FULL | {"timestamping": "all"}, [("POST", "/system/timestamping-services")]),
        (FULL | {"timestamping": []}, [("POST", "/system/timestamping-services/delete")]),
        (FULL | {"address": "ss2.example"}, [("PUT", "/system/server-address")]),
        (FULL | {"maintenance": "back at noon"}, [("PUT", "/system/maintenance-mode/enable")]),
        (FULL | {"maintenance": False}, []),
    ],
)
async def test_a_change_in_the_declaration_changes_just_that(tmp_path, declared, calls):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        outcome = await world.apply(declared)
        made = sorted(world.server.calls)
        assert len(made) == len(calls) == len(outcome.changes)
        for (method, path), (wanted, prefix) in zip(made, sorted(calls), strict=True):
            assert method == wanted
            assert path.startswith(prefix)
        assert (await world.apply(declared)).changes == ()


async def test_a_dry_run_tells_every_change_and_makes_none(tmp_path):
    async with a_world(tmp_path) as world:
        planned = await world.apply(FULL, dry_run=True, certifier=None)
        assert world.server.calls == []
        assert world.server.anchor is None
        assert {each.happening for each in world.events} == {Happening.WOULD}
        made = await world.apply(FULL)
    unforeseen = {each for each in made.changes if each not in planned.changes}
    # What a WSDL holds beside what is declared of it is not known before it is read.
    assert {each for each in unforeseen if "certificate" not in each} == {
        f"let {OWNERS} call a, b of {REGISTER}",
        f"set how a.v1 of {REGISTER} is called",
    }


async def test_a_dry_run_of_a_change_tells_just_that(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        planned = await world.apply(service(0, timeout=31), dry_run=True)
        assert planned.changes == (f"set how things of {REGISTER} is called",)
        assert (await world.apply(FULL, dry_run=True)).changes == ()


async def test_what_others_have_to_do_is_waited_for_and_told(tmp_path):
    async with a_world(tmp_path, approves=False) as world:
        world.authority.slowly = 2

        async def approves_now_and_then():
            world.server.approve()

        await world.apply(FULL, before_look=approves_now_and_then)
        assert f"a certificate for {OWNER}" in world.waited


async def test_what_is_not_approved_in_time_is_told(tmp_path):
    async with a_world(tmp_path, approves=False) as world:
        with pytest.raises(StillWaiting) as caught:
            await world.apply(FULL, timeout=0.1)
        waits = "the Central Server to register the authentication certificate"
        assert caught.value.reasons == (waits,)
        assert world.waited == {waits}
        # What does not depend on it was done.
        assert world.server.descriptions
        assert world.server.stamping
        world.server.approve()
        with pytest.raises(StillWaiting):
            await world.apply(FULL, wait=False)
        world.server.approve()
        await world.apply(FULL)
        assert {client["status"] for client in world.server.clients.values()} == {"REGISTERED"}


async def test_what_is_waited_for_is_told_although_there_is_no_time_at_all(tmp_path):
    async with a_world(tmp_path, approves=False) as world:
        with pytest.raises(StillWaiting) as caught:
            await world.apply(FULL, timeout=0.0)
        assert world.waited == set(caught.value.reasons)


async def test_a_server_that_does_not_wait_says_what_it_would_wait_for(tmp_path):
    async with a_world(tmp_path, approves=False) as world:
        with pytest.raises(StillWaiting):
            await world.apply(FULL, wait=False)
        assert world.waited == set()


async def test_without_anybody_who_gives_certificates_the_rest_is_done(tmp_path):
    async with a_world(tmp_path) as world:
        with pytest.raises(StillWaiting, match="nobody is named who gives any"):
            await world.apply(FULL, certifier=None)
        assert len(world.server.keys) == 3
        assert world.server.descriptions
        await world.apply(FULL)
        assert len(world.server.keys) == 3


async def test_a_refusal_is_told_in_words_and_stops_only_what_needs_it(tmp_path):
    async with a_world(tmp_path) as world:
        world.server.wsdl[WSDL] = ["a.v1"]
        with pytest.raises(ApplyError, match=r"describes no b\.v1"):
            await world.apply(FULL)
        assert {client["status"] for client in world.server.clients.values()} >= {"REGISTERED"}
        assert world.server.stamping


async def test_several_reasons_are_all_told(tmp_path):
    async with a_world(tmp_path) as world:
        world.server.wsdl[WSDL] = ["a.v1"]
        with pytest.raises(ApplyFailed) as caught:
            await world.apply(FULL | {"timestamping": ["nobody"]})
        assert len(caught.value.reasons) == 2


async def test_a_wrong_pin_is_tried_once(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        world.server.logged_in = False
        world.server.pin = "another"
        with pytest.raises(ApiError, match="pin incorrect"):
            await world.apply(FULL)
        assert world.server.calls == [("PUT", "/tokens/0/login")]


async def test_a_server_that_opens_its_token_by_itself_may_be_faster(tmp_path):
    async with a_world(tmp_path) as world:
        world.server.finds_pin = True
        await world.apply(FULL)
        assert world.server.logged_in
        assert len(world.server.keys) == 3


async def test_another_server_is_left_alone(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        with pytest.raises(ApplyError, match=r"is DEV:GOV:1:ss1, and DEV:GOV:1:ss2 is declared"):
            await world.apply(FULL | {"code": "ss2"})
        assert world.server.calls == []


async def test_an_anchor_of_another_hash_is_not_uploaded(tmp_path):
    async with a_world(tmp_path) as world:
        with pytest.raises(ApplyError, match="another is declared"):
            await world.apply(FULL | {"anchor-hash": "00" * 28})
        assert world.server.calls == []
        right = hashlib.sha224(b"<anchor/>").hexdigest()
        await world.apply(FULL | {"anchor-hash": right})


async def test_a_new_anchor_replaces_the_old_one(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        (tmp_path / "anchor.xml").write_bytes(b"<anchor new='yes'/>")
        outcome = await world.apply(FULL)
        assert outcome.changes == ("replace the configuration anchor",)
        assert world.server.calls == [("PUT", "/system/anchor")]


async def test_an_anchor_is_not_fetched_without_tls(tmp_path):
    async with a_world(tmp_path) as world:
        with pytest.raises(ApplyError, match="not fetched without TLS"):
            await world.apply(FULL | {"anchor": "http://127.0.0.1/anchor"})


async def test_a_right_of_who_is_not_known_yet_is_given_when_they_are(tmp_path):
    async with a_world(tmp_path) as world:
        world.server.strangers = {"DEV:COM:9:new"}
        declared = service(0, access=["DEV:COM:9:new", PORTAL])
        with pytest.raises(StillWaiting, match="service client not found"):
            await world.apply(declared, timeout=0.1)
        assert (PORTAL, "things") in world.server.service_rights
        world.server.clients["DEV:COM:9:new"] = {"id": "DEV:COM:9:new", "status": "REGISTERED"}
        world.server.strangers = set()
        await world.apply(declared)
        assert ("DEV:COM:9:new", "things") in world.server.service_rights


async def test_a_request_that_fails_for_now_is_sent_again(tmp_path):
    async with a_world(tmp_path) as world:
        world.server.busy[f"/clients/{PORTAL}/register"] = 3
        await world.apply(FULL)
        assert world.server.clients[PORTAL]["status"] == "REGISTERED"


async def test_clients_that_are_not_declared_stay_unless_they_are_to_go(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        less = FULL | {"clients": FULL["clients"][1:]}
        assert (await world.apply(less)).changes == ()
        outcome = await world.apply(less, prune=True)
        assert outcome.changes == (f"unregister the client {PORTAL}", f"delete the client {PORTAL}")
        assert PORTAL not in world.server.clients
        assert OWNER in world.server.clients


async def test_a_client_that_the_central_server_registers_is_only_waited_for(tmp_path):
    async with a_world(tmp_path) as world:
        portal, *others = FULL["clients"]
        declared = FULL | {"clients": [portal | {"register": False}, *others]}
        with pytest.raises(StillWaiting, match=f"to register {PORTAL}"):
            await world.apply(declared, timeout=0.1)
        assert world.server.clients[PORTAL]["status"] == "SAVED"
        world.server.clients[PORTAL]["status"] = "REGISTERED"
        await world.apply(declared)


async def test_a_disabled_client_is_enabled(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        world.server.clients[PORTAL]["status"] = "DISABLED"
        await world.apply(FULL)
        assert world.server.clients[PORTAL]["status"] == "REGISTERED"


@pytest.mark.parametrize("status", ["GLOBAL_ERROR", "DELETION_IN_PROGRESS"])
async def test_a_client_on_its_way_out_is_for_people_to_decide(tmp_path, status):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        world.server.clients[PORTAL]["status"] = status
        with pytest.raises(ApplyError, match=status):
            await world.apply(FULL)


async def test_a_revoked_certificate_is_replaced_by_one_for_the_same_key(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        keys = {"keys": [{"usage": "AUTHENTICATION"}, {"usage": "SIGNING", "label": "mine"}]}
        declared = FULL | {"tokens": [keys], "clients": []}
        await world.apply(declared)
        mine = world.server.keys[-1]
        assert (mine["label"], len(mine["certificates"])) == ("mine", 1)
        mine["certificates"][0]["ocsp_status"] = "OCSP_RESPONSE_REVOKED"
        outcome = await world.apply(declared)
        assert outcome.changes[0] == f"make a certificate request for signing as {OWNER}"
        assert len(mine["certificates"]) == 2


async def test_a_key_of_another_member_is_not_taken(tmp_path):
    async with a_world(tmp_path) as world:
        await world.apply(FULL)
        wrong = {"usage": "SIGNING", "label": "sign COM 2", "member": OWNER}
        with pytest.raises(ApplyError, match="has a certificate of DEV:COM:2"):
            await world.apply(FULL | {"tokens": [{"keys": [wrong]}]})


async def test_what_an_authority_wants_to_know_is_told(tmp_path):
    async with a_world(tmp_path) as world:
        with pytest.raises(ApplyFailed, match="Test CA wants to know C for"):
            await world.apply(FULL | {"fields": {}})


async def test_a_pin_that_others_can_read_is_refused(tmp_path):
    async with a_world(tmp_path) as world:
        (tmp_path / "pin").chmod(0o644)
        with pytest.raises(ApplyError, match="chmod 600"):
            await world.apply(FULL)


async def test_a_run_makes_few_calls(tmp_path):
    """Six questions and the changes: nothing is asked of what was just made."""
    async with a_world(tmp_path) as world:
        outcome = await world.apply(FULL)
        assert len(world.server.calls) == len(outcome.changes) <= 50


async def test_a_run_that_stopped_anywhere_is_simply_made_again(tmp_path):
    async with a_world(tmp_path) as world:
        for _ in range(60):
            world.server.changes_left = 1
            with contextlib.suppress(ApiClientError):
                await world.apply(FULL)
                break
        else:
            pytest.fail("it does not come to an end")
        world.server.changes_left = None
        assert (await world.apply(FULL)).changes == ()
        assert len(world.server.keys) == 3
