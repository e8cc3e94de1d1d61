"""Every operation of a security server, asked for by every role, in a session and by a key."""

import asyncio

import pytest
import yaml

from administration.askers import KEY, SESSION, new_lines, standing_alone
from administration.operations import (
    NOBODY,
    PREFIX,
    ROLES,
    ROWS,
    published_permissions,
    published_rows,
    shape_of,
)
from sild.adminapi.people import people
from sild.adminapi.securityserver.application import AREAS
from sild.model.audit import AuditEvent
from sild.model.permissions import SECURITY_SERVER, Permission

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

DECLARED = {
    shape_of(operation.method, operation.path): operation
    for area in (people, *AREAS)
    for operation in area
}
# Where one permission is not all that is asked for: what else decides stands in ASKED_FOR below.
FINER = {
    ("POST", "/keys/{}/csrs"),
    ("GET", "/certificate-authorities"),
    ("GET", "/certificate-authorities/{}/csr-subject-fields"),
    ("GET", "/certificate-authorities/{}/has-acme-eab-credentials"),
    ("POST", "/certificate-authorities/{}/acme-order"),
    ("POST", "/tokens/{}/keys-with-csrs"),
}
OURS = "/api/sild/"
MANAGES_KEYS = "/api-keys"
AUTH, SIGN = "AUTHENTICATION", "SIGNING"


def order(usage, **further):
    """What is wanted of a certification service."""
    wanted = {
        "key_usage_type": usage,
        "ca_name": "None",
        "csr_format": "DER",
        "subject_field_values": {"CN": "x"},
    }
    return wanted | further


def acme(usage):
    return {"csr_id": "0", "key_usage_type": usage}


# (operation, query, body, who may)
ASKED_FOR = [
    ("POST /keys/{id}/csrs", {}, order(AUTH), "SO"),
    ("POST /keys/{id}/csrs", {}, order(SIGN), "SO RO"),
    ("POST /keys/{id}/csrs", {}, order(AUTH, acme_order=True), "SO"),
    ("POST /keys/{id}/csrs", {}, order(SIGN, acme_order=True), "SO RO"),
    *(
        ("GET /certificate-authorities", query, None, "SO RO SYS OBS")
        for query in ({}, {"key_usage_type": AUTH}, {"key_usage_type": SIGN})
    ),
    *(
        (f"GET /certificate-authorities/{{ca_name}}/{what}", {"key_usage_type": usage}, None, who)
        for what in ("csr-subject-fields", "has-acme-eab-credentials")
        for usage, who in ((AUTH, "SO"), (SIGN, "SO RO"))
    ),
    ("POST /certificate-authorities/{ca_name}/acme-order", {}, acme(AUTH), "SO"),
    ("POST /certificate-authorities/{ca_name}/acme-order", {}, acme(SIGN), "SO RO"),
    *(
        (
            "POST /tokens/{id}/keys-with-csrs",
            {},
            {"key_label": "k", "csr_generate_request": order(usage, acme_order=at_once)},
            who,
        )
        for usage, who in ((AUTH, "SO"), (SIGN, "SO RO"))
        for at_once in (False, True)
    ),
]
VALUES = {
    "{filename}": "none.gpg",
    "{hash}": "0" * 64,
    "{id}": "999",
    "{sc_id}": "DEV:GOV:none",
    "{csr_id}": "0",
    "{group_id}": "999",
    "{ca_name}": "None",
    "/language/{code}": "/language/en",
}
CLIENT, SERVICE = "DEV:GOV:none:none", "DEV:GOV:none:none:service"
USABLE_BODIES = {"POST /keys/{id}/csrs": order(SIGN)} | {
    name: body for name, _, body, _ in ASKED_FOR if body is not None and SIGN in str(body)
}
USABLE_QUERIES = {
    name: query for name, query, _, _ in ASKED_FOR if query.get("key_usage_type") == SIGN
}


@pytest.fixture(scope="module")
async def server(tmp_path_factory, anyio_backend):
    async with standing_alone(tmp_path_factory.mktemp("permissions")) as standing:
        yield Watched(*standing)


class Watched:
    """A server with who asks it, and its audit log as far as it was read."""

    def __init__(self, administered, askers):
        self.askers = askers
        self._log = administered.layout.audit_log
        _, self._seen = new_lines(self._log, 0)

    async def ask_all(self, row, **content):
        """Ask as everybody: who, what was answered, and what the audit log was told."""
        place = place_of(row)
        answers = await asyncio.gather(
            *(asker.ask(row.method, place, **content) for asker in self.askers)
        )
        told, self._seen = new_lines(self._log, self._seen)
        return [
            (asker, answer, told.get(request, []))
            for asker, (answer, request) in zip(self.askers, answers, strict=True)
        ]


def place_of(row):
    """A path of the operation: whatever it names is not there."""
    path = row.path
    if path.startswith("/clients/"):
        path = path.replace("{id}", CLIENT)
    if path.startswith("/services/"):
        path = path.replace("{id}", SERVICE)
    for name, value in VALUES.items():
        path = path.replace(name, value)
    return path if path.startswith(OURS) else PREFIX + path


def content_of(row):
    """What is sent: where more than the role decides, something that every role of it may."""
    content = {"params": USABLE_QUERIES.get(row.name, {})}
    body = USABLE_BODIES.get(row.name)
    return content if body is None else content | {"json": body}


