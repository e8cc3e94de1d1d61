"""What changes of trust services are refused for.

Refusal
├── BadRequest
│   ├── InvalidCertificateFile           invalid_certificate
│   ├── FileExtensionNotAllowed          invalid_file_extension
│   ├── DoubleFileExtension              double_file_extension
│   ├── FileContentNotAllowed            invalid_file_content_type
│   ├── UnknownProfile                   certificate_profile_info_class_not_found
│   ├── InvalidUrl                       invalid_url
│   ├── InvalidIpAddress                 invalid_ip_address
│   └── InvalidText                      invalid_parameters
└── NotFound
    ├── CertificationServiceNotFound     certification_service_not_found
    ├── IntermediateCaNotFound           intermediate_ca_not_found
    ├── OcspResponderNotFound            ocsp_responder_not_found
    └── TimestampingServiceNotFound      timestamping_authority_not_found
"""

from sild.model.refusals import BadRequest, NotFound


class InvalidCertificateFile(BadRequest):
    """The uploaded file does not hold one certificate that can be approved."""

    code = "invalid_certificate"


class FileExtensionNotAllowed(BadRequest):
    """The name of the uploaded file does not end as those of certificates do."""

    code = "invalid_file_extension"


class DoubleFileExtension(BadRequest):
    """The name of the uploaded file has two extensions."""

    code = "double_file_extension"


class FileContentNotAllowed(BadRequest):
    """The uploaded file holds something else than a certificate."""

    code = "invalid_file_content_type"


class UnknownProfile(BadRequest):
    """No certificate profile has this name."""

    code = "certificate_profile_info_class_not_found"


class InvalidUrl(BadRequest):
    """It is no address to which requests can be sent."""

    code = "invalid_url"


class InvalidIpAddress(BadRequest):
    """It is no list of IP addresses."""

    code = "invalid_ip_address"


class InvalidText(BadRequest):
    """A text is too long, or cannot be published."""

    code = "invalid_parameters"


class CertificationServiceNotFound(NotFound):
    """No such certification service."""

    code = "certification_service_not_found"


class IntermediateCaNotFound(NotFound):
    """No such intermediate CA."""

    code = "intermediate_ca_not_found"


class OcspResponderNotFound(NotFound):
    """No such OCSP responder."""

    code = "ocsp_responder_not_found"


class TimestampingServiceNotFound(NotFound):
    """No such time-stamping service."""

    code = "timestamping_authority_not_found"
