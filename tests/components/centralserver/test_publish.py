import asyncio
import hashlib
import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from components.centralserver.source_builders import (
    EXTERNAL,
    INTERNAL,
    Central,
    SignerRefuses,
    partner_anchor,
)
from protocol.globalconf.publisher import FETCHINTERVAL, MONITORING
from sild.components.centralserver.registry_rows import RegistryRows
from sild.components.centralserver.registry_tables import MEMBER_CLASS
from sild.components.centralserver.settings import SigningKeyAlgorithm
from sild.components.centralserver.source_errors import NotPublished
from sild.components.centralserver.sources import SourceSettings
from sild.components.centralserver.system import Node
from sild.components.centralserver.xml_uploads import XmlFile
from sild.protocol.algorithms import DigestAlgorithm, SignatureAlgorithm
from sild.protocol.globalconf.directory import read_directory, verify_directory
from sild.protocol.globalconf.fetch import Answer, NoAnswer, download
from sild.protocol.globalconf.trusted import Scope, TrustedConf
from sild.protocol.ids import ClientId, SecurityServerId
from sild.runtime.rpc import RpcUnavailable

pytestmark = pytest.mark.anyio

VERSIONS = (2, 3, 4, 5, 6)
MEMBER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(MEMBER, "SS1")


@pytest.fixture
async def central(database, tmp_path):
    central = await Central(database, tmp_path / "public").initialize()
    await central.add_keys()
    await register(central)
    return central


async def register(central):
    async with central.database.transaction() as connection:
        await connection.execute(MEMBER_CLASS.insert().values(code="GOV", description="Government"))
        rows = RegistryRows(connection, central.clock.now())
        await rows.add_member(MEMBER, "Member <One>")
        await rows.add_subsystem(MEMBER.subsystem("MANAGEMENT"), "Management & more")
        await rows.add_server(SERVER, "ss1.test")
        await rows.add_client(SERVER, MEMBER.subsystem("MANAGEMENT"))
        await rows.add_auth_certificate(SERVER, central.registration.certificate.der)


async def downloaded(central, kind=INTERNAL, version=6, at=None):
    """What a client gets by the anchor; raises what it would report."""
    anchor = await central.anchor(kind)
    scope = Scope.OWN if kind is INTERNAL else Scope.FEDERATED
    conversation = download(TrustedConf(anchor, scope), [anchor.sources[0].url], [version])
    answer = None
    while True:
        try:
            wanted = next(conversation) if answer is None else conversation.send(answer)
        except StopIteration as done:
            return done.value.get_trusted().own
        answer = read(central, wanted.url, at or central.clock.now())


def read(central, url, at):
    path = url.removeprefix("http://cs.test/")
    if "?version=" in path:
        name, _, version = path.partition("?version=")
        path = f"V{version}/{name}"
    try:
        return Answer(200, (central.files.path / path).read_bytes(), at)
    except FileNotFoundError:
        return NoAnswer("not there")


def directory(central, version=6, kind=INTERNAL):
    return (central.files.path / f"V{version}" / kind.directory).read_bytes()


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_version_is_what_a_client_accepts(central, version):
    published = await central.publisher.publish()
    assert published.versions == VERSIONS
    own = await downloaded(central, INTERNAL, version)
    assert own.version == version
    assert own.expires == published.expires
    assert own.private.management.provider == MEMBER.subsystem("MANAGEMENT")
    assert own.private.management.address == "https://cs.test:4001/managementservice/"
    assert own.private.management.certificate == central.registration.certificate
    (member,) = own.shared.members
    assert (member.id, member.name, member.class_description) == (
        MEMBER,
        "Member <One>",
        "Government",
    )
    assert member.subsystems[0].name == ("Management & more" if version > 4 else None)
    (server,) = own.shared.servers
    hashed = hashlib.sha1 if version == 2 else hashlib.sha256
    assert server.auth_cert_hashes == (hashed(central.registration.certificate.der).digest(),)
    assert server.clients == (MEMBER.subsystem("MANAGEMENT"),)


