"""The error tree of the protocols, and how an error becomes a fault code.

    ProtocolError                          internal_error
    ├── Malformed                          what was received cannot be read
    │   ├── InvalidXml                     invalid_xml
    │   ├── MimeParsingFailed              mime_parsing_failed
    │   ├── InvalidContentType             invalid_content_type
    │   ├── InvalidMessage                 invalid_message
    │   ├── InvalidIdentifier              internal_error (as peers answer it)
    │   ├── InvalidRest                    internal_error (likewise)
    │   ├── InvalidSoapAction              invalid_soap_action
    │   └── InvalidSoap                    invalid_soap
    │       ├── MissingHeader              missing_header
    │       ├── MissingHeaderField         missing_header_field
    │       ├── DuplicateHeaderField       duplicate_header_field
    │       ├── InvalidProtocolVersion     invalid_protocol_version
    │       ├── MissingBody                missing_body
    │       ├── InvalidBody                invalid_body
    │       └── InconsistentHeaders        inconsistent_headers
    ├── InvalidRequest                     invalid_request
    ├── InvalidHttpMethod                  invalid_http_method
    ├── HttpError                          http_error
    ├── NetworkError                       network_error
    ├── UnknownHost                        unknown_host
    ├── IoError                            io_error
    ├── MissingPart
    │   ├── MissingSoap                    missing_soap
    │   ├── MissingRest                    missing_rest
    │   └── MissingSignature               missing_signature
    ├── InvalidClientIdentifier            invalid_client_identifier
    ├── InvalidSecurityServer              invalid_security_server
    ├── InconsistentResponse               inconsistent_response
    ├── ClientProxyVersionNotSupported     client_proxy_version_not_supported
    ├── UnknownMember                      unknown_member
    ├── UnknownService                     unknown_service
    ├── WrongServiceType                   service_type
    ├── ServiceDisabled                    service_disabled
    ├── AccessDenied                       access_denied
    ├── ServiceMissingUrl                  service_missing_url
    ├── ServiceMalformedUrl                service_malformed_url
    ├── MaintenanceMode                    maintenance_mode
    ├── SslAuthenticationFailed            ssl_authentication_failed
    ├── LoggingFailed                      logging_failed
    ├── TimestampingFailed                 timestamping_failed
    ├── CannotCreateSignature              cannot_create_signature
    ├── SignatureError                     what PR-SIGDOC refuses
    │   ├── MalformedSignature             malformed_signature
    │   │   ├── InvalidHashChain           malformed_signature.invalid_hash_chain
    │   │   ├── MalformedHashChain         malformed_signature.malformed_hash_chain
    │   │   ├── InvalidReference           malformed_signature.invalid_reference
    │   │   ├── InvalidHashChainRef        malformed_signature.invalid_hash_chain_ref
    │   │   └── HashChainUnusedInputs      malformed_signature.hashchain_unused_inputs
    │   └── InvalidSignatureValue          invalid_signature_value
    ├── TrustError                         what the PKI refuses
    │   ├── IncorrectCertificate           incorrect_certificate
    │   ├── CannotCreateCertPath           cannot_create_cert_path
    │   ├── InvalidCertPath                invalid_cert_path
    │   ├── CertValidation                 cert_validation
    │   ├── IncorrectValidationInfo        incorrect_validation_info
    │   ├── UnknownCertificationAuthority  internal_error (as peers answer it)
    │   ├── TspCertificateNotFound         mlog.tsp_certificate_not_found
    │   └── TimestampRefused               mlog.timestamper_failed
    ├── AsicError                          an ASiC-E container lacks or garbles an entry
    ├── GlobalConfError                    what PR-GCONF refuses
    │   ├── GlobalConfOutdated             global_conf_outdated
    │   ├── MalformedGlobalConf            malformed_global_conf
    │   └── ...                            one class a code, see below
    └── PeerFault                          a fault that the other side sent, with its own code

An error does not know where it happened. `inside` adds a prefix as it rises through a stage that
the protocol names ("service_failed", "signature_verification"), and the edge adds the first part
("server.clientproxy"). A prefix is added once only. `blaming` says who is at fault where the edge
cannot know it ("client").
"""

from typing import ClassVar


