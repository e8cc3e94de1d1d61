import json
import shutil
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pki_builder import NOON
from protocol.globalconf.publisher import (
    FETCHINTERVAL,
    NEXTUPDATE,
    Publisher,
    drive,
    sample_shared,
)
from sild.components.confclient.cache import (
    folder_of,
    generation_of,
    read_cached,
    read_verification_conf,
    save,
)
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.fetch import download
from sild.protocol.globalconf.trusted import Issue, read_instance
from sild.protocol.ids import ClientId

MINUTE = timedelta(minutes=1)


@pytest.fixture
def publisher():
    return Publisher(silent=(), parts={"FETCHINTERVAL": FETCHINTERVAL, "NEXTUPDATE": NEXTUPDATE})


def downloaded(publisher, trusted=None):
    conversation = download(trusted or publisher.trusted(), publisher.locations)
    return drive(conversation, publisher.get).get_trusted()


def test_what_is_saved_is_read_back(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    cached = read_cached(tmp_path)
    assert cached.conf.instance == "DEV"
    assert cached.conf.instances == trusted.held
    assert cached.conf.valid_until == NOON + 10 * MINUTE
    assert cached.conf.ocsp_fetch_interval_seconds == 500
    assert cached.conf.trust("DEV").ocsp.verify_next_update is False
    assert cached.anchor == trusted.anchor


def test_the_layout_is_that_of_the_reference(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    current = tmp_path / "current"
    assert (current / "instance-identifier").read_text() == "DEV"
    shared = current / "DEV" / "shared-params.xml"
    assert shared.read_bytes() == trusted.own.contents[PartKind.SHARED_PARAMETERS].data
    assert json.loads((current / "DEV" / "shared-params.xml.metadata").read_text()) == {
        "contentIdentifier": "SHARED-PARAMETERS",
        "instanceIdentifier": "DEV",
        "expirationDate": "2026-01-15T12:10:00Z",
        "contentLocation": "/V6/internalconf/shared-params.xml",
        "configurationVersion": "6",
    }


@pytest.mark.parametrize(
    ("instance", "folder"),
    [
        ("DEV", "DEV"),
        ("a b", "a+b"),
        ("a/../b", "a%2F..%2Fb"),
        ("õ~*-._", "%C3%B5%7E*-._"),
        ("...x", "...x"),
    ],
)
def test_an_instance_is_written_as_java_encodes_it(instance, folder):
    assert folder_of(instance) == folder


@pytest.mark.parametrize("instance", [".", "..", "...", "x" * 201, "instance-identifier"])
def test_an_instance_that_would_leave_its_place_has_no_folder(instance):
    with pytest.raises(MalformedGlobalConf):
        folder_of(instance)


def test_each_save_is_another_generation(publisher, tmp_path):
    assert generation_of(tmp_path) is None
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    first = generation_of(tmp_path)
    save(tmp_path, trusted.held, trusted.anchor)
    assert None is not generation_of(tmp_path) != first


def test_an_unchanged_generation_is_not_read_again(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    cached = read_cached(tmp_path)
    assert read_cached(tmp_path, cached) is cached


def test_when_only_the_expiry_changes_the_tables_are_taken_over(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    cached = read_cached(tmp_path)
    publisher.now += MINUTE
    trusted = downloaded(publisher, trusted)
    save(tmp_path, trusted.held, trusted.anchor)
    renewed = read_cached(tmp_path, cached)
    assert renewed.conf.valid_until == NOON + 11 * MINUTE
    assert renewed.conf.shared is cached.conf.shared
    own = renewed.conf.instances["DEV"]
    assert renewed.conf.find_unchanged_tables(own) is cached.conf.find_unchanged_tables(own)


def test_changed_shared_parameters_are_read_anew(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    cached = read_cached(tmp_path)
    publisher.shared = replace(publisher.shared, servers=())
    trusted = downloaded(publisher, trusted)
    save(tmp_path, trusted.held, trusted.anchor)
    client = ClientId("DEV", "GOV", "M1", "S1")
    assert cached.conf.servers_of(client)
    assert read_cached(tmp_path, cached).conf.servers_of(client) == ()


def test_several_instances_are_kept_beside_each_other(publisher, tmp_path):
    partner = downloaded(Publisher("E/E", "ee.test", "externalconf", silent=()))
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held | partner.held, trusted.anchor)
    conf = read_cached(tmp_path).conf
    assert set(conf.instances) == {"DEV", "E/E"}
    assert conf.is_known(ClientId("E/E", "GOV", "M1"))
    assert conf.instances["E/E"].private is None


def test_without_a_copy_there_is_no_configuration(tmp_path):
    with pytest.raises(MalformedGlobalConf):
        read_cached(tmp_path)


def spoil(path, change):
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("instance-identifier", lambda _: b"OTHER"),
        ("instance-identifier", lambda _: b"\xff"),
        ("DEV/shared-params.xml", lambda data: data[:-20]),
        ("DEV/shared-params.xml", lambda data: data.replace(b">DEV<", b">EE<")),
        ("DEV/private-params.xml", lambda data: data.replace(b">DEV<", b">EE<", 1)),
        ("DEV/shared-params.xml.metadata", lambda _: b"{"),
        ("DEV/shared-params.xml.metadata", lambda _: b"[" * 100_000),
        ("DEV/shared-params.xml.metadata", lambda _: b"[]"),
        ("DEV/shared-params.xml.metadata", lambda _: b"{}"),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b"12:10", b"12:11")),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b':"6"', b':"5"')),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b':"6"', b':"66"')),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b':"6"', b":6")),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b"12:10:00Z", b"12:10:00")),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b"2026-", b"soon-")),
        ("DEV/shared-params.xml.metadata", lambda data: data.replace(b'"DEV"', b'"EE"')),
    ],
)
def test_a_copy_that_is_not_whole_is_refused(publisher, tmp_path, file, change):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    spoil(tmp_path / "current" / file, change)
    with pytest.raises(MalformedGlobalConf):
        read_cached(tmp_path)


