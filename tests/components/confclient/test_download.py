import asyncio
import contextlib
import logging
import ssl
from dataclasses import replace
from datetime import timedelta

import pytest

from pki_builder import NOON
from protocol.globalconf.publisher import Publisher, Web, sample_private, signing_key
from sild.components.confclient.cache import generation_of, read_cached
from sild.components.confclient.download import (
    AnchorFileNotFound,
    ConfigurationClient,
    Places,
)
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfMissingVerificationCert,
    GlobalConfOutdated,
    GlobalConfRolledBack,
    GlobalConfUnanswered,
    MalformedAnchor,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.anchor import Anchor, Source, write_anchor
from sild.protocol.globalconf.fetch import Answer, Get
from sild.protocol.globalconf.shared_parameters import ConfigurationSource
from sild.protocol.ids import ClientId
from sild.runtime.clock import SystemClock, TurnedClock
from sild.runtime.fetch import Fetcher, FetchError, FetchResponse
from sild.servers.internal_tls import make_internal_tls

MINUTE = timedelta(minutes=1)


class StoppedClock(TurnedClock):
    """A clock that shows what the test says, and orders equals as they come."""

    def __init__(self, publishers):
        super().__init__()
        self._publishers = publishers

    def now(self):
        return self._publishers[0].now

    def random_bytes(self, count):
        return b"\0" * count


class Wire:
    """Fetches from publishers in memory, with the limits that were asked for."""

    def __init__(self, *publishers):
        self.web = Web(publishers)
        self.limits = []

    async def fetch(self, request, limits=None):
        self.limits.append(limits)
        answer = self.web.get(Get(request.url, limits.body))
        if not isinstance(answer, Answer):
            raise FetchError(answer.reason)
        return FetchResponse(answer.status, (), answer.body)


class Installation:
    """A configuration client with its files, and the publishers that it can reach."""

    def __init__(self, home, *publishers, **settings):
        self.home = home
        self.publishers = publishers
        self.anchor_file = home / "configuration-anchor.xml"
        self.copy = home / "globalconf"
        self.wire = Wire(*publishers)
        self.settings = ConfigurationClientSettings(**settings)
        self.client = self.started()
        self.install(publishers[0].anchor())

    def started(self):
        places = Places(self.anchor_file, self.copy)
        return ConfigurationClient(places, self.settings, self.wire, StoppedClock(self.publishers))

    def install(self, anchor):
        self.anchor_file.write_bytes(write_anchor(anchor))

    def pass_time(self, by=MINUTE):
        for publisher in self.publishers:
            publisher.now += by

    def refresh(self):
        return asyncio.run(self.client.refresh())

    @property
    def conf(self):
        return read_cached(self.copy).conf


@pytest.fixture
def publisher():
    return Publisher(silent=())


