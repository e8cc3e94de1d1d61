"""What a Central Server of the reference made and takes, beside what ours makes and takes."""

from datetime import timedelta

import pytest

from components.centralserver.source_builders import EXTERNAL, INTERNAL, Central
from sild.components.centralserver.metadata import METADATA
from sild.components.centralserver.source_errors import AnchorMalformed, PartRefused
from sild.components.centralserver.xml_uploads import XmlFile
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.globalconf.private_parameters import (
    read_private_parameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import read_shared_parameters
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.pki import der
from sild.protocol.pki.selfsigned import prepare_self_signed
from sild.protocol.safexml import children, local_name, read_xml
from sild.runtime.database import Database

ANCHORS = ("7.6.3", "7.7.1", "7.8")
HASH = "40:2A:4F:94:05:D2:9B:ED:C9:EE:A2:6D:EC:EC:11:94:5D:C9:A8:3E:29:1F:B2:92:A6:E4:DF:1D"


@pytest.fixture
async def central(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path / 'central.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        yield await Central(database, tmp_path / "public").initialize()


def upload(path):
    return XmlFile(path.name, path.read_bytes())


def names_of(element):
    """The shape of a document: the names of its elements, but for what older releases left out."""
    return [
        (local_name(child), names_of(child))
        for child in children(element)
        if local_name(child) != "authenticationOnly"
    ]


@pytest.mark.parametrize("release", ANCHORS)
def test_a_certificate_of_a_signing_key_is_the_reference_s_byte_for_byte(vectors, release):
    name = f"globalconf/anchors/{release}-configuration_anchor_CS_internal.xml"
    for certificate in read_anchor((vectors / name).read_bytes()).certificates:
        signed = der.parts_of(certificate.der)[0]
        assert prepare_self_signed("internalSigningKey", certificate.public_key).tbs == signed


@pytest.mark.anyio
async def test_our_anchor_has_the_shape_of_the_reference_s(vectors, central):
    await central.add_keys()
    theirs = vectors / "globalconf/anchors/7.8-configuration_anchor_CS_internal.xml"
    ours = await central.sources.anchors.find(INTERNAL)
    assert names_of(read_xml(ours.document)) == names_of(read_xml(theirs.read_bytes()))
    urls = [source.url.partition("://") for source in read_anchor(theirs.read_bytes()).sources]
    assert [scheme for scheme, *_ in urls] == ["http", "https"]
    assert all(rest.endswith(f"/{INTERNAL.directory}") for *_, rest in urls)


@pytest.mark.anyio
async def test_an_anchor_of_the_reference_is_trusted(vectors, central):
    file = upload(vectors / "globalconf/anchors/trusted-anchor.xml")
    anchor = await central.anchors.upload(file)
    assert (anchor.instance, anchor.display_hash) == ("CS0", HASH)
    assert (await central.anchors.file(HASH)).document == file.content


@pytest.mark.anyio
async def test_what_the_reference_refuses_as_an_anchor_is_refused(vectors, central):
    with pytest.raises(AnchorMalformed) as caught:
        await central.anchors.upload(
            upload(vectors / "globalconf/anchors/trusted-anchor-invalid-1.xml")
        )
    assert caught.value.code == "malformed_anchor"


@pytest.mark.anyio
@pytest.mark.parametrize("identifier", ["MONITORING", "FETCHINTERVAL", "NEXTUPDATE"])
async def test_the_reference_s_optional_parts_are_taken(vectors, central, identifier):
    await central.add_keys()
    path = vectors / f"globalconf/parts/valid-{identifier.lower()}-params.xml"
    await central.parts.upload(INTERNAL, identifier, upload(path))
    found = await central.parts.get_file(identifier, 0)
    assert found.content == path.read_bytes()


@pytest.mark.anyio
async def test_what_the_reference_refuses_as_a_part_is_refused(vectors, central):
    path = vectors / "globalconf/parts/invalid-monitoring-params.xml"
    with pytest.raises(PartRefused):
        await central.parts.upload(INTERNAL, "MONITORING", upload(path))


def published(vectors, name):
    """Documents that the reference published, with the version of each."""
    for version in (2, 3, 4, 5, 6):
        for path in (vectors / f"globalconf/signed/V{version}").rglob(name):
            yield version, path


def test_shared_parameters_of_the_reference_are_written_as_it_does(vectors):
    seen = set()
    for version, path in published(vectors, "shared-params.xml"):
        theirs = path.read_bytes()
        shared = read_shared_parameters(theirs, version)
        same = {digest: digest for server in shared.servers for digest in server.auth_cert_hashes}
        ours = write_shared_parameters(shared, version, same)
        assert read_shared_parameters(ours, version) == shared
        assert names_of(read_xml(ours)) == names_of(read_xml(theirs)), path
        seen.add(version)
    assert seen == {2, 3, 4, 5, 6}


def test_private_parameters_of_the_reference_are_written_as_it_does(vectors):
    seen = set()
    for version, path in published(vectors, "private-params.xml"):
        theirs = path.read_bytes()
        private = read_private_parameters(theirs, version)
        ours = write_private_parameters(private, version)
        assert read_private_parameters(ours, version) == private
        assert names_of(read_xml(ours)) == names_of(read_xml(theirs)), path
        seen.add(version)
    assert seen >= {2, 3, 6}


@pytest.mark.anyio
async def test_file_names_are_the_reference_s(central):
    await central.add_keys()
    moment = (await central.sources.anchors.find(EXTERNAL)).generated_at
    later = await central.sources.anchors.recreate(EXTERNAL)
    assert later.generated_at - moment < timedelta(minutes=1)
    name = (await central.sources.anchors.file(EXTERNAL)).name
    stamp = f"{later.generated_at:%Y-%m-%d_%H_%M_%S}"
    assert name == f"configuration_anchor_DEV_external_UTC_{stamp}.xml"
