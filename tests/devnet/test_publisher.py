import asyncio
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from scripted.publisher import Publisher, PublisherSettings
from scripted.registry import OptionalParts
from scripted.topologies import registry_of
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.devnet.authorities import Authorities
from sild.devnet.declared import authorities_settings
from sild.devnet.errors import DevnetError
from sild.devnet.topology import (
    AUTHORITIES,
    DEMO,
    HEALTH_SERVER,
    MANAGEMENT,
    POLICE_PORTAL,
    POLICE_SERVER,
    TAX_REGISTER,
    TAX_SERVER,
)
from sild.protocol.errors import GlobalConfMissingVerificationCert, MalformedGlobalConf
from sild.protocol.globalconf.anchor import Anchor, Source, read_anchor
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.fetch import Answer, NoAnswer, download, locations_of
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import SecurityServer
from sild.protocol.globalconf.trusted import Scope, TrustedConf
from sild.protocol.pki.csr import CertificateUse
from sild.runtime.fetch import Fetcher


@pytest.fixture
def authorities(clock):
    made = Authorities(authorities_settings(DEMO), clock)
    made.url = "http://127.0.0.10:4000"
    return made


@pytest.fixture
def registry(authorities):
    return registry_of(DEMO, authorities)


@pytest.fixture
async def publisher(clock):
    made = Publisher("DEV", clock)
    async with await made.serve():
        yield made


class Client:
    """A configuration client over HTTP."""

    def __init__(self, publisher, clock, http, scope=Scope.OWN):
        anchor = publisher.anchor() if scope is Scope.OWN else publisher.external_anchor()
        self.trusted = TrustedConf(read_anchor(anchor), scope)
        self.clock = clock
        self.http = http
        self.fetched = []

    async def refresh(self, before_part=None):
        """Download as a security server does; raises what the source that answered was refused for."""
        ranks = locations_of(self.trusted.anchor, self.trusted.own and self.trusted.own.shared)
        locations = [url for rank in ranks for url in rank]
        conversation = download(self.trusted, locations)
        wanted = next(conversation)
        while True:
            if before_part and "/V6/" in wanted.url:
                before_part()
            try:
                wanted = conversation.send(await self._get(wanted.url))
            except StopIteration as done:
                outcome = done.value
                break
        if outcome.trusted is None:
            raise outcome.attempts[-1].error
        self.trusted = outcome.trusted
        return GlobalConf(self.trusted.held, self.trusted.anchor.instance)

    async def _get(self, url):
        try:
            answer = await self.http.get(url)
        except httpx.HTTPError as error:
            return NoAnswer(str(error))
        self.fetched.append(url)
        return Answer(answer.status_code, answer.content, self.clock.now())


@pytest.fixture
def client(publisher, clock, http):
    """Make a client of the publisher, which has its anchor alone."""
    return lambda scope=Scope.OWN: Client(publisher, clock, http, scope)


async def test_what_is_published_is_accepted(publisher, registry, client):
    publisher.publish(registry)
    conf = await client().refresh()
    assert conf.instance == "DEV"
    assert [server.id for server in conf.servers_of(POLICE_PORTAL)] == [POLICE_SERVER]
    assert conf.server(HEALTH_SERVER).address == "127.0.0.12"
    assert conf.global_groups_of(TAX_REGISTER) == {AUTHORITIES}
    assert conf.find_member_name(TAX_REGISTER) == "Tax board (invented)"
    assert conf.certification_services == registry.certification_services
    assert conf.timestamping_services == registry.timestamping_services
    assert conf.management_service.provider == MANAGEMENT
    assert conf.shared.sources[0].address == publisher.address


async def test_authentication_certificates_are_found_once_registered(
    publisher, registry, client, authorities, request_for
):
    certificate = authorities.ca.sign_request(request_for(), CertificateUse.AUTHENTICATION)
    publisher.publish(registry)
    follower = client()
    assert (await follower.refresh()).find_server_by_auth_certificate(certificate) is None
    registered = registry.with_auth_certificate(TAX_SERVER, certificate)
    publisher.publish(registered)
    found = (await follower.refresh()).find_server_by_auth_certificate(certificate)
    assert found.id == TAX_SERVER
    publisher.publish(registered.without_auth_certificate(TAX_SERVER, certificate))
    assert (await follower.refresh()).find_server_by_auth_certificate(certificate) is None


async def test_clients_come_and_go(publisher, registry, client):
    publisher.publish(registry.with_client(TAX_SERVER, POLICE_PORTAL))
    follower = client()
    assert (await follower.refresh()).is_registered(POLICE_PORTAL, TAX_SERVER)
    publisher.publish(registry.without_client(POLICE_SERVER, POLICE_PORTAL))
    conf = await follower.refresh()
    assert not conf.servers_of(POLICE_PORTAL)


