"""The fixes of 2026 to the global configuration: what a client must not take, even if it is signed.

XRDDEV-3244, 3256, 3271, 3272 and 3278 are what a directory and its parts may be; XRDDEV-3264 and
3265 are whose signature counts. Each case is a whole download: nothing may be held afterwards that
was not before, and nothing may be asked for that has no place there.
"""

import re
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from protocol.globalconf.publisher import (
    Publisher,
    Web,
    drive,
    sample_private,
    sample_shared,
    signing_key,
)
from sild.components.confclient.cache import folder_of, generation_of, read_cached, save
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfError,
    GlobalConfExpiredDirectory,
    GlobalConfInstanceMismatch,
    GlobalConfMissingPart,
    GlobalConfMissingVerificationCert,
    GlobalConfPartIntegrityFailure,
    GlobalConfRolledBack,
    GlobalConfSignatureFailure,
    MalformedGlobalConf,
)
from sild.protocol.globalconf.fetch import download
from sild.protocol.globalconf.private_parameters import write_private_parameters
from sild.protocol.globalconf.shared_parameters import ConfigurationSource
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.globalconf.trusted import Federations, Scope
from sild.runtime.files import FileError

MINUTE = timedelta(minutes=1)


@pytest.fixture
def publisher():
    return Publisher()


def round_with(publisher, trusted=None):
    """A download from the publisher."""
    trusted = trusted or publisher.trusted()
    return drive(download(trusted, publisher.locations), publisher.get)


@pytest.fixture
def held(publisher):
    """What a client holds after a good round, a minute ago."""
    trusted = round_with(publisher).get_trusted()
    publisher.now += MINUTE
    publisher.requests.clear()
    return trusted


@pytest.fixture
def refused(publisher, held):
    """Check that both a new client and one that holds something refuse, and for this reason."""

    def check(error):
        for trusted in (publisher.trusted(), held):
            outcome = round_with(publisher, trusted)
            assert outcome.trusted is None
            assert isinstance(outcome.attempts[-1].error, error), outcome.attempts[-1].error
            with pytest.raises(GlobalConfDownloadFailed):
                outcome.get_trusted()

    return check


def test_what_is_spoilt_below_is_taken_unspoilt(publisher, held):
    assert round_with(publisher, held).get_trusted().own.expires == publisher.now + 10 * MINUTE


# XRDDEV-3244, 3256, 3271, 3272, 3278: the directory and its parts

LOCATIONS = {
    "up": "/V6/../../../etc/passwd",
    "up from here": "../../etc/passwd",
    "up, encoded": "/V6/%2e%2e/%2E%2E/etc/passwd",
    "up, encoded twice": "/V6/%252e%252e/etc/passwd",
    "up, overlong": "/V6/%c0%ae%c0%ae/etc/passwd",
    "an encoded slash": "/V6/..%2fshared-params.xml",
    "a backslash": "/V6/..\\shared-params.xml",
    "an encoded backslash": "/V6/..%5cshared-params.xml",
    "an encoded NUL": "/V6/shared-params.xml%00.xml",
    "a file": "file:///etc/passwd",
    "another server": "http://evil.test/shared-params.xml",
    "another server, short": "//evil.test/shared-params.xml",
    "another server, shorter": "/\\evil.test/shared-params.xml",
    "a query": "/V6/shared-params.xml?from=evil.test",
    "nothing": "",
    "the root": "/",
    "a control": "/V6/shared-params.xml\x01",
}


@pytest.mark.parametrize("location", LOCATIONS.values(), ids=LOCATIONS)
def test_xrddev_3244_a_location_that_leaves_its_place_is_refused(publisher, refused, location):
    line = re.compile(rb"(Content-location: )[^\r\n]*", re.IGNORECASE)
    publisher.spoil_signed = lambda signed: line.sub(
        lambda found: found[1] + location.encode(), signed, count=1
    )
    asked = len(publisher.requests)
    refused(GlobalConfError)
    assert all("internalconf?version" in url for url in publisher.requests[asked:])


def test_xrddev_3244_no_location_leads_to_another_server(publisher):
    publisher.spoil_signed = lambda signed: signed.replace(b"/V6/", b"@evil.test/")
    round_with(publisher)
    assert "http://cs.test/@evil.test/internalconf/shared-params.xml" in publisher.requests
    assert {urlsplit(url).netloc for url in publisher.requests} == {"cs.test"}


