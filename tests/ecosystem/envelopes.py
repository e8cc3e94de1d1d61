"""SOAP messages as information systems write them."""

from base64 import b64decode

from sild.protocol.idsxml import NAMESPACE as IDS
from sild.protocol.soap.envelope import SOAP
from sild.protocol.soap.headers import REPRESENTATION, XROAD

TEXT_XML = "text/xml; charset=UTF-8"


def client_xml(client, name="client"):
    """A client identifier."""
    subsystem = f"<i:subsystemCode>{client.subsystem_code}</i:subsystemCode>"
    return (
        f'<x:{name} i:objectType="SUBSYSTEM"><i:xRoadInstance>{client.instance}</i:xRoadInstance>'
        f"<i:memberClass>{client.member_class}</i:memberClass>"
        f"<i:memberCode>{client.member_code}</i:memberCode>{subsystem}</x:{name}>"
    )


def service_xml(provider, code, version=None):
    """A service identifier."""
    shown = "" if version is None else f"<i:serviceVersion>{version}</i:serviceVersion>"
    return (
        f'<x:service i:objectType="SERVICE"><i:xRoadInstance>{provider.instance}</i:xRoadInstance>'
        f"<i:memberClass>{provider.member_class}</i:memberClass>"
        f"<i:memberCode>{provider.member_code}</i:memberCode>"
        f"<i:subsystemCode>{provider.subsystem_code}</i:subsystemCode>"
        f"<i:serviceCode>{code}</i:serviceCode>{shown}</x:service>"
    )


def server_xml(server):
    """A security-server identifier (PR-TARGETSS)."""
    owner = server.owner
    return (
        f'<x:securityServer i:objectType="SERVER"><i:xRoadInstance>{owner.instance}'
        f"</i:xRoadInstance><i:memberClass>{owner.member_class}</i:memberClass>"
        f"<i:memberCode>{owner.member_code}</i:memberCode>"
        f"<i:serverCode>{server.server_code}</i:serverCode></x:securityServer>"
    )


def represented_xml(party_class, party_code):
    """A represented party."""
    return (
        f'<r:representedParty xmlns:r="{REPRESENTATION}"><r:partyClass>{party_class}</r:partyClass>'
        f"<r:partyCode>{party_code}</r:partyCode></r:representedParty>"
    )


TOKEN = (
    '<t:securityToken xmlns:t="http://x-road.eu/xsd/security-token.xsd" '
    'tokenType="urn:ietf:params:oauth:token-type:jwt">eyJ.eyJ.sig</t:securityToken>'
)


class Envelope:
    """A request and the response to it; the parts that tests change are arguments."""

    def __init__(
        self,
        client,
        provider,
        code,
        *,
        version=None,
        message_id="id-1",
        extra="",
        protocol="4.0",
        user="EE12345678901",
        issue="case 7",
    ):
        self.code = code
        self.header = (
            f"\n    {client_xml(client)}\n    {service_xml(provider, code, version)}"
            f"\n    <x:userId>{user}</x:userId>\n    <x:id>{message_id}</x:id>"
            f"\n    <x:issue>{issue}</x:issue>{extra}"
            f"\n    <x:protocolVersion>{protocol}</x:protocolVersion>\n  "
        )

    def _write(self, name, content):
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<s:Envelope xmlns:s="{SOAP}" xmlns:x="{XROAD}" xmlns:i="{IDS}">\n'
            f"  <s:Header>{self.header}</s:Header>\n"
            f'  <s:Body><p:{name} xmlns:p="http://producer.example">{content}</p:{name}></s:Body>\n'
            "</s:Envelope>\n"
        ).encode()

    def request(self, content="<p:code>49001010001</p:code>"):
        """The bytes of the request."""
        return self._write(self.code, content)

    def response(self, content="<p:name>Mari</p:name>"):
        """The bytes of the response, as the service gives it."""
        return self._write(self.code + "Response", content)


def package(soap, *attachments, boundary="MIME_b", soap_type=TEXT_XML):
    """A multipart/related message and its content type; an attachment is (headers, bytes)."""
    parts = [({"Content-Type": soap_type, "Content-ID": "<soap@x>"}, soap), *attachments]
    written = [
        f"--{boundary}\r\n".encode()
        + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        + b"\r\n" + data + b"\r\n"
        for headers, data in parts
    ]  # fmt: skip
    body = b"".join(written) + f"--{boundary}--\r\n".encode()
    return body, f'multipart/related; type="text/xml"; boundary="{boundary}"; start="<soap@x>"'


def hash_in(response):
    """The request hash that a response carries, and the response without it."""
    before, _, rest = response.partition(b"<x:requestHash")
    element, _, after = rest.partition(b"</x:requestHash>")
    return b64decode(element.rpartition(b">")[2]), before.rstrip(), after


def without_hash(response):
    """A response as the service gave it: without the request hash."""
    _, before, after = hash_in(response)
    return before + after
