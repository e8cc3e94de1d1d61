"""The certificates between one of ours and the topmost approved CA."""

from sild.protocol.errors import UnknownCertificationAuthority
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.trust import ApprovedCaCert, Trust

_LONGEST = 8


def get_issuer(certificate: Certificate, trust: Trust) -> ApprovedCaCert:
    """The approved CA certificate that issued it; raises UnknownCertificationAuthority."""
    issuer = trust.find_issuer(certificate)
    if issuer is None:
        raise UnknownCertificationAuthority(
            f"{certificate.name} is not issued by a certification service approved in "
            f"{trust.instance}"
        )
    return issuer


def intermediates_of(certificate: Certificate, trust: Trust) -> tuple[Certificate, ...]:
    """The intermediates to send with it, its issuer first, without the topmost known CA.

    Raises UnknownCertificationAuthority where nobody approved has issued it.
    """
    found = [get_issuer(certificate, trust).certificate]
    while (issuer := trust.find_issuer(found[-1])) is not None:
        if issuer.certificate in found or len(found) > _LONGEST:
            break
        found.append(issuer.certificate)
    return tuple(found[:-1])
