"""The description of the management services (PR-MSERV, annex B), made from what they take."""

from collections.abc import Iterable

from sild.protocol.management.requests import RequestType
from sild.protocol.soap.fault import escape_text

_DESCRIBED = tuple(each for each in RequestType if each is not RequestType.AUTH_CERT_REGISTRATION)
"""All but authCertReg, which does not come through a security server."""

_SERVER = ("server", "id:XRoadIdentifierType", True)
_CLIENT = ("client", "id:XRoadIdentifierType", True)
_FIELDS: dict[RequestType, tuple[tuple[str, str, bool], ...]] = {
    RequestType.CLIENT_REGISTRATION: (_SERVER, _CLIENT, ("subsystemName", "xsd:string", False)),
    RequestType.CLIENT_RENAME: (_SERVER, _CLIENT, ("subsystemName", "xsd:string", True)),
    RequestType.AUTH_CERT_DELETION: (_SERVER, ("authCert", "xsd:base64Binary", True)),
    RequestType.ADDRESS_CHANGE: (_SERVER, ("address", "xsd:string", True)),
    RequestType.MAINTENANCE_MODE_ENABLE: (_SERVER, ("message", "xsd:string", False)),
    RequestType.MAINTENANCE_MODE_DISABLE: (_SERVER,),
}
_CLIENT_FIELDS = (_SERVER, _CLIENT)

_HEADER = ("client", "service", "id", "protocolVersion")
_ANSWER_HEADER = (*_HEADER, "requestHash")
_PARTS = (
    *("xRoadInstance", "memberClass", "memberCode", "subsystemCode"),
    *("serverCode", "serviceCode", "serviceVersion"),
)

_BEGINNING = """<?xml version="1.0" encoding="UTF-8"?>
<wsdl:definitions xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
    xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/"
    xmlns:xsd="http://www.w3.org/2001/XMLSchema"
    xmlns:id="http://x-road.eu/xsd/identifiers"
    xmlns:xroad="http://x-road.eu/xsd/xroad.xsd"
    xmlns:tns="http://x-road.eu/centralservice/"
    name="centralservice" targetNamespace="http://x-road.eu/centralservice/">
"""


def write_wsdl(address: str) -> bytes:
    """The description of the services at an address."""
    services = [each.service_code for each in _DESCRIBED]
    content = (
        *(_BEGINNING, "<wsdl:types>\n", *_identifiers(), *_messages_schema(), "</wsdl:types>\n"),
        *_messages(services),
        *_port_type(services),
        *_binding(services),
        '<wsdl:service name="centralservice">\n',
        '<wsdl:port name="centralserviceSOAP" binding="tns:centralserviceSOAP">\n',
        f'<soap:address location="{escape_text(address)}"/>\n',
        "</wsdl:port>\n</wsdl:service>\n</wsdl:definitions>\n",
    )
    return "".join(content).encode()


def _identifiers() -> Iterable[str]:
    yield (
        '<xsd:schema targetNamespace="http://x-road.eu/xsd/identifiers"'
        ' elementFormDefault="qualified">\n'
        '<xsd:complexType name="XRoadIdentifierType">\n<xsd:sequence>\n'
    )
    for part in _PARTS:
        yield f'<xsd:element minOccurs="0" ref="id:{part}"/>\n'
    yield (
        "</xsd:sequence>\n"
        '<xsd:attribute ref="id:objectType" use="required"/>\n</xsd:complexType>\n'
        '<xsd:simpleType name="XRoadObjectType">\n<xsd:restriction base="xsd:string">\n'
    )
    for kind in ("MEMBER", "SUBSYSTEM", "SERVER", "SERVICE"):
        yield f'<xsd:enumeration value="{kind}"/>\n'
    yield "</xsd:restriction>\n</xsd:simpleType>\n"
    for part in _PARTS:
        yield f'<xsd:element name="{part}" type="xsd:string"/>\n'
    yield '<xsd:attribute name="objectType" type="id:XRoadObjectType"/>\n</xsd:schema>\n'


def _messages_schema() -> Iterable[str]:
    yield (
        '<xsd:schema targetNamespace="http://x-road.eu/xsd/xroad.xsd"'
        ' elementFormDefault="qualified">\n'
        '<xsd:import namespace="http://x-road.eu/xsd/identifiers"/>\n'
        '<xsd:complexType name="RequestHashType">\n<xsd:simpleContent>\n'
        '<xsd:extension base="xsd:string"><xsd:attribute name="algorithmId" type="xsd:string"/>'
        "</xsd:extension>\n</xsd:simpleContent>\n</xsd:complexType>\n"
        '<xsd:element name="client" type="id:XRoadIdentifierType"/>\n'
        '<xsd:element name="service" type="id:XRoadIdentifierType"/>\n'
        '<xsd:element name="id" type="xsd:string"/>\n'
        '<xsd:element name="protocolVersion" type="xsd:string"/>\n'
        '<xsd:element name="requestHash" type="xroad:RequestHashType"/>\n'
    )
    for kind in _DESCRIBED:
        fields = _FIELDS.get(kind, _CLIENT_FIELDS)
        yield from _element(kind.service_code, fields)
        answer = (*fields, ("requestId", "xsd:integer", False))
        yield from _element(f"{kind.service_code}Response", answer)
    yield "</xsd:schema>\n"


def _element(name: str, fields: Iterable[tuple[str, str, bool]]) -> Iterable[str]:
    yield f'<xsd:element name="{name}">\n<xsd:complexType>\n<xsd:sequence>\n'
    for field, kind, required in fields:
        optional = "" if required else ' minOccurs="0"'
        yield f'<xsd:element name="{field}" type="{kind}"{optional}/>\n'
    yield "</xsd:sequence>\n</xsd:complexType>\n</xsd:element>\n"


def _messages(services: Iterable[str]) -> Iterable[str]:
    yield '<wsdl:message name="requestheader">\n'
    for field in _ANSWER_HEADER:
        yield f'<wsdl:part name="{field}" element="xroad:{field}"/>\n'
    yield "</wsdl:message>\n"
    for service in services:
        for name in (service, f"{service}Response"):
            part = f'<wsdl:part name="parameters" element="xroad:{name}"/>'
            yield f'<wsdl:message name="{name}">\n{part}\n</wsdl:message>\n'


def _port_type(services: Iterable[str]) -> Iterable[str]:
    yield '<wsdl:portType name="centralservice">\n'
    for service in services:
        yield (
            f'<wsdl:operation name="{service}">\n<wsdl:input message="tns:{service}"/>\n'
            f'<wsdl:output message="tns:{service}Response"/>\n</wsdl:operation>\n'
        )
    yield "</wsdl:portType>\n"


def _binding(services: Iterable[str]) -> Iterable[str]:
    yield (
        '<wsdl:binding name="centralserviceSOAP" type="tns:centralservice">\n'
        '<soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>\n'
    )
    for service in services:
        yield f'<wsdl:operation name="{service}">\n<soap:operation soapAction=""/>\n'
        for side, header in (("input", _HEADER), ("output", _ANSWER_HEADER)):
            yield f'<wsdl:{side}>\n<soap:body use="literal"/>\n'
            for part in header:
                yield f'<soap:header message="tns:requestheader" part="{part}" use="literal"/>\n'
            yield f"</wsdl:{side}>\n"
        yield "</wsdl:operation>\n"
    yield "</wsdl:binding>\n"