@pytest.mark.parametrize(
    "file",
    [
        "instance-identifier",
        "configuration-anchor.xml",
        "DEV/shared-params.xml",
        "DEV/shared-params.xml.metadata",
        "DEV/private-params.xml",
    ],
)
def test_a_copy_with_a_file_missing_is_refused(publisher, tmp_path, file):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    (tmp_path / "current" / file).unlink()
    with pytest.raises(MalformedGlobalConf):
        read_cached(tmp_path)


def test_a_folder_that_is_not_its_instance_s_is_refused(publisher, tmp_path):
    trusted = downloaded(publisher)
    save(tmp_path, trusted.held, trusted.anchor)
    shutil.copytree(tmp_path / "current" / "DEV", tmp_path / "current" / "COPY")
    with pytest.raises(MalformedGlobalConf):
        read_cached(tmp_path)


def test_readers_always_see_one_whole_copy(publisher, tmp_path):
    trusted = downloaded(publisher)
    copies = [
        trusted.held,
        {"DEV": replace(trusted.own, expires=trusted.own.expires + MINUTE)},
    ]
    save(tmp_path, copies[0], trusted.anchor)
    done = threading.Event()

    def swap():
        for number in range(20):
            save(tmp_path, copies[number % 2], trusted.anchor)
        done.set()

    writer = threading.Thread(target=swap)
    writer.start()
    cached = None
    while not done.is_set():
        cached = read_cached(tmp_path, cached)
        assert set(cached.conf.instances["DEV"].contents) == set(trusted.own.contents)
    writer.join()


def test_a_directory_for_verifying_containers_does_not_expire(tmp_path, publisher):
    document = publisher.contents()["SHARED-PARAMETERS"]
    (tmp_path / "instance-identifier").write_text("DEV\n")
    (tmp_path / "DEV").mkdir()
    (tmp_path / "DEV" / "shared-params.xml").write_bytes(document)
    metadata = tmp_path / "DEV" / "shared-params.xml.metadata"
    metadata.write_text('{"configurationVersion":"6"}')
    trusts = read_verification_conf(tmp_path)
    expected = sample_shared().certification_services[0].name
    assert [ca.name for ca in trusts["DEV"].cas] == [expected]
    metadata.write_text('{"configurationVersion":"2"}')
    with pytest.raises(MalformedGlobalConf):
        read_verification_conf(tmp_path)


def test_a_directory_for_verifying_needs_the_local_instance(tmp_path):
    with pytest.raises(MalformedGlobalConf):
        read_verification_conf(tmp_path)
    (tmp_path / "instance-identifier").write_text("DEV")
    with pytest.raises(MalformedGlobalConf):
        read_verification_conf(tmp_path)


def test_a_moment_with_fractions_survives(publisher, tmp_path):
    trusted = downloaded(publisher)
    precise = datetime(2026, 1, 15, 12, 10, 0, 123456, UTC)
    own = read_instance(Issue("DEV", 6, precise), trusted.own.contents)
    save(tmp_path, {"DEV": own}, trusted.anchor)
    assert read_cached(tmp_path).conf.valid_until == precise