@pytest.mark.parametrize("version", VERSIONS)
async def test_other_instances_get_the_shared_parameters_alone(central, version):
    await central.publisher.publish()
    other = await downloaded(central, EXTERNAL, version)
    own = await downloaded(central, INTERNAL, version)
    assert other.private is None
    assert other.shared == own.shared
    verified = verify_directory(
        read_directory(directory(central, version, EXTERNAL)),
        (await central.anchor(EXTERNAL)).certificates,
        central.clock.now(),
    )
    assert [part.identifier for part in verified.parts] == ["SHARED-PARAMETERS"]


async def test_sources_tell_of_all_keys_of_all_nodes(central):
    await central.sources.add_key(INTERNAL, "0", "two")
    await central.publisher.publish()
    (source,) = (await downloaded(central)).shared.sources
    assert source.address == "cs.test"
    assert source.internal_certificates == (await central.anchor()).certificates[:2]
    assert source.external_certificates == (await central.anchor(EXTERNAL)).certificates[:1]


async def test_optional_parts_are_published_in_every_version(central):
    await central.parts.upload(INTERNAL, "FETCHINTERVAL", XmlFile("x.xml", FETCHINTERVAL))
    await central.parts.upload(INTERNAL, "MONITORING", XmlFile("x.xml", MONITORING))
    await central.publisher.publish()
    for version in VERSIONS:
        extensions = (await downloaded(central, INTERNAL, version)).extensions
        assert extensions.ocsp_fetch_interval_seconds == 500
        assert extensions.monitoring_client == MEMBER
        assert b"FETCHINTERVAL" not in directory(central, version, EXTERNAL)


async def test_private_parameters_lead_to_trusted_instances(central):
    anchor = await central.anchors.upload(partner_anchor())
    await central.publisher.publish()
    (told,) = (await downloaded(central)).private.anchors
    assert (told.instance, told.sources) == (anchor.instance, anchor.sources)


async def test_system_parameters_say_how(central):
    values = {"CONF_EXPIRE": "90", "OCSP_FRESHNESS": "77", "TIMESTAMPING": "88"}
    digests = {"HASH": "SHA-256", "CERTIFICATE_HASH": "SHA-384", "SIGN_DIGEST": "SHA-256"}
    await central.set(**values, **digests)
    published = await central.publisher.publish()
    assert published.expires <= central.clock.now() + timedelta(seconds=90)
    own = await downloaded(central)
    assert own.shared.ocsp_freshness_seconds == 77
    assert own.private.timestamping_interval_seconds == 88
    unverified = read_directory(directory(central))
    assert unverified.algorithm is SignatureAlgorithm.ECDSA_SHA256
    assert unverified.certificate_digest_algorithm is DigestAlgorithm.SHA384
    verified = verify_directory(
        unverified, (await central.anchor()).certificates, central.clock.now()
    )
    assert {part.algorithm for part in verified.parts} == {DigestAlgorithm.SHA256}


async def test_versions_below_the_lowest_wanted_are_not_published(central):
    await central.publisher.publish()
    published = await central.publisher_of(lowest=5).publish()
    assert published.versions == (5, 6)
    assert not (central.files.path / "V2" / "internalconf").exists()


async def test_the_key_that_is_active_signs(central):
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    await central.publisher.publish()
    before = read_directory(directory(central))
    await central.sources.activate_key(second.key_id)
    await central.publisher.publish()
    after = read_directory(directory(central))
    digest = hashlib.sha512(second.certificate).digest()
    assert before.certificate_digest != digest == after.certificate_digest


async def test_before_initialisation_a_round_does_nothing(database, tmp_path):
    central = Central(database, tmp_path / "public")
    assert await central.publisher.publish() is None
    assert not central.files.path.exists()
    assert (await central.cluster.generation()).failing_since is None


async def test_a_good_round_is_remembered(central):
    before = central.clock.now()
    await central.publisher.publish()
    generation = await central.cluster.generation()
    assert generation.generated >= before
    assert generation.failing_since is None


async def nobody_provides(central):
    await central.set(PROVIDER_CODE="")


async def signer_gone(central):
    central.keys.broken["sign"] = RpcUnavailable("gone")


async def logged_out(central):
    await central.keys.logout("0")


async def signs_wrongly(central):
    async def sign(*_):
        return b"0" * 70

    central.keys.sign = sign