@pytest.mark.parametrize("instance", ["..", ".", ""])
def test_xrddev_3244_an_instance_that_leaves_its_place_has_no_folder(publisher, held, tmp_path, instance):  # fmt: skip
    with pytest.raises(MalformedGlobalConf):
        folder_of(instance)
    conf = replace(held.own, instance=instance)
    with pytest.raises((MalformedGlobalConf, FileError)):
        save(tmp_path / "copy", {instance: conf}, publisher.anchor())
    assert list(tmp_path.rglob("*.xml")) == []


@pytest.mark.parametrize("instance", ["../../etc", "a/b", "a\\b", "a\0b", "/etc", "%2e%2e"])
def test_xrddev_3244_an_instance_with_separators_is_one_folder(instance):
    folder = folder_of(instance)
    assert not set("/\\\0") & set(folder)
    assert folder not in {".", ".."}


class Spoilt:
    """Directories and parts, signed by the key that is trusted, that must not be taken."""

    def __init__(self, publisher):
        self.publisher = publisher
        # Nothing is fetched again that is held already.
        publisher.shared = replace(publisher.shared, groups=())
        publisher.private = sample_private(timestamping_interval_seconds=90)

    def contents(self, change):
        self.publisher.spoil_contents = lambda contents: replace(
            contents, parts=tuple(change(contents.parts))
        )

    def directory_of_another_instance(self):
        self.contents(lambda parts: (replace(part, instance="EE") for part in parts))

    def part_listed_for_another_instance(self):
        self.contents(lambda parts: (replace(parts[0], instance="EE"), *parts[1:]))

    def shared_parameters_of_another_instance(self):
        shared = replace(sample_shared("EE"), sources=(ConfigurationSource("cs"),))
        self.publisher.parts = {"SHARED-PARAMETERS": write_shared_parameters(shared)}

    def private_parameters_of_another_instance(self):
        private = write_private_parameters(sample_private("EE"))
        self.publisher.parts = {"PRIVATE-PARAMETERS": private}

    def another_case_of_the_instance(self):
        self.contents(lambda parts: (replace(part, instance="dev") for part in parts))

    def expired(self):
        self.publisher.validity = timedelta(seconds=-1)

    def without_shared_parameters(self):
        self.contents(lambda parts: parts[1:])

    def without_private_parameters(self):
        self.contents(lambda parts: parts[:1])

    def without_parts(self):
        self.contents(lambda parts: ())

    def a_part_twice(self):
        self.contents(lambda parts: (*parts, parts[0]))

    def a_part_twice_at_two_places(self):
        self.contents(lambda parts: (*parts, replace(parts[0], location="/V6/other.xml")))

    def a_part_that_is_gone(self):
        self.contents(lambda parts: (replace(parts[0], location="/V6/gone.xml"), *parts[1:]))

    def a_part_for_another(self):
        first, second = (part.location for part in self._parts())
        places = {first: second, second: first}
        self.contents(
            lambda parts: (replace(part, location=places[part.location]) for part in parts)
        )

    def a_part_with_other_bytes(self):
        self.publisher.spoil_part = lambda identifier, data: data + b" "

    def a_part_that_is_empty(self):
        self.publisher.spoil_part = lambda identifier, data: b""

    def parts_of_an_older_version(self):
        """Version 2 has no sources; under the number 6 it does not fit, nor 6 under 2."""
        self.publisher.versions = (2,)
        self.publisher.parts = {"SHARED-PARAMETERS": self.publisher._shared(6)}

    def an_unknown_version(self):
        self.publisher.spoil_signed = lambda signed: signed.replace(b"Version: 6", b"Version: 7")

    def two_versions(self):
        self.publisher.spoil_signed = lambda signed: signed.replace(
            b"Version: 6", b"Version: 6\r\nVersion: 2"
        )

    def two_dates_of_expiry(self):
        line = re.compile(rb"(Expire-date: )[^\r\n]*")
        self.publisher.spoil_signed = lambda signed: line.sub(
            rb"\g<0>\r\n\g<1>2099-01-01T00:00:00Z", signed, count=1
        )

    def changed_after_signing(self):
        self.publisher.spoil_directory = lambda data: data.replace(b"2026-01-15", b"2036-01-15")

    def another_signature(self):
        other = Publisher(key=self.publisher.key)
        tail = other.signed_directory().rpartition(b"EEEE\r\n")[2]
        self.publisher.spoil_directory = lambda data: (
            data.rpartition(b"EEEE\r\n")[0] + b"EEEE\r\n" + tail
        )

    def _parts(self):
        shared, private = self.publisher.contents().items()
        return [self.publisher.part(*shared), self.publisher.part(*private)]


