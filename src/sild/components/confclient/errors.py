"""What is refused about the configuration anchor.

Refusal
├── BadRequest
│   ├── AnchorMalformed             malformed_anchor
│   └── AnchorOfOtherInstance       internal_anchor_upload_invalid_instance_id
├── NotFound
│   └── AnchorMissing               anchor_file_not_found
├── Conflict
│   └── AnchorExists                anchor_already_exists
└── Failed
    ├── AnchorUnreachable           conf_verification.unreachable
    ├── AnchorOutdated              conf_verification.outdated
    ├── AnchorSignatureInvalid      conf_verification.signature_invalid
    ├── AnchorWithoutPrivate        conf_verification.missing_private_params
    ├── AnchorNotVerified           conf_verification.other
    ├── AnchorNotKept               anchor_upload_failed
    └── ConfigurationNotDownloaded  conf_download_failed
"""

from sild.model.refusals import BadRequest, Conflict, Failed, NotFound


class AnchorMalformed(BadRequest):
    """Not a configuration anchor."""

    code = "malformed_anchor"


class AnchorOfOtherInstance(BadRequest):
    """An anchor of another instance than the security server's."""

    code = "internal_anchor_upload_invalid_instance_id"


class AnchorMissing(NotFound):
    """The security server has no configuration anchor."""

    code = "anchor_file_not_found"


class AnchorExists(Conflict):
    """The security server has a configuration anchor, which may only be replaced."""

    code = "anchor_already_exists"


class AnchorUnreachable(Failed):
    """No source of the anchor gave any configuration."""

    code = "conf_verification.unreachable"


class AnchorOutdated(Failed):
    """The configuration that the anchor leads to has expired."""

    code = "conf_verification.outdated"


class AnchorSignatureInvalid(Failed):
    """The configuration that the anchor leads to is signed by nobody whom the anchor names."""

    code = "conf_verification.signature_invalid"


class AnchorWithoutPrivate(Failed):
    """The anchor leads to configuration for other instances, not for own security servers."""

    code = "conf_verification.missing_private_params"


class AnchorNotVerified(Failed):
    """The configuration that the anchor leads to cannot be used."""

    code = "conf_verification.other"


class AnchorNotKept(Failed):
    """The anchor could not be written."""

    code = "anchor_upload_failed"


class ConfigurationNotDownloaded(Failed):
    """The anchor is kept, and the configuration that it leads to could not be downloaded."""

    code = "conf_download_failed"
