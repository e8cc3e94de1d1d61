"""A SOAP request as an information system of the devnet writes it."""

from dataclasses import dataclass

from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.fault import escape_text
from sild.protocol.soap.headers import XROAD


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks whom for what, and about whom."""

    client: ClientId
    service: ServiceId
    message_id: str
    fields: tuple[tuple[str, str], ...]


def write_request(question: Question) -> bytes:
    """The envelope, in lines that people can read."""
    service = question.service
    fields = (f"<{name}>{escape_text(text)}</{name}>" for name, text in question.fields)
    lines = (
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<s:Envelope xmlns:s="{SOAP}"',
        f'    xmlns:x="{XROAD}" xmlns:id="{IDENTIFIERS}">',
        "  <s:Header>",
        '    <x:client id:objectType="SUBSYSTEM">',
        *_client(question.client),
        "    </x:client>",
        '    <x:service id:objectType="SERVICE">',
        *_client(service.provider),
        _elements(("serviceCode", service.service_code)),
        _elements(("serviceVersion", service.service_version)),
        "    </x:service>",
        f"    <x:id>{escape_text(question.message_id)}</x:id>",
        "    <x:protocolVersion>4.0</x:protocolVersion>",
        "  </s:Header>",
        "  <s:Body>",
        f'    <{service.service_code} xmlns="http://services.devnet.example">',
        *(f"      {field}" for field in fields),
        f"    </{service.service_code}>",
        "  </s:Body>",
        "</s:Envelope>",
    )
    return "\n".join([*filter(str.strip, lines), ""]).encode()


def _client(client: ClientId) -> tuple[str, str]:
    return (
        _elements(("xRoadInstance", client.instance), ("memberClass", client.member_class)),
        _elements(("memberCode", client.member_code), ("subsystemCode", client.subsystem_code)),
    )


def _elements(*parts: tuple[str, str | None]) -> str:
    written = (
        f"<id:{name}>{escape_text(text)}</id:{name}>" for name, text in parts if text is not None
    )
    return "      " + "".join(written)