SPOILT = {
    Spoilt.directory_of_another_instance: GlobalConfMissingPart,
    Spoilt.part_listed_for_another_instance: GlobalConfMissingPart,
    Spoilt.shared_parameters_of_another_instance: GlobalConfInstanceMismatch,
    Spoilt.private_parameters_of_another_instance: GlobalConfInstanceMismatch,
    Spoilt.another_case_of_the_instance: GlobalConfMissingPart,
    Spoilt.expired: GlobalConfExpiredDirectory,
    Spoilt.without_shared_parameters: GlobalConfMissingPart,
    Spoilt.without_private_parameters: GlobalConfMissingPart,
    Spoilt.without_parts: GlobalConfError,
    Spoilt.a_part_twice: MalformedGlobalConf,
    Spoilt.a_part_twice_at_two_places: MalformedGlobalConf,
    Spoilt.a_part_that_is_gone: GlobalConfDownloadFailed,
    Spoilt.a_part_for_another: GlobalConfPartIntegrityFailure,
    Spoilt.a_part_with_other_bytes: GlobalConfPartIntegrityFailure,
    Spoilt.a_part_that_is_empty: GlobalConfPartIntegrityFailure,
    Spoilt.parts_of_an_older_version: MalformedGlobalConf,
    Spoilt.an_unknown_version: MalformedGlobalConf,
    Spoilt.two_versions: MalformedGlobalConf,
    Spoilt.two_dates_of_expiry: GlobalConfError,
    Spoilt.changed_after_signing: GlobalConfSignatureFailure,
    Spoilt.another_signature: GlobalConfSignatureFailure,
}


@pytest.mark.parametrize("case", SPOILT.items(), ids=lambda case: case[0].__name__)
def test_xrddev_3256_3271_3272_3278_what_is_not_the_configuration_is_refused(
    publisher, refused, case
):
    spoil, error = case
    spoil(Spoilt(publisher))
    refused(error)


def test_xrddev_3271_parts_that_nobody_knows_are_neither_fetched_nor_held(publisher, held):
    publisher.parts = {"FOO": b"bar", "SHARED-PARAMETERS-2": publisher._shared(6)}
    trusted = round_with(publisher, held).get_trusted()
    assert {kind.value for kind in trusted.own.contents} == {
        "SHARED-PARAMETERS",
        "PRIVATE-PARAMETERS",
    }
    assert not any("foo" in url or "-2" in url for url in publisher.requests)


def test_xrddev_3271_another_instance_brings_nothing_that_was_not_allowed(publisher, held):
    """Neither as a part of the own directory, nor private parameters from a federated one."""
    contents = lambda c: replace(  # noqa: E731 - a change in one line
        c, parts=(*c.parts, *(replace(p, instance="EE") for p in c.parts))
    )
    publisher.spoil_contents = contents
    assert set(round_with(publisher, held).get_trusted().held) == {"DEV"}
    allowed = replace(held, federations=Federations(all=True))
    # Allowed, its shared parameters are looked at; they say that they are of DEV.
    (*_, last) = round_with(publisher, allowed).attempts
    assert isinstance(last.error, GlobalConfInstanceMismatch)


def test_xrddev_3278_a_version_of_before_is_refused_however_it_comes(publisher):
    old = publisher.signed_directory()
    publisher.now += MINUTE
    held = round_with(publisher).get_trusted()
    publisher.spoil_directory = lambda _: old
    outcome = round_with(publisher, held)
    assert outcome.trusted is None
    assert isinstance(outcome.attempts[-1].error, GlobalConfRolledBack)
    # From the disk, after a restart, and for what has expired meanwhile, it is no better.
    publisher.now += timedelta(days=1)
    with pytest.raises(GlobalConfError):
        held.begin(old, publisher.now)


def test_xrddev_3278_a_restart_forgets_no_date(publisher, tmp_path):
    old = publisher.signed_directory()
    publisher.now += MINUTE
    trusted = round_with(publisher).get_trusted()
    save(tmp_path, trusted.held, publisher.anchor())
    cached = read_cached(tmp_path)
    again = replace(publisher.trusted(), held=cached.conf.instances)
    with pytest.raises(GlobalConfRolledBack):
        again.begin(old, publisher.now)


def test_xrddev_3272_a_copy_of_mixed_issues_is_refused(publisher, tmp_path):
    """Files of two issues beside each other are nobody's configuration."""
    trusted = round_with(publisher).get_trusted()
    generation = save(tmp_path, trusted.held, publisher.anchor())
    del generation
    folder = tmp_path / generation_of(tmp_path) / "DEV"
    (metadata,) = folder.glob("private-params.xml.*")
    text = metadata.read_text()
    for changed in (
        text.replace("2026-", "2027-"),
        re.sub(r'("configurationVersion"\s*:\s*)"6"', r'\1"5"', text),
        text.replace('"DEV"', '"EE"'),
    ):
        assert changed != text
        metadata.write_text(changed)
        with pytest.raises(GlobalConfError):
            read_cached(tmp_path)


