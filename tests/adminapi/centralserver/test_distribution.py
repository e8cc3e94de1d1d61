"""What a Central Server publishes, as its clients download it over a socket."""

import asyncio
import http.client
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

import pytest

from components.centralserver.source_builders import (
    EXTERNAL,
    INTERNAL,
    Central,
    partner_anchor,
)
from components.centralserver.test_publish import MEMBER, register
from sild.adminapi.centralserver.distribution import CacheTimes, Distribution
from sild.components.centralserver.metadata import METADATA
from sild.components.centralserver.partners import DownloadingPartners, NotExternal
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.source_errors import AnchorNotVerified, NotPublished
from sild.components.centralserver.xml_uploads import XmlFile
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfExpiredDirectory,
    GlobalConfMissingVerificationCert,
    GlobalConfRolledBack,
)
from sild.protocol.globalconf.anchor import Anchor, Source
from sild.runtime.asgi import asgi_handler
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.http_server import Endpoint, Limits, serve

pytestmark = pytest.mark.anyio

MINUTE = timedelta(minutes=1)


@asynccontextmanager
async def serving_central(folder, instance="DEV"):
    """A Central Server that publishes over a socket, and a configuration that has members."""
    async with Database.open(f"sqlite:///{folder / 'db' / 'central.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        central = Central(database, folder / "public")
        app = Distribution(folder / "public", CacheTimes(directory=7)).app
        endpoint = Endpoint("127.0.0.1")
        server = await serve(asgi_handler(app, "http"), endpoint, Limits(), central.clock)
        try:
            await central.initialize(instance, f"127.0.0.1:{server.port}")
            await central.add_keys()
            yield central, server.port
        finally:
            await server.close(0)


@pytest.fixture
async def served(tmp_path):
    async with serving_central(tmp_path) as (central, port):
        await register(central)
        yield central, port


@pytest.fixture
async def central(served):
    return served[0]


class Subscriber:
    """A configuration client that began with the anchor of one moment."""

    def __init__(self, central, folder, fetcher):
        self.anchor_file = folder / "anchor.xml"
        self.copy = folder / "copy"
        self.central = central
        places = Places(self.anchor_file, self.copy)
        settings = ConfigurationClientSettings()
        self.client = ConfigurationClient(places, settings, fetcher, central.clock)

    async def begin(self, kind=INTERNAL):
        file = await self.central.sources.anchors.file(kind)
        self.anchor_file.write_bytes(file.document)
        return self

    async def refresh(self):
        return await self.client.refresh()

    def reasons(self):
        return [type(each.error) for source in self.client.sources for each in source.attempts]


@pytest.fixture
async def fetcher():
    async with Fetcher() as opened:
        yield opened


@pytest.fixture
async def subscriber(central, tmp_path, fetcher):
    folder = tmp_path / "subscriber"
    folder.mkdir()
    return await Subscriber(central, folder, fetcher).begin()


async def ask(port, path, method="GET", **headers):
    """The status, headers and body of an answer."""

    def send():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(
                method, path, headers={k.replace("_", "-"): v for k, v in headers.items()}
            )
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            connection.close()

    return await asyncio.to_thread(send)


@pytest.mark.feature("CC-02")
@pytest.mark.parametrize("name", ["internalconf", "externalconf"])
async def test_directories_are_served_by_version(served, name):
    central, port = served
    await central.publisher.publish()
    for version in (2, 3, 4, 5, 6):
        expected = (central.files.path / f"V{version}" / name).read_bytes()
        for path in (f"/{name}?version={version}", f"/V{version}/{name}"):
            status, headers, body = await ask(port, path)
            assert (status, body) == (200, expected)
            assert headers["cache-control"] == "public, max-age=7"
    status, _, body = await ask(port, f"/{name}")
    assert body == (central.files.path / "V2" / name).read_bytes()


@pytest.mark.feature("CC-02")
async def test_parts_are_served_for_good(served):
    central, port = served
    published = await central.publisher.publish()
    path = f"/V6/{published.stamp}/shared-params.xml"
    expected = (central.files.path / path.removeprefix("/")).read_bytes()
    status, headers, body = await ask(port, path)
    assert (status, body) == (200, expected)
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"].startswith("text/xml")
    status, head, body = await ask(port, path, "HEAD")
    assert (status, body, head["etag"]) == (200, b"", headers["etag"])
    status, _, body = await ask(port, path, Range="bytes=0-9")
    assert (status, body) == (206, expected[:10])


@pytest.mark.feature("CC-02")
async def test_what_a_caller_holds_is_not_sent_again(served):
    central, port = served
    published = await central.publisher.publish()
    for path in ("/V6/internalconf", f"/V6/{published.stamp}/shared-params.xml"):
        _, headers, _ = await ask(port, path)
        tag, modified = headers["etag"], headers["last-modified"]
        for held in (
            {"If_None_Match": tag},
            {"If_None_Match": f'"other", W/{tag}'},
            {"If_None_Match": "*"},
            {"If_Modified_Since": modified},
        ):
            status, again, body = await ask(port, path, **held)
            assert (status, body, again["etag"]) == (304, b"", tag)
        for other in (
            {"If_None_Match": '"other"'},
            {"If_None_Match": '"other"', "If_Modified_Since": modified},
            {"If_Modified_Since": "Thu, 01 Jan 1970 00:00:00 GMT"},
            {"If_Modified_Since": "yesterday"},
        ):
            assert (await ask(port, path, **other))[0] == 200
    central.clock.turn(MINUTE)
    await central.publisher.publish()
    status, *_ = await ask(port, "/V6/internalconf", If_None_Match=tag)
    assert status == 200


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/otherconf",
        "/internalconf?version=7",
        "/internalconf?version=1",
        "/internalconf?version=",
        "/internalconf?version=6/../V6",
        "/V7/internalconf",
        "/V6/otherconf",
        "/V6/../db/central.db",
        "/V6/%2e%2e/%2e%2e/db/central.db",
        "/..%2fdb%2fcentral.db",
        "/V6/12345678901234567890123/..%2f..%2finternalconf",
        "/V6/12345678901234567890123/shared-params.xml",
        "/V6/internalconf/",
        "/V6",
    ],
)
async def test_nothing_else_is_served(served, path):
    central, port = served
    await central.publisher.publish()
    assert (await ask(port, path))[0] == 404


