import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.model.services import (
    CLIENT_APPEARS,
    CLIENT_MOVES,
    CLIENT_VANISHES,
    DELETABLE_CLIENTS,
    RESERVED_SERVICE_CODES,
    ClientEvent,
    ClientStatus,
    InvalidConfiguration,
    InvalidMove,
    check_base_path,
    check_service_code,
    check_timeout,
    check_url,
    client_after,
    next_status,
)


def test_a_client_becomes_registered_when_it_appears_in_the_global_configuration():
    for status in (
        ClientStatus.SAVED,
        ClientStatus.REGISTRATION_IN_PROGRESS,
        ClientStatus.GLOBAL_ERROR,
        ClientStatus.ENABLING_IN_PROGRESS,
    ):
        assert next_status(status, in_global_conf=True) is ClientStatus.REGISTERED


def test_a_registered_client_that_vanishes_is_in_global_error():
    assert next_status(ClientStatus.REGISTERED, in_global_conf=False) is ClientStatus.GLOBAL_ERROR


def test_a_client_on_its_way_out_does_not_come_back_by_itself():
    for status in (ClientStatus.DELETION_IN_PROGRESS, ClientStatus.DISABLING_IN_PROGRESS):
        assert next_status(status, in_global_conf=True) is status


def test_a_disabled_client_stays_disabled_until_it_is_enabled():
    assert (
        next_status(ClientStatus.DISABLING_IN_PROGRESS, in_global_conf=False)
        is ClientStatus.DISABLED
    )
    for listed in (True, False):
        assert next_status(ClientStatus.DISABLED, in_global_conf=listed) is ClientStatus.DISABLED


def test_following_the_global_configuration_twice_is_following_it_once():
    for status in ClientStatus:
        for listed in (True, False):
            once = next_status(status, in_global_conf=listed)
            assert next_status(once, in_global_conf=listed) is once


def test_every_client_can_be_got_rid_of():
    reaches = set(DELETABLE_CLIENTS)
    moves = [(old, new) for (old, _), new in CLIENT_MOVES.items()]
    moves += [*CLIENT_APPEARS.items(), *CLIENT_VANISHES.items()]
    while grown := {old for old, new in moves if new in reaches} - reaches:
        reaches |= grown
    assert reaches == set(ClientStatus)


def test_only_registered_clients_are_disabled():
    for status in ClientStatus:
        if status is ClientStatus.REGISTERED:
            assert client_after(status, ClientEvent.DISABLE) is ClientStatus.DISABLING_IN_PROGRESS
        else:
            with pytest.raises(InvalidMove, match=status.value):
                client_after(status, ClientEvent.DISABLE)


@pytest.mark.parametrize("code", sorted(RESERVED_SERVICE_CODES))
def test_the_code_of_a_metaservice_is_refused(code):
    with pytest.raises(InvalidConfiguration, match="reserved"):
        check_service_code(code)


@pytest.mark.parametrize(
    "code",
    ["", " ", "a ", "a:b", "a/b", "a\\b", "a;b", "a%b", "a\n", "a\u200bb", "\ufeffa", "x" * 256],
)
def test_a_service_code_that_cannot_be_written_is_refused(code):
    with pytest.raises(InvalidConfiguration):
        check_service_code(code)


@pytest.mark.parametrize("code", ["people", "xroad.v1", "ööbik", "a b", "a_b", "listclients"])
def test_an_ordinary_service_code_is_taken(code):
    check_service_code(code)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://host/x",
        "file:///etc/passwd",
        "//host/x",
        "http:///x",
        "http://",
        "host/x",
        "http://host:0/x",
        "http://host:99999/x",
        "http://host:x/",
        "http://user:pass@host/x",
        "http://user@host/x",
        "http://host/x#y",
        "http://host/ x",
        "http://host/\nx",
        "http://[::1/x",
        "http://höst/x",
        "http://host/" + "x" * 255,
        "javascript:alert(1)",
    ],
)
def test_an_address_that_cannot_be_called_is_refused(url):
    with pytest.raises(InvalidConfiguration):
        check_url(url)


@pytest.mark.parametrize(
    "url", ["http://host", "https://host:8443/a/b", "http://[::1]:80/x", "HTTP://host/?wsdl"]
)
def test_an_address_of_http_or_https_is_taken(url):
    check_url(url)


def test_a_base_path_has_no_query():
    check_base_path("http://host/api")
    with pytest.raises(InvalidConfiguration, match="query"):
        check_base_path("http://host/api?x")


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text):
    try:
        check_base_path(f"http://{text}")
    except InvalidConfiguration:
        return
    assert text.isascii()


def test_a_timeout_is_some_time_and_no_age():
    check_timeout(60)
    for seconds in (0, -1, 100_000):
        with pytest.raises(InvalidConfiguration):
            check_timeout(seconds)
