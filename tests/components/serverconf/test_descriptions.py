import pytest

from components.serverconf.builders import CALLER, OWNER, PROVIDER, server_conf
from sild.components.serverconf.descriptions import ServiceParameters
from sild.components.serverconf.errors import (
    ClientNotFound,
    DescriptionNotFound,
    EndpointExists,
    EndpointIsFixed,
    EndpointNotFound,
    ServiceExists,
    ServiceNotFound,
)
from sild.components.serverconf.rows import Description
from sild.model.services import (
    AccessRight,
    Endpoint,
    InvalidConfiguration,
    Service,
    ServiceType,
)
from sild.protocol.ids import ServiceId

pytestmark = pytest.mark.anyio

PEOPLE = ServiceId(PROVIDER, "people")
URL = "https://service.test/api"


async def service(conf, code="people"):
    (found,) = [each for each in (await conf.snapshot()).services if each.id.service_code == code]
    return found


async def add_soap(conf):
    services = (Service(ServiceId(PROVIDER, "soap", "v1"), ServiceType.WSDL, "http://x"),)
    async with conf.store.transaction() as stored:
        description = Description(PROVIDER, ServiceType.WSDL, "http://x?wsdl", services)
        return await stored.add_description(description)


async def test_a_new_service_is_switched_off(tmp_path):
    async with server_conf(tmp_path) as conf:
        added = await conf.descriptions.add_rest(PROVIDER, "new", URL)
        assert (await service(conf, "new")).disabled_notice
        await conf.descriptions.enable(added.id)
        found = await service(conf, "new")
        assert found == Service(ServiceId(PROVIDER, "new"), ServiceType.REST, URL, 60, True, None)
        await conf.descriptions.disable(added.id, "Back on Monday")
        assert (await service(conf, "new")).disabled_notice == "Back on Monday"
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.disable(added.id, "x" * 256)


async def test_a_service_switched_off_without_a_word_is_still_off(tmp_path):
    async with server_conf(tmp_path) as conf:
        added = await conf.descriptions.add_rest(PROVIDER, "new", URL)
        await conf.descriptions.disable(added.id, "")
        assert (await service(conf, "new")).disabled_notice == ""


async def test_a_new_service_has_its_base_endpoint_and_no_rights(tmp_path):
    async with server_conf(tmp_path) as conf:
        snapshot = await conf.snapshot()
        assert snapshot.endpoints == (Endpoint(PROVIDER, "people"),)
        assert snapshot.rights == ()


@pytest.mark.parametrize("code", ["getWsdl", "listMethods", "getOpenAPI", "", "a/b"])
async def test_a_reserved_or_unwritable_code_is_refused(tmp_path, code):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.add_rest(PROVIDER, code, URL)


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "", "http://x/?a=b"])
async def test_an_address_that_is_not_http_is_refused(tmp_path, url):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.add_rest(PROVIDER, "new", url)
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.change_service(PEOPLE, ServiceParameters(url))


