"""What is refused about certification services and requests to them.

NotFound
└── AuthorityNotFound         certificate_authority_not_found
BadRequest
├── InvalidCsrFormat          invalid_csr_format
├── InvalidSubjectField       invalid_dn_parameter
├── MemberRequired            memberId_required_for_sign_csr
└── ClientNotHere             client_not_found
Failed
├── UnknownProfile            certificate_profile_instantiation_failure
└── AcmeNotConfigured         acme.acme_yaml_missing
"""

from sild.model.refusals import BadRequest, Failed, NotFound


class AuthorityNotFound(NotFound):
    """The global configuration approves no certification service of this name."""

    code = "certificate_authority_not_found"


class InvalidCsrFormat(BadRequest):
    """The certification service takes requests in another format."""

    code = "invalid_csr_format"


class InvalidSubjectField(BadRequest):
    """A field of the subject is missing, or none of the profile's."""

    code = "invalid_dn_parameter"


class MemberRequired(BadRequest):
    """A signing certificate is for a member, and none was named."""

    code = "memberId_required_for_sign_csr"


class ClientNotHere(BadRequest):
    """The member is no client of this server, nor is a subsystem of it."""

    code = "client_not_found"


class UnknownProfile(Failed):
    """The certification service has a certificate profile that nobody knows here."""

    code = "certificate_profile_instantiation_failure"


class AcmeNotConfigured(Failed):
    """This server orders no certificates over ACME."""

    code = "acme.acme_yaml_missing"
