"""How each certificate profile names a member or a server in its subject.

The global configuration names a profile by the reference's Java class. A profile does three
things: it reads the member from a signing certificate, and it lists the fields of the subjects
that are asked for, for authentication and for signing.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sild.protocol.errors import IncorrectCertificate, InvalidIdentifier
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.names import find_attribute, write_name

_PACKAGE = "ee.ria.xroad.common.certificateprofile.impl"
_SAN = "subjectAltName"


@dataclass(frozen=True, slots=True)
class SubjectField:
    """One field of a subject: its keyword, what it means, what stands in it at first.

    `label` is the key of the translated text that people see. A read-only field keeps its value.
    """

    keyword: str
    label: str
    value: str
    read_only: bool

    @property
    def is_required(self) -> bool:
        """Whether there is no request without it; an alternative name may be the CA's to know."""
        return self.keyword != _SAN


@dataclass(frozen=True, slots=True)
class Applicant:
    """For whom a certificate is requested: a server, and on it a member with a name."""

    server: SecurityServerId
    member: ClientId
    member_name: str


Subject = tuple[SubjectField, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """One certificate profile, by the reference's class name."""

    name: str
    _auth: Callable[[Applicant], Subject]
    _sign: Callable[[Applicant], Subject]
    _member: Callable[[Certificate, str], ClientId]

    def member_of(self, certificate: Certificate, instance: str) -> ClientId:
        """The member that a signing certificate names; raises IncorrectCertificate.

        `instance` is that of the caller; some profiles have none in their subjects.
        """
        try:
            return self._member(certificate, instance)
        except InvalidIdentifier as error:
            raise IncorrectCertificate(
                f"{certificate.name} names no member: {error.message}"
            ) from None

    def auth_subject(self, applicant: Applicant) -> Subject:
        """The fields of the subject of an authentication certificate."""
        return self._auth(applicant)

    def sign_subject(self, applicant: Applicant) -> Subject:
        """The fields of the subject of a signing certificate."""
        return self._sign(applicant)


def subject_name(fields: Mapping[str, str]) -> bytes:
    """The subject in DER from values by keyword, without `subjectAltName`; see `dns_name`."""
    return write_name((key, value) for key, value in fields.items() if key != _SAN)


def dns_name(fields: Mapping[str, str]) -> str | None:
    """What belongs in the subject's alternative name, which is a field but not of the name."""
    return fields.get(_SAN) or None


def get_profile(class_name: str) -> Profile:
    """The profile of a Java class name; raises IncorrectCertificate for an unknown one."""
    try:
        return _PROFILES[class_name.strip()]
    except KeyError:
        raise IncorrectCertificate(f"the certificate profile {class_name!r} is unknown") from None


def _fixed(keyword: str, label: str, value: str) -> SubjectField:
    return SubjectField(keyword, label, value, read_only=True)


def _open(keyword: str, label: str, value: str = "") -> SubjectField:
    return SubjectField(keyword, label, value, read_only=False)


def _get(certificate: Certificate, keyword: str) -> str:
    value = find_attribute(certificate.subject_der, keyword)
    if not value:
        raise IncorrectCertificate(f"{certificate.name} has no {keyword}")
    return value


def _check_country(certificate: Certificate, country: str) -> None:
    if find_attribute(certificate.subject_der, "C") != country:
        raise IncorrectCertificate(f"{certificate.name} is not of the country {country}")


def _has(certificate: Certificate, keyword: str) -> bool:
    return find_attribute(certificate.subject_der, keyword) is not None


# Basic and BasicACME: businessCategory is the class, serialNumber the code.


def _basic_auth(applicant: Applicant) -> Subject:
    return (
        _open("CN", "SERVER_DNS_NAME"),
        _fixed("serialNumber", "MEMBER_CODE_SN", applicant.server.owner.member_code),
        _open("C", "COUNTRY_CODE"),
        _fixed("O", "ORGANIZATION_NAME", applicant.member_name),
    )


def _basic_sign(applicant: Applicant) -> Subject:
    return (
        _fixed("CN", "ORGANIZATION_NAME_CN", applicant.member_name),
        _fixed("O", "ORGANIZATION_NAME", applicant.member_name),
        _fixed("businessCategory", "MEMBER_CLASS_BC", applicant.member.member_class),
        _open("C", "COUNTRY_CODE"),
        _fixed("serialNumber", "MEMBER_CODE_SN", applicant.member.member_code),
    )


def _basic_member(certificate: Certificate, instance: str) -> ClientId:
    member_class = _get(certificate, "businessCategory")
    return ClientId(instance, member_class, _get(certificate, "serialNumber"))


def _acme_auth(applicant: Applicant) -> Subject:
    return (
        _open("C", "COUNTRY_CODE"),
        _fixed("O", "ORGANIZATION_NAME", applicant.member_name),
        _fixed("serialNumber", "MEMBER_CODE_SN", applicant.server.owner.member_code),
        _open("CN", "SERVER_DNS_NAME"),
        _open(_SAN, "SUBJECT_ALTERNATIVE_NAME"),
    )


def _acme_sign(applicant: Applicant) -> Subject:
    return (
        _open("C", "COUNTRY_CODE"),
        _fixed("O", "ORGANIZATION_NAME", applicant.member_name),
        _fixed("businessCategory", "MEMBER_CLASS_BC", applicant.member.member_class),
        _fixed("serialNumber", "MEMBER_CODE_SN", applicant.member.member_code),
        _fixed("CN", "ORGANIZATION_NAME_CN", applicant.member_name),
        _open(_SAN, "SUBJECT_ALTERNATIVE_NAME"),
    )


# Ejbca: C, O and CN are instance, class and code.


def _ejbca_auth(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "INSTANCE_IDENTIFIER", applicant.server.owner.instance),
        _fixed("CN", "SERVER_CODE", applicant.server.server_code),
    )


