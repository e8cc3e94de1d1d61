"""What a provider changes holds for the next call over the road."""

import io
import ssl
import tarfile

import pytest

from administration.life.world import ALONE, CONSUMER, GREETING, refused, rows
from sild.apiclient.values import Octets
from standins.services import SOAP_CODES

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

PLACE = f"/clients/{ALONE}"
RIGHTS = f"{PLACE}/service-clients/{CONSUMER}/access-rights"


@pytest.fixture
async def described(life):
    """A service that an OpenAPI description tells of, enabled, without rights."""
    server = life.ss2
    openapi = {"url": life.services.openapi_url, "type": "OPENAPI3", "rest_service_code": "openapi"}
    made = await server.ask("POST", f"{PLACE}/service-descriptions", openapi)
    url = {"url": life.services.url, "timeout": 60, "ssl_auth": False, "ignore_warnings": True}
    await server.ask("PATCH", f"/services/{ALONE}:openapi", url)
    await server.ask("PUT", f"/service-descriptions/{made['id']}/enable")
    yield made
    await server.ask("DELETE", f"/service-descriptions/{made['id']}")


async def members(life):
    return await life.call(f"{ALONE}:openapi", path="/api/members")


async def is_refused(life):
    answer = await members(life)
    assert answer.json()["type"] == "server.serverproxy.access_denied", answer.text


async def is_answered(life):
    answer = await members(life)
    assert answer.json() == [{"name": "Mari"}], answer.text


@rows("AR-01")
async def test_a_right_to_a_service_holds_for_the_next_call_until_it_is_taken(life, described):
    place = f"/services/{ALONE}:openapi/service-clients"
    who = {"items": [{"id": CONSUMER, "name": "Test client", "service_client_type": "SUBSYSTEM"}]}
    for _ in range(3):
        await is_refused(life)
        given = await life.ss2.ask("POST", place, who)
        assert [each["id"] for each in given] == [CONSUMER]
        await is_answered(life)
        await life.ss2.ask("POST", f"{place}/delete", who)
        assert await life.ss2.ask("GET", place) == []
    await is_refused(life)


@rows("AR-02")
async def test_a_right_to_an_endpoint_holds_for_it_alone(life, described):
    service = await life.ss2.ask("GET", f"/services/{ALONE}:openapi")
    (endpoint,) = (each for each in service["endpoints"] if each["path"] == "/api/members")
    who = {"items": [{"id": CONSUMER}]}
    place = f"/endpoints/{endpoint['id']}/service-clients"
    await life.ss2.ask("POST", place, who)
    await is_answered(life)
    await life.refuses("access_denied", f"{ALONE}:openapi", path="/api/random")
    await life.ss2.ask("POST", f"{place}/delete", who)
    await is_refused(life)
    # One that was made by hand holds just so.
    wanted = {"service_code": "openapi", "method": "GET", "path": "/api/*"}
    made = await life.ss2.ask("POST", f"/services/{ALONE}:openapi/endpoints", wanted)
    await life.ss2.ask("POST", f"/endpoints/{made['id']}/service-clients", who)
    await is_answered(life)
    await life.ss2.ask("PATCH", f"/endpoints/{made['id']}", {"method": "POST", "path": "/api/*"})
    await is_refused(life)
    await life.ss2.ask("DELETE", f"/endpoints/{made['id']}")


@rows("LG-01", "LG-02", "LG-03", "AR-01")
async def test_who_is_in_a_local_group_has_its_rights_as_long_as_both_last(life, described):
    ask = life.ss2.ask
    group = await ask("POST", f"{PLACE}/local-groups", {"code": "friends", "description": "Ours"})
    number = group["id"]
    rights = f"{PLACE}/service-clients/{number}/access-rights"
    await ask("POST", rights, {"items": [{"service_code": "openapi"}]})
    await is_refused(life)
    await ask("POST", f"/local-groups/{number}/members", {"items": [CONSUMER]})
    await is_answered(life)
    await ask("POST", f"/local-groups/{number}/members/delete", {"items": [CONSUMER]})
    await is_refused(life)
    await ask("POST", f"/local-groups/{number}/members", {"items": [CONSUMER]})
    await is_answered(life)
    await ask("DELETE", f"/local-groups/{number}")
    await is_refused(life)
    assert await ask("GET", f"/services/{ALONE}:openapi/service-clients") == []


@rows("AR-05")
async def test_who_is_in_a_global_group_has_its_rights_once_that_is_published(life, described):
    central = life.central
    await central.ask("POST", "/global-groups", {"code": "guests", "description": "Guests"})
    await life.settle()
    rights = f"{PLACE}/service-clients/DEV:guests/access-rights"
    await life.ss2.ask("POST", rights, {"items": [{"service_code": "openapi"}]})
    await is_refused(life)
    await central.ask("POST", "/global-groups/guests/members/add", {"items": [CONSUMER]})
    await life.settle()
    await is_answered(life)
    await central.ask("DELETE", "/global-groups/guests")
    await life.settle()
    await is_refused(life)


