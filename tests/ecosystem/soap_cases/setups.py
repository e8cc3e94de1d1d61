"""How each case is set up: in what circumstances, who asks whom and how, and who answers what."""

from collections.abc import Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

from ecosystem.soap_cases.plan import Caller, Circumstances, Offer, Way
from ecosystem.soap_cases.rows import DEFAULT_TYPE
from ecosystem.soap_cases.stubs import reply
from sild.model.services import ConnectionType

SOAP, PARTS, ERRORS, SIGNING = "PX-02", "PX-03", "PX-20", "PX-07"
SWITCHED_OFF, CALLER, CONNECTION, TO_SERVICE = "PX-21", "PX-22", "IS-01", "IS-03"
SERVERS, VERIFYING, RIGHTS, TLS, HASH = "PX-11", "PX-08", "PX-13", "PX-05", "PX-14"

BOM = b"\xef\xbb\xbf"
_DIGEST = ("X-Hash-Algorithm", "SHA-512")
_ORIGINAL = "X-Original-Content-Type"
# A thousand times what is handled in memory; the reference has ten times more, and no more to show.
_BIG = 64 * 1024 * 1024


# What a service, or whoever stands in for the producer's server, answers


async def answers_file(case):
    """The answer of the table."""
    row = case.row
    body = b"" if row.answer is None else case.read(row.answer)
    return reply(case.setup.bom + body, row.answer_type)


async def answers_other_file(case):
    """The file that the table names besides, as a fault of HTTP too."""
    return reply(case.read(case.row.besides), "text/xml", 500)


async def breaks_off(case):
    """Nothing of what it announces, not even its type."""
    return reply(b"", length=1000)


async def answers_bad_gateway(case):
    return reply(b"<html/>", "text/html", 502)


async def answers_after_logging_out(case):
    """The answer of the table, when the security server cannot sign it any more."""
    await case.town.producer.signer.logout("0")
    return await answers_file(case)


async def answers_as_server(case):
    """The file of the table, as a security server would send it."""
    row = case.row
    headers = (_DIGEST, (_ORIGINAL, DEFAULT_TYPE))
    return reply(case.read(row.answer), row.answer_type, headers=headers)


def breaks_off_as(content_type):
    """A security server that sends nothing of the message that it announces."""

    async def answer(case):
        return reply(b"", content_type, headers=(_DIGEST,), length=1000)

    return answer


async def answers_without_boundary(case):
    return reply(b"", "multipart/mixed", headers=(_DIGEST,))


# What is asked, where it is more than a file


def asks_file(case):
    """The request of the table."""
    row = case.row
    body = b"" if row.request is None else case.read(row.request)
    return row.request_type, case.setup.bom + body


