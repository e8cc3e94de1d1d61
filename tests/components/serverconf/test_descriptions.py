import asyncio
from datetime import UTC, datetime

import pytest

from components.serverconf.described import API_URL, WSDL_URL, Offering, api, wsdl
from components.serverconf.stored import OWNER, PROVIDER, stored_conf
from sild.components.serverconf.descriptions import DescriptionChange
from sild.components.serverconf.errors import (
    ClientNotFound,
    DescriptionNotFound,
    ServiceExists,
    ServiceNotFound,
)
from sild.components.serverconf.rights import NamedService
from sild.components.serverconf.service_errors import (
    DescriptionUrlExists,
    IdentifierIsInvalidNow,
    InvalidOpenApi,
    InvalidServiceUrl,
    InvalidWsdl,
    InvalidWsdlIdentifier,
    MalformedUrl,
    MissingParameter,
    ReservedServiceCode,
    ServiceCodeExists,
    UnsupportedOpenApi,
    ValidatorNotRun,
    Warned,
    WarningsFound,
    WrongDescriptionType,
    WsdlExists,
    WsdlIsInvalidNow,
    WsdlNotFetched,
)
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.serverconf.services import ServiceChange
from sild.components.serverconf.wsdl_validator import WsdlValidator
from sild.model.services import AccessRight, Client, Endpoint, InvalidConfiguration, ServiceType
from sild.protocol.ids import ClientId
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio

CALLER = ClientId("DEV", "COM", "M2", "portal")
URL = "https://is.test/rest"
NOON = datetime(2026, 1, 15, 12, tzinfo=UTC)
LATER = NOON.replace(hour=13)


class StillClock(SystemClock):
    """A clock that stands still until it is set."""

    def __init__(self):
        self.moment = NOON

    def now(self):
        return self.moment


class Used(Offering):
    """The use cases as they are used, and what they left."""

    def __init__(self, stored, **how):
        self.clock = StillClock()
        super().__init__(stored.store, self.clock, **how)

    async def shown(self, description):
        return await self.descriptions.get(description.id)

    async def offered(self, description):
        """The services of a description by their full codes."""
        return {
            each.full_code: each for each in (await self.shown(description)).description.services
        }

    async def endpoints_of(self, code):
        """The endpoints of a service, and whether they are generated."""
        found = (await self.descriptions.of_client(PROVIDER))[0].endpoints
        return {
            f"{row.endpoint.method} {row.endpoint.path}": row.generated
            for row in found
            if row.endpoint.service_code == code
        }

    async def grant(self, *endpoints):
        async with self.store.transaction() as conf:
            for endpoint in endpoints:
                await conf.grant(AccessRight(endpoint, CALLER), NOON)

    async def rights(self):
        async with self.store.reading() as conf:
            return {right.endpoint for right in await conf.rights()}


@pytest.fixture(params=["sqlite", "postgresql"])
async def used(request, tmp_path):
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").new_database()
    async with stored_conf(tmp_path, url) as stored:
        yield Used(stored)


@pytest.fixture
async def offering(tmp_path):
    """The use cases on one engine, where what is stored does not matter."""
    async with stored_conf(tmp_path) as stored:
        yield Used(stored)


def endpoint(code, method="*", path="**"):
    return Endpoint(PROVIDER, code, method, path)


async def test_a_wsdl_gives_services_that_are_switched_off(used):
    used.found[WSDL_URL] = wsdl("getData", ("getData", "v1"))
    added = await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    shown = await used.shown(added)
    assert shown.description == added
    assert (added.type, added.url, added.refreshed) == (ServiceType.WSDL, WSDL_URL, NOON)
    assert added.disabled_notice == "Out of order"
    first, second = added.services
    assert (first.full_code, second.full_code) == ("getData", "getData.v1")
    assert (first.url, first.timeout_seconds, first.title) == (
        "http://is.test/soap",
        60,
        "The getData",
    )
    assert await used.endpoints_of("getData") == {"* **": True}
    assert [row.endpoint for row in shown.endpoints_of(second)] == [endpoint("getData")]


async def test_an_openapi_description_gives_a_service_with_generated_endpoints(used):
    used.found[API_URL] = api("GET /a", "POST /a", "GET /a/{id}")
    added = await used.descriptions.add_openapi(PROVIDER, "rest", API_URL)
    (service,) = added.services
    assert (added.type, added.url, service.url) == (
        ServiceType.OPENAPI3,
        API_URL,
        "https://is.test/api",
    )
    assert service.type is ServiceType.OPENAPI3
    assert service.verify_tls
    assert added.disabled_notice == "Out of order"
    assert await used.endpoints_of("rest") == {
        "* **": True,
        "GET /a": True,
        "POST /a": True,
        "GET /a/*": True,
    }


