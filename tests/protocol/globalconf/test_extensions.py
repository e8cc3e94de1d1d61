import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.globalconf.publisher import FETCHINTERVAL, MONITORING, NEXTUPDATE
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.extensions import (
    Extensions,
    read_fetch_interval,
    read_monitoring,
    read_next_update,
    write_fetch_interval,
    write_monitoring,
    write_next_update,
)
from sild.protocol.ids import ClientId


def test_each_part_is_read():
    assert read_monitoring(MONITORING) == ClientId("DEV", "GOV", "M1")
    assert read_fetch_interval(FETCHINTERVAL) == 500
    assert read_next_update(NEXTUPDATE) is False
    assert read_next_update(NEXTUPDATE.replace(b"false", b"1")) is True


@pytest.mark.parametrize(
    "client", [None, ClientId("DEV", "GOV", "M1"), ClientId("DEV", "GOV", "M1", "MON<1>")]
)
def test_a_monitoring_part_that_is_written_is_read_back(client):
    assert read_monitoring(write_monitoring(client)) == client


def test_the_other_parts_that_are_written_are_read_back():
    assert read_fetch_interval(write_fetch_interval(77)) == 77
    assert read_next_update(write_next_update(True)) is True
    assert read_next_update(write_next_update(False)) is False


@pytest.mark.parametrize("seconds", [0, -1])
def test_what_cannot_be_an_interval_is_not_written(seconds):
    with pytest.raises(MalformedGlobalConf):
        write_fetch_interval(seconds)


def test_a_monitoring_part_may_name_nobody():
    head, _, rest = MONITORING.partition(b"<monitoringClientId")
    assert read_monitoring(head + rest.partition(b"</monitoringClientId>")[2]) is None


def test_without_the_parts_next_updates_bind():
    assert Extensions().verify_next_update is True


@pytest.mark.parametrize(
    ("read", "data"),
    [
        (
            read_monitoring,
            MONITORING.replace(b"</monitoringClientId>", b"<id:x/></monitoringClientId>"),
        ),
        (read_monitoring, FETCHINTERVAL),
        (read_fetch_interval, FETCHINTERVAL.replace(b"500", b"-500")),
        (read_fetch_interval, FETCHINTERVAL.replace(b"500", b"0")),
        (read_fetch_interval, FETCHINTERVAL.replace(b"500", b"often")),
        (read_fetch_interval, NEXTUPDATE),
        (read_next_update, NEXTUPDATE.replace(b"false", b"no")),
        (read_next_update, b"<!DOCTYPE x>" + NEXTUPDATE),
    ],
)
def test_a_part_against_its_schema_is_refused(read, data):
    with pytest.raises(MalformedGlobalConf):
        read(data)


@given(st.binary(max_size=100))
def test_any_bytes_are_refused(data):
    for read in (read_monitoring, read_fetch_interval, read_next_update):
        with pytest.raises(MalformedGlobalConf):
            read(data)
