"""What is refused about service descriptions, services and endpoints, beyond `errors`.

    BadRequest
    ├── MalformedUrl                 malformed_url
    ├── HttpsRequired                invalid_https_url
    ├── InvalidServiceUrl            invalid_service_url
    ├── MissingParameter             missing_parameter
    ├── ReservedServiceCode          service_code_reserved
    ├── WrongDescriptionType         wrong_servicedescription_type
    ├── WsdlNotFetched               wsdl_download_failed
    ├── InvalidWsdl                  invalid_wsdl
    │   └── InvalidWsdlIdentifier    invalid_wsdl_service_identifier
    ├── InvalidOpenApi               openapi_parsing_error
    ├── UnsupportedOpenApi           unsupported_openapi_version
    ├── GeneratedEndpointUpdated     illegal_generated_endpoint_update
    ├── GeneratedEndpointRemoved     illegal_generated_endpoint_remove
    └── WarningsFound                warnings_detected
    Conflict
    ├── DescriptionUrlExists         url_already_exists
    ├── WsdlExists                   wsdl_exists
    ├── ServiceCodeExists            service_code_already_exists
    ├── WsdlIsInvalidNow             invalid_wsdl
    └── IdentifierIsInvalidNow       invalid_wsdl_service_identifier
    Failed
    └── ValidatorNotRun              wsdl_validator_not_executable

A WSDL that is wrong when it is added is a bad request, and one that has become so is a conflict.
"""

from dataclasses import dataclass

from sild.model.refusals import BadRequest, Conflict, Failed


class MalformedUrl(BadRequest):
    """An address that is none of http or https, or that nothing could be asked at."""

    code = "malformed_url"


class HttpsRequired(BadRequest):
    """Only with https there is a certificate to verify."""

    code = "invalid_https_url"


class InvalidServiceUrl(BadRequest):
    """Services of a WSDL have addresses that cannot be called."""

    code = "invalid_service_url"


class MissingParameter(BadRequest):
    """A REST service without a code."""

    code = "missing_parameter"


class ReservedServiceCode(BadRequest):
    """A code that is kept for other services."""

    code = "service_code_reserved"


class WrongDescriptionType(BadRequest):
    """The description is of another type than this is for."""

    code = "wrong_servicedescription_type"


class WsdlNotFetched(BadRequest):
    """There is no WSDL to be had at the address."""

    code = "wsdl_download_failed"


class InvalidWsdl(BadRequest):
    """What was fetched is no WSDL, or not one that can be used."""

    code = "invalid_wsdl"


class InvalidWsdlIdentifier(InvalidWsdl):
    """A WSDL's operations have names or versions that no identifier can hold."""

    code = "invalid_wsdl_service_identifier"


class InvalidOpenApi(BadRequest):
    """What is there is no OpenAPI description, or not one that can be used."""

    code = "openapi_parsing_error"


class UnsupportedOpenApi(BadRequest):
    """An OpenAPI description of another version."""

    code = "unsupported_openapi_version"


class GeneratedEndpointUpdated(BadRequest):
    """An endpoint that its description made, or its service, stays as it is."""

    code = "illegal_generated_endpoint_update"


class GeneratedEndpointRemoved(BadRequest):
    """An endpoint that its description made, or its service, goes with it alone."""

    code = "illegal_generated_endpoint_remove"


class DescriptionUrlExists(Conflict):
    """Another description of the client has this address."""

    code = "url_already_exists"


class WsdlExists(Conflict):
    """Another description of the client has the address of this WSDL."""

    code = "wsdl_exists"


class ServiceCodeExists(Conflict):
    """The client has a service with this code."""

    code = "service_code_already_exists"


class WsdlIsInvalidNow(Conflict):
    """A WSDL that was read before cannot be used any more."""

    code = "invalid_wsdl"


class IdentifierIsInvalidNow(Conflict):
    """A WSDL that was read before now has names that no identifier can hold."""

    code = "invalid_wsdl_service_identifier"


class ValidatorNotRun(Failed):
    """The command that validates WSDLs cannot be run."""

    code = "wsdl_validator_not_executable"


@dataclass(frozen=True, slots=True)
class Warned:
    """What somebody should know first: a code, and what it speaks of."""

    code: str
    about: tuple[str, ...]


class WarningsFound(BadRequest):
    """It would be done if warnings were to be ignored."""

    code = "warnings_detected"

    def __init__(self, *warnings: Warned) -> None:
        super().__init__("Warnings detected")
        self.warnings = warnings

    def about(self, code: str) -> tuple[str, ...]:
        """What the warning of this code speaks of; nothing where there is no such warning."""
        return next((each.about for each in self.warnings if each.code == code), ())
