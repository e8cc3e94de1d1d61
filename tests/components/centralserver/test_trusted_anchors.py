from dataclasses import replace

import pytest

from components.centralserver.source_builders import Central, partner_anchor
from sild.components.centralserver.source_errors import (
    AnchorMalformed,
    AnchorNotVerified,
    DoubleFileExtension,
    FederationForbidden,
    FileContentRefused,
    FileExtensionRefused,
    TrustedAnchorNotFound,
)
from sild.components.centralserver.xml_uploads import XmlFile
from sild.protocol.errors import GlobalConfDownloadFailed
from sild.protocol.globalconf.anchor import Source

pytestmark = pytest.mark.anyio


@pytest.fixture
async def central(database, tmp_path):
    return await Central(database, tmp_path / "public").initialize()


async def test_an_anchor_is_trusted_once_it_was_verified(central):
    file = partner_anchor()
    anchor = await central.anchors.upload(file)
    assert central.partners.asked == [anchor]
    (kept,) = await central.anchors.list()
    assert kept == anchor
    assert kept.document == file.content
    assert await central.anchors.get(anchor.display_hash) == anchor


async def test_an_anchor_is_handed_out_as_it_came(central):
    file = partner_anchor()
    anchor = await central.anchors.upload(file)
    found = await central.anchors.file(anchor.display_hash)
    assert found.document == file.content
    moment = f"{anchor.generated_at:%Y-%m-%d_%H_%M_%S}"
    assert found.name == f"configuration_anchor_EE_EXTERNAL_{moment}.xml"


async def test_an_anchor_without_a_moment_is_handed_out_too(central):
    anchor = await central.anchors.upload(partner_anchor(generated_at=None))
    found = await central.anchors.file(anchor.display_hash)
    assert found.name == "configuration_anchor_EE_EXTERNAL_.xml"


async def test_an_instance_has_one_anchor(central):
    await central.anchors.upload(partner_anchor("FI"))
    old = await central.anchors.upload(partner_anchor("EE"))
    new = await central.anchors.upload(partner_anchor("EE"))
    assert [anchor.instance for anchor in await central.anchors.list()] == ["EE", "FI"]
    assert new in await central.anchors.list()
    with pytest.raises(TrustedAnchorNotFound):
        await central.anchors.get(old.display_hash)


@pytest.mark.parametrize("instance", ["DEV", "dev"])
async def test_an_instance_does_not_federate_with_itself(central, instance):
    with pytest.raises(AnchorNotVerified):
        await central.anchors.upload(partner_anchor(instance))
    assert await central.anchors.list() == ()


async def test_an_anchor_that_leads_nowhere_is_not_trusted(central):
    central.partners.broken = GlobalConfDownloadFailed("nobody is there")
    with pytest.raises(AnchorNotVerified):
        await central.anchors.upload(partner_anchor())
    assert await central.anchors.list() == ()


async def test_without_federation_no_anchor_is_trusted(central):
    closed = replace(central.anchors, allowed=False)
    with pytest.raises(FederationForbidden):
        await closed.upload(partner_anchor())
    assert await central.anchors.list() == ()


BAD = [
    (XmlFile("a.xml", b"<x/>"), AnchorMalformed),
    (replace(partner_anchor(), content=partner_anchor().content[:-9]), AnchorMalformed),
    (partner_anchor("E" * 256), AnchorMalformed),
    (partner_anchor(sources=(Source("file:///etc/passwd", (b"x",)),)), AnchorMalformed),
    (replace(partner_anchor(), name="a.txt"), FileExtensionRefused),
    (replace(partner_anchor(), name="a.exe.xml"), DoubleFileExtension),
    (XmlFile("a.xml", b"PK\x03\x04"), FileContentRefused),
]


@pytest.mark.parametrize(("file", "refusal"), BAD)
async def test_what_is_no_anchor_is_neither_shown_nor_trusted(central, file, refusal):
    with pytest.raises(refusal):
        central.anchors.preview(file)
    with pytest.raises(refusal):
        await central.anchors.upload(file)
    assert central.partners.asked == []


async def test_a_preview_keeps_nothing(central):
    file = partner_anchor("DEV")
    assert central.anchors.preview(file).instance == "DEV"
    assert await central.anchors.list() == ()


async def test_an_anchor_is_trusted_no_more(central):
    anchor = await central.anchors.upload(partner_anchor())
    other = await central.anchors.upload(partner_anchor("FI"))
    assert await central.anchors.delete(anchor.display_hash) == anchor
    assert await central.anchors.list() == (other,)
    for act in (central.anchors.delete, central.anchors.get, central.anchors.file):
        with pytest.raises(TrustedAnchorNotFound):
            await act(anchor.display_hash)
