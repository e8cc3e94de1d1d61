import pytest

from components.centralserver.source_builders import EXTERNAL, INTERNAL, Central
from protocol.globalconf.publisher import FETCHINTERVAL, MONITORING, NEXTUPDATE
from sild.components.centralserver.configuration_parts import (
    KNOWN_PARTS,
    ConfigurationParts,
    DescribedPart,
    PartDescriptionError,
    read_described_parts,
)
from sild.components.centralserver.source_errors import (
    DoubleFileExtension,
    FileContentRefused,
    FileExtensionRefused,
    PartNotFound,
    PartRefused,
    UnknownPart,
)
from sild.components.centralserver.xml_uploads import XmlFile

pytestmark = pytest.mark.anyio


@pytest.fixture
async def central(database, tmp_path):
    return await Central(database, tmp_path / "public").initialize()


def listed(parts):
    return {(part.identifier, part.version) for part in parts}


async def test_a_source_without_keys_has_no_parts(central):
    assert await central.parts.list(INTERNAL) == ()
    assert await central.parts.list(EXTERNAL) == ()


async def test_parts_are_listed_before_they_are_there(central):
    await central.add_keys()
    parts = await central.parts.list(INTERNAL)
    assert listed(parts) == {
        ("PRIVATE-PARAMETERS", None),
        ("SHARED-PARAMETERS", None),
        ("MONITORING", None),
        ("FETCHINTERVAL", None),
        ("NEXTUPDATE", None),
    }
    assert {part.identifier for part in parts if part.optional} == {
        "MONITORING",
        "FETCHINTERVAL",
        "NEXTUPDATE",
    }
    assert listed(await central.parts.list(EXTERNAL)) == {("SHARED-PARAMETERS", None)}


async def test_generated_parts_are_listed_and_handed_out_in_every_version(central):
    await central.add_keys()
    published = await central.publisher_of(lowest=4).publish()
    parts = await central.parts.list(EXTERNAL)
    assert listed(parts) == {("SHARED-PARAMETERS", version) for version in (4, 5, 6)}
    assert all(part.updated_at is not None for part in parts)
    file = await central.parts.get_file("SHARED-PARAMETERS", 5)
    assert file.name == "shared-params.xml"
    path = central.files.path / "V5" / published.stamp / "shared-params.xml"
    assert file.content == path.read_bytes()
    for identifier, version in (
        ("SHARED-PARAMETERS", 3),
        ("SHARED-PARAMETERS", 0),
        ("MONITORING", 6),
        ("../../x", 6),
    ):
        with pytest.raises(PartNotFound):
            await central.parts.get_file(identifier, version)


@pytest.mark.parametrize(
    ("identifier", "content", "other"),
    [
        ("MONITORING", MONITORING, MONITORING.replace(b"M1", b"M2")),
        ("FETCHINTERVAL", FETCHINTERVAL, FETCHINTERVAL.replace(b"500", b"501")),
        ("NEXTUPDATE", NEXTUPDATE, NEXTUPDATE.replace(b"false", b"true")),
    ],
)
async def test_an_optional_part_is_uploaded_and_replaced(central, identifier, content, other):
    await central.add_keys()
    with pytest.raises(PartNotFound):
        await central.parts.get_file(identifier, 0)
    for each in (content, other):
        await central.parts.upload(INTERNAL, identifier, XmlFile("part.xml", each))
        assert (await central.parts.get_file(identifier, 0)).content == each
    assert (identifier, 0) in listed(await central.parts.list(INTERNAL))


@pytest.mark.parametrize(
    ("file", "refusal"),
    [
        (XmlFile("part.xml", FETCHINTERVAL.replace(b"500", b"soon")), PartRefused),
        (XmlFile("part.xml", FETCHINTERVAL.replace(b"500", b"0")), PartRefused),
        (XmlFile("part.xml", NEXTUPDATE), PartRefused),
        (XmlFile("part.xml", b"<not xml"), PartRefused),
        (XmlFile("part.xml", b"\x00\x01"), FileContentRefused),
        (XmlFile("part.xml", b""), FileContentRefused),
        (XmlFile("part.txt", FETCHINTERVAL), FileExtensionRefused),
        (XmlFile("part", FETCHINTERVAL), FileExtensionRefused),
        (XmlFile(".xml", FETCHINTERVAL), FileExtensionRefused),
        (XmlFile("part.exe.xml", FETCHINTERVAL), DoubleFileExtension),
    ],
)
async def test_what_is_no_part_is_refused(central, file, refusal):
    with pytest.raises(refusal):
        await central.parts.upload(INTERNAL, "FETCHINTERVAL", file)
    with pytest.raises(PartNotFound):
        await central.parts.get_file("FETCHINTERVAL", 0)


@pytest.mark.parametrize(
    ("kind", "identifier"),
    [
        (INTERNAL, "SHARED-PARAMETERS"),
        (INTERNAL, "OTHER"),
        (EXTERNAL, "FETCHINTERVAL"),
        (EXTERNAL, "SHARED-PARAMETERS"),
    ],
)
async def test_only_described_parts_of_the_internal_source_are_uploaded(central, kind, identifier):
    with pytest.raises(UnknownPart):
        await central.parts.upload(kind, identifier, XmlFile("part.xml", FETCHINTERVAL))


async def test_a_part_that_nobody_can_check_is_refused(database, tmp_path):
    central = Central(database, tmp_path)
    described = (DescribedPart("LOCAL", "local.xml"),)
    parts = ConfigurationParts(database, central.node, described, central.files, central.clock)
    with pytest.raises(PartRefused):
        await parts.upload(INTERNAL, "LOCAL", XmlFile("local.xml", b"<x/>"))


def test_without_descriptions_there_are_the_known_parts(tmp_path):
    assert read_described_parts(tmp_path / "none") == KNOWN_PARTS


def test_parts_are_described_by_a_folder(tmp_path):
    (tmp_path / "b.ini").write_text("# a part\nfile-name = b-params.xml\ncontent-identifier=B\n")
    (tmp_path / "a.ini").write_text("content-identifier = A\nfile-name=a-params.xml\nmore = x\n")
    (tmp_path / "c.txt").write_text("content-identifier = C\nfile-name=c.xml\n")
    assert read_described_parts(tmp_path) == (
        DescribedPart("A", "a-params.xml"),
        DescribedPart("B", "b-params.xml"),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "content-identifier = A",
        "file-name = a.xml",
        "content-identifier =\nfile-name = a.xml",
        "content-identifier = A\nfile-name = ../a.xml",
        "content-identifier = A\nfile-name = a/b.xml",
        "content-identifier = A\nfile-name = .hidden",
        "content-identifier = A; instance='X'\nfile-name = a.xml",
        "content-identifier = SHARED-PARAMETERS\nfile-name = a.xml",
        "content-identifier = A\nfile-name = shared-params.xml",
        "content-identifier = TAKEN\nfile-name = a.xml",
        "content-identifier = A\nfile-name = taken.xml",
    ],
)
def test_a_description_that_cannot_be_published_is_refused(tmp_path, text):
    (tmp_path / "0.ini").write_text("content-identifier = TAKEN\nfile-name = taken.xml\n")
    (tmp_path / "1.ini").write_text(text)
    with pytest.raises(PartDescriptionError):
        read_described_parts(tmp_path)
