from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import yaml
from starlette.responses import Response

from adminapi.api_builder import some_api
from adminapi.operations_of_tests import THINGS
from sild.adminapi.application import describe
from sild.adminapi.auditing import AuditLog
from sild.adminapi.document import Description
from sild.adminapi.operations import Operations
from sild.model.audit import AuditEvent, AuditRecord
from sild.model.permissions import Permission, Role

pytestmark = pytest.mark.anyio

API = Description("An API", "1")


async def nothing() -> None:
    pass


async def test_an_operation_that_says_of_nobody_that_they_may_cannot_be_made():
    operations = Operations("x")
    with pytest.raises(TypeError):
        operations.get("/x", "getX")
    with pytest.raises(ValueError, match="nobody"):
        operations.get("/x", "getX", permission=())


async def test_two_operations_cannot_be_one():
    for second in (("/x", "getY"), ("/y", "getX")):
        operations = Operations("x")
        operations.get("/x", "getX", permission=None)(nothing)
        operations.get(*second, permission=None)(nothing)
        with pytest.raises(ValueError, match="declared 2 times"):
            describe(API, [operations])


@pytest.mark.feature("AP-01")
async def test_the_description_is_open_and_says_what_there_is(tmp_path):
    async with some_api(tmp_path, [THINGS]) as api:
        answer = await api.ask("GET", "/api/v1/openapi.yaml")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/x-yaml"
        told = yaml.safe_load(answer.body)
    assert told == describe(API, [THINGS])
    assert told["servers"] == [{"url": "/api/v1"}]
    add = told["paths"]["/things"]["post"]
    assert add["operationId"] == "addThing"
    assert set(add["responses"]) == {
        *("201", "400", "401", "403", "409", "413", "415", "429", "500", "503")
    }
    assert set(told["paths"]["/things"]["get"]["responses"]) >= {"200", "400", "404"}
    assert told["paths"]["/openapi.yaml"]["get"]["security"] == []
    download = told["paths"]["/downloads"]["get"]["responses"]["200"]["content"]
    assert list(download) == ["application/xml"]
    assert "422" not in str(told)


async def test_what_an_operation_gives_is_what_it_answers(tmp_path):
    async with some_api(tmp_path, [THINGS]) as api:
        key = await api.key(Role.SECURITY_OFFICER)
        answer = await api.ask("GET", "/api/v1/downloads", headers=key)
        assert (answer.headers["content-type"], answer.body) == ("application/xml", b"<a/>")


def test_what_has_no_body_is_described_without_one():
    operations = Operations("x")

    @operations.post("/x", "addX", permission=None, status=200, also=(201,))
    async def add() -> Response:
        return Response()

    @operations.put("/x", "setX", permission=None, also=(201,), blank=(202,))
    async def change() -> list[str]:
        return []

    @operations.get("/x", "getX", permission=None, also=(201,), gives="text/plain")
    async def get() -> Response:
        return Response()

    methods = describe(API, [operations])["paths"]["/x"]
    contents = {
        method: {
            status: list(answer.get("content", ()))
            for status, answer in described["responses"].items()
            if status.startswith("2")
        }
        for method, described in methods.items()
    }
    assert contents == {
        "post": {"200": [], "201": []},
        "put": {"200": ["application/json"], "201": ["application/json"], "202": []},
        "get": {"200": ["text/plain"], "201": ["text/plain"]},
    }


@pytest.mark.feature("AU-01")
async def test_every_change_is_one_line_of_the_audit_log(tmp_path):
    async with some_api(tmp_path, [THINGS]) as api:
        joe = await api.session()
        await joe.ask("DELETE", "/api/v1/things/7")
        await joe.ask("GET", "/api/v1/things/7")
        await joe.ask("POST", "/logout")
        ip = {"ipaddress": "127.0.0.1"}
        assert api.audit.lines() == [
            {"event": "Log in user", "user": "joe", **ip, "url": "/login", "data": {}},
            {
                "event": "Delete member",
                "user": "joe",
                **ip,
                "auth": "Session",
                "url": "/api/v1/things/7",
                "data": {"memberCode": 7},
            },
            {
                "event": "Log out user",
                "user": "joe",
                **ip,
                "auth": "Session",
                "url": "/logout",
                "data": {},
            },
        ]


async def test_a_refused_permission_is_told_as_the_event_that_it_would_have_been(tmp_path):
    async with some_api(tmp_path, [THINGS]) as api:
        key = await api.key(Role.SECURITY_OFFICER)
        await api.ask("DELETE", "/api/v1/things/7", headers=key)
        await api.ask("GET", "/api/v1/things/7", headers=key)
        assert [(line["event"], line["reason"]) for line in api.audit.lines()] == [
            ("Delete member failed", "Access Denied"),
            ("Access check failed", "Access Denied"),
        ]


class Clock:
    def now(self):
        return datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)


async def test_a_line_says_when_and_where_before_what():
    lines = []
    sink = SimpleNamespace(write=lines.append)
    record = AuditRecord(AuditEvent.BACKUP, correlation_id="00ff")
    AuditLog(sink, "cs1", "Sild Central Server", Clock()).record(record)
    (line,) = lines
    head, tail = line.split(" - ")
    assert head == (
        "2026-01-02T03:04:05+00:00 cs1 correlation-id: [00ff] INFO  [Sild Central Server] "
        "2026-01-02T03:04:05.678+00:00"
    )
    assert tail == '{"event":"Back up configuration","user":"system","data":{}}'


def test_an_operation_may_demand_any_of_several_permissions():
    operations = Operations("x")
    several = (Permission.VIEW_MEMBERS, Permission.SEARCH_MEMBERS)
    operations.get("/x", "getX", permission=several)(nothing)
    (operation,) = operations
    assert operation.needs == several