async def parameter_broken(central):
    await central.set(CONF_EXPIRE="soon")


async def disk_refuses(central):
    shutil.rmtree(central.files.path / "V4")
    (central.files.path / "V4").write_text("no folder")


@pytest.mark.parametrize(
    "spoil",
    [nobody_provides, signer_gone, logged_out, signs_wrongly, parameter_broken, disk_refuses],
)
async def test_a_bad_round_leaves_the_last_good_one_and_is_remembered(central, spoil):
    await central.publisher.publish()
    before = await downloaded(central)
    documents = {each: directory(central, 6, each) for each in (INTERNAL, EXTERNAL)}
    await spoil(central)
    central.clock.turn(timedelta(seconds=60))
    for _ in range(2):
        with pytest.raises(NotPublished):
            await central.publisher.publish()
        central.clock.turn(timedelta(seconds=1))
    since = (await central.cluster.generation()).failing_since
    assert since is not None
    assert central.clock.now() - since > timedelta(seconds=1)
    assert await downloaded(central) == before
    assert documents == {each: directory(central, 6, each) for each in (INTERNAL, EXTERNAL)}


async def test_a_round_that_succeeds_again_ends_the_failing(central):
    central.keys.broken["sign"] = SignerRefuses("cannot_sign")
    with pytest.raises(NotPublished):
        await central.publisher.publish()
    central.keys.broken.clear()
    await central.publisher.publish()
    assert (await central.cluster.generation()).failing_since is None


async def test_without_a_key_of_each_source_nothing_is_published(database, tmp_path):
    central = await Central(database, tmp_path / "public").initialize()
    await central.sources.add_key(INTERNAL, "0", "key")
    with pytest.raises(NotPublished, match="external"):
        await central.publisher.publish()
    assert not central.files.path.exists()


async def test_parts_stay_until_no_directory_names_them(central):
    rounds = [await central.publisher.publish()]
    for _ in range(12):
        central.clock.turn(timedelta(seconds=60))
        rounds.append(await central.publisher.publish())
    there = {path.name for path in (central.files.path / "V6").iterdir() if path.is_dir()}
    valid = {each.stamp for each in rounds if each.expires > central.clock.now()}
    assert valid <= there
    assert rounds[0].stamp not in there
    assert len(there) <= 12


async def test_each_node_publishes_with_its_own_keys(database, tmp_path):
    one = await Central(database, tmp_path / "1", node=Node("one", True)).initialize()
    two = Central(database, tmp_path / "2", node=Node("two", True))
    two.keys.private.update({"taken": None, "taken too": None})
    await two.set(ADDRESS="cs2.test")
    await one.add_keys()
    await two.add_keys()
    await register(one)
    for each in (one, two):
        await each.publisher.publish()
    first, second = (read_directory(directory(each)) for each in (one, two))
    assert first.certificate_digest != second.certificate_digest
    own = await downloaded(one)
    assert [source.address for source in own.shared.sources] == ["cs.test", "cs2.test"]


@pytest.mark.parametrize("algorithm", SigningKeyAlgorithm)
async def test_openssl_verifies_what_is_published(tmp_path, database, algorithm):
    if not (openssl := shutil.which("openssl")):
        pytest.skip("no openssl is installed")
    central = await Central(
        database, tmp_path / "public", settings=SourceSettings(algorithm, algorithm)
    ).initialize()
    await central.add_keys()
    await register(central)
    await central.publisher.publish()
    for kind in (INTERNAL, EXTERNAL):
        document = directory(central, 6, kind)
        unverified = read_directory(document)
        (certificate, *_) = (await central.anchor(kind)).certificates
        pem = certificate.public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (tmp_path / "key.pem").write_bytes(pem)
        (tmp_path / "signed").write_bytes(unverified.signed)
        (tmp_path / "signature").write_bytes(unverified.signature)
        assert unverified.signed in document
        command = [openssl, "dgst", "-sha512", "-verify", "key.pem", "-signature", "signature"]
        done = await asyncio.to_thread(
            subprocess.run, [*command, "signed"], cwd=tmp_path, capture_output=True, check=False
        )
        assert done.stdout.strip() == b"Verified OK"
