"""What the keeping of a TLS key and its certificates refuses.

Refusal
├── BadRequest
│   ├── InvalidDistinguishedName        invalid_distinguished_name
│   ├── NotCertificates                 cannot_convert_bytes_to_certificate
│   ├── ChainNotValid                   certificate_import_failed
│   ├── CertificateOfOtherKey           key_not_found
│   ├── CertificateInUse                certificate_already_exists
│   └── NoCertificate                   invalid_certificate
└── Failed
    └── KeyNotMade                      key_and_cert_generation_failed
"""

from sild.model.refusals import BadRequest, Failed


class InvalidDistinguishedName(BadRequest):
    """Not a distinguished name."""

    code = "invalid_distinguished_name"


class NotCertificates(BadRequest):
    """Not a certificate, nor several."""

    code = "cannot_convert_bytes_to_certificate"


class ChainNotValid(BadRequest):
    """Certificates of which one did not sign the one before it."""

    code = "certificate_import_failed"


class CertificateOfOtherKey(BadRequest):
    """A certificate of another key than the one in use."""

    code = "key_not_found"


class CertificateInUse(BadRequest):
    """The certificate that is in use already."""

    code = "certificate_already_exists"


class NoCertificate(BadRequest):
    """There is no certificate yet."""

    code = "invalid_certificate"


class KeyNotMade(Failed):
    """A key or its certificate could not be made or kept."""

    code = "key_and_cert_generation_failed"
