"""SOAP messages to be read by tests, written by hand so that every byte is known."""

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
XROAD = "http://x-road.eu/xsd/xroad.xsd"
IDENTIFIERS = "http://x-road.eu/xsd/identifiers"
REPRESENTATION = "http://x-road.eu/xsd/representation.xsd"
TOKEN = "http://x-road.eu/xsd/security-token.xsd"

NAMESPACES = f'xmlns:s="{SOAP}" xmlns:x="{XROAD}" xmlns:id="{IDENTIFIERS}"'
TYPE = "text/xml; charset=UTF-8"


def identifier(name, kind, /, **parts):
    inner = "".join(f"<id:{part}>{text}</id:{part}>" for part, text in parts.items())
    return f'<x:{name} id:objectType="{kind}">{inner}</x:{name}>'


MEMBER = {"xRoadInstance": "EE", "memberClass": "GOV", "memberCode": "1"}
CLIENT = identifier("client", "SUBSYSTEM", **MEMBER, subsystemCode="portal")
SERVICE = identifier(
    "service", "SERVICE", **MEMBER | {"memberCode": "2"}, subsystemCode="db", serviceCode="get"
)
FIELDS = {
    "client": CLIENT,
    "service": SERVICE,
    "userId": "<x:userId>EE1</x:userId>",
    "id": "<x:id>message-1</x:id>",
    "issue": "<x:issue>42</x:issue>",
    "protocolVersion": "<x:protocolVersion>4.0</x:protocolVersion>",
}


def fields(**changed):
    """The header fields with some changed, added, or left out (None)."""
    return "".join(text for text in (FIELDS | changed).values() if text is not None)


def envelope(header=None, body="<get/>", declaration='<?xml version="1.0" encoding="UTF-8"?>\n'):
    """An envelope as text; a header or body of False is left out."""
    header = fields() if header is None else header
    shown = "" if header is False else f"<s:Header>{header}</s:Header>\n"
    content = "" if body is False else f"<s:Body>{body}</s:Body>"
    return f"{declaration}<s:Envelope {NAMESPACES}>\n{shown}{content}\n</s:Envelope>"


def message(header=None, body="<get/>", **rest):
    """An envelope as bytes in UTF-8."""
    return envelope(header, body, **rest).encode()
