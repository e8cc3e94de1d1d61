"""A whole ecosystem through the Central Server's own services: what servers ask for, and get."""

import asyncio
import json
import subprocess
import sys
from dataclasses import replace

import httpx
import pytest

from ecosystem.duo import CONSUMER, OPERATOR, PORTAL, PROVIDER, REGISTER, topology_at
from ports import base_port
from scripted.declarations import declaration_of
from scripted.ecosystem import ScriptedEcosystem
from sild.components.confclient.cache import read_cached
from sild.components.registration.errors import (
    CertificateNotMovable,
    ClientNotMovable,
    OwnerStays,
    SendingFailed,
)
from sild.devnet.ecosystem import Ecosystem, Intervals, Plan
from sild.model.services import ClientStatus
from sild.model.tokens import SOFT_TOKEN_ID, CertificateStatus, KeyUsage
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.pki.certificate import read_certificate
from sild.servers.snapshots import read_snapshot

NETWORK = "127.0.47"
MANAGEMENT = OPERATOR.subsystem("m")
SECONDS = 120


@pytest.fixture(scope="module")
async def town(tmp_path_factory, anyio_backend):
    topology = topology_at(NETWORK)
    consumer, provider = topology.servers
    carrying = replace(provider, clients=(*provider.clients, MANAGEMENT))
    plan = Plan(
        replace(topology, servers=(consumer, carrying)),
        tmp_path_factory.mktemp("town"),
        base_port=base_port(),
        intervals=Intervals(configuration_expires=300),
    )
    async with Ecosystem(plan) as town:
        yield town


@pytest.fixture
def consumer(town):
    return town.servers[CONSUMER]


@pytest.fixture
def provider(town):
    return town.servers[PROVIDER]


def conf_of(server) -> GlobalConf:
    return read_cached(server.layout.globalconf).conf


async def published(town):
    """Have what was changed published, and known by both servers."""
    await town.authority.publish()
    for server in town.servers.values():
        await server.refresh()


async def approved(town):
    assert await town.authority.approve_waiting() == 1
    for server in town.servers.values():
        await server.refresh()


def status_of(server, client):
    snapshot = read_snapshot(server.layout.snapshot_file)
    (status,) = [each.status for each in snapshot.clients if each.id == client]
    return status


async def auth_entry(server):
    token = await server.signer.token(SOFT_TOKEN_ID)
    (key,) = [key for key in token.keys if key.usage is KeyUsage.AUTHENTICATION]
    return key.certificates[0]


async def requests_of(town, kind):
    """All requests of a type, the newest first, as the management API tells of them."""
    query = {"types": kind, "sort": "id", "desc": True}
    answer = await town.central.client.call("GET", "/management-requests", query=query)
    return answer.json["items"]


async def call(town, consumer):
    url = f"{consumer.http_url}/r1/{REGISTER.short}/exercises/echo"
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return await client.get(url, headers={"X-Road-Client": PORTAL.short})


async def served_again(town, consumer):
    for _ in range(SECONDS * 5):
        if (await call(town, consumer)).status_code == 200:
            return
        await asyncio.sleep(0.2)
    raise AssertionError("nothing is served")


@pytest.mark.feature("CR-07")
async def test_what_was_approved_is_registered_and_messages_flow(town, consumer):
    answer = await call(town, consumer)
    assert answer.status_code == 200, answer.text
    servers = await town.central.client.call("GET", "/security-servers")
    assert {each["server_id"]["encoded_id"] for each in servers.json["items"]} == {
        CONSUMER.encoded,
        PROVIDER.encoded,
    }
    group = await town.central.client.call(
        "POST", "/global-groups/security-server-owners/members", json={}
    )
    assert len(group.json["items"]) == 2


@pytest.mark.feature("KC-13")
async def test_a_certificate_is_registered_by_its_own_request_and_an_approval(town, consumer):
    entry = await auth_entry(consumer)
    assert entry.status is CertificateStatus.REGISTERED
    certificate = read_certificate(entry.certificate)
    assert conf_of(consumer).find_server_by_auth_certificate(certificate).id == CONSUMER
    requests = await requests_of(town, "AUTH_CERT_REGISTRATION_REQUEST")
    assert {(each["status"], each["origin"]) for each in requests} == {
        ("APPROVED", "SECURITY_SERVER")
    }
    with pytest.raises(CertificateNotMovable, match="registered"):
        await consumer.registration.register_certificate(entry.sha256, consumer.plan.address)


