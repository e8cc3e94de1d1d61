"""Anchors, signed directories and downloaded copies that the reference implementation made."""

import csv
import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from protocol.globalconf.publisher import drive, signing_key
from sild.protocol.errors import (
    GlobalConfExpiredDirectory,
    GlobalConfMissingVerificationCert,
    ProtocolError,
)
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.globalconf.directory import (
    Boundaries,
    PartKind,
    prepare_directory,
    read_directory,
    verify_directory,
)
from sild.protocol.globalconf.document import certificate_of
from sild.protocol.globalconf.extensions import (
    read_fetch_interval,
    read_monitoring,
    read_next_update,
)
from sild.protocol.globalconf.fetch import Answer, NoAnswer, download
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.private_parameters import (
    read_private_parameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import read_shared_parameters
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.globalconf.trusted import Issue, PartContent, TrustedConf, read_instance
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.safexml import read_xml

NOW = datetime(2026, 1, 1, tzinfo=UTC)
VERSIONS = (2, 3, 4, 5, 6)
KINDS = ("signed-conf", "signed-conf-txt", "anchor")


def rows(vectors, *kinds):
    with (vectors / "INDEX.tsv").open() as index:
        found = [row for row in csv.DictReader(index, delimiter="\t") if row["kind"] in kinds]
    assert found
    return found


def trusted_certificates(vectors, trust):
    """The certificates that a row's trust column points to, such as `file <element>; ...`."""
    if trust.startswith("consumer.p12"):
        data = (vectors / "certs/consumer.p12").read_bytes()
        _, certificate, _ = pkcs12.load_key_and_certificates(data, b"test")
        return [read_certificate(certificate.public_bytes(Encoding.DER))]
    found = []
    for place in trust.split(";"):
        file, element = re.fullmatch(r"\s*(\S+) <(\w+)>\s*", place).groups()
        root = read_xml((vectors / file).read_bytes())
        found += [certificate_of(holder) for holder in root.iter(element)]
    assert found
    return found


def verdict(vectors, row, at):
    data = (vectors / row["file"]).read_bytes()
    return verify_directory(read_directory(data), trusted_certificates(vectors, row["trust"]), at)


def last_moment(row):
    return datetime.fromisoformat(row["clock"].removeprefix("before "))


def test_every_signed_directory_gets_the_verdict_of_the_reference(vectors):
    for row in rows(vectors, "signed-conf"):
        directory = verdict(vectors, row, NOW)
        expected = row["expected"]
        if (said := re.fullmatch(r"VALID v(\d), files ([\w,-]+)", expected)) is not None:
            assert directory.version == int(said[1]), row
            assert {part.identifier for part in directory.parts} == set(said[2].split(",")), row
        else:
            assert expected.startswith("directory VALID, shared-params refused"), row
        assert directory.expires == last_moment(row), row


def test_every_signed_directory_expires_when_the_row_says(vectors):
    for row in rows(vectors, "signed-conf"):
        last = last_moment(row)
        assert verdict(vectors, row, last).expires == last, row
        with pytest.raises(GlobalConfExpiredDirectory):
            verdict(vectors, row, last + timedelta(seconds=1))


def test_every_part_is_what_the_directory_says(vectors):
    for row in rows(vectors, "signed-conf"):
        directory = verdict(vectors, row, NOW)
        for part in directory.parts:
            published = (vectors / "globalconf/signed" / part.location[1:]).read_bytes()
            refused = "integrity_failure" in row["expected"]
            assert part.is_of(published) is not refused, (row, part)
            if part.kind is PartKind.SHARED_PARAMETERS:
                assert (
                    read_shared_parameters(published, directory.version).instance == part.instance
                )
            if part.kind is PartKind.PRIVATE_PARAMETERS:
                private = read_private_parameters(published, directory.version)
                assert private.instance == part.instance
            if part.kind is PartKind.FETCHINTERVAL:
                assert read_fetch_interval(published) > 0


def test_every_signed_directory_is_refused_with_another_certificate(vectors):
    other = [signing_key("Somebody else").certificate]
    for row in rows(vectors, "signed-conf"):
        unverified = read_directory((vectors / row["file"]).read_bytes())
        with pytest.raises(GlobalConfMissingVerificationCert):
            verify_directory(unverified, other, NOW)


def test_what_is_written_is_byte_for_byte_what_the_reference_writes(vectors):
    for row in rows(vectors, "signed-conf"):
        data = (vectors / row["file"]).read_bytes()
        directory, unverified = verdict(vectors, row, NOW), read_directory(data)
        envelope, contents = re.findall(rb"boundary=(\w+)", data)
        unsigned = prepare_directory(
            directory,
            directory.signer,
            unverified.algorithm,
            Boundaries(envelope.decode(), contents.decode()),
        )
        assert unsigned.to_sign == unverified.signed, row
        assert unsigned.finish(unverified.signature) == data, row


def test_every_older_directory_gets_the_verdict_of_the_reference(vectors):
    for row in rows(vectors, "signed-conf-txt"):
        at = NOW if row["clock"] != "-" else datetime(2014, 1, 1, tzinfo=UTC)
        if row["expected"].startswith("VALID: "):
            files, _, producer = row["expected"].removeprefix("VALID: ").partition(" (")
            directory = verdict(vectors, row, at)
            assert {part.identifier for part in directory.parts} == set(files.split(", "))
            assert directory.expires == last_moment(row)
            assert "global_conf_missing_verification_cert" in producer
        else:
            with pytest.raises(ProtocolError) as refused:
                verdict(vectors, row, at)
            assert refused.value.code == row["expected"], row


def test_an_older_directory_is_refused_with_the_certificate_of_another(vectors):
    data = (vectors / "certs/producer.p12").read_bytes()
    _, producer, _ = pkcs12.load_key_and_certificates(data, b"test")
    certificate = read_certificate(producer.public_bytes(Encoding.DER))
    unverified = read_directory((vectors / "globalconf/client/test-conf-simple.txt").read_bytes())
    with pytest.raises(GlobalConfMissingVerificationCert):
        verify_directory(unverified, [certificate], NOW)


def test_every_anchor_gets_the_verdict_of_the_reference(vectors):
    for row in rows(vectors, "anchor"):
        data = (vectors / row["file"]).read_bytes()
        if said := re.fullmatch(r"OK: instance (\w+), SHA-224 hash ([\dA-F:]+)", row["expected"]):
            anchor = read_anchor(data)
            assert (anchor.instance, anchor.display_hash) == said.groups()
        else:
            with pytest.raises(ProtocolError) as refused:
                read_anchor(data)
            assert refused.value.code == row["expected"]


def test_every_other_anchor_is_read(vectors):
    anchors = [
        path
        for folder in ("anchors", "parts", "client")
        for path in (vectors / "globalconf" / folder).glob("*anchor*.xml")
        if "invalid" not in path.name
    ]
    assert len(anchors) >= 6
    for path in anchors:
        assert read_anchor(path.read_bytes()).certificates, path


@pytest.mark.parametrize(
    ("version", "anchor"),
    [
        (2, "internal-configuration-anchor.xml"),
        (3, "internal-configuration-anchor.xml"),
        (4, "7.6.3-configuration_anchor_CS_internal.xml"),
        (5, "7.7.1-configuration_anchor_CS_internal.xml"),
        (6, "7.8-configuration_anchor_CS_internal.xml"),
    ],
)
def test_a_whole_download_from_a_central_server_of_the_reference(vectors, version, anchor):
    published = vectors / "globalconf/signed"

    def get(wanted):
        path = wanted.url.removeprefix("http://cs/")
        if path == wanted.url:
            return NoAnswer("no HTTPS here")
        if path.startswith("internalconf?version="):
            asked = int(path.rpartition("=")[2])
            if asked != version:
                return Answer(404, b"", NOW)
            return Answer(200, (published / f"V{version}" / "internalconf").read_bytes(), NOW)
        return Answer(200, (published / path).read_bytes(), NOW)

    trusted = TrustedConf(read_anchor((vectors / "globalconf/anchors" / anchor).read_bytes()))
    locations = ["https://cs/internalconf", "http://cs/internalconf"]
    conf = drive(download(trusted, locations), get).get_trusted()
    own = conf.own
    assert own.version == version
    looked_up = GlobalConf(conf.held, own.instance)
    looked_up.check_valid(NOW)
    for server in own.shared.servers:
        digest = server.auth_cert_hashes[0]
        # The servers of version 3 share one certificate.
        assert digest in looked_up.find_server_by_auth_hash(digest).auth_cert_hashes
        for client in server.clients:
            assert looked_up.is_registered(client, server.id)
    assert looked_up.trust(own.instance).all_ca_certificates
    assert looked_up.management_service.address.startswith("https://cs:4001/")


def test_shared_and_private_parameters_of_the_reference_are_written_again(vectors):
    for version in VERSIONS[1:]:
        for path in (vectors / f"globalconf/signed/V{version}").glob("*/shared-params.xml"):
            shared = read_shared_parameters(path.read_bytes(), version)
            assert read_shared_parameters(write_shared_parameters(shared), 6) == shared
        for path in (vectors / f"globalconf/signed/V{version}").glob("*/private-params.xml"):
            private = read_private_parameters(path.read_bytes(), version)
            assert read_private_parameters(write_private_parameters(private), 6) == private


def copies(vectors):
    """The downloaded copies: folder of an instance, its version."""
    for path in sorted((vectors / "globalconf/downloaded").glob("good*/*/shared-params.xml")):
        metadata = path.with_name("shared-params.xml.metadata").read_text()
        said = re.search(r'"configurationVersion":\s*"(\d)"', metadata)
        yield path, int(said[1]) if said else 2


def test_every_downloaded_copy_is_read(vectors):
    found = list(copies(vectors))
    assert {version for _, version in found} == set(VERSIONS)
    for path, version in found:
        contents = {PartKind.SHARED_PARAMETERS: PartContent("/", path.read_bytes())}
        instance = read_shared_parameters(path.read_bytes(), version).instance
        conf = read_instance(Issue(instance, version, NOW), contents)
        looked_up = GlobalConf({instance: conf}, instance)
        assert looked_up.trust(instance).instance == instance
        for member in conf.shared.members:
            assert looked_up.find_member_name(member.id) == member.name


def test_version_6_of_the_reference_says_what_its_file_says(vectors):
    path = next((vectors / "globalconf/signed/V6").glob("*/shared-params.xml"))
    shared = read_shared_parameters(path.read_bytes(), 6)
    member, other = ClientId("DEV", "COM", "1234"), ClientId("DEV", "COM", "4321")
    assert [m.id for m in shared.members] == [member, other]
    assert shared.members[0].subsystems[0].name == "Management services"
    assert [s.id for s in shared.servers] == [
        SecurityServerId(member, "SS0"),
        SecurityServerId(other, "SS1"),
    ]
    assert shared.servers[1].clients == (
        other.subsystem("TestClient"),
        member.subsystem("test-consumer"),
    )
    assert shared.groups[0].members == (member, other)
    assert [service.name for service in shared.certification_services] == ["Test CA", "New CA"]
    assert shared.certification_services[1].csr_format.value == "PEM"
    assert shared.timestamping_services[0].cost.value == "FREE"
    assert shared.ocsp_freshness_seconds == 3600


def test_the_optional_parts_of_the_reference_are_read_or_refused(vectors):
    parts = vectors / "globalconf/parts"
    client = read_monitoring((parts / "valid-monitoring-params.xml").read_bytes())
    assert client == ClientId("fdev", "GOV", "66655666")
    assert read_fetch_interval((parts / "valid-fetchinterval-params.xml").read_bytes()) == 500
    assert read_next_update((parts / "valid-nextupdate-params.xml").read_bytes()) is False
    with pytest.raises(ProtocolError):
        read_monitoring((parts / "invalid-monitoring-params.xml").read_bytes())