class ProtocolError(Exception):
    """Anything that the protocols refuse; `code` is the last part of its fault code."""

    code: ClassVar[str] = "internal_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.blamed: str | None = None
        """Who is at fault ("client"), where that is not the side that tells it."""
        self._stages: tuple[str, ...] = ()

    def enter(self, stage: str) -> None:
        """Remember a stage that the error rose through, outermost last."""
        if self._stages[-1:] != (stage,) and not self._first_part_is(stage):
            self._stages = (*self._stages, stage)

    def _first_part_is(self, stage: str) -> bool:
        return not self._stages and (self.code == stage or self.code.startswith(f"{stage}."))

    @property
    def staged_code(self) -> str:
        """The code behind the stages it rose through, outermost first."""
        return ".".join((*reversed(self._stages), self.code))

    def fault_code(self, side: str) -> str:
        """The whole fault code as the given side ("server.clientproxy") sends it."""
        code, first = self.staged_code, self.blamed or side
        return code if code.startswith(f"{first}.") else f"{first}.{code}"


class inside:  # noqa: N801 - read as a preposition; a generator would cost each message more
    """Let each protocol error that leaves this block carry the stage."""

    __slots__ = ("_stage",)

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, ProtocolError) and not isinstance(error, PeerFault):
            error.enter(self._stage)


class blaming:  # noqa: N801 - read as a participle
    """Let each protocol error that leaves this block be told as the fault of this part."""

    __slots__ = ("_part",)

    def __init__(self, part: str) -> None:
        self._part = part

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _: object
    ) -> None:
        if isinstance(error, ProtocolError):
            error.blamed = self._part


class Malformed(ProtocolError):
    """What was received cannot be read."""


class InvalidXml(Malformed):
    """Not well-formed, not safe or not valid XML."""

    code = "invalid_xml"


class MimeParsingFailed(Malformed):
    """A multipart body that is cut short or against the rules."""

    code = "mime_parsing_failed"


class InvalidContentType(Malformed):
    """A content type that may not stand where it stands."""

    code = "invalid_content_type"


class InvalidMessage(Malformed):
    """Parts beyond the end, or a message that answers nothing."""

    code = "invalid_message"


class InvalidIdentifier(Malformed):
    """An identifier with a missing, blank or ill-encoded part."""


class InvalidRest(Malformed):
    """A REST request line, status line or header that the message protocol does not allow."""


class InvalidSoapAction(Malformed):
    """A SOAPAction header that is no quoted URI."""

    code = "invalid_soap_action"


class InvalidSoap(Malformed):
    """A document that is no SOAP envelope of the message protocol."""

    code = "invalid_soap"


class MissingHeader(InvalidSoap):
    """A SOAP envelope without a header."""

    code = "missing_header"


class MissingHeaderField(InvalidSoap):
    """A SOAP header without a field that every message must have."""

    code = "missing_header_field"


class DuplicateHeaderField(InvalidSoap):
    """A SOAP header that says the same thing twice."""

    code = "duplicate_header_field"


class InvalidProtocolVersion(InvalidSoap):
    """A message protocol of another major version than 4."""

    code = "invalid_protocol_version"


class MissingBody(InvalidSoap):
    """A SOAP envelope without a body."""

    code = "missing_body"


class InvalidBody(InvalidSoap):
    """A SOAP body that does not hold exactly one element."""

    code = "invalid_body"


class InconsistentHeaders(InvalidSoap):
    """A SOAP body of another service than the header names."""

    code = "inconsistent_headers"


class InvalidRequest(ProtocolError):
    """A metadata or management request with bad input."""

    code = "invalid_request"


class InvalidHttpMethod(ProtocolError):
    """An HTTP method that the endpoint does not take."""

    code = "invalid_http_method"


class HttpError(ProtocolError):
    """The other security server answered with a status that no answer may have."""

    code = "http_error"


class NetworkError(ProtocolError):
    """Nobody could be reached."""

    code = "network_error"


class UnknownHost(ProtocolError):
    """A host name that does not resolve."""

    code = "unknown_host"


class IoError(ProtocolError):
    """A connection broke or was silent for too long."""

    code = "io_error"


class MissingPart(ProtocolError):
    """A transport message without a part that it must have."""


