"""An information system on zeep: what zeep does not do by itself is to send attachments."""

from pathlib import Path
from uuid import uuid4

import zeep
from lxml import etree

WSDL = Path(__file__).with_name("register.wsdl")


class Packages(zeep.Transport):
    """Posts a SOAP message alone, or in one package with the attachments that were added."""

    def __init__(self, **options):
        super().__init__(**options)
        self.attachments = {}

    def attach(self, name, content):
        """Add an attachment to the next message, which refers to it by what this gives."""
        content_id = f"{uuid4()}@clerk.example"
        self.attachments[content_id] = (name, content)
        return f"cid:{content_id}"

    def post_xml(self, address, envelope, headers):
        self.soap = etree.tostring(envelope, encoding="unicode").encode()
        if not self.attachments:
            return self.post(address, self.soap, headers)
        boundary = uuid4().hex
        package = [part(boundary, "Content-ID: <soap>", headers["Content-Type"], self.soap)]
        for content_id, (name, content) in self.attachments.items():
            fields = (
                f"Content-ID: <{content_id}>\r\n"
                f'Content-Disposition: attachment; filename="{name}"\r\n'
                "Content-Transfer-Encoding: binary"
            )
            package.append(part(boundary, fields, "application/octet-stream", content))
        self.attachments = {}
        content_type = f'multipart/related; type="text/xml"; start="<soap>"; boundary={boundary}'
        body = b"".join(package) + f"--{boundary}--\r\n".encode()
        return self.post(address, body, {**headers, "Content-Type": content_type})


def part(boundary, fields, content_type, content):
    """One part of a package: the SOAP message is the first."""
    head = f"--{boundary}\r\nContent-Type: {content_type}\r\n{fields}\r\n\r\n"
    return head.encode() + content + b"\r\n"


class UsualPrefix(zeep.Plugin):
    """Names the envelope as the provider's library wants it, which goes by prefixes."""

    def egress(self, envelope, http_headers, operation, binding_options):
        usual = etree.Element(envelope.tag, nsmap={"soapenv": etree.QName(envelope).namespace})
        usual.extend(envelope)
        return usual, http_headers


class InformationSystem:
    """Asks services of one subsystem on behalf of another, through a security server."""

    def __init__(self, security_server, client, provider):
        self.transport = Packages(operation_timeout=60)
        self.transport.session.trust_env = False
        wsdl = zeep.Client(str(WSDL), transport=self.transport, plugins=[UsualPrefix()])
        self.services = wsdl.create_service(
            "{http://register.example/soap}register", security_server
        )
        self.client, self.provider = client, provider

    def ask(self, service, **values):
        """What the service answers; an error of the service or of the road is a zeep Fault."""
        headers = {
            "client": {"objectType": "SUBSYSTEM", **self.client},
            "service": {"objectType": "SERVICE", **self.provider, "serviceCode": service},
            "userId": "EE60001019906",
            "id": str(uuid4()),
            "protocolVersion": "4.0",
        }
        operation = self.services[service]
        return operation(_soapheaders=headers, **values)