async def test_what_else_lies_in_the_folder_is_not_served(served):
    central, port = served
    stamp = (await central.publisher.publish()).stamp
    for place in ("secret", "V6/secret", "V6/other/secret", f"V6/{stamp}/.secret"):
        path = central.files.path / place
        path.parent.mkdir(exist_ok=True)
        path.write_text("secret")
    for path in (
        "/secret",
        "/V6/secret",
        "/V6/other/secret",
        f"/V6/{stamp}/.secret",
        "/V6/../secret",
        "/V6/%2e%2e/secret",
        "/V%2e%2e/secret",
        f"/V6/{stamp}/..",
        f"/V6/{stamp}",
    ):
        assert (await ask(port, path))[0] == 404, path


async def test_nothing_is_changed_over_http(served):
    central, port = served
    await central.publisher.publish()
    for method in ("POST", "PUT", "DELETE"):
        assert (await ask(port, "/V6/internalconf", method))[0] == 405


@pytest.mark.feature("CC-01")
@pytest.mark.parametrize("lowest", [2, 6])
async def test_a_configuration_client_gets_the_newest_version(central, subscriber, lowest):
    await central.publisher_of(lowest).publish()
    done = await subscriber.refresh()
    assert done.changed
    assert done.sources[0].location.startswith("http://")
    instances = subscriber.client._held.instances
    assert instances["DEV"].version == 6
    assert [member.id for member in instances["DEV"].shared.members] == [MEMBER]


@pytest.mark.feature("CC-07")
@pytest.mark.parametrize("version", [2, 3, 4, 5])
async def test_a_client_of_an_older_version_gets_that(central, subscriber, version):
    await central.publisher.publish()
    subscriber.client._versions = (version,)
    await subscriber.refresh()
    assert subscriber.client._held.instances["DEV"].version == version


