from dataclasses import replace
from datetime import timedelta

import pytest

from pki_builder import NOON
from protocol.globalconf.publisher import Publisher, Web, drive, sample_shared, signing_key
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfExpiredDirectory,
    GlobalConfMissingVerificationCert,
    GlobalConfPartIntegrityFailure,
    GlobalConfRolledBack,
    MalformedAnchor,
    MalformedGlobalConf,
    ProtocolError,
)
from sild.protocol.globalconf.anchor import Anchor, Source
from sild.protocol.globalconf.fetch import (
    DIRECTORY_LIMIT,
    PART_LIMIT,
    Answer,
    Get,
    NoAnswer,
    download,
    locations_of,
)
from sild.protocol.globalconf.shared_parameters import ConfigurationSource

MINUTE = timedelta(minutes=1)


def fetched(publisher, trusted=None, **choices):
    """The outcome of one round with a publisher."""
    trusted = trusted or publisher.trusted()
    return drive(download(trusted, publisher.locations, **choices), publisher.get)


def test_the_directory_and_then_its_parts_are_fetched():
    publisher = Publisher()
    outcome = fetched(publisher)
    assert outcome.get_trusted().own.shared.members == publisher.shared.members
    assert outcome.location == "http://cs.test/internalconf"
    assert publisher.requests == [
        "https://cs.test/internalconf?version=6",
        "http://cs.test/internalconf?version=6",
        "http://cs.test/V6/internalconf/shared-params.xml",
        "http://cs.test/V6/internalconf/private-params.xml",
    ]


def test_https_is_used_where_it_works():
    publisher = Publisher(silent=())
    assert fetched(publisher).location == "https://cs.test/internalconf"
    assert all(url.startswith("https:") for url in publisher.requests)


def test_parts_that_did_not_change_are_not_fetched_again():
    publisher = Publisher(silent=())
    trusted = fetched(publisher).get_trusted()
    publisher.requests.clear()
    publisher.now += MINUTE
    outcome = fetched(publisher, trusted)
    assert outcome.get_trusted().own.expires == NOON + 11 * MINUTE
    assert publisher.requests == ["https://cs.test/internalconf?version=6"]


def test_an_older_source_is_asked_for_older_versions_down_to_2():
    publisher = Publisher(versions=(2,), silent=())
    assert fetched(publisher).get_trusted().own.version == 2
    assert publisher.requests[:5] == [
        f"https://cs.test/internalconf?version={version}" for version in (6, 5, 4, 3, 2)
    ]


def test_versions_below_the_lowest_allowed_are_not_asked_for():
    publisher = Publisher(versions=(2,), silent=())
    outcome = fetched(publisher, versions=(6, 5))
    assert outcome.trusted is None
    assert [url[-1] for url in publisher.requests] == ["6", "5", "6", "5"]


def test_a_source_that_answers_with_a_version_below_the_lowest_allowed_is_refused():
    publisher = Publisher(versions=(6,), silent=())
    publisher.spoil_signed = lambda signed: signed.replace(b"Version: 6", b"Version: 3")
    outcome = fetched(publisher, versions=(6, 5, 4))
    assert all("version 3" in attempt.error.message for attempt in outcome.attempts)


def test_a_version_in_the_address_is_kept():
    publisher = Publisher(versions=(3, 6), silent=())
    url = "http://cs.test/internalconf?version=3"
    outcome = drive(download(publisher.trusted(), [url]), publisher.get)
    assert outcome.get_trusted().own.version == 3
    assert publisher.requests[0] == url


def test_another_query_is_kept_beside_the_version():
    conversation = download(Publisher().trusted(), ["http://cs.test/conf?a=b&c="])
    assert next(conversation) == Get("http://cs.test/conf?a=b&c=&version=6", DIRECTORY_LIMIT)


@pytest.mark.parametrize("status", [301, 302, 403, 500, 503])
def test_any_other_status_than_not_found_ends_the_location(status):
    conversation = download(Publisher().trusted(), ["http://cs.test/internalconf"])
    next(conversation)
    with pytest.raises(StopIteration) as done:
        conversation.send(Answer(status, b"", NOON))
    (attempt,) = done.value.value.attempts
    assert isinstance(attempt.error, GlobalConfDownloadFailed)
    assert str(status) in attempt.error.message


def test_every_source_says_what_was_wrong_with_it():
    silent = Publisher(address="silent.test", silent=("http",))
    stranger = Publisher(address="stranger.test", silent=())
    good = Publisher(silent=())
    locations = [p.url for p in (silent, stranger, good)]
    outcome = drive(download(good.trusted(), locations), Web((silent, stranger, good)).get)
    assert outcome.location == good.url
    assert [a.location for a in outcome.attempts] == locations
    assert isinstance(outcome.attempts[0].error, GlobalConfDownloadFailed)
    assert isinstance(outcome.attempts[1].error, GlobalConfMissingVerificationCert)
    assert outcome.attempts[2].error is None


def test_without_any_usable_source_all_errors_are_told():
    publisher = Publisher(silent=("http",))
    outcome = fetched(publisher)
    assert (outcome.trusted, outcome.location) == (None, None)
    with pytest.raises(GlobalConfDownloadFailed) as refused:
        outcome.get_trusted()
    for url in publisher.locations:
        assert f"{url}: " in refused.value.message
    assert "nobody listens there" in refused.value.message


def test_a_replay_falls_to_the_next_source():
    publisher = Publisher(silent=())
    replay = publisher.signed_directory()
    publisher.now += MINUTE
    trusted = fetched(publisher).get_trusted()
    mirror = replace(publisher, address="mirror.test", spoil_directory=lambda _: replay)
    outcome = drive(download(trusted, [mirror.url, publisher.url]), Web((mirror, publisher)).get)
    assert isinstance(outcome.attempts[0].error, GlobalConfRolledBack)
    assert outcome.location == publisher.url