async def test_a_base_path_gives_a_service_with_its_base_endpoint(used):
    added = await used.descriptions.add_rest(PROVIDER, "rest", URL)
    assert (added.type, added.services[0].url) == (ServiceType.REST, URL)
    assert await used.endpoints_of("rest") == {"* **": True}
    assert await used.rights() == set()


async def test_descriptions_are_listed_in_the_order_of_adding(offering):
    added = await offering.descriptions.add_rest(PROVIDER, "rest", URL)
    found = await offering.descriptions.of_client(PROVIDER)
    assert [each.description.services[0].full_code for each in found] == [
        "people.v1",
        "people.V2",
        "rest",
    ]
    assert found[2].description == added
    assert await offering.descriptions.of_client(OWNER) == ()
    with pytest.raises(ClientNotFound):
        await offering.descriptions.of_client(CALLER)
    with pytest.raises(DescriptionNotFound):
        await offering.descriptions.get(99)


async def test_services_are_switched_on_and_off_with_a_notice(used):
    added = await used.descriptions.add_rest(PROVIDER, "rest", URL)
    enabled = await used.descriptions.enable(added.id)
    assert enabled.disabled_notice is None
    assert enabled.services[0].disabled_notice is None
    disabled = await used.descriptions.disable(added.id, "Back on Monday")
    assert disabled.services[0].disabled_notice == "Back on Monday"
    assert (await used.descriptions.disable(added.id, "")).disabled_notice == ""
    with pytest.raises(InvalidConfiguration):
        await used.descriptions.disable(added.id, "x" * 256)
    with pytest.raises(DescriptionNotFound):
        await used.descriptions.enable(99)


async def test_a_description_takes_its_services_endpoints_and_rights_along(used):
    used.found[API_URL] = api("GET /a")
    added = await used.descriptions.add_openapi(PROVIDER, "rest", API_URL)
    await used.grant(endpoint("rest"), endpoint("rest", "GET", "/a"), endpoint("people"))
    await used.descriptions.remove(added.id)
    assert await used.endpoints_of("rest") == {}
    assert await used.rights() == {endpoint("people")}
    with pytest.raises(DescriptionNotFound):
        await used.descriptions.remove(added.id)


async def test_rights_to_a_code_stay_while_another_description_has_a_version_of_it(used):
    first, _ = await used.descriptions.of_client(PROVIDER)
    await used.grant(endpoint("people"))
    await used.descriptions.remove(first.description.id)
    assert await used.rights() == {endpoint("people")}


# What is refused when something is added.


async def test_only_clients_offer_services(offering):
    offering.found |= {WSDL_URL: wsdl("a"), API_URL: api("GET /a")}
    with pytest.raises(ClientNotFound):
        await offering.descriptions.add_wsdl(CALLER, WSDL_URL)
    with pytest.raises(ClientNotFound):
        await offering.descriptions.add_openapi(CALLER, "a", API_URL)
    with pytest.raises(ClientNotFound):
        await offering.descriptions.add_rest(CALLER, "a", URL)


async def test_members_offer_no_rest_services(offering):
    with pytest.raises(InvalidConfiguration, match="subsystem"):
        await offering.descriptions.add_rest(OWNER, "a", URL)


@pytest.mark.parametrize(
    "url", ["", "ftp://x/", "file:///etc/passwd", "x", "http://", "http://a b"]
)
async def test_an_address_that_is_not_http_is_refused(offering, url):
    for adding in (
        offering.descriptions.add_wsdl(PROVIDER, url),
        offering.descriptions.add_openapi(PROVIDER, "a", url),
        offering.descriptions.add_rest(PROVIDER, "a", url),
    ):
        with pytest.raises(MalformedUrl) as caught:
            await adding
        assert caught.value.metadata == ()


async def test_a_base_path_has_no_query(offering):
    with pytest.raises(MalformedUrl):
        await offering.descriptions.add_rest(PROVIDER, "a", "http://x/?a=b")


async def test_a_rest_service_has_a_code(offering):
    with pytest.raises(MissingParameter):
        await offering.descriptions.add_rest(PROVIDER, None, URL)
    with pytest.raises(MissingParameter):
        await offering.descriptions.add_openapi(PROVIDER, None, API_URL)