# XRDDEV-3264, XRDDEV-3265: whose signature counts


def rotate(publisher, trusted, key, *announced):
    """A round in which the publisher signs with a key and announces others."""
    publisher.key, publisher.announced = key, announced
    publisher.now += MINUTE
    return round_with(publisher, trusted).get_trusted()


def test_xrddev_3264_a_certificate_that_the_current_source_does_not_name_is_refused(publisher):
    anchored, passing, last = publisher.key, signing_key("Passing"), signing_key("Last")
    trusted = round_with(publisher).get_trusted()
    trusted = rotate(publisher, trusted, anchored, passing)
    trusted = rotate(publisher, trusted, passing, last)
    trusted = rotate(publisher, trusted, last)
    assert passing.certificate not in trusted.certificates
    publisher.key, publisher.now = passing, publisher.now + MINUTE
    outcome = round_with(publisher, trusted)
    assert isinstance(outcome.attempts[-1].error, GlobalConfMissingVerificationCert)


def test_xrddev_3264_nor_is_one_that_only_the_copy_on_disk_remembers(publisher, tmp_path):
    anchored, passing, last = publisher.key, signing_key("Passing"), signing_key("Last")
    anchor = publisher.anchor()
    trusted = round_with(publisher).get_trusted()
    for key, announced in ((anchored, passing), (passing, last), (last, anchored)):
        trusted = rotate(publisher, trusted, key, announced)
        save(tmp_path, trusted.held, anchor)
    cached = read_cached(tmp_path)
    again = replace(trusted, held=cached.conf.instances)
    publisher.key, publisher.now = passing, publisher.now + MINUTE
    outcome = round_with(publisher, again)
    assert isinstance(outcome.attempts[-1].error, GlobalConfMissingVerificationCert)


def test_xrddev_3264_a_key_does_not_vouch_for_itself(publisher):
    trusted = round_with(publisher).get_trusted()
    stolen = signing_key("Vouches for itself")
    publisher.key, publisher.announced = stolen, (stolen,)
    for client in (publisher.trusted(), trusted):
        # The anchor of before, not one of the new key.
        anchored = replace(client, anchor=trusted.anchor)
        outcome = drive(download(anchored, publisher.locations), publisher.get)
        assert isinstance(outcome.attempts[-1].error, GlobalConfMissingVerificationCert)


def test_xrddev_3265_a_certificate_that_is_withdrawn_ends_with_the_next_round(publisher):
    """The announced key was never used, and is taken back: from then on it signs nothing."""
    trusted = round_with(publisher).get_trusted()
    good, withdrawn = publisher.key, signing_key("Withdrawn")
    trusted = rotate(publisher, trusted, good, withdrawn)
    trusted = rotate(publisher, trusted, good)
    publisher.key, publisher.now = withdrawn, publisher.now + MINUTE
    outcome = round_with(publisher, trusted)
    assert isinstance(outcome.attempts[-1].error, GlobalConfMissingVerificationCert)


def test_xrddev_3265_a_key_of_a_source_is_no_key_for_what_it_is_not_for(publisher):
    """An external key signs no internal configuration; a partner's key not ours."""
    external = signing_key("External")
    source = ConfigurationSource("cs.test", (), (external.certificate,))
    publisher.shared = replace(publisher.shared, sources=(source,))
    trusted = round_with(publisher).get_trusted()
    anchor = trusted.anchor
    for key in (external, Publisher("EE", directory="externalconf").key):
        publisher.key, publisher.now = key, publisher.now + MINUTE
        outcome = round_with(publisher, replace(trusted, anchor=anchor))
        assert isinstance(outcome.attempts[-1].error, GlobalConfMissingVerificationCert)


def test_xrddev_3265_a_partner_brings_only_itself():
    """Federated, its directory says nothing of us, however it is signed."""
    ours, partner = Publisher(), Publisher("EE", address="ee.test", directory="externalconf")
    partner.spoil_contents = lambda contents: replace(
        contents, parts=(*contents.parts, *(replace(p, instance="DEV") for p in contents.parts))
    )
    trusted = partner.trusted(scope=Scope.FEDERATED, federations=Federations(all=True))
    web = Web((ours, partner))
    held = drive(download(trusted, partner.locations), web.get).get_trusted().held
    assert set(held) == {"EE"}
    assert held["EE"].private is None