def _ejbca_sign(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "INSTANCE_IDENTIFIER", applicant.member.instance),
        _fixed("O", "MEMBER_CLASS", applicant.member.member_class),
        _fixed("CN", "MEMBER_CODE", applicant.member.member_code),
    )


def _ejbca_member(certificate: Certificate, instance: str) -> ClientId:
    del instance
    return ClientId(_get(certificate, "C"), _get(certificate, "O"), _get(certificate, "CN"))


# Finland: serialNumber is INSTANCE/SERVERCODE/CLASS.


def _fi_serial(applicant: Applicant, owner: ClientId) -> SubjectField:
    value = f"{owner.instance}/{applicant.server.server_code}/{owner.member_class}"
    return _fixed("serialNumber", "SERIAL_NUMBER", value)


def _fi_auth(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "COUNTRY_CODE", "FI"),
        _open("O", "ORGANIZATION_NAME"),
        _fi_serial(applicant, applicant.server.owner),
        _open("CN", "SERVER_DNS_NAME"),
        _open(_SAN, "SUBJECT_ALTERNATIVE_NAME"),
    )


def _fi_sign(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "COUNTRY_CODE", "FI"),
        _open("O", "ORGANIZATION_NAME"),
        _fi_serial(applicant, applicant.member),
        _fixed("CN", "MEMBER_CODE", applicant.member.member_code),
        _open(_SAN, "SUBJECT_ALTERNATIVE_NAME"),
    )


def _fi_member(certificate: Certificate, instance: str) -> ClientId:
    if not _has(certificate, "serialNumber"):
        if not _has(certificate, "OU"):
            return _ejbca_member(certificate, instance)
        _check_country(certificate, "FI")
        return _org_unit_member(certificate)
    _check_country(certificate, "FI")
    _get(certificate, "O")
    match _get(certificate, "serialNumber").split("/"):
        case [own_instance, _, member_class]:
            return ClientId(own_instance, member_class, _get(certificate, "CN"))
        case _:
            raise IncorrectCertificate(
                f"the serialNumber of {certificate.name} does not have three parts"
            )


# Iceland and the Faroe Islands: O, OU and CN are instance, class and code.


def _org_unit_member(certificate: Certificate) -> ClientId:
    return ClientId(_get(certificate, "O"), _get(certificate, "OU"), _get(certificate, "CN"))


