"""The error model: one table from errors to what is told of them, and the two dialects of codes.

A fault code is the side that tells it ("client", "server.clientproxy", "server.serverproxy"), the
stages that the error rose through, and the code of the error itself. Release 7.8 of the reference
writes `server.clientproxy.ssl_authentication_failed` where older ones wrote
`Server.ClientProxy.SslAuthenticationFailed`: the first is what is sent, both are understood.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from sild.protocol import errors as e


class Side(Enum):
    """Who tells an error; the value is the first part of its code."""

    CLIENT = "client"
    """The consumer's security server, of a SOAP request that is itself at fault."""
    CONSUMER = "server.clientproxy"
    """The consumer's security server."""
    PROVIDER = "server.serverproxy"
    """The provider's security server."""

    @property
    def http_status(self) -> int:
        """The HTTP status of such an error in REST; with SOAP it is always 200."""
        return 400 if self is Side.CLIENT else 500


_BOTH = (Side.CONSUMER, Side.PROVIDER)
_ANY = tuple(Side)


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a kind of error: by whom, and what whoever gets it should do next."""

    sides: tuple[Side, ...]
    advice: str


_SOAP_ADVICE = "Correct the SOAP message; the message protocol says how it must look."
_EVIDENCE_ADVICE = (
    "Nothing of this message may be relied on. If it happens again, tell the operator of the other "
    "security server, with the id of this error."
)
_TRUST_ADVICE = (
    "The administrators of both security servers should look at the diagnostics of certificates "
    "and OCSP; the log has the details under the id of this error."
)
_STAMP_ADVICE = (
    "The administrator of this security server should look at the diagnostics of time-stamping."
)

TABLE: Mapping[type[e.ProtocolError], Told] = {
    e.ProtocolError: Told(
        _ANY, "Tell the administrator of the security server the id of this error."
    ),
    e.Malformed: Told(_ANY, "Correct what was sent; the log has it under the id of this error."),
    e.InvalidXml: Told(_ANY, _SOAP_ADVICE),
    e.MimeParsingFailed: Told(
        _ANY, "Send a complete multipart message whose boundary is that of the content type."
    ),
    e.InvalidContentType: Told(
        _ANY,
        "Send text/xml, application/xop+xml, or multipart/related with a boundary and a content "
        "type in each part.",
    ),
    e.InvalidMessage: Told(_ANY, "Correct the message; the log has it under the id of this error."),
    e.InvalidIdentifier: Told(
        _ANY, "Give every identifier all of its parts, percent-encoded where it is in a URL."
    ),
    e.InvalidRest: Told(
        _BOTH,
        "Correct the request; it looks like /r1/INSTANCE/CLASS/MEMBER/SUBSYSTEM/SERVICE/path with "
        "the header X-Road-Client.",
    ),
    e.InvalidSoapAction: Told(
        (Side.CLIENT, Side.PROVIDER), "Leave the SOAPAction header out, or put a URI in quotes."
    ),
    e.InvalidSoap: Told(_ANY, _SOAP_ADVICE),
    e.InvalidProtocolVersion: Told(_ANY, "Send messages of protocol version 4.0."),
    e.InconsistentHeaders: Told(
        _ANY, "Call the element in the body as the service code in the header."
    ),
    e.InvalidRequest: Told(_ANY, "Correct the request."),
    e.InvalidHttpMethod: Told(
        (Side.CLIENT, Side.PROVIDER),
        "Post SOAP messages to this address; send REST requests below /r1/.",
    ),
    e.HttpError: Told(
        _BOTH, "Whoever runs the side that gave this status should look into its log."
    ),
    e.NetworkError: Told(
        _BOTH,
        "Try again later; if it lasts, the administrators should check the address, the port and "
        "the firewalls between the two sides.",
    ),
    e.UnknownHost: Told(
        _BOTH, "The administrator should check the host name and the name server of this machine."
    ),
    e.IoError: Told(
        _BOTH,
        "Whether the request was served is not known: ask again only if that does no harm, or ask "
        "the provider.",
    ),
    e.MissingPart: Told(
        _BOTH, "The operator of the other security server should be told the id of this error."
    ),
    e.MissingSoap: Told(_ANY, "Put the SOAP message into the first part of the package."),
    e.InvalidClientIdentifier: Told(
        (Side.CONSUMER,), "Say who calls: X-Road-Client: INSTANCE/CLASS/MEMBER/SUBSYSTEM."
    ),
    e.InvalidSecurityServer: Told(
        _BOTH, "Name a security server of the provider, or none: then one is chosen."
    ),
    e.InconsistentResponse: Told(
        (Side.CONSUMER,),
        "The response must not be used. A SOAP service must repeat the header of its request; "
        "otherwise tell the provider the id of this error.",
    ),
    e.ClientProxyVersionNotSupported: Told(
        (Side.PROVIDER,), "The administrator of the consumer's security server should upgrade it."
    ),
    e.UnknownMember: Told(
        _BOTH,
        "Check the identifier, letter by letter; if it is right, its registration is missing or "
        "has not reached this security server yet.",
    ),
    e.UnknownService: Told(
        (Side.PROVIDER,), "Check the service code and version, or ask the provider which it offers."
    ),
    e.WrongServiceType: Told(
        (Side.PROVIDER,), "Call SOAP services by SOAP messages, and REST services below /r1/."
    ),
    e.ServiceDisabled: Told((Side.PROVIDER,), "Try again later, or ask the provider."),
    e.AccessDenied: Told(
        (Side.PROVIDER,), "Ask the provider for the right to make this call with this client."
    ),
    e.ServiceMissingUrl: Told((Side.PROVIDER,), "The provider should give the service an address."),
    e.ServiceMalformedUrl: Told(
        (Side.PROVIDER,), "The provider should correct the address of the service."
    ),
    e.MaintenanceMode: Told((Side.CONSUMER,), "Try again when the maintenance is over."),
    e.SslAuthenticationFailed: Told(
        _BOTH,
        "An information system should connect as its client's connection type demands; between "
        "security servers, their administrators should look at certificates and OCSP.",
    ),
    e.LoggingFailed: Told(
        _BOTH,
        "No message passes without a record: the administrator of this security server should look "
        "at the disk and the log.",
    ),
    e.TimestampingFailed: Told(_BOTH, _STAMP_ADVICE),
    e.CannotCreateSignature: Told(
        _BOTH,
        "The administrator of this security server should log in to the token, and look at the "
        "signing certificate and its OCSP response.",
    ),
    e.SignatureError: Told(_BOTH, _EVIDENCE_ADVICE),
    e.TrustError: Told(_BOTH, _TRUST_ADVICE),
    e.TspCertificateNotFound: Told(_BOTH, _STAMP_ADVICE),
    e.TimestampRefused: Told(_BOTH, _STAMP_ADVICE),
    e.GlobalConfError: Told(
        _BOTH,
        "The administrator of this security server should check that it can download the global "
        "configuration, and that its clock is right.",
    ),
    e.AsicError: Told((), "Ask for the container again: it is damaged."),
}


def told_of(error: type[e.ProtocolError]) -> Told:
    """What is told of errors of this class: its own row, or that of the nearest class above it."""
    for each in error.__mro__:
        found = TABLE.get(each)
        if found is not None:
            return found
    return TABLE[e.ProtocolError]


def message_of(error: e.ProtocolError) -> str:
    """The sentence that says what happened, and the one that says what to do next."""
    text = error.message.rstrip()
    end = "" if text.endswith((".", "!", "?")) else "."
    return f"{text[:1].upper()}{text[1:]}{end} {told_of(type(error)).advice}"


_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_CODE_LIMIT = 500
_FIRST = frozenset({"client", "server", "signer"})
# What the older dialect writes otherwise than by capitals.
_ODD = {
    "ClientProxy": "clientproxy",
    "ServerProxy": "serverproxy",
    "HashChainUnusedInputs": "hashchain_unused_inputs",
    "OutdatedGlobalConf": "global_conf_outdated",
    "TokenReadOnly": "token_readonly",
}


@lru_cache(maxsize=256)
def understood(code: str) -> str:
    """A fault code of either dialect in that of 7.8; what is no code of ours stays as it is."""
    first, dot, _ = code.partition(".")
    if not dot or first.lower() not in _FIRST or len(code) > _CODE_LIMIT:
        return code
    return ".".join(_ODD.get(part) or _WORD.sub("_", part).lower() for part in code.split("."))


def http_status(code: str) -> int:
    """The HTTP status of a REST error: 500 for what went wrong on a server, 400 for all else."""
    return 500 if understood(code).startswith("server.") else 400