@pytest.mark.feature("CC-06")
async def test_a_new_key_needs_no_new_anchor(central, subscriber):
    """Add, two rounds, activate, delete: who follows along never stops."""
    await central.publisher.publish()
    await subscriber.refresh()
    first = await central.sources.find_active(INTERNAL)
    second = (await central.sources.add_key(INTERNAL, "0", "second")).signing_key
    for _ in range(2):
        central.clock.turn(MINUTE)
        await central.publisher.publish()
        await subscriber.refresh()
    await central.sources.activate_key(second.key_id)
    central.clock.turn(MINUTE)
    await central.publisher.publish()
    await subscriber.refresh()
    await central.sources.delete_key(first.key_id)
    central.clock.turn(MINUTE)
    await central.publisher.publish()
    done = await subscriber.refresh()
    assert done.changed
    shared = subscriber.client._held.instances["DEV"].shared
    assert [each.der for each in shared.sources[0].internal_certificates] == [second.certificate]


@pytest.mark.feature("CC-06")
async def test_who_missed_a_new_key_needs_a_new_anchor(central, subscriber):
    await central.publisher.publish()
    await subscriber.refresh()
    second = (await central.sources.add_key(INTERNAL, "0", "second")).signing_key
    await central.sources.activate_key(second.key_id)
    await central.publisher.publish()
    with pytest.raises(GlobalConfDownloadFailed):
        await subscriber.refresh()
    assert GlobalConfMissingVerificationCert in subscriber.reasons()
    await subscriber.begin()
    await subscriber.refresh()


async def test_a_configuration_that_expires_is_no_longer_taken(central, subscriber):
    await central.publisher.publish()
    await subscriber.refresh()
    central.keys.broken["sign"] = NotPublished("no longer")
    central.clock.turn(timedelta(seconds=590))
    with pytest.raises(NotPublished):
        await central.publisher.publish()
    await subscriber.refresh()
    central.clock.turn(timedelta(seconds=15))
    with pytest.raises(GlobalConfDownloadFailed):
        await subscriber.refresh()
    assert GlobalConfExpiredDirectory in subscriber.reasons()
    central.keys.broken.clear()
    await central.publisher.publish()
    await subscriber.refresh()


async def test_an_older_configuration_is_not_taken_again(central, subscriber):
    await central.publisher.publish()
    old = (central.files.path / "V6" / "internalconf").read_bytes()
    central.clock.turn(MINUTE)
    async with central.database.transaction() as connection:
        rows = RegistryRows(connection, central.clock.now())
        await rows.add_subsystem(MEMBER.subsystem("NEW"), "New")
    await central.publisher.publish()
    await subscriber.refresh()
    (central.files.path / "V6" / "internalconf").write_bytes(old)
    with pytest.raises(GlobalConfDownloadFailed):
        await subscriber.refresh()
    assert GlobalConfRolledBack in subscriber.reasons()


@pytest.mark.feature("FE-02")
async def test_another_instance_trusts_the_external_anchor_and_no_other(central, tmp_path, fetcher):
    await central.publisher.publish()
    (tmp_path / "partner").mkdir()
    partners = DownloadingPartners(fetcher, central.clock)
    async with serving_central(tmp_path / "partner", "EE") as (other, _):
        trusting = replace(other.anchors, partners=partners)
        internal = await central.sources.anchors.file(INTERNAL)
        with pytest.raises(AnchorNotVerified):
            await trusting.upload(XmlFile("anchor.xml", internal.document))
        external = await central.sources.anchors.file(EXTERNAL)
        anchor = await trusting.upload(XmlFile("anchor.xml", external.document))
        assert anchor.instance == "DEV"


async def test_partners_are_tried_before_they_are_trusted(central, fetcher):
    partners = DownloadingPartners(fetcher, central.clock)
    await central.publisher.publish()
    await partners.verify(await central.anchor(EXTERNAL))
    with pytest.raises(NotExternal):
        await partners.verify(await central.anchor(INTERNAL))
    foreign = await central.anchor(INTERNAL)
    stranger = central.anchors.preview(partner_anchor()).sources[0].certificates
    sources = tuple(Source(source.url, stranger) for source in foreign.sources)
    with pytest.raises(GlobalConfDownloadFailed):
        await partners.verify(Anchor("DEV", sources))
    with pytest.raises(GlobalConfDownloadFailed):
        await partners.verify(replace(await central.anchor(EXTERNAL), instance="OTHER"))
    central.clock.turn(timedelta(seconds=700))
    with pytest.raises(GlobalConfDownloadFailed):
        await partners.verify(await central.anchor(EXTERNAL))