def test_the_moment_of_the_answer_decides_about_expiry():
    publisher = Publisher(silent=(), validity=-MINUTE)
    errors = [attempt.error for attempt in fetched(publisher).attempts]
    assert all(isinstance(error, GlobalConfExpiredDirectory) for error in errors)


def test_a_part_with_other_bytes_than_signed_for_is_refused():
    publisher = Publisher(silent=(), spoil_part=lambda _, data: data + b" ")
    errors = [attempt.error for attempt in fetched(publisher).attempts]
    assert all(isinstance(error, GlobalConfPartIntegrityFailure) for error in errors)


def test_a_part_that_is_gone_is_an_error_of_its_source():
    publisher = Publisher(silent=(), spoil_part=lambda *_: None)
    errors = [attempt.error for attempt in fetched(publisher).attempts]
    assert all("404" in error.message for error in errors)


@pytest.mark.parametrize("location", [b"//evil.test/x", b"http://evil.test/x", b"/../../x"])
def test_a_part_on_another_server_is_never_asked_for(location):
    publisher = Publisher(silent=())
    publisher.spoil_signed = lambda signed: signed.replace(
        b"/V6/internalconf/shared-params.xml", location
    )
    outcome = fetched(publisher)
    assert all(isinstance(a.error, MalformedGlobalConf) for a in outcome.attempts)
    assert all(url.endswith("/internalconf?version=6") for url in publisher.requests)


def test_a_relative_location_is_beside_the_directory():
    publisher = Publisher(silent=())
    publisher.spoil_contents = lambda contents: replace(
        contents, parts=tuple(replace(p, location=p.location[1:]) for p in contents.parts)
    )
    fetched(publisher)
    assert "https://cs.test/V6/internalconf/shared-params.xml" in publisher.requests


def test_every_request_has_a_limit():
    publisher, limits = Publisher(silent=()), {}

    def get(wanted):
        limits[wanted.url.rpartition("/")[2]] = wanted.limit
        return publisher.get(wanted)

    drive(download(publisher.trusted(), publisher.locations), get)
    assert limits == {
        "internalconf?version=6": DIRECTORY_LIMIT,
        "shared-params.xml": PART_LIMIT,
        "private-params.xml": 1024 * 1024,
    }


def test_sources_announced_in_the_shared_parameters_are_followed():
    publisher = Publisher(silent=())
    trusted = fetched(publisher).get_trusted()
    publisher.shared = replace(
        publisher.shared,
        sources=(ConfigurationSource("cs.test"), ConfigurationSource("cs2.test")),
    )
    publisher.now += MINUTE
    trusted = fetched(publisher, trusted).get_trusted()
    moved = replace(publisher, address="cs2.test", now=publisher.now + MINUTE)
    ranks = locations_of(publisher.anchor(), trusted.own.shared)
    locations = [url for rank in ranks for url in rank]
    outcome = drive(download(trusted, locations), moved.get)
    assert outcome.location == "https://cs2.test/internalconf"


def anchor_of(*urls):
    certificate = signing_key("Any").certificate.der
    return Anchor("DEV", tuple(Source(url, (certificate,)) for url in urls))


def test_an_anchor_s_addresses_are_tried_with_https_first():
    anchor = anchor_of("http://a/internalconf", "http://b:8080/internalconf")
    assert locations_of(anchor, None) == (
        (),
        (),
        ("https://a/internalconf", "https://b:8080/internalconf"),
        ("http://a/internalconf", "http://b:8080/internalconf"),
    )


def test_sources_stand_before_the_anchor_and_each_address_once():
    shared = sample_shared(sources=(ConfigurationSource("a"), ConfigurationSource("c")))
    anchor = anchor_of("https://a/internalconf", "http://a/internalconf", "http://b/internalconf")
    assert locations_of(anchor, shared) == (
        ("https://a/internalconf", "https://c/internalconf"),
        ("http://a/internalconf", "http://c/internalconf"),
        ("https://b/internalconf",),
        ("http://b/internalconf",),
    )


@pytest.mark.parametrize("address", ["", "a b", "a\r\nb", "user@[", "a:port"])
def test_an_address_that_is_none_is_passed_over(address):
    shared = sample_shared(sources=(ConfigurationSource(address),))
    (first, *_), *_ = locations_of(anchor_of("http://a/internalconf"), shared)
    outcome = drive(download(Publisher().trusted(), [first]), None)
    assert isinstance(outcome.attempts[0].error, MalformedAnchor)


def test_no_answer_to_a_probe_ends_the_location():
    publisher = Publisher(versions=(2,))
    outcome = drive(
        download(publisher.trusted(), publisher.locations), lambda _: NoAnswer("timed out")
    )
    assert [a.error.message.rpartition(": ")[2] for a in outcome.attempts] == ["timed out"] * 2


def test_what_a_source_answers_never_breaks_the_conversation():
    publisher = Publisher(silent=())
    for body in (b"", b"<html/>", b"\xff" * 100, publisher.signed_directory()[:200]):
        publisher.spoil_directory = lambda _, body=body: body
        outcome = fetched(publisher)
        assert all(isinstance(a.error, ProtocolError) for a in outcome.attempts)
    publisher.spoil_directory = lambda data: data
    publisher.parts = {"SHARED-PARAMETERS": b"<not-xml"}
    assert all(isinstance(a.error, MalformedGlobalConf) for a in fetched(publisher).attempts)
