from dataclasses import replace
from datetime import timedelta

import pytest

from pki_builder import NOON
from protocol.globalconf.publisher import (
    FETCHINTERVAL,
    MONITORING,
    NEXTUPDATE,
    Publisher,
    sample_private,
    sample_shared,
    signing_key,
)
from sild.protocol.errors import (
    GlobalConfExpiredDirectory,
    GlobalConfInstanceMismatch,
    GlobalConfMissingPart,
    GlobalConfMissingVerificationCert,
    GlobalConfPartIntegrityFailure,
    GlobalConfRolledBack,
    MalformedAnchor,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.anchor import Anchor, Source
from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.private_parameters import write_private_parameters
from sild.protocol.globalconf.shared_parameters import ConfigurationSource
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.globalconf.trusted import Federations, Scope, TrustedConf
from sild.protocol.ids import ClientId

MINUTE = timedelta(minutes=1)


@pytest.fixture
def publisher():
    return Publisher()


def brought(publisher, update):
    """What the publisher has for the parts that an update misses."""
    return {part: publisher.file_at(part.location) for part in update.missing}


def updated(trusted, publisher, version=6):
    """The client after one round with the publisher."""
    update = trusted.begin(publisher.signed_directory(version), publisher.now)
    return update.finish(brought(publisher, update))


def test_a_verified_directory_and_its_parts_are_held(publisher):
    trusted = updated(publisher.trusted(), publisher)
    own = trusted.own
    assert (own.instance, own.version, own.expires) == ("DEV", 6, NOON + 10 * MINUTE)
    assert own.shared.members == publisher.shared.members
    assert own.private == publisher.private
    assert own.contents[PartKind.SHARED_PARAMETERS].data == publisher._shared(6)


def test_the_optional_parts_are_read(publisher):
    publisher.parts = {
        "MONITORING": MONITORING,
        "FETCHINTERVAL": FETCHINTERVAL,
        "NEXTUPDATE": NEXTUPDATE,
    }
    extensions = updated(publisher.trusted(), publisher).own.extensions
    assert extensions.monitoring_client == ClientId("DEV", "GOV", "M1")
    assert extensions.ocsp_fetch_interval_seconds == 500
    assert extensions.verify_next_update is False


@pytest.mark.parametrize("identifier", ["MONITORING", "FETCHINTERVAL", "NEXTUPDATE"])
def test_an_optional_part_against_its_schema_is_refused(publisher, identifier):
    publisher.parts = {identifier: b"<conf/>"}
    with pytest.raises(MalformedGlobalConf):
        updated(publisher.trusted(), publisher)


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_is_accepted(publisher, version):
    publisher.versions = (version,)
    assert updated(publisher.trusted(), publisher, version).own.version == version


def test_a_part_of_another_version_than_its_directory_is_refused(publisher):
    publisher.versions = (4,)
    publisher.parts = {"SHARED-PARAMETERS": publisher._shared(6)}
    with pytest.raises(MalformedGlobalConf):
        updated(publisher.trusted(), publisher, 4)


def test_a_part_that_did_not_change_is_not_missed(publisher):
    trusted = updated(publisher.trusted(), publisher)
    publisher.now += MINUTE
    publisher.private = sample_private(timestamping_interval_seconds=90)
    update = trusted.begin(publisher.signed_directory(), publisher.now)
    assert [part.kind for part in update.missing] == [PartKind.PRIVATE_PARAMETERS]
    later = update.finish(brought(publisher, update))
    assert later.own.shared is trusted.own.shared
    assert later.own.expires == NOON + 11 * MINUTE
    assert later.own.private.timestamping_interval_seconds == 90


def test_a_part_without_the_signed_digest_is_refused(publisher):
    update = publisher.trusted().begin(publisher.signed_directory(), NOON)
    bodies = brought(publisher, update)
    for part in update.parts:
        with pytest.raises(GlobalConfPartIntegrityFailure):
            update.finish(bodies | {part: bodies[part] + b" "})


def test_a_part_that_was_not_brought_is_noticed(publisher):
    update = publisher.trusted().begin(publisher.signed_directory(), NOON)
    with pytest.raises(GlobalConfMissingPart):
        update.finish({})


@pytest.mark.parametrize("identifier", ["SHARED-PARAMETERS", "PRIVATE-PARAMETERS"])
def test_a_directory_without_a_part_that_must_be_there_is_refused(publisher, identifier):
    publisher.spoil_contents = lambda contents: replace(
        contents, parts=tuple(p for p in contents.parts if p.identifier != identifier)
    )
    with pytest.raises(GlobalConfMissingPart, match=identifier):
        updated(publisher.trusted(), publisher)


def test_a_directory_that_names_a_part_twice_is_refused(publisher):
    publisher.spoil_contents = lambda contents: replace(contents, parts=contents.parts * 2)
    with pytest.raises(MalformedGlobalConf, match="two files"):
        updated(publisher.trusted(), publisher)


def test_a_part_that_is_not_known_is_neither_fetched_nor_held(publisher):
    publisher.parts = {"FOO": b"bar"}
    update = publisher.trusted().begin(publisher.signed_directory(), NOON)
    assert {part.identifier for part in update.parts} == {
        "SHARED-PARAMETERS",
        "PRIVATE-PARAMETERS",
    }


def test_a_directory_of_another_instance_is_refused(publisher):
    publisher.spoil_contents = lambda contents: replace(
        contents, parts=tuple(replace(part, instance="EE") for part in contents.parts)
    )
    with pytest.raises(GlobalConfMissingPart, match="of DEV"):
        updated(publisher.trusted(), publisher)


def test_shared_parameters_of_another_instance_than_listed_are_refused(publisher):
    other = replace(sample_shared("EE"), sources=(ConfigurationSource("cs"),))
    publisher.parts = {"SHARED-PARAMETERS": write_shared_parameters(other)}
    with pytest.raises(GlobalConfInstanceMismatch):
        updated(publisher.trusted(), publisher)


def test_private_parameters_of_another_instance_than_listed_are_refused(publisher):
    publisher.parts = {"PRIVATE-PARAMETERS": write_private_parameters(sample_private("EE"))}
    with pytest.raises(GlobalConfInstanceMismatch):
        updated(publisher.trusted(), publisher)


def test_an_expired_directory_is_refused(publisher):
    directory = publisher.signed_directory()
    publisher.trusted().begin(directory, NOON + 10 * MINUTE)
    with pytest.raises(GlobalConfExpiredDirectory):
        publisher.trusted().begin(directory, NOON + 11 * MINUTE)


def test_a_directory_that_expires_before_the_held_one_is_refused(publisher):
    replayed = publisher.signed_directory()
    publisher.now += MINUTE
    trusted = updated(publisher.trusted(), publisher)
    with pytest.raises(GlobalConfRolledBack):
        trusted.begin(replayed, publisher.now)


def test_it_is_refused_even_if_the_held_one_has_expired_long_ago(publisher):
    trusted = updated(publisher.trusted(), publisher)
    publisher.validity = timedelta(days=365)
    publisher.now -= timedelta(days=366)
    with pytest.raises(GlobalConfRolledBack):
        trusted.begin(publisher.signed_directory(), publisher.now)


STAMP = "20260102030405000000000"


@pytest.mark.parametrize(
    ("later", "taken"),
    [
        ("20260102030405000000001", True),
        ("20260102030406", True),
        (STAMP, False),
        ("20260102030404999999999", False),
        ("internalconf", False),
        ("2026010203040600000000000000", False),
    ],
)
def test_what_was_published_later_may_expire_earlier(publisher, later, taken):
    publisher.stamp = STAMP
    trusted = updated(publisher.trusted(), publisher)
    publisher.stamp = later
    publisher.validity -= MINUTE
    if taken:
        assert updated(trusted, publisher).own.expires == NOON + 9 * MINUTE
    else:
        with pytest.raises(GlobalConfRolledBack):
            updated(trusted, publisher)


def test_every_part_must_have_been_published_later(publisher):
    publisher.stamp = STAMP
    trusted = updated(publisher.trusted(), publisher)

    def leave_one(contents):
        first, *others = contents.parts
        others = (
            replace(part, location=part.location.replace(STAMP, "2027" + STAMP[4:]))
            for part in others
        )
        return replace(contents, parts=(first, *others))

    publisher.spoil_contents = leave_one
    publisher.validity -= MINUTE
    with pytest.raises(GlobalConfRolledBack):
        trusted.begin(publisher.signed_directory(), publisher.now)


def test_without_a_moment_in_what_is_held_nothing_may_expire_earlier(publisher):
    trusted = updated(publisher.trusted(), publisher)
    publisher.stamp = STAMP
    publisher.validity -= MINUTE
    with pytest.raises(GlobalConfRolledBack):
        updated(trusted, publisher)


def test_the_same_directory_is_accepted_again(publisher):
    trusted = updated(publisher.trusted(), publisher)
    update = trusted.begin(publisher.signed_directory(), publisher.now)
    assert update.missing == ()
    assert update.finish({}).own == trusted.own


def test_keys_rotate_without_a_new_anchor(publisher):
    old, new = publisher.key, signing_key("The next key")
    trusted = publisher.trusted()

    publisher.announced = (new,)
    trusted = updated(trusted, publisher)

    publisher.key, publisher.announced, publisher.now = new, (old,), NOON + MINUTE
    trusted = updated(trusted, publisher)

    newest = signing_key("The key after that")
    publisher.announced, publisher.now = (newest,), NOON + 2 * MINUTE
    trusted = updated(trusted, publisher)
    publisher.key, publisher.announced, publisher.now = newest, (), NOON + 3 * MINUTE
    assert updated(trusted, publisher).own.expires == NOON + 13 * MINUTE


def test_a_key_that_was_not_announced_is_refused(publisher):
    trusted = updated(publisher.trusted(), publisher)
    publisher.key, publisher.now = signing_key("Not announced"), NOON + MINUTE
    with pytest.raises(GlobalConfMissingVerificationCert):
        updated(trusted, publisher)


def test_a_key_that_is_announced_only_in_the_directory_it_signs_is_refused(publisher):
    trusted = publisher.trusted()
    publisher.key = signing_key("Vouches for itself")
    with pytest.raises(GlobalConfMissingVerificationCert):
        updated(trusted, publisher)


def test_a_key_that_was_rotated_out_is_no_longer_trusted(publisher):
    anchored, passing, last = publisher.key, signing_key("Passing"), signing_key("Last")
    trusted = publisher.trusted()
    publisher.announced = (passing,)
    trusted = updated(trusted, publisher)
    publisher.key, publisher.announced, publisher.now = passing, (last,), NOON + MINUTE
    trusted = updated(trusted, publisher)
    publisher.key, publisher.announced, publisher.now = last, (), NOON + 2 * MINUTE
    trusted = updated(trusted, publisher)

    publisher.key, publisher.now = passing, NOON + 3 * MINUTE
    with pytest.raises(GlobalConfMissingVerificationCert):
        updated(trusted, publisher)
    # The anchor speaks for its key until the operator brings another anchor.
    publisher.key = anchored
    assert updated(trusted, publisher).own.expires == NOON + 13 * MINUTE


def test_an_internal_configuration_is_not_signed_by_an_external_key(publisher):
    external = signing_key("External")
    source = ConfigurationSource("cs", (), (external.certificate,))
    publisher.shared = replace(publisher.shared, sources=(source,))
    trusted = updated(publisher.trusted(), publisher)
    publisher.key = external
    with pytest.raises(GlobalConfMissingVerificationCert):
        updated(trusted, publisher)


def test_an_external_configuration_is_not_signed_by_an_internal_key():
    publisher = Publisher(directory="externalconf")
    internal = signing_key("Internal")
    source = ConfigurationSource("cs", (internal.certificate,), (publisher.key.certificate,))
    publisher.shared = replace(publisher.shared, sources=(source,))
    trusted = updated(publisher.trusted(), publisher)
    assert updated(trusted, publisher).own.private is None
    publisher.key = internal
    with pytest.raises(GlobalConfMissingVerificationCert):
        updated(trusted, publisher)


def test_of_a_federated_instance_only_shared_parameters_are_taken():
    publisher = Publisher("EE", directory="externalconf", private=sample_private("EE"))
    publisher.parts = {"MONITORING": MONITORING}
    trusted = updated(publisher.trusted(scope=Scope.FEDERATED), publisher)
    assert set(trusted.own.contents) == {PartKind.SHARED_PARAMETERS}
    assert trusted.own.extensions.monitoring_client is None


def test_the_same_bytes_in_another_version_are_read_again(publisher):
    publisher.versions = (6, 4)
    trusted = updated(publisher.trusted(), publisher)
    publisher.parts = {"SHARED-PARAMETERS": publisher._shared(6)}
    update = trusted.begin(publisher.signed_directory(4), NOON)
    assert update.missing == ()
    with pytest.raises(MalformedGlobalConf):
        update.finish({})


def gathering(publisher):
    """The publisher as a configuration proxy that gathers the instance EE as well."""
    document = write_shared_parameters(
        replace(sample_shared("EE"), sources=(ConfigurationSource("ee"),))
    )
    partner = replace(publisher.part("OTHER", document), identifier="SHARED-PARAMETERS")
    partner = replace(partner, instance="EE")
    stranger = replace(partner, identifier="PRIVATE-PARAMETERS")
    publisher.parts = {"OTHER": document}
    publisher.spoil_contents = lambda contents: replace(
        contents, parts=(*contents.parts, partner, stranger)
    )
    return publisher


def test_a_configuration_proxy_brings_the_instances_that_are_allowed(publisher):
    trusted = publisher.trusted(federations=Federations.from_text("ee"))
    trusted = updated(trusted, gathering(publisher))
    assert set(trusted.held) == {"DEV", "EE"}
    assert trusted.held["EE"].private is None
    publisher.spoil_contents = lambda contents: contents
    assert set(updated(trusted, publisher).held) == {"DEV"}


def test_a_federated_instance_brings_no_third_one():
    publisher = gathering(Publisher("FI", directory="externalconf"))
    everybody = Federations.from_text("all")
    trusted = publisher.trusted(scope=Scope.FEDERATED, federations=everybody)
    assert set(updated(trusted, publisher).held) == {"FI"}


def test_instances_that_are_not_allowed_are_passed_over(publisher):
    assert set(updated(publisher.trusted(), gathering(publisher)).held) == {"DEV"}


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("none", ()),
        ("", ()),
        ("NONE, EE", ()),
        ("all, none", ()),
        ("all", ("EE", "FI")),
        ("All,EE", ("EE", "FI")),
        ("ee ,LV", ("EE",)),
    ],
)
def test_the_setting_says_whom_to_federate_with(text, allowed):
    federations = Federations.from_text(text)
    assert tuple(name for name in ("EE", "FI") if federations.allows(name)) == allowed


def test_an_anchor_with_a_bad_certificate_is_refused_when_it_is_used(publisher):
    trusted = TrustedConf(Anchor("EE", (Source("http://ee/externalconf", (b"bar",)),)))
    with pytest.raises(MalformedAnchor):
        trusted.begin(publisher.signed_directory(), NOON)