async def test_servers_are_added_and_replaced(registry):
    moved = replace(registry.get_server(TAX_SERVER), address="127.0.0.99")
    assert registry.with_server(moved).get_server(TAX_SERVER).address == "127.0.0.99"
    assert len(registry.with_server(moved).servers) == len(registry.servers)
    with pytest.raises(DevnetError, match="not registered"):
        replace(registry, servers=()).get_server(TAX_SERVER)


async def test_optional_parts_are_published_when_they_say_something(publisher, registry, client):
    publisher.publish(registry)
    follower = client()
    await follower.refresh()
    assert PartKind.NEXTUPDATE not in follower.trusted.own.contents
    optional = OptionalParts(30, False, POLICE_PORTAL)
    publisher.publish(replace(registry, optional=optional))
    conf = await follower.refresh()
    assert conf.ocsp_fetch_interval_seconds == 30
    assert conf.monitoring_client == POLICE_PORTAL
    assert not conf.trust("DEV").ocsp.verify_next_update


async def test_federated_instances_get_the_shared_parameters_alone(publisher, registry, client):
    publisher.publish(registry)
    follower = client(Scope.FEDERATED)
    await follower.refresh()
    assert set(follower.trusted.own.contents) == {PartKind.SHARED_PARAMETERS}


async def test_anchors_of_other_instances_are_published(publisher, registry, client):
    other = Anchor("OTHER", (Source("http://other.example/externalconf", (b"certificate",)),))
    publisher.publish(replace(registry, federated=(other,)))
    assert (await client().refresh()).private.anchors == (other,)


async def test_only_version_six_is_published(publisher, registry, http):
    publisher.publish(registry)
    for directory in ("internalconf", "externalconf"):
        url = f"http://{publisher.address}/{directory}"
        for query in ("", "?version=2", "?version=5", "?version=7", "?version=", "?version=06"):
            assert (await http.get(url + query)).status_code == 404
        answer = await http.get(f"{url}?version=6")
        assert answer.content.startswith(
            b"Content-Type: multipart/related; charset=UTF-8; boundary="
        )
        named = await http.get(f"http://{publisher.address}/V6/{directory}")
        assert named.content == answer.content


async def test_unknown_paths_are_not_found(publisher, registry, http):
    publisher.publish(registry)
    for path in (
        "/",
        "/other?version=6",
        "/V6/other",
        "/V6/20250101000000000000000/shared-params.xml",
    ):
        assert (await http.get(f"http://{publisher.address}{path}")).status_code == 404


async def test_nothing_is_published_before_the_first_registry(publisher, http):
    answer = await http.get(f"http://{publisher.address}/internalconf?version=6")
    assert answer.status_code == 404
    with pytest.raises(DevnetError, match="nothing"):
        publisher.rotate()


async def test_directories_are_signed_again_before_they_expire(publisher, registry, client, clock):
    publisher.publish(registry)
    follower = client()
    first = await follower.refresh()
    clock.turn(timedelta(seconds=30))
    assert (await follower.refresh()).valid_until == first.valid_until
    for _ in range(3):
        clock.turn(timedelta(seconds=500))
        again = await follower.refresh()
        assert again.valid_until >= clock.now() + timedelta(seconds=590)
    # What did not change is not fetched again.
    assert sum("shared-params.xml" in url for url in follower.fetched) == 1


async def test_a_frozen_publisher_lets_its_configuration_expire(publisher, registry, client, clock):
    publisher.publish(registry)
    follower = client()
    conf = await follower.refresh()
    publisher.frozen = True
    clock.turn(timedelta(seconds=601))
    with pytest.raises(Exception, match="expired"):
        await follower.refresh()
    assert conf.valid_until < clock.now()
    publisher.frozen = False
    assert (await follower.refresh()).valid_until > clock.now()


async def test_parts_stay_while_a_client_is_between_directory_and_parts(
    publisher, registry, client
):
    publisher.publish(registry)
    follower = client()
    changed = [registry.with_client(TAX_SERVER, POLICE_PORTAL), registry]

    def publish_something_else():
        publisher.publish(changed[0])
        changed.reverse()

    conf = await follower.refresh(publish_something_else)
    assert not conf.is_registered(POLICE_PORTAL, TAX_SERVER), "what the directory named"


async def test_parts_go_when_their_directory_has_expired(publisher, registry, client, clock, http):
    publisher.publish(registry)
    follower = client()
    await follower.refresh()
    location = follower.trusted.own.contents[PartKind.SHARED_PARAMETERS].location
    url = f"http://{publisher.address}{location}"
    publisher.publish(registry)
    assert (await http.get(url)).status_code == 200
    clock.turn(timedelta(seconds=601))
    publisher.publish(registry)
    assert (await http.get(url)).status_code == 404


