import pytest

from components.centralserver.source_builders import EXTERNAL, INTERNAL, Central
from components.centralserver.test_publish import register
from sild.components.centralserver.system import Node, PublicPorts

pytestmark = pytest.mark.anyio


async def urls_of(central, kind):
    return [source.url for source in (await central.anchor(kind)).sources]


async def central_of(database, folder, **ports):
    central = Central(database, folder, node=Node(ports=PublicPorts(**ports)))
    await central.initialize()
    await central.add_keys()
    return central


async def test_ports_other_than_the_usual_are_told(database, tmp_path):
    ports = {"configuration_http": 8080, "configuration_https": 8443}
    central = await central_of(database, tmp_path, **ports)
    assert await urls_of(central, EXTERNAL) == [
        "http://cs.test:8080/externalconf",
        "https://cs.test:8443/externalconf",
    ]
    expected = "https://cs.test:8443/externalconf"
    assert await central.sources.anchors.download_url(EXTERNAL) == expected
    await register(central)
    await central.publisher.publish()


async def test_what_is_not_served_over_https_is_not_said_to_be(database, tmp_path):
    central = await central_of(database, tmp_path, configuration_https=0)
    assert await urls_of(central, INTERNAL) == ["http://cs.test/internalconf"]
    assert await central.sources.anchors.download_url(INTERNAL) == "http://cs.test/internalconf"


async def test_where_a_web_server_stands_in_the_usual_port_is_told(database, tmp_path):
    ports = {"configuration_http": 0, "configuration_https": 0}
    central = await central_of(database, tmp_path, **ports)
    assert await urls_of(central, INTERNAL) == ["http://cs.test/internalconf"]
    assert await central.sources.anchors.download_url(EXTERNAL) == "http://cs.test/externalconf"