def asks_with_big_attachment(case):
    """The message besides, with an attachment that nobody wants to hold in memory."""
    soap = case.read(case.row.besides)
    block = bytes(range(256)) * 256
    body = b"".join(
        (
            b"--big\r\nContent-Type: text/xml; charset=UTF-8\r\n\r\n",
            soap,
            b"\r\n--big\r\nContent-Type: application/octet-stream\r\n",
            b"Content-Transfer-Encoding: binary\r\n\r\n",
            block * (_BIG // len(block)),
            b"\r\n--big--\r\n",
        )
    )
    return "multipart/related; charset=UTF-8; boundary=big", body


# What is broken meanwhile


@asynccontextmanager
async def consumer_cannot_sign(town):
    await town.activate_signing(town.consumer, active=False)
    try:
        yield
    finally:
        await town.activate_signing(town.consumer, active=True)


@asynccontextmanager
async def producer_logs_out(town):
    try:
        yield
    finally:
        await town.log_in(town.producer)


@dataclass(frozen=True)
class Setup:
    """One case; `reaches_service` says whether the service hears of a request that fails."""

    features: tuple
    circumstances: Circumstances = field(default_factory=Circumstances)
    asks: Callable = asks_file
    method: str = "POST"
    headers: tuple = ()
    bom: bytes = b""
    shows: str = "client"
    """The certificate that the information system shows, where it speaks TLS."""
    is_direct: bool = False
    """Whether the producer's server is asked, in the name of the consumer's."""
    answers: Callable = answers_file
    false_server: str | None = None
    """Whose papers somebody has who answers in place of the producer's server."""
    resets: bool = False
    reaches_service: bool = False
    meanwhile: Callable = lambda _: nullcontext()
    """What is otherwise as long as the case lasts."""


def normal(*features, **more):
    """What is answered; it shows SOAP, and more."""
    return Setup((SOAP, *features), **more)


def refused(*features, **more):
    """What is refused before any service hears of it."""
    return Setup((ERRORS, *features), **more)


def spoilt(*features, **more):
    """A service that cannot answer as it should."""
    return Setup((ERRORS, *features), reaches_service=True, **more)


def direct(*features, original_type=DEFAULT_TYPE, **more):
    """What a consumer's server should not send."""
    headers = (_DIGEST, (_ORIGINAL, original_type))
    return Setup((ERRORS, *features), is_direct=True, headers=headers, **more)


def by(way, **more):
    return Circumstances(way=way, **more)


def falsely(answers, *features, name="producer", **more):
    """What a producer's server should not send."""
    return Setup(
        (ERRORS, *features),
        by(Way.FALSE_SERVER),
        answers=answers,
        false_server=name,
        **more,
    )


def offered(**offer):
    return Circumstances(offer=Offer(**offer))


def called(*certificates):
    return Circumstances(caller=Caller(ConnectionType.SSLAUTH, certificates))


def by_https(*trusted, verify):
    return offered(place="https", trusted=trusted, verify_tls=verify)


SETUPS = {
    "Attachment": normal(PARTS),
    "AttachmentBig": normal(PARTS, asks=asks_with_big_attachment),
    "AttachmentFaulty": refused(PARTS),
    "AttachmentFaultySoap": refused(PARTS),
    "AttachmentFaultySoapResponse": spoilt(PARTS),
    "AttachmentNoSoap": refused(PARTS),
    "AttachmentNoSoapResponse": spoilt(PARTS),
    "DefaultNamespaceMessage": normal(),
    "EmptyMultipartRequest": refused(PARTS),
    "EmptyMultipartResponse": spoilt(PARTS),
    "EmptyQuery": refused(SOAP),
    "EmptyResponse": spoilt(SOAP),
    "FaultyHeaderResponse": spoilt(SOAP),
    "FaultyRequestContentType": refused(SOAP),
    "FaultyResponseContentType": spoilt(SOAP),
    "InvalidContentTypeFromClientProxy": direct(),
    "InvalidContentTypeFromServerProxy": falsely(answers_as_server),
    "InvalidProviderAddress3": refused(SERVERS, circumstances=by(Way.NO_ADDRESS)),
    "InvalidServiceAddress": refused(circumstances=offered(place="nowhere")),
    "InvalidServiceAddress2": refused(PARTS, circumstances=offered(place="nowhere")),
    "MalformedBody1": refused(SOAP),
    "MimeSoap": normal(PARTS),
    "MissingHeader": refused(SOAP),
    "MissingHeaderResponse": spoilt(SOAP),
    "MissingOrg": refused(),
    "MissingProtocolVersionHeader": refused(SOAP),
    "NoSignatureToServerProxy": direct(VERIFYING),
    "NoSoapToServerProxy": direct(),
    "NormalMessage": normal(),
    "NormalSubsystem": normal(),
    "NotAllowed": refused(RIGHTS, circumstances=offered(is_allowed=False)),
    "ServerClientInconsistency": spoilt(HASH),
    "ServerProxyAttachmentError": spoilt(PARTS),
    "ServerProxyConnectionAborted": falsely(answers_as_server, resets=True),
    "ServerProxyConnectionAborted2": falsely(breaks_off_as("text/xml")),
    "ServerProxyConnectionAborted3": falsely(breaks_off_as("multipart/mixed; boundary=foobar")),
    "ServerProxyEmptyFault": falsely(answers_as_server),
    "ServerProxyEmptyResponse": spoilt(SOAP),
    "ServerProxyFaultyAttachment": falsely(answers_as_server, PARTS),
    "ServerProxyHttpError": falsely(answers_bad_gateway),
    "ServerProxyInvalidFault": falsely(answers_as_server),
    "ServerProxyMaintenanceMode": refused(SWITCHED_OFF, circumstances=by(Way.MAINTENANCE)),
    "ServerProxyNoBoundary": falsely(answers_without_boundary),
    "ServerProxyProcessingError": direct(),
    "ServiceConnectionAborted": spoilt(answers=breaks_off),
    "ServiceDisabled": refused(SWITCHED_OFF, circumstances=offered(notice="Service is disabled")),
    "ServiceFaultyFault": spoilt(SOAP),
    "ServiceHttpError": spoilt(answers=answers_bad_gateway),
    "ServiceReturnsFault": spoilt(SOAP, answers=answers_other_file),
    "SeveralAttachments": normal(PARTS),
    "SeveralAttachmentsResponse": normal(PARTS),
    "SigningFailsInClientProxy": refused(SIGNING, meanwhile=consumer_cannot_sign),
    "SigningFailsInServerProxy": spoilt(
        SIGNING, answers=answers_after_logging_out, meanwhile=producer_logs_out
    ),
    "SoapActionEmptyHeader": normal(headers=(("SOAPAction", ""),)),
    "SoapActionHeader": normal(headers=(("SOAPAction", '""'),)),
    "SoapActionMalformedHeader": refused(
        SOAP, headers=(("SOAPAction", "http://example.org/action"),)
    ),
    "SoapFaultToClientProxy": refused(SOAP),
    "SslAuthCertNotMatchesOrg": falsely(answers_as_server, TLS, name="stranger"),
    "SslAuthTrustManagerError": falsely(answers_as_server, TLS, name="nobody"),
    "SslClientAuth": normal(CALLER, CONNECTION, circumstances=called("client")),
    "SslClientAuthExpiredISCert": refused(
        CALLER, CONNECTION, circumstances=called("ended"), shows="ended"
    ),
    "SslClientAuthNoISCert": refused(CALLER, CONNECTION, circumstances=called()),
    "SslClientAuthWrongISCert": refused(CALLER, CONNECTION, circumstances=called("another")),
    "SslClientCertVerificationError": falsely(answers_as_server, TLS, name="stranger"),
    "SslNormalMessage": normal(CONNECTION),
    "SslSelectFastestProxy": normal(SERVERS, circumstances=by(Way.ONE_OF_THREE)),
    "SslSelectFastestProxyNoConnections": refused(SERVERS, circumstances=by(Way.NONE_OF_THREE)),
    "SslToServiceAuth": normal(TO_SERVICE, circumstances=by_https("service", verify=True)),
    "SslToServiceNoAuth": normal(TO_SERVICE, circumstances=by_https(verify=False)),
    "SslToServiceNoISCerts": refused(TO_SERVICE, circumstances=by_https(verify=True)),
    "SslToServiceWrongISCert": refused(TO_SERVICE, circumstances=by_https("another", verify=True)),
    "UnknownService": refused(circumstances=offered(is_there=False)),
    "UnsignedMessageFromClientProxy": direct(
        VERIFYING, original_type="multipart/related; boundary=original"
    ),
    "UnsignedMessageFromServerProxy": falsely(answers_as_server, VERIFYING),
    "Utf8BomNormalSubsystem": normal(HASH, bom=BOM),
    "WrongHttpMethod": refused(method="GET"),
    "WrongHttpMethodServerProxy": direct(method="GET"),
    "WrongProtocolVersionHeader": refused(SOAP),
}
"""By the name of the case, as the reference's tests have it."""