async def test_issues_of_one_moment_have_names_of_their_own(publisher, registry, client):
    seen = set()
    follower = client()
    for subsystem in (POLICE_PORTAL, TAX_REGISTER) * 2:
        publisher.publish(registry.with_client(HEALTH_SERVER, subsystem))
        await follower.refresh()
        location = follower.trusted.own.contents[PartKind.SHARED_PARAMETERS].location
        assert urlsplit(location).path.split("/")[1] == "V6"
        seen.add(location)
    assert len(seen) == 4


async def test_clients_follow_a_new_key_that_was_announced(publisher, registry, client):
    publisher.publish(registry)
    followers = client(), client(Scope.FEDERATED)
    late = client()
    for _ in range(3):
        for follower in followers:
            await follower.refresh()
        publisher.rotate()
        for follower in followers:
            await follower.refresh()
        publisher.publish(registry)
        for follower in followers:
            await follower.refresh()
    with pytest.raises(GlobalConfMissingVerificationCert):
        await late.refresh()
    await client().refresh()


async def test_a_new_key_waits_for_the_next_publication(publisher, registry, client, clock):
    publisher.publish(registry)
    anchor = publisher.anchor()
    publisher.rotate()
    clock.turn(timedelta(seconds=120))
    await client().refresh()
    assert read_anchor(publisher.anchor()).certificates == read_anchor(anchor).certificates
    publisher.publish(registry)
    assert read_anchor(publisher.anchor()).certificates != read_anchor(anchor).certificates


async def test_a_registry_that_cannot_be_published_changes_nothing(publisher, registry, client):
    publisher.publish(registry)
    publisher.rotate()
    stranger = SecurityServer(replace(TAX_SERVER, owner=TAX_SERVER.owner), "a", clients=(
        replace(TAX_REGISTER, subsystem_code="none"),))  # fmt: skip
    with pytest.raises(MalformedGlobalConf):
        publisher.publish(registry.with_server(stranger))
    with pytest.raises(DevnetError, match="publisher of DEV"):
        publisher.publish(replace(registry, instance="OTHER"))
    await client().refresh()


async def test_state_is_read_again(clock, registry, tmp_path, http):
    first = Publisher("DEV", clock, state=tmp_path / "conf")
    async with await first.serve() as served:
        first.publish(registry)
        follower = Client(first, clock, http)
        await follower.refresh()
        first.rotate()
        await follower.refresh()
        first.publish(registry)
        await follower.refresh()
    again = Publisher("DEV", clock, state=tmp_path / "conf")
    async with await again.serve(port=served.port):
        again.publish(registry)
        await follower.refresh()


async def test_many_clients_at_once_all_get_whole_configurations(publisher, registry, client):
    publisher.publish(registry)

    async def follow():
        follower = client()
        for _ in range(5):
            await follower.refresh()

    async def publish():
        for number in range(20):
            publisher.publish(
                registry if number % 2 else registry.with_client(TAX_SERVER, POLICE_PORTAL)
            )
            await asyncio.sleep(0.005)

    await asyncio.gather(publish(), *(follow() for _ in range(4)))


async def test_the_configuration_client_follows_through_new_keys(
    publisher, registry, clock, tmp_path
):
    publisher.publish(registry)
    places = Places(tmp_path / "anchor.xml", tmp_path / "conf")
    places.anchor_file.write_bytes(publisher.anchor())
    async with Fetcher() as fetcher:
        follower = ConfigurationClient(places, ConfigurationClientSettings(), fetcher, clock)
        assert (await follower.refresh()).changed
        for step in (publisher.rotate, lambda: publisher.publish(registry)):
            step()
            clock.turn(timedelta(seconds=120))
            assert (await follower.refresh()).expires > clock.now() + timedelta(seconds=590)


def test_an_unserved_publisher_has_no_anchor(clock):
    with pytest.raises(DevnetError, match="no address"):
        Publisher("DEV", clock).anchor()


async def test_intervals_are_settings(clock, registry, http):
    publisher = Publisher("DEV", clock, PublisherSettings(resign_seconds=5, expire_seconds=20))
    async with await publisher.serve():
        publisher.publish(registry)
        follower = Client(publisher, clock, http)
        conf = await follower.refresh()
        assert conf.valid_until <= clock.now() + timedelta(seconds=20)
        clock.turn(timedelta(seconds=6))
        assert (await follower.refresh()).valid_until > conf.valid_until