@pytest.mark.parametrize("code", ["getWsdl", "listMethods", "getOpenAPI"])
async def test_the_codes_of_metaservices_are_reserved(offering, code):
    offering.found |= {WSDL_URL: wsdl("other", code), API_URL: api("GET /a")}
    for adding in (
        offering.descriptions.add_wsdl(PROVIDER, WSDL_URL, ignore_warnings=True),
        offering.descriptions.add_openapi(PROVIDER, code, API_URL, ignore_warnings=True),
        offering.descriptions.add_rest(PROVIDER, code, URL),
    ):
        with pytest.raises(ReservedServiceCode) as caught:
            await adding
        assert caught.value.metadata == (code,)


async def test_settings_reserve_codes_besides_those_of_metaservices(tmp_path):
    async with stored_conf(tmp_path) as stored:
        used = Used(stored, settings=ServiceSettings(reserved_service_codes=("mine",)))
        for code in ("mine", "getWsdl"):
            with pytest.raises(ReservedServiceCode):
                await used.descriptions.add_rest(PROVIDER, code, URL)
        await used.descriptions.add_rest(PROVIDER, "yours", URL)


@pytest.mark.parametrize("code", ["a/b", "", "a:b", " a"])
async def test_a_code_that_no_identifier_can_hold_is_refused(offering, code):
    with pytest.raises(InvalidConfiguration):
        await offering.descriptions.add_rest(PROVIDER, code, URL)


async def test_what_cannot_be_fetched_is_told_apart_from_what_cannot_be_read(offering):
    with pytest.raises(WsdlNotFetched) as caught:
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    assert caught.value.metadata == ()
    with pytest.raises(InvalidOpenApi, match="could not be fetched") as unread:
        await offering.descriptions.add_openapi(PROVIDER, "a", API_URL)
    assert unread.value.metadata == (unread.value.message,)
    offering.found |= {WSDL_URL: b"no", API_URL: b"no"}
    with pytest.raises(InvalidWsdl):
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    with pytest.raises(InvalidOpenApi):
        await offering.descriptions.add_openapi(PROVIDER, "a", API_URL)
    offering.found[API_URL] = api(version="3.2.0")
    with pytest.raises(UnsupportedOpenApi):
        await offering.descriptions.add_openapi(PROVIDER, "a", API_URL)


async def test_operations_that_no_identifier_can_name_are_refused(offering):
    offering.found[WSDL_URL] = wsdl(("a:b", "v1"), ("c", "1%2"), "d")
    with pytest.raises(InvalidWsdlIdentifier) as caught:
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    assert caught.value.metadata == ("a:b", "1%2")


async def test_services_that_cannot_be_called_are_refused(offering):
    offering.found[WSDL_URL] = wsdl("a", "b", address="sftp://is.test/")
    with pytest.raises(InvalidServiceUrl) as caught:
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL, ignore_warnings=True)
    assert caught.value.metadata == ("sftp://is.test/",)


async def test_an_address_is_had_once_a_client(offering):
    other = CALLER
    async with offering.store.transaction() as conf:
        await conf.add_client(Client(other))
    offering.found |= {WSDL_URL: wsdl("a"), WSDL_URL.upper(): wsdl("b")}
    await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    with pytest.raises(WsdlExists):
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL.replace("is.test", "IS.TEST"))
    await offering.descriptions.add_wsdl(other, WSDL_URL)
    await offering.descriptions.add_rest(PROVIDER, "rest", URL)
    with pytest.raises(DescriptionUrlExists) as caught:
        await offering.descriptions.add_rest(PROVIDER, "more", URL)
    assert caught.value.metadata == (URL,)
    offering.found[URL] = api("GET /a")
    with pytest.raises(DescriptionUrlExists):
        await offering.descriptions.add_openapi(PROVIDER, "more", URL)


async def test_a_code_is_had_once_a_client(offering):
    offering.found[API_URL] = api("GET /a")
    for code in ("people", "PEOPLE", "people.v1"):
        with pytest.raises(ServiceCodeExists) as caught:
            await offering.descriptions.add_rest(PROVIDER, code, URL)
        assert caught.value.metadata == (code, URL)
        with pytest.raises(ServiceCodeExists):
            await offering.descriptions.add_openapi(PROVIDER, code, API_URL)