class MissingSoap(MissingPart):
    """No SOAP message part."""

    code = "missing_soap"


class MissingRest(MissingPart):
    """No REST message part."""

    code = "missing_rest"


class MissingSignature(MissingPart):
    """No signature part."""

    code = "missing_signature"


class InvalidClientIdentifier(ProtocolError):
    """The request does not say who calls."""

    code = "invalid_client_identifier"


class InvalidSecurityServer(ProtocolError):
    """The security server named in the request is not one of the provider's."""

    code = "invalid_security_server"


class InconsistentResponse(ProtocolError):
    """The response does not belong to the request."""

    code = "inconsistent_response"


class ClientProxyVersionNotSupported(ProtocolError):
    """The calling security server is older than this one allows."""

    code = "client_proxy_version_not_supported"


class UnknownMember(ProtocolError):
    """A client or provider that is not registered where it should be."""

    code = "unknown_member"


class UnknownService(ProtocolError):
    """A service that the provider does not offer."""

    code = "unknown_service"


class WrongServiceType(ProtocolError):
    """A REST service called by SOAP, or the reverse."""

    code = "service_type"


class ServiceDisabled(ProtocolError):
    """A service that its provider has switched off."""

    code = "service_disabled"


class AccessDenied(ProtocolError):
    """The caller has no right to the service or endpoint."""

    code = "access_denied"


class ServiceMissingUrl(ProtocolError):
    """The service has no address."""

    code = "service_missing_url"


class ServiceMalformedUrl(ProtocolError):
    """The service has an address that cannot be called."""

    code = "service_malformed_url"


class MaintenanceMode(ProtocolError):
    """All security servers of the provider are in maintenance."""

    code = "maintenance_mode"


class SslAuthenticationFailed(ProtocolError):
    """The other side of a connection did not prove who it is."""

    code = "ssl_authentication_failed"


class LoggingFailed(ProtocolError):
    """The record of a message could not be saved, so the message may not go on."""

    code = "logging_failed"


class TimestampingFailed(ProtocolError):
    """Time-stamping has been failing for too long."""

    code = "timestamping_failed"


class CannotCreateSignature(ProtocolError):
    """No usable signing key, or the signer could not sign."""

    code = "cannot_create_signature"


class SignatureError(ProtocolError):
    """A signature that does not prove what it should."""


class MalformedSignature(SignatureError):
    """A signature document that breaks its schema or its profile."""

    code = "malformed_signature"


class InvalidHashChain(MalformedSignature):
    """The hash chain does not lead to its result."""

    code = "malformed_signature.invalid_hash_chain"


class MalformedHashChain(MalformedSignature):
    """A hash chain or its result that cannot be read."""

    code = "malformed_signature.malformed_hash_chain"


class InvalidReference(MalformedSignature):
    """A reference to something that is not there."""

    code = "malformed_signature.invalid_reference"


class InvalidHashChainRef(MalformedSignature):
    """A message part whose digest is not the one in the hash chain."""

    code = "malformed_signature.invalid_hash_chain_ref"


class HashChainUnusedInputs(MalformedSignature):
    """A message part that the hash chain does not cover."""

    code = "malformed_signature.hashchain_unused_inputs"


class InvalidSignatureValue(SignatureError):
    """A digest or the signature value does not match."""

    code = "invalid_signature_value"


class TrustError(ProtocolError):
    """A certificate, revocation status or time-stamp that is not to be trusted."""


class IncorrectCertificate(TrustError):
    """A certificate that cannot be read, or names somebody else."""

    code = "incorrect_certificate"


class CannotCreateCertPath(TrustError):
    """No path leads from the certificate to an approved authority."""

    code = "cannot_create_cert_path"


class InvalidCertPath(TrustError):
    """A path that does not hold at the given moment."""

    code = "invalid_cert_path"


class CertValidation(TrustError):
    """A certificate that is revoked, of unknown status, or without a status."""

    code = "cert_validation"


class IncorrectValidationInfo(TrustError):
    """An OCSP response that is stale, of another certificate, or wrongly signed."""

    code = "incorrect_validation_info"


class UnknownCertificationAuthority(TrustError):
    """A certificate issued by nobody that the global configuration approves."""


