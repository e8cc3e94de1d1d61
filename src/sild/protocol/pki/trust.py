"""Approved CAs, responders, time-stampers and policy as values.

The global configuration makes them, signature and container verification receive them. Look-ups
go through dictionaries that are made once, when the value is. A CA is its name and its key: what
is listed for one of its certificates counts for another that it renewed with the same key.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sild.protocol.errors import InvalidSignatureValue, UnknownCertificationAuthority
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.signed import Strength

Authority = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class OcspResponder:
    """Where a CA's certificates are asked about, and who may sign the answer for it."""

    url: str
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class ApprovedCaCert:
    """One certificate of an approved CA, top or intermediate."""

    certificate: Certificate
    responders: tuple[OcspResponder, ...] = ()


@dataclass(frozen=True, slots=True)
class ApprovedCa:
    """A certification service that the instance approves; `profile` is the reference's class name.

    A CA for authentication only may not issue certificates that sign messages.
    """

    name: str
    authentication_only: bool
    profile: str
    top: ApprovedCaCert
    intermediates: tuple[ApprovedCaCert, ...] = ()

    @property
    def certificates(self) -> tuple[ApprovedCaCert, ...]:
        """The top certificate and the intermediate ones."""
        return (self.top, *self.intermediates)


@dataclass(frozen=True, slots=True)
class ApprovedTsa:
    """A time-stamping service that the instance approves."""

    name: str
    url: str
    certificate: Certificate


@dataclass(frozen=True, slots=True)
class OcspPolicy:
    """How recent an OCSP response must be, and whether its nextUpdate binds.

    `ahead_seconds` is how far a responder's clock may run ahead of ours; None for any distance,
    which is the reference's reading and is for evidence judged at a moment before its response.
    """

    freshness_seconds: int = 3600
    verify_next_update: bool = True
    ahead_seconds: int | None = 60


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom one instance trusts, and how much."""

    instance: str
    cas: tuple[ApprovedCa, ...]
    tsas: tuple[ApprovedTsa, ...] = ()
    ocsp: OcspPolicy = field(default_factory=OcspPolicy)
    strength: Strength = Strength.CURRENT
    _by_subject: Mapping[bytes, tuple[ApprovedCaCert, ...]] = field(
        init=False, repr=False, compare=False
    )
    _services: Mapping[Authority, tuple[ApprovedCa, ...]] = field(
        init=False, repr=False, compare=False
    )
    _signers: Mapping[Authority, frozenset[Certificate]] = field(
        init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        by_subject: dict[bytes, tuple[ApprovedCaCert, ...]] = {}
        services: dict[Authority, tuple[ApprovedCa, ...]] = {}
        signers: dict[Authority, frozenset[Certificate]] = {}
        for ca in self.cas:
            for cert in ca.certificates:
                certificate = cert.certificate
                for name in {certificate.subject_key, certificate.subject_der}:
                    by_subject[name] = (*by_subject.get(name, ()), cert)
                authority = certificate.authority
                services[authority] = (*services.get(authority, ()), ca)
                signers[authority] = signers.get(authority, frozenset()) | {
                    responder.certificate
                    for responder in cert.responders
                    if responder.certificate is not None
                }
        object.__setattr__(self, "_by_subject", by_subject)
        object.__setattr__(self, "_services", services)
        object.__setattr__(self, "_signers", signers)

    @property
    def all_ca_certificates(self) -> tuple[Certificate, ...]:
        """All certificates of approved CAs, each once."""
        return tuple(dict.fromkeys(c.certificate for ca in self.cas for c in ca.certificates))

    @property
    def all_ocsp_signers(self) -> frozenset[Certificate]:
        """All responder certificates that are listed for any CA."""
        return frozenset().union(*self._signers.values())

    def find_ca_cert(self, name: bytes) -> ApprovedCaCert | None:
        """The approved CA certificate of a name, given as `issuer_key` or `issuer_der`.

        Where several bear the name, the one listed last, as the reference has it.
        """
        return self._by_subject.get(name, (None,))[-1]

    def find_issuer(self, certificate: Certificate) -> ApprovedCaCert | None:
        """The approved CA certificate that issued the given one.

        Where several bear the issuer's name (a CA that renewed its key), the one that signed it.
        """
        candidates = self._by_subject.get(certificate.issuer_key, ())
        if len(candidates) > 1:
            for candidate in reversed(candidates):
                if self._has_issued(candidate.certificate, certificate):
                    return candidate
        return candidates[-1] if candidates else None

    def _has_issued(self, issuer: Certificate, certificate: Certificate) -> bool:
        try:
            certificate.check_issued_by(issuer, self.strength)
        except InvalidSignatureValue:
            return False
        return True

    def get_ca_of(self, certificate: Certificate) -> ApprovedCa:
        """The certification service that issued a certificate.

        Where several services list the issuing CA, one that is not for authentication only.

        Raises UnknownCertificationAuthority.
        """
        issuer = self.find_issuer(certificate)
        if issuer is None:
            raise UnknownCertificationAuthority(
                f"{certificate.name} is not issued by a certification service"
                f" approved in {self.instance}"
            )
        services = self._services[issuer.certificate.authority]
        return next((ca for ca in reversed(services) if not ca.authentication_only), services[-1])

    def may_issue_signing(self, ca_certificate: Certificate) -> bool:
        """Whether certificates of this CA may sign messages."""
        services = self._services.get(ca_certificate.authority, ())
        return any(not service.authentication_only for service in services)

    def ocsp_signers_for(self, ca_certificate: Certificate) -> frozenset[Certificate]:
        """The responder certificates that are listed for this CA."""
        return self._signers.get(ca_certificate.authority, frozenset())
