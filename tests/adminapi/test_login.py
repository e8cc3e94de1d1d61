from datetime import timedelta

import pytest

from adminapi.api_builder import EVERYBODY, PASSWORD, UNLIMITED, some_api
from adminapi.operations_of_tests import THINGS
from sild.components.accounts.pam_people import PamPeople, roles_of_groups
from sild.model.permissions import CENTRAL_SERVER, Role

pytestmark = pytest.mark.anyio

MEMBER = {"member_name": "a", "member_id": {"member_class": "GOV", "member_code": "1"}}
FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture
async def api(tmp_path):
    async with some_api(tmp_path, [THINGS]) as made:
        yield made


@pytest.mark.feature("US-06")
async def test_a_session_is_opened_used_and_closed(api):
    answer = await api.login()
    assert (answer.status, answer.body) == (200, b"OK\n")
    session, xsrf = sorted(answer.headers.get_all("set-cookie"))
    assert session.startswith("JSESSIONID=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(session.split("; "))
    assert xsrf.startswith("XSRF-TOKEN=")
    assert {"Secure", "SameSite=strict", "Path=/"} <= set(xsrf.split("; "))
    assert "HttpOnly" not in xsrf
    joe = await api.session()
    assert (await joe.ask("GET", "/api/v1/user")).json["username"] == "joe"
    assert (await joe.ask("POST", "/api/v1/things", MEMBER)).status == 201
    answer = await joe.ask("POST", "/logout")
    assert answer.status == 200
    assert answer.cookies == {"JSESSIONID": '""', "XSRF-TOKEN": '""'}
    assert (await joe.ask("GET", "/api/v1/user")).status == 401


async def test_an_idle_session_ends_and_its_status_does_not_keep_it(api):
    joe = await api.session()
    status = "/api/v1/notifications/session-status"
    for _ in range(5):
        api.clock.turn(timedelta(minutes=5))
        assert (await joe.ask("GET", status)).json == {"valid": True}
    api.clock.turn(timedelta(minutes=6))
    assert (await joe.ask("GET", status)).status == 401


async def test_a_session_that_is_used_lasts_but_not_for_ever(api):
    joe = await api.session()
    for _ in range(28):
        api.clock.turn(timedelta(minutes=25))
        assert (await joe.ask("GET", "/api/v1/user")).status == 200
    api.clock.turn(timedelta(minutes=25))
    assert (await joe.ask("GET", "/api/v1/user")).status == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("header", [None, "", "other"])
async def test_a_change_without_the_sessions_token_is_refused(api, method, header):
    joe = await api.session()
    headers = {} if header is None else {"x-xsrf-token": header}
    answer = await api.ask(method, "/api/v1/things/1", None, headers, cookies=joe.cookies)
    assert answer.status == 403
    assert answer.json["error"]["code"] == "access_denied"
    assert api.audit.lines()[-1]["event"] == "Access check failed"


async def test_a_change_without_the_tokens_cookie_is_refused(api):
    joe = await api.session()
    cookies = {"JSESSIONID": joe.cookies["JSESSIONID"]}
    headers = {"x-xsrf-token": joe.cookies["XSRF-TOKEN"]}
    answer = await api.ask("POST", "/api/v1/things", MEMBER, headers, cookies=cookies)
    assert answer.status == 403


async def test_the_token_of_another_session_proves_nothing(api):
    joe, otto = await api.session(), await api.session("otto")
    cookies = {**joe.cookies, "XSRF-TOKEN": otto.cookies["XSRF-TOKEN"]}
    headers = {"x-xsrf-token": otto.cookies["XSRF-TOKEN"]}
    answer = await api.ask("POST", "/api/v1/things", MEMBER, headers, cookies=cookies)
    assert answer.status == 403


async def test_a_log_out_takes_the_token_as_well(api):
    joe = await api.session()
    assert (await api.ask("POST", "/logout", cookies=joe.cookies)).status == 403
    assert (await api.ask("POST", "/logout")).status == 401
    assert (await joe.ask("GET", "/api/v1/user")).status == 200


async def test_a_log_in_ends_the_session_before_it(api):
    before = await api.session()
    form = f"username=joe&password={PASSWORD.replace(' ', '+')}"
    again = await api.ask("POST", "/login", form, FORM, cookies=before.cookies)
    assert again.cookies["JSESSIONID"] != before.cookies["JSESSIONID"]
    assert (await before.ask("GET", "/api/v1/user")).status == 401


@pytest.mark.parametrize(
    ("form", "headers", "status"),
    [
        ("username=joe&password=wrong", FORM, 401),
        ("username=nobody&password=wrong", FORM, 401),
        ("username=joe", FORM, 401),
        ("username=joe&username=otto&password=x", FORM, 401),
        ("", FORM, 401),
        ("&".join(["username=joe"] * 11), FORM, 400),
        (b"username=\xff&password=x", FORM, 400),
        ("username=%FF&password=x", FORM, 400),
        ('{"username":"joe"}', {"content-type": "application/json"}, 415),
        ("username=" + "j" * 20_000, FORM, 413),
        ("username=joe&password=x", FORM | {"sec-fetch-site": "cross-site"}, 403),
    ],
)
async def test_a_log_in_that_is_none_opens_no_session(api, form, headers, status):
    answer = await api.ask("POST", "/login", form, headers)
    assert answer.status == status
    assert answer.json["status"] == status
    assert answer.cookies == {}
    assert api.audit.lines()[-1]["event"] == "Log in user failed"


async def test_why_a_log_in_failed_is_not_told(api):
    bodies = {(await api.login("joe", "wrong")).body, (await api.login("nobody", "wrong")).body}
    for _ in range(5):
        bodies.add((await api.login("joe", "wrong")).body)
    bodies.add((await api.login()).body)
    assert bodies == {b'{"status":401,"error":{"code":"not_authenticated"}}'}
    assert "locked out" in api.audit.lines()[-1]["reason"]


def pam_people(groups):
    return PamPeople(
        "xroad",
        roles_of_groups({"ldap-admins": frozenset({Role.SYSTEM_ADMINISTRATOR})}),
        lambda name, password, service: (service, password) == ("xroad", PASSWORD),
        lambda name: frozenset(groups.get(name, ())),
    )


@pytest.mark.feature("US-01")
async def test_users_of_the_operating_system_log_in_through_pam(tmp_path):
    groups = {"joe": ["xroad-registration-officer"]}
    async with some_api(tmp_path, [THINGS], people=pam_people(groups)) as api:
        joe = await api.session()
        user = (await joe.ask("GET", "/api/v1/user")).json
        assert user["username"] == "joe"
        assert user["roles"] == ["ROLE_XROAD_REGISTRATION_OFFICER"]
        assert (await api.login("joe", "wrong")).status == 401
        assert (await api.login("eve")).status == 401
        groups["joe"] = []
        api.clock.turn(timedelta(seconds=6))
        assert (await joe.ask("GET", "/api/v1/user")).status == 401


@pytest.mark.feature("US-04")
async def test_groups_of_a_directory_have_roles_by_settings(tmp_path):
    people = pam_people({"joe": ["ldap-admins"]})
    async with some_api(tmp_path, [THINGS], people=people) as api:
        joe = await api.session()
        roles = await joe.ask("GET", "/api/v1/user/roles")
        assert roles.json == ["ROLE_XROAD_SYSTEM_ADMINISTRATOR"]


@pytest.mark.feature("US-03")
@pytest.mark.parametrize("role", sorted(EVERYBODY, key=str))
async def test_each_role_may_what_its_table_says(api, role):
    await api.accounts.set_roles("otto", {role})
    otto = await api.session("otto")
    expected = sorted(permission.value for permission in CENTRAL_SERVER[role])
    assert (await otto.ask("GET", "/api/v1/user/permissions")).json == expected
    assert (await otto.ask("GET", "/api/v1/user/roles")).json == [f"ROLE_{role.value}"]


@pytest.mark.feature("US-05")
async def test_what_is_not_permitted_is_refused_before_its_body_is_read(api):
    otto = await api.session("otto")
    user = (await otto.ask("GET", "/api/v1/user")).json
    assert "ADD_NEW_MEMBER" in user["permissions"]
    assert "ADD_APPROVED_CA" not in user["permissions"]
    assert (await otto.ask("POST", "/api/v1/things", MEMBER)).status == 201
    answer = await otto.ask("POST", "/api/v1/uploads", b"x" * 60_000)
    assert answer.status == 403
    assert answer.json == {"status": 403, "error": {"code": "access_denied"}}
    assert api.audit.lines()[-1]["event"] == "Access check failed"


@pytest.mark.parametrize("path", ["/api/v1/things", "/api/v1/no-such-thing", "/api/v2", "/api/"])
async def test_nobody_gets_past_the_gate(api, path):
    answer = await api.ask("GET", path)
    assert answer.status == 401
    assert answer.json == {"status": 401, "error": {"code": "not_authenticated"}}
    cookies = {"JSESSIONID": "0" * 64}
    assert (await api.ask("GET", path, cookies=cookies)).status == 401
    assert api.audit.lines()[-1]["event"] == "Auth credentials discovery failed"


async def test_the_page_at_the_root_is_open(api):
    answer = await api.ask("GET", "/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


async def test_a_title_is_no_markup(tmp_path):
    async with some_api(tmp_path, settings=UNLIMITED, title="<b>&") as api:
        assert b"<h1>&lt;b&gt;&amp;</h1>" in (await api.ask("GET", "/")).body