class TspCertificateNotFound(TrustError):
    """A time-stamp signed by nobody that the global configuration approves."""

    code = "mlog.tsp_certificate_not_found"


class TimestampRefused(TrustError):
    """A time-stamping authority that did not give a usable token."""

    code = "mlog.timestamper_failed"


class AsicError(ProtocolError):
    """An ASiC-E container that cannot be read."""


class AsicMimeTypeNotFound(AsicError):
    """No `mimetype` entry."""

    code = "asic_mime_type_not_found"


class AsicInvalidMimeType(AsicError):
    """A `mimetype` entry that says something else."""

    code = "asic_invalid_mime_type"


class AsicMessageNotFound(AsicError):
    """No `message.xml` entry."""

    code = "asic_message_not_found"


class AsicSignatureNotFound(AsicError):
    """No `META-INF/signatures.xml` entry."""

    code = "asic_signature_not_found"


class AsicHashChainNotFound(AsicError):
    """A hash-chain result without its chain."""

    code = "asic_hash_chain_not_found"


class AsicHashChainResultNotFound(AsicError):
    """A hash chain without its result."""

    code = "asic_hash_chain_result_not_found"


class AsicTimestampNotFound(AsicError):
    """A batch time-stamp manifest without the token."""

    code = "asic_timestamp_not_found"


class AsicManifestNotFound(AsicError):
    """A batch time-stamp without its manifest."""

    code = "asic_manifest_not_found"


class GlobalConfError(ProtocolError):
    """Global configuration that is not to be used."""

    code = "malformed_global_conf"


class MalformedGlobalConf(GlobalConfError):
    """Configuration that cannot be read."""


class GlobalConfOutdated(GlobalConfError):
    """The local copy has expired."""

    code = "global_conf_outdated"


class MalformedAnchor(GlobalConfError):
    """A configuration anchor that breaks its schema."""

    code = "malformed_anchor"


class GlobalConfMissingExpirationDate(GlobalConfError):
    """A signed directory that does not say how long it is valid."""

    code = "global_conf_missing_signed_data_expiration_date"


class GlobalConfExpiredDirectory(GlobalConfError):
    """A signed directory that was expired when it was downloaded."""

    code = "global_conf_outdated"


class GlobalConfRolledBack(GlobalConfError):
    """A signed directory that is older than the one held."""

    code = "global_conf_rolled_back"


class GlobalConfMissingSignature(GlobalConfError):
    """A signed directory without its signature."""

    code = "global_conf_missing_signature"


class GlobalConfSignatureFailure(GlobalConfError):
    """A signed directory whose signature does not verify."""

    code = "global_conf_signature_verification_failure"


class GlobalConfMissingVerificationCert(GlobalConfError):
    """A signed directory whose signer neither the anchor nor a source names."""

    code = "global_conf_missing_verification_cert"


class GlobalConfPartIntegrityFailure(GlobalConfError):
    """A configuration part whose digest is not the one in the directory."""

    code = "global_conf_part_downloaded_file_integrity_failure"


class GlobalConfInstanceMismatch(GlobalConfError):
    """A configuration part that belongs to another instance than it is listed for."""

    code = "global_conf_instance_mismatch"


class GlobalConfMissingPart(GlobalConfError):
    """A signed directory without a part that it must have."""

    code = "global_conf_missing_part"


class GlobalConfDownloadFailed(GlobalConfError):
    """No source gave a configuration that could be used."""

    code = "global_conf_download_failed"


class GlobalConfUnanswered(GlobalConfDownloadFailed):
    """A source that nobody answers at, or not in time."""

    code = "global_conf_download_url_connection_failure"


class PeerFault(ProtocolError):
    """A fault that the other side sent; it keeps the code it came with.

    `raw` is the SOAP envelope that it came in, exact bytes, where it may be passed on as it is.
    """

    def __init__(self, code: str, message: str, detail: str = "", raw: bytes = b"") -> None:
        super().__init__(message)
        self.fault = code
        self.detail = detail
        self.raw = raw

    @property
    def staged_code(self) -> str:
        """The code as it came."""
        return self.fault

    def fault_code(self, side: str) -> str:
        """The code as it came, but for a fault that somebody may not send at all."""
        del side
        return self.fault if self.blamed is None else f"{self.blamed}.{self.fault.lower()}"
