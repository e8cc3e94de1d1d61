"""Descriptions of services, where they are found, and what reads them in this process."""

import json

from sild.components.serverconf.confined_reading import read_steps
from sild.components.serverconf.description_reader import DescriptionReader
from sild.components.serverconf.descriptions import Descriptions
from sild.components.serverconf.endpoints import Endpoints
from sild.components.serverconf.service_settings import ServiceSettings
from sild.components.serverconf.services import Services
from sild.components.serverconf.wsdl_validator import WsdlValidator
from sild.runtime.fetch import FetchError

ADDRESS = "http://is.test/soap"
WSDL_URL = "http://is.test/soap?wsdl"
API_URL = "http://is.test/v3/api.json"


def operation(name, version=None):
    """The two places of an operation in a WSDL."""
    told = f"<x:version>{version}</x:version>" if version else ""
    port_type = (
        f'<operation name="{name}"><documentation><x:title>The {name}</x:title></documentation>'
        f'<input message="t:m"/></operation>'
    )
    return port_type, f'<operation name="{name}">{told}<s:operation soapAction=""/></operation>'


def wsdl(*operations, address=ADDRESS, soap="http://schemas.xmlsoap.org/wsdl/soap/"):
    """A WSDL of operations, each a name or a name and version."""
    pairs = [operation(*((each,) if isinstance(each, str) else each)) for each in operations]
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:s="{soap}" xmlns:t="urn:t"
  xmlns:x="http://x-road.eu/xsd/xroad.xsd" name="d" targetNamespace="urn:t">
<portType name="type">{"".join(dict.fromkeys(first for first, _ in pairs))}</portType>
<binding name="binding" type="t:type">
<s:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
{"".join(second for _, second in pairs)}
</binding>
<service name="service"><port name="port" binding="t:binding">
<s:address location="{address}"/>
</port></service>
</definitions>""".encode()


def api(*operations, server="https://is.test/api", version="3.0.3", **more):
    """An OpenAPI description of operations, each "GET /path"."""
    paths = {}
    for method, path in (each.split() for each in operations):
        named = [part[1:-1] for part in path.split("/") if part.startswith("{")]
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in named
        ]
        paths.setdefault(path, {})[method.lower()] = {
            "parameters": parameters,
            "responses": {"200": {"description": "Fine"}},
        }
    document = {"openapi": version, "info": {"title": "T", "version": "1"}, "paths": paths}
    if server is not None:
        document["servers"] = [{"url": server}]
    return json.dumps(document | more).encode()


async def read_here(description):
    """Read in this process, for speed."""
    *_, reading = read_steps(description)
    return reading


class Found(dict):
    """What is at which address; nothing is elsewhere."""

    async def fetch(self, url):
        if url not in self:
            raise FetchError(f"{url} could not be fetched")
        return self[url]


class Trial:
    """Services that can be connected to, or fail as they are said to."""

    def __init__(self):
        self.failure = None
        self.tried = []

    async def try_tls(self, url, trusted):
        self.tried.append((url, trusted))
        if self.failure is not None:
            raise self.failure


class Offering:
    """The use cases on what clients offer, over a store."""

    def __init__(self, store, clock, settings=None, validator=None):
        self.store = store
        self.found = Found()
        self.trial = Trial()
        reader = DescriptionReader(self.found, validator or WsdlValidator(), read_here)
        self.descriptions = Descriptions(store, reader, clock, settings or ServiceSettings())
        self.services = Services(store, self.trial)
        self.endpoints = Endpoints(store)