def _org_unit_sign(country: str, *, serial_read_only: bool) -> Callable[[Applicant], Subject]:
    def sign(applicant: Applicant) -> Subject:
        return (
            _fixed("C", "COUNTRY_CODE", country),
            _fixed("O", "INSTANCE_IDENTIFIER_O", applicant.member.instance),
            _fixed("OU", "MEMBER_CLASS_OU", applicant.member.member_class),
            _fixed("CN", "MEMBER_CODE", applicant.member.member_code),
            SubjectField("serialNumber", "SERIAL_NUMBER", applicant.server.short, serial_read_only),
        )

    return sign


def _is_auth(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "COUNTRY_CODE", "IS"),
        _open("CN", "SERVER_DNS_NAME"),
        _fixed("serialNumber", "SERIAL_NUMBER", applicant.server.short),
    )


def _is_member(certificate: Certificate, instance: str) -> ClientId:
    if not _has(certificate, "serialNumber") and not _has(certificate, "OU"):
        return _ejbca_member(certificate, instance)
    _check_country(certificate, "IS")
    _get(certificate, "serialNumber")
    return _org_unit_member(certificate)


def _fo_auth(applicant: Applicant) -> Subject:
    return (
        _fixed("C", "COUNTRY_CODE", "FO"),
        _fixed("O", "INSTANCE_IDENTIFIER_O", applicant.server.owner.instance),
        _fixed("CN", "COMMON_NAME", applicant.server.short),
    )


def _fo_member(certificate: Certificate, instance: str) -> ClientId:
    del instance
    _check_country(certificate, "FO")
    _get(certificate, "serialNumber")
    return _org_unit_member(certificate)


# Estonia: registry codes in organizationIdentifier, or in serialNumber before it came.

_EE_REGISTRIES = {"NTREE-": "COM", "GO:EE-": "GOV", "NP:EE-": "NGO"}
_EE_CLASSES = dict.fromkeys("123456", "COM") | {"7": "GOV", "8": "NGO", "9": "NGO"}
_EE_CODE = re.compile(r"[1-9][0-9]{7}")


def _ee_auth(applicant: Applicant) -> Subject:
    return (
        _fixed("SN", "SERIAL_NUMBER_SN", applicant.server.owner.member_code),
        _fixed("CN", "COMMON_NAME", applicant.member_name),
    )


def _ee_sign(applicant: Applicant) -> Subject:
    return (
        _fixed("SN", "SERIAL_NUMBER_SN", applicant.member.member_code),
        _fixed("CN", "COMMON_NAME", applicant.member_name),
    )


def _ee_member(certificate: Certificate, instance: str) -> ClientId:
    identifier = find_attribute(certificate.subject_der, "organizationIdentifier")
    if not identifier:
        code = _get(certificate, "serialNumber")
        if not _EE_CODE.fullmatch(code):
            raise IncorrectCertificate(f"{code!r} is no registry code of eight digits")
        return ClientId(instance, _EE_CLASSES[code[0]], code)
    for prefix, member_class in _EE_REGISTRIES.items():
        if identifier.startswith(prefix):
            return ClientId(instance, member_class, identifier.removeprefix(prefix))
    # Codes of other registries are unique only together with their registry.
    return ClientId(instance, "NEE", identifier)


def _no_fields(applicant: Applicant) -> Subject:
    del applicant
    return ()


def _person(certificate: Certificate, instance: str) -> ClientId:
    return ClientId(instance, "PERSON", _get(certificate, "serialNumber"))


_PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(f"{_PACKAGE}.{name}CertificateProfileInfoProvider", auth, sign, member)
        for name, auth, sign, member in (
            ("Basic", _basic_auth, _basic_sign, _basic_member),
            ("BasicACME", _acme_auth, _acme_sign, _basic_member),
            ("Ejbca", _ejbca_auth, _ejbca_sign, _ejbca_member),
            ("FiVRK", _fi_auth, _fi_sign, _fi_member),
            ("Fo", _fo_auth, _org_unit_sign("FO", serial_read_only=False), _fo_member),
            ("Is", _is_auth, _org_unit_sign("IS", serial_read_only=True), _is_member),
            ("SkKlass3", _ee_auth, _ee_sign, _ee_member),
            ("SkEsteId", _no_fields, _no_fields, _person),
        )
    )
}

PROFILE_NAMES = tuple(_PROFILES)
