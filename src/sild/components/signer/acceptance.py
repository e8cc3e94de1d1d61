"""Whether a certificate may be imported, and for whom: asked by control before the signer is."""

from datetime import datetime

from sild.components.signer.chain import get_issuer
from sild.components.signer.errors import CertificateImportFailed
from sild.protocol.errors import IncorrectCertificate, InvalidSignatureValue, TrustError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.profiles import get_profile


def verify_importable(data: bytes, conf: GlobalConf, now: datetime) -> ClientId | None:
    """The member that a signing certificate is for, nobody for an authentication certificate.

    Raises IncorrectCertificate, and CertificateImportFailed unless an approved CA issued it, it is
    valid now, and a signing certificate's subject names a member as its CA's profile has it.
    """
    conf.check_valid(now)
    certificate = read_certificate(data)
    name = certificate.name
    if not certificate.is_valid_at(now):
        raise CertificateImportFailed(
            f"{name} is valid from {certificate.not_before} to {certificate.not_after}"
        )
    trust = conf.trust(conf.instance)
    try:
        issuer = get_issuer(certificate, trust).certificate
        certificate.check_issued_by(issuer, trust.strength)
        if not certificate.is_signing:
            return None
        if not trust.may_issue_signing(issuer):
            raise CertificateImportFailed(
                f"{certificate.issuer_name} is approved for authentication certificates only"
            )
        profile = get_profile(trust.get_ca_of(certificate).profile)
        return profile.member_of(certificate, conf.instance)
    except (TrustError, InvalidSignatureValue) as error:
        if isinstance(error, IncorrectCertificate):
            raise
        raise CertificateImportFailed(f"{name} is not valid: {error.message}") from error
