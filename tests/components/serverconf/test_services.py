import pytest

from components.serverconf.described import API_URL, WSDL_URL, Offering, api, wsdl
from components.serverconf.stored import PROVIDER, stored_conf
from sild.components.serverconf.errors import (
    ClientNotFound,
    EndpointExists,
    EndpointNotFound,
    ServiceNotFound,
)
from sild.components.serverconf.rights import NamedService
from sild.components.serverconf.service_errors import (
    DescriptionUrlExists,
    GeneratedEndpointRemoved,
    GeneratedEndpointUpdated,
    HttpsRequired,
    MalformedUrl,
    Warned,
    WarningsFound,
    WrongDescriptionType,
)
from sild.components.serverconf.services import ServiceChange
from sild.components.serverconf.tls_trial import TlsTrialFailed, TlsTrialRefused
from sild.model.services import AccessRight, Client, Endpoint, InvalidConfiguration
from sild.protocol.ids import ClientId
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio

CALLER = ClientId("DEV", "COM", "M2", "portal")
REST = NamedService(PROVIDER, "rest")
URL = "https://is.test/rest"


@pytest.fixture(params=["sqlite", "postgresql"])
async def used(request, tmp_path):
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with stored_conf(tmp_path, url) as stored:
        offering = Offering(stored.store, SystemClock())
        await offering.descriptions.add_rest(PROVIDER, "rest", URL)
        offering.found |= {WSDL_URL: wsdl("a", ("a", "v1"), "b"), API_URL: api("GET /a")}
        yield offering


def named(code):
    return NamedService(PROVIDER, code)


async def parameters(used, *codes):
    found = [(await used.services.get(named(code))).service for code in codes]
    return [(each.url, each.timeout_seconds, each.verify_tls) for each in found]


async def test_a_service_is_found_by_its_full_code(used):
    found = await used.services.get(named("people.V2"))
    assert found.service.title == "People"
    assert [row.endpoint for row in found.endpoints] == [Endpoint(PROVIDER, "people")]
    assert found.description.services == (found.service,)
    for wrong in ("people", "people.v2", "none"):
        with pytest.raises(ServiceNotFound):
            await used.services.get(named(wrong))
    with pytest.raises(ClientNotFound):
        await used.services.get(NamedService(CALLER, "people.V2"))


async def test_parameters_change_for_one_service(used):
    await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    change = ServiceChange("https://new.test/", 5, verify_tls=True)
    shown, concerned = await used.services.change(named("a.v1"), change)
    assert [each.full_code for each in concerned] == ["a.v1"]
    assert shown.service == concerned[0]
    old = ("http://is.test/soap", 60, True)
    assert await parameters(used, "a", "a.v1", "b") == [old, ("https://new.test/", 5, True), old]
    assert shown.description.url == WSDL_URL


@pytest.mark.parametrize(
    ("flags", "others"),
    [
        ({"url_all": True}, ("https://new.test/", 60, True)),
        ({"timeout_all": True}, ("http://is.test/soap", 5, True)),
        ({"verify_tls_all": True}, ("http://is.test/soap", 60, True)),
        ({"url_all": True, "verify_tls_all": True}, ("https://new.test/", 60, False)),
    ],
)
async def test_parameters_change_for_all_services_of_a_description(used, flags, others):
    await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    change = ServiceChange("https://new.test/", 5, verify_tls=False, **flags)
    _, concerned = await used.services.change(named("a"), change)
    assert [each.full_code for each in concerned] == ["a", "a.v1", "b"]
    assert await parameters(used, "a", "b") == [("https://new.test/", 5, False), others]
    assert (await parameters(used, "rest"))[0][0] == URL


async def test_without_tls_the_next_address_with_tls_is_verified(used):
    await used.services.change(REST, ServiceChange("http://plain.test/", 60, verify_tls=False))
    assert await parameters(used, "rest") == [("http://plain.test/", 60, True)]


async def test_the_address_of_a_rest_service_is_that_of_its_description(used):
    await used.descriptions.add_rest(PROVIDER, "more", "http://more.test/")
    with pytest.raises(DescriptionUrlExists):
        await used.services.change(REST, ServiceChange("http://more.test/", 60, verify_tls=False))
    change = ServiceChange("http://new.test/", 60, verify_tls=False)
    shown, _ = await used.services.change(REST, change)
    assert shown.description.url == "http://new.test/"


async def test_the_address_of_an_openapi_service_is_its_own(used):
    await used.descriptions.add_openapi(PROVIDER, "api", API_URL)
    change = ServiceChange("http://new.test/", 60, verify_tls=False)
    shown, _ = await used.services.change(named("api"), change)
    assert (shown.description.url, shown.service.url) == (API_URL, "http://new.test/")