async def test_an_operation_is_had_once_a_client_in_each_version(offering):
    offering.found[WSDL_URL] = wsdl("new", ("PEOPLE", "V1"), ("people", "v9"))
    with pytest.raises(ServiceExists) as caught:
        await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    assert caught.value.metadata == ("people.v1", "http://service.test/people/v1")
    offering.found[WSDL_URL] = wsdl(("people", "v9"))
    added = await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    assert added.services[0].full_code == "people.v9"
    assert await offering.endpoints_of("people") == {"* **": True}


async def test_two_who_add_the_same_at_once_do_not_both_succeed(offering):
    offering.found[WSDL_URL] = wsdl("a")
    results = await asyncio.gather(
        *(offering.descriptions.add_wsdl(PROVIDER, WSDL_URL) for _ in range(2)),
        return_exceptions=True,
    )
    assert [type(each) for each in results if isinstance(each, Exception)] == [WsdlExists]


async def test_warnings_about_an_openapi_description_can_be_ignored(offering):
    offering.found[API_URL] = api("GET /a", info={"title": "no version"})
    with pytest.raises(WarningsFound) as caught:
        await offering.descriptions.add_openapi(PROVIDER, "rest", API_URL)
    (warning,) = caught.value.warnings
    assert warning.code == "openapi_validation_warnings"
    assert "'version'" in warning.about[0]
    await offering.descriptions.add_openapi(PROVIDER, "rest", API_URL, ignore_warnings=True)


# Reading again.


async def test_a_wsdl_is_read_again_and_what_is_still_there_stays_as_it_was(used):
    used.found[WSDL_URL] = wsdl("stays", ("stays", "v1"), "goes")
    added = await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    await used.descriptions.enable(added.id)
    change = ServiceChange("http://mine.test/", 7, verify_tls=False)
    await used.services.change(NamedService(PROVIDER, "stays"), change)
    await used.grant(endpoint("stays"), endpoint("goes"))
    used.found[WSDL_URL] = wsdl("stays", ("stays", "v2"), "comes", address="http://new.test/")
    used.clock.moment = LATER
    with pytest.raises(WarningsFound) as caught:
        await used.descriptions.refresh(added.id)
    assert caught.value.warnings == (
        Warned("adding_services", ("stays.v2", "comes")),
        Warned("deleting_services", ("stays.v1", "goes")),
    )
    assert (await used.shown(added)).description.refreshed == NOON
    changed = await used.descriptions.refresh(added.id, ignore_warnings=True)
    assert (changed.added, changed.removed) == (("stays.v2", "comes"), ("stays.v1", "goes"))
    services = await used.offered(added)
    assert list(services) == ["stays", "stays.v2", "comes"]
    assert (services["stays"].url, services["stays"].timeout_seconds) == ("http://mine.test/", 7)
    assert services["comes"].url == "http://new.test/"
    assert services["comes"].disabled_notice is None
    assert changed.description.refreshed == LATER
    assert await used.rights() == {endpoint("stays")}
    again = await used.descriptions.refresh(added.id)
    assert (again.added, again.removed) == ((), ())


async def test_an_openapi_description_is_read_again_and_endpoints_by_hand_stay(used):
    used.found[API_URL] = api("GET /stays", "GET /goes")
    added = await used.descriptions.add_openapi(PROVIDER, "rest", API_URL)
    named = NamedService(PROVIDER, "rest")
    for path in ("/mine", "/adopted"):
        await used.endpoints.add(named, "GET", path)
    await used.grant(
        *(endpoint("rest", "GET", f"/{each}") for each in ("stays", "goes", "adopted"))
    )
    used.found[API_URL] = api("GET /stays", "POST /comes", "GET /adopted", server="http://new.test")
    used.clock.moment = LATER
    with pytest.raises(WarningsFound) as caught:
        await used.descriptions.refresh(added.id)
    assert caught.value.warnings == (
        Warned("adding_endpoints", ("POST /comes",)),
        Warned("deleting_endpoints", ("GET /goes",)),
    )
    assert (await used.endpoints_of("rest"))["GET /adopted"] is False
    changed = await used.descriptions.refresh(added.id, ignore_warnings=True)
    assert await used.endpoints_of("rest") == {
        "* **": True,
        "GET /stays": True,
        "GET /mine": False,
        "GET /adopted": True,
        "POST /comes": True,
    }
    assert changed.description.refreshed == LATER
    assert changed.description.services[0].url == "https://is.test/api"
    assert await used.rights() == {
        endpoint("rest", "GET", "/stays"),
        endpoint("rest", "GET", "/adopted"),
    }
    await used.descriptions.refresh(added.id)