def may(asker, row, roles):
    """Whether somebody is let in; keys are not managed by keys."""
    if asker.how == KEY and row.path.startswith(MANAGES_KEYS):
        return None
    return asker.role in roles


def check(row, asker, answer, told, roles):
    """Compare an answer, and what the audit log was told of it, with the table."""
    allowed, status = may(asker, row, roles), answer.status_code
    what = f"{asker.name}: {row.name} was answered {status}, told as {told}"
    if NOBODY in roles:
        assert (status, told) == (200, []), what
    elif asker.role == NOBODY or allowed is None:
        assert status == 401, what
        assert told[0]["event"].endswith(" failed"), what
    elif not allowed:
        assert status == 403, what
        (record,) = told
        event = row.event or AuditEvent.UNSPECIFIED_ACCESS_CHECK.name
        assert record["event"] == f"{AuditEvent[event].value} failed", what
        assert record["auth"] == ("ApiKey" if asker.how == KEY else "Session"), what
    else:
        assert status not in (401, 403), what
        assert status < 500, what
        check_told(row, answer, told, what)


def check_told(row, answer, told, what):
    """One record of what was done or failed, if that is an event at all."""
    if row.event is None:
        assert told == [], what
        return
    (record,) = told
    failed = " failed" if answer.status_code >= 400 else ""
    assert record["event"] == AuditEvent[row.event].value + failed, what
    assert (record["ipaddress"], record["url"]) == ("127.0.0.1", place_of(row)), what
    assert ("reason" in record) is bool(failed), what


@pytest.mark.feature("US-02")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_an_operation_is_for_the_roles_that_may_and_no_other(server, row):
    for asker, answer, told in await server.ask_all(row, **content_of(row)):
        check(row, asker, answer, told, row.roles)


@pytest.mark.feature("US-05")
@pytest.mark.parametrize(("name", "query", "body", "roles"), ASKED_FOR)
async def test_what_is_asked_for_decides_who_may_ask(server, name, query, body, roles):
    (row,) = (row for row in ROWS if row.name == name)
    content = {"params": query} if body is None else {"json": body}
    for asker, answer, told in await server.ask_all(row, **content):
        check(row, asker, answer, told, frozenset(roles.split()))


@pytest.mark.feature("AP-01")
async def test_no_operation_is_missing_from_the_table(server):
    answer, _ = await server.askers[0].ask("GET", f"{PREFIX}/openapi.yaml")
    described = {
        shape_of(method.upper(), path.removeprefix(PREFIX))
        for path, operations in yaml.load(answer.text, yaml.CSafeLoader)["paths"].items()
        for method in operations
    }
    assert described == {row.shape for row in ROWS if not row.path.startswith(OURS)}


@pytest.mark.feature("US-07")
async def test_a_key_may_what_its_roles_may_and_no_more(server):
    for asker in server.askers[1:]:
        answer, _ = await asker.ask("GET", f"{PREFIX}/user")
        role = ROLES[asker.role]
        assert answer.json()["roles"] == [f"ROLE_{role}"]
        permitted = {Permission[name] for name in answer.json()["permissions"]}
        assert (
            permitted == SECURITY_SERVER[next(one for one in SECURITY_SERVER if one.value == role)]
        )


@pytest.mark.feature("US-09")
async def test_on_a_secondary_node_observers_look_and_others_enter_pins(tmp_path):
    entering = "ACTIVATE_DEACTIVATE_TOKEN"
    async with standing_alone(tmp_path, server={"node-type": "secondary"}) as standing:
        server, askers = standing
        watched = Watched(server, [asker for asker in askers if asker.how != SESSION])
        for row in ROWS:
            others = row.roles if entering in row.permissions or not row.permissions else set()
            roles = others | (row.roles & {"OBS", NOBODY})
            for asker, answer, told in await watched.ask_all(row, **content_of(row)):
                check(row, asker, answer, told, roles)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_an_operation_is_declared_with_its_permissions_and_its_event(row):
    operation = DECLARED.get(row.shape)
    if operation is None:
        assert row.shape == ("GET", "/openapi.yaml")
        return
    assert {permission.name for permission in operation.needs} == row.permissions
    assert (operation.event and operation.event.name) == row.event


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_whoever_has_a_permission_of_the_table_has_a_role_of_it(row):
    having = {
        short
        for short, name in ROLES.items()
        for role, permissions in SECURITY_SERVER.items()
        if role.value == name and row.permissions & {each.name for each in permissions}
    }
    assert having == (row.roles if row.permissions else set())


def test_the_table_is_that_of_the_reference(reference):
    document = (reference / "api-operations.md").read_text()
    mine = {row.shape: row for row in ROWS}
    published = {shape_of(method, path): rest for method, path, *rest in published_rows(document)}
    assert len(published) == 138
    assert published.keys() <= mine.keys()
    for shape, (allowed, event) in published.items():
        row = mine[shape]
        permissions, _, roles = allowed.rpartition(" (")
        if row.permissions:
            assert set(roles.removesuffix(")").split()) == row.roles, shape
        if row.permissions and shape not in FINER:
            assert set(permissions.split(" or ")) == row.permissions, shape
        # The reference tells nothing of rights to endpoints.
        if not (shape[1].startswith("/endpoints/{}/service-clients") and event is None):
            assert event == row.event, shape


def test_the_roles_are_those_of_the_reference(reference):
    published = dict(published_permissions((reference / "api-operations.md").read_text()))
    assert published == {
        role.value: {permission.name for permission in permissions}
        for role, permissions in SECURITY_SERVER.items()
    }