async def test_what_parameters_may_not_be(used):
    await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    for code, url, timeout, verify, refused in (
        ("rest", "ftp://x/", 60, False, MalformedUrl),
        ("rest", "http://x/?a=b", 60, False, MalformedUrl),
        ("rest", "http://x/", 60, True, HttpsRequired),
        ("rest", "http://x/", 0, False, InvalidConfiguration),
        ("rest", "http://x/", 1001, False, InvalidConfiguration),
        ("none", "http://x/", 60, False, ServiceNotFound),
    ):
        with pytest.raises(refused):
            await used.services.change(named(code), ServiceChange(url, timeout, verify))
    await used.services.change(named("a"), ServiceChange("http://x/?a=b", 60, verify_tls=False))


async def test_a_service_that_is_to_prove_itself_is_tried_first(used):
    async with used.store.transaction() as conf:
        await conf.replace_client(Client(PROVIDER, certificates=(b"der",)))
    change = ServiceChange("https://new.test/", 60, verify_tls=True)
    for failure, code in (
        (TlsTrialRefused("no"), "internal_server_ssl_handshake_error"),
        (TlsTrialFailed("no"), "internal_server_ssl_error"),
    ):
        used.trial.failure = failure
        with pytest.raises(WarningsFound) as caught:
            await used.services.change(REST, change)
        assert caught.value.warnings == (Warned(code, ("https://new.test/",)),)
    assert used.trial.tried == [("https://new.test/", (b"der",))] * 2
    assert (await parameters(used, "rest"))[0][0] == URL
    await used.services.change(REST, change, ignore_warnings=True)
    await used.services.change(REST, ServiceChange("https://x/", 60, verify_tls=False))
    assert len(used.trial.tried) == 2


# Endpoints.


async def test_endpoints_are_added_changed_and_removed_by_hand(used):
    added = await used.endpoints.add(REST, "GET", "/names/*")
    assert added.endpoint == Endpoint(PROVIDER, "rest", "GET", "/names/*")
    assert added.generated is False
    assert await used.endpoints.get(added.id) == added
    async with used.store.transaction() as conf:
        await conf.grant(AccessRight(added.endpoint, CALLER), SystemClock().now())
    changed = await used.endpoints.change(added.id, "*", "/names/**")
    assert (changed.id, changed.endpoint.method, changed.endpoint.path) == (
        added.id,
        "*",
        "/names/**",
    )
    assert await used.endpoints.change(added.id, "*", "/names/**") == changed
    async with used.store.reading() as conf:
        assert [each.endpoint for each in await conf.rights()] == [changed.endpoint]
    assert await used.endpoints.remove(added.id) == changed
    async with used.store.reading() as conf:
        assert await conf.rights() == ()
    for gone in (
        used.endpoints.get(added.id),
        used.endpoints.change(added.id, "GET", "/x"),
        used.endpoints.remove(added.id),
    ):
        with pytest.raises(EndpointNotFound):
            await gone


async def test_generated_endpoints_are_fixed(used):
    await used.descriptions.add_openapi(PROVIDER, "api", API_URL)
    rows = (await used.services.get(named("api"))).endpoints
    assert [(row.endpoint.method, row.generated) for row in rows] == [("*", True), ("GET", True)]
    for row in rows:
        with pytest.raises(GeneratedEndpointUpdated) as caught:
            await used.endpoints.change(row.id, "GET", "/x")
        assert caught.value.metadata == (str(row.id),)
        with pytest.raises(GeneratedEndpointRemoved) as removed:
            await used.endpoints.remove(row.id)
        assert removed.value.metadata == (str(row.id),)


async def test_an_endpoint_is_had_once(used):
    first = await used.endpoints.add(REST, "GET", "/a")
    await used.endpoints.add(REST, "GET", "/b")
    for method, path in (("GET", "/a"), ("*", "**")):
        with pytest.raises(EndpointExists):
            await used.endpoints.add(REST, method, path)
    with pytest.raises(EndpointExists):
        await used.endpoints.change(first.id, "GET", "/b")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/x"),
        ("CONNECT", "/x"),
        ("GET", "x"),
        ("GET", ""),
        ("GET", "/a\nb"),
        ("GET", "/" + "x" * 255),
    ],
)
async def test_an_endpoint_that_no_request_could_match_is_refused(used, method, path):
    with pytest.raises(InvalidConfiguration):
        await used.endpoints.add(REST, method, path)
    added = await used.endpoints.add(REST, "GET", "/fine")
    with pytest.raises(InvalidConfiguration):
        await used.endpoints.change(added.id, method, path)


async def test_only_rest_services_have_endpoints_by_hand(used):
    with pytest.raises(WrongDescriptionType):
        await used.endpoints.add(named("people.v1"), "GET", "/x")
    with pytest.raises(ServiceNotFound):
        await used.endpoints.add(named("none"), "GET", "/x")
    with pytest.raises(ClientNotFound):
        await used.endpoints.add(NamedService(CALLER, "rest"), "GET", "/x")
