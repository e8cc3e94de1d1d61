"""Services as information systems offer them: REST, REST described by OpenAPI, and SOAP."""

import random

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sild.devnet.serving import read_body, serve_app
from sild.protocol.safexml import get_child, local_name, read_xml, sub_element, write_xml
from sild.protocol.soap.envelope import SOAP

LIMIT = 64 * 1024
PRODUCER = "http://test.x-road.fi/producer"
SOAP_CODES = ("getRandom", "helloService", "listPeople", "personDetails")
REST_PATH, OPENAPI_PATH, SOAP_PATH = "/integration/mock_1", "/v3/api-docs", "/example/Endpoint"

_WSDL = """<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:tns="{producer}"
    xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xrd="http://x-road.eu/xsd/xroad.xsd"
    targetNamespace="{producer}">
  <wsdl:types><xs:schema targetNamespace="{producer}" elementFormDefault="qualified">{elements}
  </xs:schema></wsdl:types>{messages}
  <wsdl:portType name="port">{operations}
  </wsdl:portType>
  <wsdl:binding name="binding" type="tns:port">
    <soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>{bindings}
  </wsdl:binding>
  <wsdl:service name="service">
    <wsdl:port name="port" binding="tns:binding"><soap:address location="{address}"/></wsdl:port>
  </wsdl:service>
</wsdl:definitions>
"""
_ELEMENTS = """
    <xs:element name="{code}"><xs:complexType><xs:sequence>
      <xs:element name="request" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="{code}Response"><xs:complexType><xs:sequence>
      <xs:element name="response" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>"""
_MESSAGES = """
  <wsdl:message name="{code}"><wsdl:part name="body" element="tns:{code}"/></wsdl:message>
  <wsdl:message name="{code}Response">
    <wsdl:part name="body" element="tns:{code}Response"/></wsdl:message>"""
_OPERATION = """
    <wsdl:operation name="{code}"><wsdl:input message="tns:{code}"/>
      <wsdl:output message="tns:{code}Response"/></wsdl:operation>"""
_BINDING = """
    <wsdl:operation name="{code}"><soap:operation soapAction="" style="document"/>
      <xrd:version>v1</xrd:version>
      <wsdl:input><soap:body use="literal"/></wsdl:input>
      <wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>"""

_OPENAPI = {
    "openapi": "3.0.1",
    "info": {"title": "Members", "version": "v0"},
    "servers": [{"url": "http://localhost:8080"}],
    "paths": {
        path: {
            method: {
                "operationId": f"{method}{path.title().replace('/', '')}",
                "responses": {"200": {"description": "OK"}},
            }
            for method in methods
        }
        for path, methods in {"/api/members": ("get",), "/api/random": ("get", "post")}.items()
    },
}


class Services:
    """All of them on one address."""

    def __init__(self, codes=SOAP_CODES):
        self.codes = list(codes)
        self.openapi = dict(_OPENAPI)
        self._served = None
        self.app = Starlette(
            routes=[
                Route(REST_PATH, self._rest, methods=["GET", "POST"]),
                Route(OPENAPI_PATH, self._describe, methods=["GET"]),
                Route("/api/members", self._members, methods=["GET"]),
                Route(SOAP_PATH, self._wsdl, methods=["GET"]),
                Route(SOAP_PATH, self._soap, methods=["POST"]),
                Route("/example-adapter/Endpoint", self._wsdl, methods=["GET"]),
                Route("/example-adapter/Endpoint", self._soap, methods=["POST"]),
            ]
        )

    async def serve(self, host="127.0.0.1", port=0):
        """Answer on a port."""
        self._served = await serve_app(self.app, host, port)
        self.url = self._served.url
        return self

    async def close(self):
        """Answer no more."""
        await self._served.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    @property
    def rest_url(self):
        return self.url + REST_PATH

    @property
    def openapi_url(self):
        return self.url + OPENAPI_PATH

    @property
    def soap_url(self):
        return self.url + SOAP_PATH

    @property
    def wsdl_url(self):
        return self.soap_url + "?wsdl"

    def wsdl(self):
        """The description of the SOAP services that there are now."""

        def each(text):
            return "".join(text.format(code=code) for code in self.codes)

        return _WSDL.format(
            producer=PRODUCER,
            address=self.soap_url if self._served else "http://localhost/",
            elements=each(_ELEMENTS),
            messages=each(_MESSAGES),
            operations=each(_OPERATION),
            bindings=each(_BINDING),
        )

    async def _rest(self, request: Request) -> Response:
        return JSONResponse({"message": f"Hello, world from {request.method} service!"})

    async def _describe(self, _: Request) -> Response:
        return JSONResponse(self.openapi)

    async def _members(self, _: Request) -> Response:
        return JSONResponse([{"name": "Mari"}])

    async def _wsdl(self, _: Request) -> Response:
        return Response(self.wsdl(), media_type="text/xml")

    async def _soap(self, request: Request) -> Response:
        envelope = read_xml(await read_body(request, LIMIT))
        body = get_child(envelope, f"{{{SOAP}}}Body")
        (asked,) = list(body)
        body.remove(asked)
        answer = sub_element(body, f"{{{PRODUCER}}}{local_name(asked)}Response")
        content = sub_element(answer, f"{{{PRODUCER}}}response")
        sub_element(content, f"{{{PRODUCER}}}data").text = str(random.random())
        return Response(write_xml(envelope), media_type="text/xml; charset=UTF-8")
