"""The certification services that are approved, and what a request to one of them says."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sild.components.signer.authority_errors import (
    AuthorityNotFound,
    ClientNotHere,
    InvalidCsrFormat,
    InvalidSubjectField,
    MemberRequired,
    UnknownProfile,
)
from sild.components.signer.certificates import RequestOrder
from sild.components.signer.errors import WrongKeyUsage
from sild.components.signer.ocsp_refresh import OcspRefresher
from sild.components.signer.ports import World, local_members
from sild.model.costs import Strategy
from sild.model.tokens import KeyUsage, OcspStatus
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    CsrFormat,
)
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.profiles import Applicant, Profile, Subject, get_profile

_LONGEST_PATH = 16


@dataclass(frozen=True, slots=True)
class ApprovedAuthority:
    """One certificate of an approved certification service.

    `path` leads from the topmost known CA to the certificate, both included.
    """

    service: CertificationService
    entry: CaEntry
    path: tuple[Certificate, ...]
    ocsp: OcspStatus

    @property
    def is_top(self) -> bool:
        """Whether nobody who is known has issued it."""
        return len(self.path) == 1


@dataclass(frozen=True, slots=True)
class Purpose:
    """What a certificate is to be for: a usage, and a member where that is to sign."""

    usage: KeyUsage
    member: ClientId | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What an administrator asks a certification service for; `fields` by keyword."""

    authority: str
    purpose: Purpose
    csr_format: CsrFormat = CsrFormat.PEM
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CertificateAuthorities:
    """The approved certification services of the local instance."""

    world: World
    ocsp: OcspRefresher

    @property
    def strategy(self) -> Strategy:
        """How the cost of OCSP responders decides about their turn."""
        return self.ocsp.strategy

    def approved(
        self, usage: KeyUsage | None = None, *, with_intermediates: bool = False
    ) -> tuple[ApprovedAuthority, ...]:
        """Those that issue certificates for the usage; raises GlobalConfOutdated."""
        return tuple(
            authority
            for authority in self._all()
            if (with_intermediates or authority.is_top)
            and not (usage is KeyUsage.SIGNING and authority.service.authentication_only)
        )

    def get(self, name: str) -> CertificationService:
        """The approved service of this name; raises AuthorityNotFound."""
        for service in self.world.global_conf().certification_services:
            if service.name == name:
                return service
        raise AuthorityNotFound(f"no certification service {name!r} is approved")

    def subject_fields(
        self, name: str, purpose: Purpose, *, is_new_member: bool = False
    ) -> Subject:
        """The subject that the service's profile wants, as far as it is known.

        The member of a new client is no client yet. Raises AuthorityNotFound, WrongKeyUsage,
        MemberRequired, ClientNotHere, UnknownProfile.
        """
        if purpose.usage is KeyUsage.SIGNING and not is_new_member:
            self._check_here(purpose)
        return self._subject(self.get(name), purpose)

    def order(self, wish: Wish, key_id: str = "") -> RequestOrder:
        """What to ask of a key, so that the service takes the request.

        Raises as `subject_fields`, InvalidCsrFormat and InvalidSubjectField.
        """
        service, purpose = self.get(wish.authority), wish.purpose
        if service.csr_format not in {None, wish.csr_format}:
            raise InvalidCsrFormat(f"{service.name} takes no requests in {wish.csr_format.value}")
        subject = self.subject_fields(wish.authority, purpose)
        server = self.world.snapshot().server
        signing = purpose.usage is KeyUsage.SIGNING
        return RequestOrder(
            key_id=key_id,
            server=server,
            profile=service.profile,
            member=purpose.member if signing else None,
            member_name=self._applicant(purpose).member_name,
            fields=_filled(subject, wish.fields),
            usage=purpose.usage,
        )

    def _all(self) -> Iterator[ApprovedAuthority]:
        conf = self.world.global_conf()
        services = conf.certification_services
        known = {
            entry.certificate.subject_key: entry.certificate
            for service in services
            for entry in service.entries
        }
        for service in services:
            for entry in service.entries:
                certificate = entry.certificate
                knowledge = self.ocsp.known(certificate, conf)
                yield ApprovedAuthority(service, entry, _path(certificate, known), knowledge.status)

    def _check_here(self, purpose: Purpose) -> None:
        member = _member(purpose)
        if member not in local_members(self.world):
            raise ClientNotHere(f"neither {member} nor a subsystem of it is a client here")

    def _subject(self, service: CertificationService, purpose: Purpose) -> Subject:
        profile, applicant = _profile(service), self._applicant(purpose)
        if purpose.usage is KeyUsage.AUTHENTICATION:
            return profile.auth_subject(applicant)
        if service.authentication_only:
            raise WrongKeyUsage(f"{service.name} issues authentication certificates only")
        return profile.sign_subject(applicant)

    def _applicant(self, purpose: Purpose) -> Applicant:
        server = self.world.snapshot().server
        signing = purpose.usage is KeyUsage.SIGNING
        member = _member(purpose) if signing else server.owner
        name = self.world.global_conf().find_member_name(member)
        return Applicant(server, member, name or "")


def _member(purpose: Purpose) -> ClientId:
    if purpose.member is None:
        raise MemberRequired("a signing certificate is for a member: say which")
    return purpose.member


def _profile(service: CertificationService) -> Profile:
    try:
        return get_profile(service.profile)
    except IncorrectCertificate as error:
        raise UnknownProfile(error.message) from error


def _path(certificate: Certificate, known: Mapping[bytes, Certificate]) -> tuple[Certificate, ...]:
    path = [certificate]
    while len(path) < _LONGEST_PATH and not path[0].is_self_signed:
        issuer = known.get(path[0].issuer_key)
        if issuer is None or issuer in path:
            break
        path.insert(0, issuer)
    return tuple(path)


def _filled(subject: Subject, given: Mapping[str, str]) -> dict[str, str]:
    """The values of the fields that are open; what is given for the others does not count."""
    if extra := given.keys() - {each.keyword for each in subject}:
        raise InvalidSubjectField(f"extraneous parameters: {', '.join(sorted(extra))}")
    values = {}
    for each in subject:
        value = each.value if each.read_only else given.get(each.keyword, "").strip() or each.value
        if not value and each.is_required:
            raise InvalidSubjectField(f"missing parameter: {each.keyword}")
        if value:
            values[each.keyword] = value
    return values
