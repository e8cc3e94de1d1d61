"""Descriptions (WSDL) of the SOAP services of provider applications, one operation each."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from sild.protocol.soap.fault import escape_text

_WSDL = """<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xroad="http://x-road.eu/xsd/xroad.xsd"
    xmlns:tns="http://services.devnet.example"
    targetNamespace="http://services.devnet.example">
<wsdl:types><xsd:schema targetNamespace="http://services.devnet.example">
<xsd:element name="{code}" type="xsd:anyType"/>
<xsd:element name="{code}Response" type="xsd:anyType"/>
</xsd:schema></wsdl:types>
<wsdl:message name="{code}"><wsdl:part name="body" element="tns:{code}"/></wsdl:message>
<wsdl:message name="{code}Response">
<wsdl:part name="body" element="tns:{code}Response"/></wsdl:message>
<wsdl:portType name="port"><wsdl:operation name="{code}"><wsdl:input message="tns:{code}"/>
<wsdl:output message="tns:{code}Response"/></wsdl:operation></wsdl:portType>
<wsdl:binding name="binding" type="tns:port">
<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
<wsdl:operation name="{code}"><soap:operation soapAction="" style="document"/>{version}
<wsdl:input><soap:body use="literal"/></wsdl:input>
<wsdl:output><soap:body use="literal"/></wsdl:output></wsdl:operation>
</wsdl:binding>
<wsdl:service name="service"><wsdl:port name="port" binding="tns:binding">
<soap:address location="{address}"/></wsdl:port></wsdl:service>
</wsdl:definitions>
"""


def description_url(address: str, code: str, version: str | None) -> str:
    """Where the description of a service at an address is."""
    asked = {"wsdl": "", "code": code} | ({} if version is None else {"version": version})
    return f"{address}?{urlencode(asked)}"


def write_description(address: str, code: str, version: str | None) -> str:
    """The description of one service at an address."""
    told = "" if version is None else f"<xroad:version>{escape_text(version)}</xroad:version>"
    return _WSDL.format(code=escape_text(code), version=told, address=escape_text(address))


def describing(app: ASGIApp) -> ASGIApp:
    """The application, which also answers with the description of any service that it is asked of.

    GET PATH?wsdl&code=CODE&version=VERSION; what services there are its administrator says.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "GET":
            request = Request(scope, receive)
            query = request.query_params
            if "wsdl" in query and "code" in query:
                address = str(request.url.replace(query=""))
                text = write_description(address, query["code"], query.get("version"))
                await Response(text, media_type="text/xml")(scope, receive, send)
                return
        await app(scope, receive, send)

    return answer
