"""What may be said of a trust service: everything here is published to all servers."""

import ipaddress
import re
import unicodedata
from urllib.parse import urlsplit

from sild.components.centralserver.trust_errors import (
    InvalidCertificateFile,
    InvalidIpAddress,
    InvalidText,
    InvalidUrl,
    UnknownProfile,
)
from sild.components.centralserver.trust_values import ServiceSettings
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.names import find_attribute
from sild.protocol.pki.profiles import PROFILE_NAMES

_LONGEST_TEXT = 255
_LONGEST_HOST = 253
_HOST_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?")


def check_settings(settings: ServiceSettings) -> None:
    """Refuse settings of a certification service that cannot be published."""
    if settings.profile not in PROFILE_NAMES:
        raise UnknownProfile(
            f"there is no certificate profile {settings.profile!r}", settings.profile
        )
    if settings.acme_directory_url:
        check_url(settings.acme_directory_url)
    if settings.acme_ip_addresses:
        _check_ip_addresses(settings.acme_ip_addresses)
    _check_text("the profile id of authentication", settings.acme_authentication_profile)
    _check_text("the profile id of signing", settings.acme_signing_profile)


def check_url(url: str) -> None:
    """Refuse what is no http or https address; an internationalised host is one."""
    if len(url) > _LONGEST_TEXT or not _is_plain(url) or any(map(str.isspace, url)):
        raise InvalidUrl(f"an address has at most {_LONGEST_TEXT} characters and no blanks")
    if not url.startswith(("http://", "https://")):
        raise InvalidUrl(f"{url!r} is not an http or https address")
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").encode("idna").decode("ascii")
        is_address = parts.port != 0 and parts.username is None and not parts.fragment
    except ValueError:
        raise InvalidUrl(f"{url!r} is not an address") from None
    if not is_address or not _is_host(host):
        raise InvalidUrl(f"{url!r} is not an address of a host")


def get_name(certificate: Certificate) -> str:
    """The subject's common name, by which a trust service is known; raises a BadRequest."""
    try:
        name = find_attribute(certificate.subject_der, "CN")
    except IncorrectCertificate as error:
        raise InvalidCertificateFile(error.message) from None
    if not name or len(name) > _LONGEST_TEXT or not _is_plain(name):
        raise InvalidCertificateFile("the certificate's subject has no common name to publish")
    return name


def _check_ip_addresses(text: str) -> None:
    _check_text("the list of IP addresses", text)
    for address in text.split(","):
        try:
            ipaddress.ip_address(address.strip())
        except ValueError:
            raise InvalidIpAddress(f"{address.strip()!r} is no IP address") from None


def _check_text(what: str, text: str) -> None:
    if len(text) > _LONGEST_TEXT or not _is_plain(text):
        raise InvalidText(
            f"{what} has at most {_LONGEST_TEXT} characters, and no control characters"
        )


def _is_plain(text: str) -> bool:
    # The letter C stands for control and format characters, surrogates and what is unassigned,
    # of which XML and readers of logs can do without.
    return not any(unicodedata.category(character).startswith("C") for character in text)


def _is_host(host: str) -> bool:
    labels = host.split(".")
    return len(host) <= _LONGEST_HOST and all(map(_HOST_LABEL.fullmatch, labels))
