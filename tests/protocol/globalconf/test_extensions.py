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
)
from sild.protocol.ids import ClientId


def test_each_part_is_read():
    assert read_monitoring(MONITORING) == ClientId("DEV", "GOV", "M1")
    assert read_fetch_interval(FETCHINTERVAL) == 500
    assert read_next_update(NEXTUPDATE) is False
    assert read_next_update(NEXTUPDATE.replace(b"false", b"1")) is True


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