async def test_there_is_nothing_to_read_at_a_base_path(offering):
    added = await offering.descriptions.add_rest(PROVIDER, "rest", URL)
    offering.clock.moment = LATER
    assert (await offering.descriptions.refresh(added.id)).description == added


async def test_a_wsdl_that_is_wrong_now_is_a_conflict(offering):
    offering.found[WSDL_URL] = wsdl("a")
    added = await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    offering.found[WSDL_URL] = b"no"
    with pytest.raises(WsdlIsInvalidNow) as caught:
        await offering.descriptions.refresh(added.id)
    assert caught.value.metadata == (caught.value.message,)
    offering.found[WSDL_URL] = wsdl("a:b")
    with pytest.raises(IdentifierIsInvalidNow) as wrong:
        await offering.descriptions.refresh(added.id)
    assert wrong.value.metadata == ("a:b",)
    del offering.found[WSDL_URL]
    with pytest.raises(WsdlNotFetched):
        await offering.descriptions.refresh(added.id)
    assert list(await offering.offered(added)) == ["a"]


async def test_what_a_wsdl_adds_must_be_allowed_and_free(offering):
    offering.found[WSDL_URL] = wsdl("a")
    added = await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    for now, refused in (
        (wsdl("a", "getWsdl"), ReservedServiceCode),
        (wsdl("a", ("people", "v1")), ServiceExists),
        (wsdl("a", "b", address="ftp://is.test/"), InvalidServiceUrl),
    ):
        offering.found[WSDL_URL] = now
        with pytest.raises(refused):
            await offering.descriptions.refresh(added.id, ignore_warnings=True)


# Another address or code.


async def test_a_wsdl_gets_another_address(used):
    used.found |= {WSDL_URL: wsdl("a", "b"), "http://new.test/": wsdl("a")}
    added = await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    change = DescriptionChange(ServiceType.WSDL, "http://new.test/")
    with pytest.raises(WarningsFound):
        await used.descriptions.change(added.id, change)
    changed = await used.descriptions.change(added.id, change, ignore_warnings=True)
    assert changed.description.url == "http://new.test/"
    assert [each.full_code for each in changed.description.services] == ["a"]
    assert changed.removed == ("b",)


async def test_an_openapi_description_gets_another_address_and_code(used):
    used.found |= {API_URL: api("GET /a"), "http://new.test/": api("GET /a")}
    added = await used.descriptions.add_openapi(PROVIDER, "rest", API_URL)
    await used.grant(endpoint("rest", "GET", "/a"))
    change = DescriptionChange(ServiceType.OPENAPI3, "http://new.test/", "rest", "better")
    changed = await used.descriptions.change(added.id, change)
    assert changed.description.url == "http://new.test/"
    (service,) = changed.description.services
    assert (service.full_code, service.type) == ("better", ServiceType.OPENAPI3)
    assert service.url == "https://is.test/api"
    assert await used.rights() == {endpoint("better", "GET", "/a")}
    assert await used.endpoints_of("rest") == {}
    assert await used.endpoints_of("better") == {"* **": True, "GET /a": True}


async def test_a_rest_service_gets_another_address_and_code_and_its_rights_stay(used):
    added = await used.descriptions.add_rest(PROVIDER, "rest", URL)
    await used.endpoints.add(NamedService(PROVIDER, "rest"), "GET", "/x")
    await used.grant(endpoint("rest"), endpoint("rest", "GET", "/x"))
    used.clock.moment = LATER
    change = DescriptionChange(ServiceType.REST, "http://new.test/", "rest", "better")
    changed = (await used.descriptions.change(added.id, change)).description
    (service,) = changed.services
    assert (changed.url, service.url, service.full_code) == (
        "http://new.test/",
        "http://new.test/",
        "better",
    )
    assert changed.refreshed == LATER
    assert changed.disabled_notice == "Out of order"
    assert await used.rights() == {endpoint("better"), endpoint("better", "GET", "/x")}
    same = DescriptionChange(ServiceType.REST, URL, "better")
    assert (await used.descriptions.change(added.id, same)).description.url == URL


async def test_a_description_stays_of_its_type(offering):
    added = await offering.descriptions.add_rest(PROVIDER, "rest", URL)
    for kind in (ServiceType.WSDL, ServiceType.OPENAPI3):
        with pytest.raises(WrongDescriptionType):
            await offering.descriptions.change(added.id, DescriptionChange(kind, URL, "rest"))