@rows("SV-03")
async def test_callers_of_a_service_that_is_switched_off_read_why(life):
    descriptions = await life.ss2.ask("GET", f"{PLACE}/service-descriptions")
    (mock,) = (each for each in descriptions if each["services"][0]["service_code"] == "mock1")
    place = f"/service-descriptions/{mock['id']}"
    await life.greets()
    await life.ss2.ask("PUT", f"{place}/disable", {"disabled_notice": "Moved to the new house"})
    assert "Moved to the new house" in await life.refuses("service_disabled")
    shown = await life.ss2.ask("GET", place)
    assert (shown["disabled"], shown["disabled_notice"]) == (True, "Moved to the new house")
    await life.ss2.ask("PUT", f"{place}/enable")
    await life.greets()


@rows("SV-01", "SV-04", "AR-01")
async def test_a_wsdl_that_has_changed_is_refreshed_after_a_warning(life):
    services, ask = life.services, life.ss2.ask
    wanted = {"url": services.wsdl_url, "type": "WSDL", "ignore_warnings": True}
    made = await ask("POST", f"{PLACE}/service-descriptions", wanted)
    place = f"/service-descriptions/{made['id']}"
    kept, leaving = "getRandom", SOAP_CODES[1]
    parameters = {"url": services.soap_url, "timeout": 17, "ssl_auth": False}
    await ask("PATCH", f"/services/{ALONE}:{kept}.v1", parameters | {"ignore_warnings": True})
    await ask("POST", RIGHTS, {"items": [{"service_code": kept}, {"service_code": leaving}]})
    await ask("PUT", f"{place}/enable")
    before = list(services.codes)
    try:
        unchanged = await ask("PUT", f"{place}/refresh", {"ignore_warnings": False})
        assert _codes(unchanged) == sorted(f"{code}.v1" for code in before)
        services.codes[:] = [*(code for code in before if code != leaving), "brandNew"]
        async with refused_with_warnings() as warned:
            await ask("PUT", f"{place}/refresh", {"ignore_warnings": False})
        assert dict(warned) == {
            "adding_services": ("brandNew.v1",),
            "deleting_services": (f"{leaving}.v1",),
        }
        assert _codes(await ask("GET", place)) == _codes(unchanged)
        changed = await ask("PUT", f"{place}/refresh", {"ignore_warnings": True})
        assert _codes(changed) == sorted(f"{code}.v1" for code in services.codes)
        (same,) = (each for each in changed["services"] if each["service_code"] == kept)
        assert (same["timeout"], same["url"]) == (17, services.soap_url)
        given = {each["service_code"] for each in await ask("GET", RIGHTS)}
        assert {kept, leaving} & given == {kept}
        assert changed["refreshed_at"] > unchanged["refreshed_at"]
        services.codes[:] = ["no/code"]
        async with refused(409, "invalid_wsdl_service_identifier"):
            await ask("PUT", f"{place}/refresh", {"ignore_warnings": True})
        assert _codes(await ask("GET", place)) == _codes(changed)
    finally:
        services.codes[:] = before
        await ask("DELETE", place)


def _codes(description):
    return sorted(each["full_service_code"] for each in description["services"])


class refused_with_warnings:  # noqa: N801 - reads as what it does
    """Assert that what is asked in the block is refused for warnings, and give them."""

    async def __aenter__(self):
        self.warned = []
        return self.warned

    async def __aexit__(self, kind, error, trace):
        assert error is not None
        assert (error.status, error.code) == (400, "warnings_detected")
        self.warned += [(each.code, each.metadata) for each in error.failure.warnings]
        return True


@rows("IS-01", "IS-04")
async def test_the_internal_certificate_is_replaced_while_systems_call_over_https(life):
    ss1 = life.ss1
    await ss1.ask("PATCH", f"/clients/{CONSUMER}", {"connection_type": "HTTPS_NO_AUTH"})
    at = f"https://{ss1.address}:{ss1.places.https}"
    try:
        first = await _trusting(ss1)
        await life.greets(at=at, verify=first)
        await life.refuses("ssl_authentication_failed")
        async with life.under_way(at=at, verify=first):
            await ss1.ask("POST", "/system/certificate")
            second = await _trusting(ss1)
            # At once, and beside what is under way: nothing is closed for it.
            assert (await life.call(at=at, verify=second)).json() == GREETING
            with pytest.raises(Exception, match="CERTIFICATE_VERIFY_FAILED"):
                await life.call(at=at, verify=first)
        # A certificate of an authority for the same key.
        csr = (await ss1.client.call(
            "POST", "/system/certificate/csr", json={"name": f"CN={ss1.address}, C=FI"}
        )).content  # fmt: skip
        signed = await life.sign(csr, "auth")
        imported = await ss1.ask("POST", "/system/certificate/import", upload=Octets(signed))
        assert imported["hash"] == (await ss1.ask("GET", "/system/certificate"))["hash"]
        assert await life.shown_at(ss1.address, ss1.places.https) == imported["hash"]
    finally:
        await life.answers_soon(at=at, verify=_anybody())
        await ss1.ask("PATCH", f"/clients/{CONSUMER}", {"connection_type": "HTTP"})
    await life.greets()


async def _trusting(server):
    """A context that trusts the certificate that the server exports, and no other."""
    packed = (await server.client.call("GET", "/system/certificate/export")).content
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        pem = archive.extractfile("./cert.pem").read().decode()
    context = ssl.create_default_context(cadata=pem)
    context.check_hostname = False
    return context


def _anybody():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context