async def test_a_code_is_given_once_a_client(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(ServiceExists):
            await conf.descriptions.add_rest(PROVIDER, "people", URL)
        await conf.add_client(CALLER)
        await conf.descriptions.add_rest(CALLER, "people", URL)


async def test_a_code_of_a_soap_service_is_taken_too(tmp_path):
    async with server_conf(tmp_path) as conf:
        await add_soap(conf)
        with pytest.raises(ServiceExists):
            await conf.descriptions.add_rest(PROVIDER, "soap", URL)


async def test_only_subsystems_that_are_clients_offer_services(tmp_path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration, match="subsystem"):
            await conf.descriptions.add_rest(OWNER, "new", URL)
        with pytest.raises(ClientNotFound):
            await conf.descriptions.add_rest(CALLER, "new", URL)


async def test_parameters_of_a_service_change_and_its_rights_stay(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.rights.grant(Endpoint(PROVIDER, "people"), [CALLER])
        parameters = ServiceParameters("http://other.test/", 5, verify_tls=False)
        await conf.descriptions.change_service(PEOPLE, parameters)
        found = await service(conf)
        assert (found.url, found.timeout_seconds, found.verify_tls) == (
            "http://other.test/",
            5,
            False,
        )
        assert found.disabled_notice is None
        assert len((await conf.snapshot()).rights) == 1
        for timeout in (0, 100_000):
            with pytest.raises(InvalidConfiguration):
                await conf.descriptions.change_service(PEOPLE, ServiceParameters(URL, timeout))
        with pytest.raises(ServiceNotFound):
            await conf.descriptions.change_service(ServiceId(PROVIDER, "x"), parameters)


async def test_parameters_of_a_soap_service_change(tmp_path):
    async with server_conf(tmp_path) as conf:
        await add_soap(conf)
        name = ServiceId(PROVIDER, "soap", "v1")
        await conf.descriptions.change_service(name, ServiceParameters("http://y/?op", 9))
        assert (await service(conf, "soap")).url == "http://y/?op"


async def test_a_new_code_takes_the_rights_along(tmp_path):
    async with server_conf(tmp_path) as conf:
        endpoint = Endpoint(PROVIDER, "people", "GET", "/x")
        await conf.descriptions.add_endpoint(endpoint)
        await conf.rights.grant(endpoint, [CALLER])
        (added,) = await descriptions(conf)
        await conf.descriptions.change_rest(added.id, "folk", "http://new.test")
        snapshot = await conf.snapshot()
        assert [each.id.service_code for each in snapshot.services] == ["folk"]
        assert snapshot.services[0].url == "http://new.test"
        assert snapshot.rights == (AccessRight(Endpoint(PROVIDER, "folk", "GET", "/x"), CALLER),)
        assert {each.service_code for each in snapshot.endpoints} == {"folk"}


async def descriptions(conf):
    async with conf.store.reading() as stored:
        return await stored.descriptions()


async def test_a_new_code_must_be_free_and_allowed(tmp_path):
    async with server_conf(tmp_path) as conf:
        other = await conf.descriptions.add_rest(PROVIDER, "other", URL)
        with pytest.raises(ServiceExists):
            await conf.descriptions.change_rest(other.id, "people", URL)
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.change_rest(other.id, "getWsdl", URL)
        soap = await add_soap(conf)
        with pytest.raises(InvalidConfiguration, match="WSDL"):
            await conf.descriptions.change_rest(soap, "x", URL)


async def test_a_description_takes_its_services_endpoints_and_rights_along(tmp_path):
    async with server_conf(tmp_path) as conf:
        await conf.rights.grant(Endpoint(PROVIDER, "people"), [CALLER])
        (added,) = await descriptions(conf)
        await conf.descriptions.remove(added.id)
        snapshot = await conf.snapshot()
        assert (snapshot.services, snapshot.endpoints, snapshot.rights) == ((), (), ())
        with pytest.raises(DescriptionNotFound):
            await conf.descriptions.remove(added.id)


async def test_endpoints_come_and_go_and_the_base_endpoint_stays(tmp_path):
    endpoint = Endpoint(PROVIDER, "people", "GET", "/names/*")
    async with server_conf(tmp_path) as conf:
        await conf.descriptions.add_endpoint(endpoint)
        with pytest.raises(EndpointExists):
            await conf.descriptions.add_endpoint(endpoint)
        await conf.rights.grant(endpoint, [CALLER])
        await conf.descriptions.remove_endpoint(endpoint)
        assert (await conf.snapshot()).rights == ()
        with pytest.raises(EndpointNotFound):
            await conf.descriptions.remove_endpoint(endpoint)
        with pytest.raises(EndpointIsFixed):
            await conf.descriptions.remove_endpoint(Endpoint(PROVIDER, "people"))


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
async def test_an_endpoint_that_no_request_could_match_is_refused(tmp_path, method, path):
    async with server_conf(tmp_path) as conf:
        with pytest.raises(InvalidConfiguration):
            await conf.descriptions.add_endpoint(Endpoint(PROVIDER, "people", method, path))


async def test_a_soap_service_has_no_endpoints(tmp_path):
    async with server_conf(tmp_path) as conf:
        services = (Service(ServiceId(PROVIDER, "soap"), ServiceType.WSDL, "http://x"),)
        async with conf.store.transaction() as stored:
            await stored.add_description(
                Description(PROVIDER, ServiceType.WSDL, "http://x", services)
            )
        with pytest.raises(InvalidConfiguration, match="SOAP"):
            await conf.descriptions.add_endpoint(Endpoint(PROVIDER, "soap", "GET", "/x"))
        with pytest.raises(ServiceNotFound):
            await conf.descriptions.add_endpoint(Endpoint(PROVIDER, "none", "GET", "/x"))
