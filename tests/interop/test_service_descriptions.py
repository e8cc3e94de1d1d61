"""Descriptions of services that the reference's own tests read, and what it makes of them."""

import pytest

from components.serverconf.described import Offering
from components.serverconf.stored import PROVIDER, stored_conf
from sild.components.serverconf.confined_reading import Description, Kind, read_confined
from sild.components.serverconf.service_errors import (
    InvalidServiceUrl,
    InvalidWsdl,
    UnsupportedOpenApi,
    WarningsFound,
)
from sild.runtime.clock import SystemClock

pytestmark = pytest.mark.anyio

URL = "http://is.test/description"


async def read_wsdl(vectors, name):
    content = (vectors / "service-descriptions" / "wsdl" / name).read_bytes()
    return (await read_confined(Description(Kind.WSDL, URL, content))).get_services()


def api_of(vectors, name):
    return (vectors / "service-descriptions" / "openapiparser" / name).read_bytes()


async def read_api(vectors, name):
    reading = await read_confined(Description(Kind.OPENAPI, URL, api_of(vectors, name)))
    return reading.get_api()


async def test_wsdls_give_their_services(vectors):
    for name, codes, url in (
        (
            "valid.wsdl",
            ["xroadGetRandom.v1", "xroadSmallAttachment.v1", "xroadBigAttachment.v1"],
            "http://iks2-testhost:8080/testservice-0.1/xroad",
        ),
        (
            "valid-getrandom.wsdl",
            ["xroadGetRandom.v1"],
            "http://iks2-testhost:8080/testservice-0.1/xroad",
        ),
        (
            "testservice.wsdl",
            ["xroadGetRandom.v1", "bodyMassIndex.v1"],
            "http://xroad-lxd-web.lxd:8088/xroadGetRandom",
        ),
    ):
        found = await read_wsdl(vectors, name)
        assert [each.full_code for each in found] == codes
        assert found[0].url == url
        assert all(each.title for each in found)


@pytest.mark.parametrize("name", ["invalid.wsdl", "xxe.wsdl"])
async def test_what_is_no_wsdl_or_names_an_entity_is_refused(vectors, name):
    with pytest.raises(InvalidWsdl):
        await read_wsdl(vectors, name)


async def test_a_wsdl_with_an_address_that_is_not_http_is_not_added(vectors, tmp_path):
    wsdls = vectors / "service-descriptions" / "wsdl"
    async with stored_conf(tmp_path) as stored:
        offering = Offering(stored.store, SystemClock())
        offering.found[URL] = (wsdls / "invalid-serviceurl.wsdl").read_bytes()
        with pytest.raises(InvalidServiceUrl) as caught:
            await offering.descriptions.add_wsdl(PROVIDER, URL, ignore_warnings=True)
    assert caught.value.metadata == ("sftp://iks2-testhost:8080/testservice-0.1/xroad",)


@pytest.mark.parametrize("name", ["valid.yaml", "valid.json"])
async def test_openapi_descriptions_give_their_operations_without_warnings(vectors, name):
    found = await read_api(vectors, name)
    assert found.base_url == "https://example.org/api"
    assert {(each.method, each.path) for each in found.operations} == {
        ("GET", "/test"),
        ("POST", "/test"),
    }
    assert found.warnings == ()


async def test_another_version_of_openapi_is_not_supported(vectors):
    with pytest.raises(UnsupportedOpenApi):
        await read_api(vectors, "invalid_version.yaml")


async def test_what_changed_in_a_description_is_warned_of(vectors, tmp_path):
    async with stored_conf(tmp_path) as stored:
        offering = Offering(stored.store, SystemClock())
        offering.found[URL] = api_of(vectors, "valid.yaml")
        added = await offering.descriptions.add_openapi(PROVIDER, "rest", URL)
        offering.found[URL] = api_of(vectors, "valid_modified.yaml")
        with pytest.raises(WarningsFound) as caught:
            await offering.descriptions.refresh(added.id)
    assert caught.value.about("adding_endpoints") == ("PATCH /test", "GET /foo")
    assert caught.value.about("deleting_endpoints") == ("POST /test",)
    assert len(caught.value.warnings) == 2