async def test_what_another_address_and_code_may_not_be(offering):
    await offering.descriptions.add_rest(PROVIDER, "taken", "http://taken.test/")
    added = await offering.descriptions.add_rest(PROVIDER, "rest", URL)
    for url, code, new_code, refused in (
        ("ftp://x/", "rest", None, MalformedUrl),
        (URL, None, "new", MissingParameter),
        (URL, "other", "new", ServiceNotFound),
        (URL, "rest", "Taken", ServiceCodeExists),
        (URL, "rest", "getWsdl", ReservedServiceCode),
        (URL, "rest", "a/b", InvalidConfiguration),
        ("http://taken.test/", "rest", None, DescriptionUrlExists),
    ):
        change = DescriptionChange(ServiceType.REST, url, code, new_code)
        with pytest.raises(refused):
            await offering.descriptions.change(added.id, change)
    with pytest.raises(DescriptionNotFound):
        await offering.descriptions.change(99, DescriptionChange(ServiceType.REST, URL, "rest"))
    assert list(await offering.offered(added)) == ["rest"]
    assert await offering.endpoints_of("rest") == {"* **": True}


async def test_a_wsdl_does_not_get_the_address_of_another(offering):
    offering.found |= {WSDL_URL: wsdl("a"), "http://b.test/": wsdl("b")}
    await offering.descriptions.add_wsdl(PROVIDER, WSDL_URL)
    added = await offering.descriptions.add_wsdl(PROVIDER, "http://b.test/")
    with pytest.raises(WsdlExists):
        await offering.descriptions.change(added.id, DescriptionChange(ServiceType.WSDL, WSDL_URL))


# The administrator's validator.


@pytest.fixture
def validated(tmp_path):
    """The use cases with a validator that is this shell script."""

    def make(stored, script):
        program = tmp_path / "validator"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o700)
        return Used(stored, validator=WsdlValidator(str(program), timeout=60.0))

    return make


async def test_what_the_validator_says_is_a_warning(tmp_path, validated):
    async with stored_conf(tmp_path) as stored:
        used = validated(stored, 'echo "WARNING: $1"; echo; echo more >&2')
        used.found[WSDL_URL] = wsdl("a")
        with pytest.raises(WarningsFound) as caught:
            await used.descriptions.add_wsdl(PROVIDER, WSDL_URL)
        told = Warned("wsdl_validation_warnings", (f"WARNING: {WSDL_URL}", "more"))
        assert caught.value.warnings == (told,)
        added = await used.descriptions.add_wsdl(PROVIDER, WSDL_URL, ignore_warnings=True)
        with pytest.raises(WarningsFound):
            await used.descriptions.refresh(added.id)


async def test_what_the_validator_refuses_is_refused(tmp_path, validated):
    async with stored_conf(tmp_path) as stored:
        used = validated(stored, "echo ERROR; exit 1")
        used.found[WSDL_URL] = wsdl("a")
        with pytest.raises(InvalidWsdl) as caught:
            await used.descriptions.add_wsdl(PROVIDER, WSDL_URL, ignore_warnings=True)
        assert caught.value.metadata == ("ERROR",)


async def test_without_a_validator_that_runs_nothing_is_added(tmp_path):
    async with stored_conf(tmp_path) as stored:
        used = Used(stored, validator=WsdlValidator("/nowhere/validator"))
        used.found[WSDL_URL] = wsdl("a")
        with pytest.raises(ValidatorNotRun):
            await used.descriptions.add_wsdl(PROVIDER, WSDL_URL, ignore_warnings=True)
        assert len(await used.descriptions.of_client(PROVIDER)) == 2


async def test_a_validator_that_does_not_end_is_ended(tmp_path):
    program = tmp_path / "validator"
    program.write_text("#!/bin/sh\nexec sleep 600\n")
    program.chmod(0o700)
    with pytest.raises(InvalidWsdl, match="did not end"):
        await WsdlValidator(str(program), timeout=0.2).validate(WSDL_URL)


async def test_a_validator_sees_nothing_that_is_not_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("SILD_SIGNER_PIN", "canary")
    program = tmp_path / "validator"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(0o700)
    told = await WsdlValidator(str(program)).validate(WSDL_URL)
    assert any(line.startswith("PATH=") for line in told)
    assert not any("canary" in line for line in told)


async def test_a_validator_that_says_too_much_is_heard_in_part(tmp_path):
    program = tmp_path / "validator"
    program.write_text("#!/bin/sh\nhead -c 3000000 /dev/zero | tr '\\0' '\\n'\nyes | head -n 999\n")
    program.chmod(0o700)
    assert len(await WsdlValidator(str(program)).validate(WSDL_URL)) <= 200
