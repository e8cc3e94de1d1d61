import contextlib
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.confclient.test_download import StoppedClock, Wire
from protocol.globalconf.publisher import Publisher, signing_key
from sild.components.confclient.anchor import Anchor, AnchorSurroundings
from sild.components.confclient.cache import generation_of
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.confclient.errors import (
    AnchorExists,
    AnchorMalformed,
    AnchorMissing,
    AnchorNotKept,
    AnchorNotVerified,
    AnchorOfOtherInstance,
    AnchorOutdated,
    AnchorSignatureInvalid,
    AnchorUnreachable,
    AnchorWithoutPrivate,
    ConfigurationNotDownloaded,
)
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.protocol.errors import GlobalConfDownloadFailed
from sild.protocol.globalconf.anchor import write_anchor
from sild.protocol.globalconf.directory import PartKind

pytestmark = pytest.mark.anyio


class Place:
    """A server's anchor, and a publisher whom it can reach."""

    def __init__(self, home, publisher):
        self.path = home / "configuration-anchor.xml"
        self.publisher = publisher
        self.instance = None
        self.failing = None
        self.refreshed = 0
        self.copy = home / "globalconf"
        places = Places(self.path, self.copy)
        self.client = ConfigurationClient(
            places,
            ConfigurationClientSettings(),
            Wire(publisher),
            StoppedClock((publisher,)),
        )
        around = AnchorSurroundings(self.client, self.refresh, self.own_instance)
        self.anchor = Anchor(self.path, around)

    @property
    def document(self):
        return write_anchor(self.publisher.anchor())

    async def refresh(self):
        self.refreshed += 1
        if self.failing is not None:
            raise self.failing
        await self.client.refresh()

    async def own_instance(self):
        return self.instance


@pytest.fixture
def publisher():
    return Publisher()


@pytest.fixture
def place(tmp_path, publisher):
    return Place(tmp_path, publisher)


async def test_the_first_anchor_is_verified_kept_as_it_came_and_downloaded_by(place):
    assert not await place.anchor.is_imported()
    kept = await place.anchor.import_first(place.document)
    assert kept.display_hash == (await place.anchor.get()).display_hash
    assert place.path.read_bytes() == place.document
    assert (await place.anchor.get()).document == place.document
    assert await place.anchor.is_imported()
    assert place.refreshed == 1
    assert generation_of(place.copy)


async def test_a_second_first_anchor_is_refused(place):
    await place.anchor.import_first(place.document)
    with pytest.raises(AnchorExists):
        await place.anchor.import_first(place.document)


async def test_an_anchor_that_cannot_be_used_gives_way_to_the_first(place):
    place.path.write_bytes(b"nothing")
    assert not await place.anchor.is_imported()
    with pytest.raises(AnchorMalformed):
        await place.anchor.get()
    await place.anchor.import_first(place.document)


async def test_nothing_is_shown_where_there_is_no_anchor(place):
    assert await place.anchor.find() is None
    with pytest.raises(AnchorMissing):
        await place.anchor.get()
    # Who may only replace may not bring the first one.
    with pytest.raises(AnchorMissing):
        await place.anchor.replace(place.document)
    assert not place.path.exists()


async def test_an_anchor_is_replaced_by_one_of_the_same_instance(place, publisher):
    await place.anchor.import_first(place.document)
    publisher.key = signing_key("Another")
    replaced = await place.anchor.replace(place.document)
    assert (await place.anchor.get()).display_hash == replaced.display_hash
    assert place.path.read_bytes() == place.document
    assert place.refreshed == 2


@pytest.mark.parametrize("known", [None, "DEV"], ids=["by the anchor", "by the server"])
async def test_an_anchor_of_another_instance_does_not_replace(tmp_path, known):
    place = Place(tmp_path, Publisher())
    await place.anchor.import_first(place.document)
    place.instance, before = known, place.document
    other = write_anchor(replace(place.publisher.anchor(), instance="EE"))
    with pytest.raises(AnchorOfOtherInstance):
        await place.anchor.preview(other)
    with pytest.raises(AnchorOfOtherInstance):
        await place.anchor.replace(other)
    assert place.path.read_bytes() == before
    assert (await place.anchor.preview(other, any_instance=True)).instance == "EE"


async def test_a_preview_keeps_nothing(place):
    shown = await place.anchor.preview(place.document, any_instance=True)
    assert shown.display_hash == place.publisher.anchor().display_hash
    assert not place.path.exists()
    assert place.publisher.requests == []


async def test_what_is_no_anchor_is_refused(place):
    for asked in (
        place.anchor.preview(b"<conf/>", any_instance=True),
        place.anchor.import_first(b""),
        place.anchor.import_first(b"x" * 2_000_000),
    ):
        with pytest.raises(AnchorMalformed):
            await asked


def lead_nowhere(publisher):
    publisher.silent = ("http",)


def expire(publisher):
    publisher.validity = timedelta(seconds=-1)


def sign_with_another(publisher):
    anchored = publisher.anchor()
    publisher.key = signing_key("Stranger")
    publisher.anchor = lambda *_: anchored


def keep_private(publisher):
    publisher.private = None


def spoil(publisher):
    kind = PartKind.SHARED_PARAMETERS.value
    publisher.spoil_part = lambda name, data: data + b" " if name == kind else data


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lead_nowhere, AnchorUnreachable),
        (expire, AnchorOutdated),
        (sign_with_another, AnchorSignatureInvalid),
        (keep_private, AnchorWithoutPrivate),
        (spoil, AnchorNotVerified),
    ],
    ids=lambda value: value.__name__,
)
async def test_an_anchor_that_leads_to_nothing_usable_is_not_kept(place, change, refusal):
    change(place.publisher)
    with pytest.raises(refusal) as refused:
        await place.anchor.import_first(place.document)
    assert refused.value.code.startswith("conf_verification.")
    assert not place.path.exists()
    assert place.refreshed == 0


async def test_verifying_keeps_nothing_and_binds_nothing(place):
    """Neither what is held nor what diagnostics show changes."""
    await place.anchor.import_first(place.document)
    before, copy = place.client.sources, generation_of(place.copy)
    place.publisher.now += timedelta(minutes=1)
    await place.client.verify(place.publisher.anchor())
    assert place.client.sources is before
    assert generation_of(place.copy) == copy


async def test_what_cannot_be_written_is_told(tmp_path):
    place = Place(tmp_path / "nowhere", Publisher())
    with pytest.raises(AnchorNotKept):
        await place.anchor.import_first(place.document)


async def test_a_download_that_fails_afterwards_is_told_and_the_anchor_stays(place):
    place.failing = GlobalConfDownloadFailed("nobody answers any more")
    with pytest.raises(ConfigurationNotDownloaded):
        await place.anchor.import_first(place.document)
    assert await place.anchor.is_imported()


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: b"<x>" + data))
async def test_any_bytes_are_an_anchor_or_refused(tmp_path_factory, data):
    anchor = Anchor(tmp_path_factory.getbasetemp() / "none.xml", None)
    with contextlib.suppress(AnchorMalformed):
        await anchor.preview(data, any_instance=True)