def test_a_round_brings_a_verified_copy(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    done = installation.refresh()
    assert (done.changed, done.expires) == (True, NOON + 10 * MINUTE)
    assert done.sources[0].location == "https://cs.test/internalconf"
    assert installation.conf.is_known(ClientId("DEV", "GOV", "M1"))
    assert installation.conf.valid_until == done.expires


def test_a_round_without_news_writes_nothing(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.refresh()
    before = generation_of(installation.copy)
    assert installation.refresh().changed is False
    assert generation_of(installation.copy) == before
    installation.pass_time()
    assert installation.refresh().changed is True
    assert generation_of(installation.copy) != before


def test_a_restart_goes_on_from_the_copy(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.refresh()
    publisher.requests.clear()
    installation.client = installation.started()
    installation.pass_time()
    installation.refresh()
    assert publisher.requests == ["https://cs.test/internalconf?version=6"]


def test_a_replayed_directory_is_refused_after_a_restart_too(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    replayed = publisher.signed_directory()
    installation.pass_time()
    installation.refresh()
    publisher.spoil_directory = lambda _: replayed
    installation.client = installation.started()
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    (source,) = installation.client.sources
    assert all(isinstance(each.error, GlobalConfRolledBack) for each in source.attempts)
    assert installation.conf.valid_until == NOON + 11 * MINUTE


def test_what_failed_leaves_the_copy_as_it_was_until_it_expires(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.refresh()
    publisher.silent = ("http",)
    installation.pass_time(9 * MINUTE)
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    installation.conf.check_valid(publisher.now)
    installation.pass_time(2 * MINUTE)
    with pytest.raises(GlobalConfOutdated):
        installation.conf.check_valid(publisher.now)


def test_every_source_is_told_of_with_what_it_said(tmp_path, publisher, caplog):
    installation = Installation(tmp_path, publisher)
    publisher.silent = ("https:",)
    with caplog.at_level(logging.WARNING):
        done = installation.refresh()
    first, second = done.sources[0].attempts
    assert first.location == "https://cs.test/internalconf"
    assert "nobody listens there" in first.error.message
    assert (second.location, second.error) == ("http://cs.test/internalconf", None)
    assert "https://cs.test/internalconf" in caplog.text


def test_the_source_that_served_last_is_asked_first(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    publisher.silent = ("https:",)
    installation.refresh()
    publisher.requests.clear()
    installation.pass_time()
    installation.refresh()
    assert publisher.requests == ["http://cs.test/internalconf?version=6"]


def test_sources_of_one_rank_are_asked_in_an_order_of_chance(tmp_path, publisher):
    class Dice(StoppedClock):
        thrown = iter(range(255, 0, -1))

        def random_bytes(self, count):
            return bytes([next(self.thrown)] * count)

    second = replace(publisher, address="second.test", requests=[])
    installation = Installation(tmp_path, publisher, second)
    certificates = (publisher.key.certificate.der,)
    installation.install(
        Anchor("DEV", (Source(publisher.url, certificates), Source(second.url, certificates)))
    )
    places = Places(installation.anchor_file, installation.copy)
    clock = Dice(installation.publishers)
    client = ConfigurationClient(places, installation.settings, installation.wire, clock)
    asyncio.run(client.refresh())
    assert (publisher.requests, bool(second.requests)) == ([], True)


def test_the_settings_limit_time_and_size(tmp_path, publisher):
    installation = Installation(
        tmp_path, publisher, downloader_connect_timeout=3, downloader_read_timeout=4
    )
    installation.refresh()
    for limits in installation.wire.limits:
        assert (limits.connect, limits.total, limits.redirects) == (3, 7, 0)
    assert {limits.body for limits in installation.wire.limits} == {1024 * 1024, 32_000_000}


def test_versions_below_the_setting_are_not_accepted(tmp_path):
    publisher = Publisher(silent=(), versions=(2,))
    with pytest.raises(GlobalConfDownloadFailed):
        Installation(tmp_path, publisher, minimum_global_configuration_version=3).refresh()
    assert not any(url.endswith("version=2") for url in publisher.requests)


def test_keys_and_addresses_rotate_under_one_anchor(tmp_path, publisher):
    """SP-07: announce, take into use, drop; the anchor stays."""
    moved = replace(publisher, address="new.test", requests=[])
    installation = Installation(tmp_path, publisher, moved)
    new = signing_key("The new key")
    publisher.announced = (new,)
    installation.refresh()
    publisher.shared = replace(
        publisher.shared,
        sources=(
            ConfigurationSource("cs.test", (publisher.key.certificate, new.certificate)),
            ConfigurationSource("new.test", (new.certificate,)),
        ),
    )
    installation.pass_time()
    installation.refresh()
    publisher.silent = ("http",)
    moved.shared = replace(
        publisher.shared, sources=(ConfigurationSource("new.test", (new.certificate,)),)
    )
    moved.key = new
    installation.pass_time()
    done = installation.refresh()
    assert done.sources[0].location == "https://new.test/internalconf"


def test_a_key_that_was_rotated_out_is_not_trusted_by_a_running_client(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    passing, last = signing_key("Passing"), signing_key("Last")
    for key, announced in ((publisher.key, passing), (passing, last)):
        publisher.key, publisher.announced = key, (announced,)
        installation.refresh()
        installation.pass_time()
    publisher.key, publisher.announced = last, ()
    installation.refresh()
    installation.pass_time()
    publisher.key = passing
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    (source,) = installation.client.sources
    assert all(isinstance(a.error, GlobalConfMissingVerificationCert) for a in source.attempts)


@pytest.mark.parametrize("restarted", [False, True])
def test_another_anchor_begins_anew(tmp_path, publisher, restarted):
    """What a stolen key announced or dated into the future does not outlive the anchor."""
    installation = Installation(tmp_path, publisher)
    thief = signing_key("Thief's next key")
    publisher.announced, publisher.validity = (thief,), timedelta(days=3650)
    installation.refresh()
    good = signing_key("After the theft")
    installation.install(publisher.anchor(good))
    if restarted:
        installation.client = installation.started()
    publisher.validity = timedelta(minutes=10)
    publisher.key = thief
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    publisher.key, publisher.announced = good, ()
    assert installation.refresh().expires == NOON + 10 * MINUTE


def test_an_anchor_with_other_addresses_only_goes_on(tmp_path, publisher):
    moved = replace(publisher, address="moved.test")
    installation = Installation(tmp_path, publisher, moved)
    installation.pass_time()
    installation.refresh()
    installation.install(moved.anchor())
    moved.now = NOON
    publisher.silent = ("http",)
    with pytest.raises(GlobalConfDownloadFailed) as refused:
        installation.refresh()
    assert "before the one that is held" in refused.value.message


def test_without_an_anchor_nothing_is_downloaded(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.anchor_file.unlink()
    with pytest.raises(AnchorFileNotFound) as refused:
        installation.refresh()
    assert refused.value.code == "anchor_file_not_found"
    installation.anchor_file.write_bytes(b"<nonsense/>")
    with pytest.raises(MalformedAnchor):
        installation.refresh()
    assert publisher.requests == []


def test_an_instance_that_has_no_folder_is_refused_before_anything_is_asked(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.install(replace(publisher.anchor(), instance=".."))
    with pytest.raises(MalformedGlobalConf):
        installation.refresh()
    assert publisher.requests == []


def test_a_copy_that_is_not_whole_is_replaced(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.refresh()
    (installation.copy / "current" / "DEV" / "shared-params.xml").write_bytes(b"<cut")
    installation.client = installation.started()
    installation.refresh()
    assert installation.conf.is_known(ClientId("DEV", "GOV", "M1"))


def federation(**settings):
    """The instance DEV, whose private parameters lead to EE."""
    partner = Publisher("EE", "ee.test", "externalconf", silent=())
    own = Publisher(silent=(), private=sample_private(anchors=(partner.anchor(),)))
    return own, partner


def test_instances_are_federated_with_where_the_setting_allows(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="ee")
    done = installation.refresh()
    assert [source.instance for source in done.sources] == ["DEV", "EE"]
    assert set(installation.conf.instances) == {"DEV", "EE"}
    assert installation.conf.is_known(ClientId("EE", "GOV", "M1"))


def test_nobody_is_federated_with_by_default(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner)
    installation.refresh()
    assert set(installation.conf.instances) == {"DEV"}
    assert partner.requests == []


def test_a_partner_that_fails_is_kept_until_it_expires(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    installation.refresh()
    partner.silent = ("http",)
    installation.pass_time()
    done = installation.refresh()
    assert done.sources[1].location is None
    assert installation.conf.instances["EE"].expires == NOON + 10 * MINUTE
    installation.pass_time(10 * MINUTE)
    installation.refresh()
    assert set(installation.conf.instances) == {"DEV"}


def test_a_partner_is_refused_what_would_roll_it_back(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    replayed = partner.signed_directory()
    installation.pass_time()
    installation.refresh()
    partner.spoil_directory = lambda _: replayed
    done = installation.refresh()
    assert isinstance(done.sources[1].attempts[0].error, GlobalConfRolledBack)
    assert installation.conf.instances["EE"].expires == NOON + 11 * MINUTE


def test_a_partner_whose_anchor_changes_begins_anew(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    partner.validity = timedelta(days=3650)
    installation.refresh()
    partner.key, partner.validity = signing_key("After the theft"), timedelta(minutes=10)
    own.private = sample_private(anchors=(partner.anchor(),))
    installation.pass_time()
    installation.refresh()
    assert installation.conf.instances["EE"].expires == NOON + 11 * MINUTE


def test_a_partner_that_is_no_longer_named_is_dropped(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    installation.refresh()
    own.private = sample_private()
    installation.pass_time()
    installation.refresh()
    assert set(installation.conf.instances) == {"DEV"}


@pytest.mark.parametrize("instance", ["DEV", "..", "."])
def test_a_partner_that_cannot_be_one_costs_only_itself(tmp_path, instance):
    bad = Publisher(instance, "bad.test", "externalconf", silent=())
    own, partner = federation()
    own.private = sample_private(anchors=(bad.anchor(), partner.anchor()))
    installation = Installation(tmp_path, own, bad, partner, allowed_federations="all")
    installation.refresh()
    assert set(installation.conf.instances) == {"DEV", "EE"}
    assert installation.conf.private == own.private
    assert bad.requests == []


def test_a_partner_with_a_bad_certificate_costs_only_itself(tmp_path):
    own, partner = federation()
    bad = Anchor("FI", (Source("http://fi.test/externalconf", (b"bar",)),))
    own.private = sample_private(anchors=(bad, partner.anchor()))
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    done = installation.refresh()
    assert set(installation.conf.instances) == {"DEV", "EE"}
    assert [source.instance for source in done.sources] == ["DEV", "FI", "EE"]


@contextlib.asynccontextmanager
async def serving(publisher, tls=None):
    """The publisher over HTTP, or with a context over HTTPS, on a free port of this machine."""

    async def serve(reader, writer):
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, IndexError):
            # Anything else is a TLS handshake, which a server without TLS ends.
            while await reader.readexactly(1) == b"G":
                head = b"G" + await reader.readuntil(b"\r\n\r\n")
                url = f"http://{publisher.address}{head.split()[1].decode()}"
                answer = publisher.get(Get(url, 10**9))
                length = f"Content-Length: {len(answer.body)}"
                status = f"HTTP/1.1 {answer.status} Some reason\r\n{length}\r\n\r\n"
                writer.write(status.encode() + answer.body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        publisher.address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield


@pytest.mark.feature("SP-06")
@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
async def test_a_configuration_is_downloaded_over_http(tmp_path, version):
    publisher = Publisher(versions=(version,))
    async with serving(publisher), Fetcher() as fetcher:
        installation = Installation(tmp_path, publisher)
        places = Places(installation.anchor_file, installation.copy)
        clock = StoppedClock((publisher,))
        client = ConfigurationClient(places, installation.settings, fetcher, clock)
        done = await client.refresh()
    secure, plain = done.sources[0].attempts
    assert secure.location.startswith("https:")
    assert isinstance(secure.error, GlobalConfDownloadFailed)
    assert plain.error is None
    assert installation.conf.instances["DEV"].version == version
    assert installation.conf.valid_until == NOON + 10 * MINUTE


@pytest.mark.feature("SP-07")
async def test_a_new_key_is_followed_over_http(tmp_path):
    publisher, new = Publisher(), signing_key("Over HTTP")
    publisher.announced = (new,)
    async with serving(publisher), Fetcher() as fetcher:
        installation = Installation(tmp_path, publisher)
        places = Places(installation.anchor_file, installation.copy)
        clock = StoppedClock((publisher,))
        client = ConfigurationClient(places, installation.settings, fetcher, clock)
        await client.refresh()
        publisher.key, publisher.announced = new, ()
        installation.pass_time()
        assert (await client.refresh()).changed
        publisher.key = signing_key("Never announced")
        installation.pass_time()
        with pytest.raises(GlobalConfDownloadFailed):
            await client.refresh()
    assert installation.conf.valid_until == NOON + 11 * MINUTE


@pytest.mark.feature("SP-06")
@pytest.mark.feature("SP-08")
@pytest.mark.parametrize("names", [True, False], ids=["names", "no names"])
@pytest.mark.parametrize("certificates", [True, False], ids=["certificates", "no certificates"])
async def test_a_source_of_no_known_authority_is_believed_only_if_none_is_asked_for(
    tmp_path, certificates, names
):
    """Who does not look at host names still looks at certificates."""
    make_internal_tls(tmp_path / "tls.pem", "127.0.0.1", SystemClock().now())
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(tmp_path / "tls.pem")
    publisher = Publisher()
    async with serving(publisher, tls), Fetcher() as fetcher:
        installation = Installation(
            tmp_path,
            publisher,
            global_conf_tls_cert_verification=certificates,
            global_conf_hostname_verification=names,
        )
        places = Places(installation.anchor_file, installation.copy)
        clock = StoppedClock((publisher,))
        client = ConfigurationClient(places, installation.settings, fetcher, clock)
        if certificates:
            with pytest.raises(GlobalConfDownloadFailed):
                await client.refresh()
        else:
            done = await client.refresh()
            assert done.sources[0].location.startswith("https:")


def test_every_source_is_tried_by_itself_and_nothing_of_it_is_kept(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.refresh()
    before = generation_of(installation.copy)
    installation.pass_time()
    publisher.silent = ("https:",)
    (source,) = asyncio.run(installation.client.try_sources())
    told = {each.location: each.error for each in source.attempts}
    assert source.instance == "DEV"
    assert told["http://cs.test/internalconf"] is None
    assert isinstance(told["https://cs.test/internalconf"], GlobalConfUnanswered)
    assert generation_of(installation.copy) == before


def test_the_sources_of_partners_are_tried_too(tmp_path):
    own, partner = federation()
    installation = Installation(tmp_path, own, partner, allowed_federations="all")
    installation.refresh()
    sources = asyncio.run(installation.client.try_sources())
    assert [each.instance for each in sources] == ["DEV", "EE"]
    assert {each.error for source in sources for each in source.attempts} == {None}


def test_without_an_anchor_there_is_nothing_to_try(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    installation.anchor_file.unlink()
    with pytest.raises(AnchorFileNotFound):
        asyncio.run(installation.client.try_sources())


def test_the_problem_of_a_failed_round_is_what_the_last_source_said(tmp_path, publisher):
    installation = Installation(tmp_path, publisher)
    publisher.silent = ("https", "http")
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    assert isinstance(installation.client.problem, GlobalConfUnanswered)
    publisher.silent, publisher.versions = ("https",), (99,)
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    assert "status 404" in installation.client.problem.message
    # Those that said nothing do not hide what another one said before.
    publisher.silent = ("http:",)
    with pytest.raises(GlobalConfDownloadFailed):
        installation.refresh()
    assert "status 404" in installation.client.problem.message
    installation.anchor_file.unlink()
    with pytest.raises(AnchorFileNotFound):
        installation.refresh()
    assert isinstance(installation.client.problem, AnchorFileNotFound)
    publisher.silent, publisher.versions = (), (6,)
    installation.install(publisher.anchor())
    installation.refresh()
    assert installation.client.problem is None
    assert installation.client.location == "https://cs.test/internalconf"