@pytest.mark.feature("CR-05")
async def test_clients_are_registered_through_the_management_services(town, consumer, provider):
    assert status_of(consumer, PORTAL) is ClientStatus.REGISTERED
    assert status_of(provider, REGISTER) is ClientStatus.REGISTERED
    requests = await requests_of(town, "CLIENT_REGISTRATION_REQUEST")
    assert {each["status"] for each in requests} == {"APPROVED"}
    with pytest.raises(ClientNotMovable):
        await consumer.registration.register_client(PORTAL, None)
    with pytest.raises(OwnerStays):
        await consumer.registration.unregister_client(CONSUMER.owner)


@pytest.mark.feature("CR-02")
async def test_a_client_rests_and_comes_back(town, consumer):
    await consumer.registration.disable_client(PORTAL)
    assert status_of(consumer, PORTAL) is ClientStatus.DISABLING_IN_PROGRESS
    await published(town)
    assert status_of(consumer, PORTAL) is ClientStatus.DISABLED
    assert (await call(town, consumer)).status_code == 500
    await consumer.registration.enable_client(PORTAL)
    await published(town)
    assert status_of(consumer, PORTAL) is ClientStatus.REGISTERED
    assert (await call(town, consumer)).status_code == 200


@pytest.mark.feature("CR-02")
async def test_a_subsystem_is_called_otherwise(town, consumer):
    await consumer.registration.rename_client(PORTAL, "Gate of the police")
    await published(town)
    members = conf_of(consumer).shared.members
    names = {each.id: each.name for member in members for each in member.subsystems}
    assert names[PORTAL] == "Gate of the police"


@pytest.mark.feature("CR-02")
async def test_a_server_is_found_elsewhere(town, consumer, provider):
    there = provider.plan.address
    await provider.registration.change_address("127.0.47.99")
    await published(town)
    assert conf_of(consumer).server(PROVIDER).address == "127.0.47.99"
    await town.central.client.call(
        "PATCH", f"/security-servers/{PROVIDER.encoded}", json={"server_address": there}
    )
    await published(town)
    assert conf_of(consumer).server(PROVIDER).address == there


@pytest.mark.feature("CR-02")
@pytest.mark.feature("MM-04")
async def test_a_server_is_in_maintenance_for_a_while(town, consumer):
    await consumer.registration.enable_maintenance("back at noon")
    await published(town)
    assert conf_of(consumer).server(CONSUMER).in_maintenance == "back at noon"
    await consumer.registration.disable_maintenance()
    await published(town)
    assert conf_of(consumer).server(CONSUMER).in_maintenance is None


@pytest.mark.feature("CR-09")
async def test_who_carries_the_management_services_stays_in_service(town, provider):
    with pytest.raises(SendingFailed, match="management_service"):
        await provider.registration.enable_maintenance(None)
    with pytest.raises(SendingFailed, match="management_service"):
        await provider.registration.disable_client(MANAGEMENT)


@pytest.mark.feature("CR-08")
async def test_a_registration_that_waits_is_revoked_by_a_deletion(town, consumer):
    await consumer.registration.unregister_client(PORTAL)
    await published(town)
    assert PORTAL not in conf_of(consumer).clients_of(CONSUMER)
    await consumer.control.declare(
        declaration_of(town.topology, consumer.plan, town._provider_urls)
    )
    snapshot = read_snapshot(consumer.layout.snapshot_file)
    assert status_of(consumer, PORTAL) is ClientStatus.DELETION_IN_PROGRESS, snapshot
    await consumer.control.declare(
        replace(declaration_of(town.topology, consumer.plan, town._provider_urls), clients=())
    )
    await consumer.control.declare(
        declaration_of(town.topology, consumer.plan, town._provider_urls)
    )
    assert status_of(consumer, PORTAL) is ClientStatus.SAVED
    await consumer.registration.register_client(PORTAL, None)
    await consumer.registration.unregister_client(PORTAL)
    (newest, *_) = await requests_of(town, "CLIENT_REGISTRATION_REQUEST")
    assert newest["status"] == "REVOKED"
    await consumer.control.declare(
        replace(declaration_of(town.topology, consumer.plan, town._provider_urls), clients=())
    )
    await consumer.control.declare(
        declaration_of(town.topology, consumer.plan, town._provider_urls)
    )
    await consumer.registration.register_client(PORTAL, None)
    await approved(town)
    assert status_of(consumer, PORTAL) is ClientStatus.REGISTERED
    assert (await call(town, consumer)).status_code == 200


