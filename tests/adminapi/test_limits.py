import asyncio
from datetime import timedelta

import pytest

from adminapi.api_builder import some_api
from adminapi.operations_of_tests import THINGS
from clocks import StoppedClock
from sild.adminapi.ratelimit import RateLimit, Rates
from sild.adminapi.routes import Surroundings
from sild.adminapi.settings import AdminApiSettings
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio


@pytest.mark.feature("AP-02")
async def test_who_asks_too_often_is_told_so_before_anything_else(tmp_path):
    settings = AdminApiSettings(rate_limit_requests_per_second=3, rate_limit_requests_per_minute=5)
    async with some_api(tmp_path, [THINGS], settings, clock=StoppedClock()) as api:
        answers = [await api.ask("GET", "/api/v1/user") for _ in range(6)]
        statuses = [answer.status for answer in answers]
        assert statuses[:3] == [401] * 3
        assert 429 in statuses
        refused = answers[statuses.index(429)]
        assert refused.json == {"status": 429, "error": {"code": "rate_limit_exceeded"}}
        assert refused.headers["retry-after"] == "1"
        api.clock.turn(timedelta(minutes=2))
        assert (await api.login()).status == 200


def test_a_second_and_a_minute_have_their_own_limits():
    clock = StoppedClock()
    limit = RateLimit(Rates(20, 600), clock)
    assert [limit.allows("192.0.2.1") for _ in range(21)] == [True] * 20 + [False]
    assert limit.allows("192.0.2.2")
    allowed = 20
    for _ in range(59 * 4):
        clock.turn(timedelta(seconds=0.25))
        allowed += sum(limit.allows("192.0.2.1") for _ in range(10))
    # The minute's bucket holds 600 at first and 10 more each second.
    assert 1100 < allowed <= 600 + 59 * 10


def test_the_limits_of_the_reference_in_a_burst():
    clock = StoppedClock()
    limit = RateLimit(Rates(-1, 600), clock)
    assert sum(limit.allows("192.0.2.1") for _ in range(1000)) == 600


def test_a_network_of_ipv6_is_one_address():
    clock = StoppedClock()
    limit = RateLimit(Rates(1, -1), clock)
    assert limit.allows("2001:db8::1")
    assert not limit.allows("2001:db8::2")
    assert limit.allows("2001:db8:0:1::1")
    assert limit.allows("::ffff:192.0.2.1")
    assert not limit.allows("192.0.2.1")


def test_addresses_that_ask_no_more_are_forgotten():
    clock = StoppedClock()
    limit = RateLimit(Rates(1, 2, addresses=100, remembered=300), clock)
    for number in range(1000):
        limit.allows(f"10.0.{number // 256}.{number % 256}")
    assert len(limit._buckets) == 100
    clock.turn(timedelta(seconds=301))
    limit.allows("192.0.2.1")
    assert len(limit._buckets) == 1


@pytest.fixture
async def api(tmp_path):
    settings = AdminApiSettings(
        rate_limit_enabled=False,
        request_size_limit_regular=2000,
        request_size_limit_binary_upload=20_000,
    )
    async with some_api(tmp_path, [THINGS], settings) as made:
        made.key_header = await made.key(Role.SYSTEM_ADMINISTRATOR, Role.REGISTRATION_OFFICER)
        yield made


def form(size):
    head = '--b\r\ncontent-disposition: form-data; name="certificate"; filename="a.pem"\r\n\r\n'
    return (head + "x" * size + "\r\n--b--\r\n").encode()


FORM = "application/x-www-form-urlencoded"
MULTIPART = {"content-type": "multipart/form-data; boundary=b"}


@pytest.mark.feature("AP-02")
async def test_a_large_body_is_refused_and_a_larger_upload_is_not(api):
    body = {"member_name": "x" * 3000, "member_id": {"member_class": "GOV", "member_code": "1"}}
    answer = await api.ask("POST", "/api/v1/things", body, api.key_header)
    assert answer.status == 413
    assert answer.json == {"status": 413, "error": {"code": "request_size_limit_exceeded"}}
    assert api.audit.lines()[-1]["reason"] == "request size limit 2000 exceeded"
    headers = api.key_header | MULTIPART
    answer = await api.ask("POST", "/api/v1/uploads", form(15_000), headers)
    assert answer.json == {"size": 15_000, "name": "a.pem"}
    assert (await api.ask("POST", "/api/v1/uploads", form(20_000), headers)).status == 413


@pytest.mark.parametrize("media_type", [None, "application/json", FORM])
def test_only_files_are_larger_than_other_bodies(media_type):
    surroundings = Surroundings(None, largest=50, largest_upload=1000)
    assert surroundings.largest_of(media_type) == 50
    for files in ("multipart/form-data", "application/octet-stream"):
        assert surroundings.largest_of(files) == 1000


async def test_where_no_body_is_taken_a_large_one_is_refused(api):
    answer = await api.ask("DELETE", "/api/v1/things/1", b"x" * 3000, api.key_header)
    assert answer.status == 413


@pytest.mark.parametrize(
    ("path", "content_type"),
    [("/api/v1/things", "application/json"), ("/api/v1/uploads", MULTIPART["content-type"])],
)
async def test_a_large_body_in_chunks_is_refused_as_well(api, path, content_type):
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    chunk = b"4000\r\n" + (form(0x4000 - 200) + b" " * 400)[:0x4000] + b"\r\n"
    head = (
        f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\nauthorization: "
        f"{api.key_header['authorization']}\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    writer.write(head.encode() + chunk * 2 + b"0\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    writer.close()


async def test_no_permission_is_told_before_the_size(api):
    key = await api.key(Role.SECURITY_OFFICER)
    assert (await api.ask("POST", "/api/v1/things", b"x" * 3000, key)).status == 403