async def sild(*arguments):
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sild", *map(str, arguments)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.feature("KC-05")
async def test_the_command_line_lists_tokens_with_their_states(consumer):
    code, out, _ = await sild("keys", "list", "--home", consumer.layout.home, "--json")
    (token,) = json.loads(out)
    assert (code, token["state"], token["status"]) == (0, "logged in", "OK")
    usages = {key["usage"]: key for key in token["keys"]}
    (certificate,) = usages["AUTHENTICATION"]["certificates"]
    assert (certificate["status"], certificate["active"]) == ("registered", True)
    assert certificate["possible_actions"] == ["DISABLE", "UNREGISTER"]
    code, told, _ = await sild("keys", "list", "--home", consumer.layout.home)
    assert "registered, active" in told


@pytest.mark.feature("KC-17")
async def test_the_command_line_shows_every_field_of_a_certificate(consumer):
    entry = await auth_entry(consumer)
    home = ("--home", consumer.layout.home)
    code, out, _ = await sild("keys", "certificate", entry.sha256[:12], *home, "--json")
    assert code == 0
    told = json.loads(out)
    certificate = read_certificate(entry.certificate)
    details = told["details"]
    assert told["sha256"] == entry.sha256
    assert details["hash"] == certificate.sha256.hex().upper()
    assert int(details["serial"]) == certificate.serial
    assert details["public_key_algorithm"] == "EC"
    assert "DIGITAL_SIGNATURE" in details["key_usages"]
    assert details["not_after"].startswith(f"{certificate.not_after:%F}")
    nobody = f"{int(entry.sha256, 16) ^ 1:064x}"
    code, _, err = await sild("keys", "certificate", nobody, *home)
    assert (code, err) == (1, f"{nobody}: there is none that begins so\n")


@pytest.mark.feature("KC-14")
async def test_a_certificate_is_unregistered_and_another_takes_its_place(town, consumer):
    old = await auth_entry(consumer)
    await consumer.registration.unregister_certificate(old.sha256)
    assert (await auth_entry(consumer)).status is CertificateStatus.DELETION_IN_PROGRESS
    await published(town)
    assert (
        conf_of(consumer).find_server_by_auth_certificate(read_certificate(old.certificate)) is None
    )
    with pytest.raises(CertificateNotMovable):
        await consumer.registration.unregister_certificate(old.sha256)
    token = await consumer.signer.token(SOFT_TOKEN_ID)
    (key,) = [key for key in token.keys if key.usage is KeyUsage.AUTHENTICATION]
    await consumer.signer.delete_certificate(old.sha256)
    certificate = await ScriptedEcosystem._certificate(town, consumer, key, consumer.plan.id.owner)
    new = await consumer.control.import_certificate(certificate.der)
    await consumer.control.activate(new.sha256)
    # The server whose only certificate is gone has still its owner and its clients.
    await consumer.registration.register_certificate(new.sha256, consumer.plan.address)
    assert (await auth_entry(consumer)).status is CertificateStatus.REGISTRATION_IN_PROGRESS
    await approved(town)
    await consumer.ready()
    await served_again(town, consumer)


@pytest.mark.feature("KC-14")
async def test_where_nobody_can_be_asked_a_certificate_is_marked_only(town, consumer):
    entry = await auth_entry(consumer)
    await town.central.stop()
    with pytest.raises(SendingFailed):
        await consumer.registration.unregister_certificate(entry.sha256)
    assert (await auth_entry(consumer)).status is CertificateStatus.REGISTERED
    await consumer.registration.mark_certificate_deleted(entry.sha256)
    assert (await auth_entry(consumer)).status is CertificateStatus.DELETION_IN_PROGRESS
