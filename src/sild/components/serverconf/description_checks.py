"""What a description may not have in common with the others of its client, nor say at all."""

from collections.abc import Collection, Iterable

from sild.components.serverconf.described import DescribedService
from sild.components.serverconf.errors import ServiceExists
from sild.components.serverconf.rows import Description
from sild.components.serverconf.service_errors import (
    DescriptionUrlExists,
    InvalidWsdlIdentifier,
    MalformedUrl,
    ReservedServiceCode,
    ServiceCodeExists,
    WsdlExists,
)
from sild.model.services import (
    RESERVED_SERVICE_CODES,
    InvalidConfiguration,
    Service,
    ServiceType,
    check_base_path,
    check_code,
    check_url,
)

_MOST_TOLD = 100


def check_address(kind: ServiceType, url: str) -> None:
    """Refuse an address that nothing can be fetched from, or no path added to."""
    try:
        if kind is ServiceType.REST:
            check_base_path(url)
        else:
            check_url(url)
    except InvalidConfiguration as error:
        raise MalformedUrl(error.message) from error


def check_url_free(kind: ServiceType, url: str, others: Iterable[Description]) -> None:
    """Refuse an address that another description has."""
    for other in others:
        if kind is ServiceType.WSDL:
            if other.url.lower() == url.lower():
                raise WsdlExists(f"another description of {other.provider} has the address {url}")
        elif other.url == url:
            message = f"another description of {other.provider} has the address {url}"
            raise DescriptionUrlExists(message, url)


def check_code_free(code: str, url: str, others: Iterable[Description]) -> None:
    """Refuse a code of a REST service that another description's service has, in any version."""
    if code.lower() in {taken.lower() for taken in _codes(others)}:
        raise ServiceCodeExists(f"there is a service {code!r} already", code, url)


def _codes(descriptions: Iterable[Description]) -> Iterable[str]:
    for description in descriptions:
        for service in description.services:
            yield service.id.service_code
            yield service.full_code


def check_services_free(services: Collection[Service], others: Iterable[Description]) -> None:
    """Refuse services of a WSDL that another description has, in the same version."""
    codes = {service.full_code.lower() for service in services}
    taken = [
        (service.full_code, other.url)
        for other in others
        for service in other.services
        if service.full_code.lower() in codes
    ]
    if taken:
        names = ", ".join(code for code, _ in taken)
        raise ServiceExists(
            f"there are services {names} already", *(text for pair in taken for text in pair)
        )


def check_not_reserved(codes: Iterable[str], reserved: Iterable[str]) -> None:
    """Refuse the codes of metaservices, and those that the settings reserve."""
    kept = RESERVED_SERVICE_CODES | frozenset(reserved)
    for code in codes:
        if code in kept:
            raise ReservedServiceCode(f"the service code {code!r} is reserved", code)


def check_identifiers(described: Iterable[DescribedService]) -> None:
    """Refuse names and versions of operations that no identifier can hold."""
    wrong = [
        text
        for each in described
        for text in (each.code, each.version)
        if text is not None and not _is_identifier(text)
    ]
    if wrong:
        message = f"no identifier can hold {', '.join(map(repr, wrong))[:500]}"
        raise InvalidWsdlIdentifier(message, *wrong[:_MOST_TOLD])


def _is_identifier(text: str) -> bool:
    try:
        check_code("the service code", text)
    except InvalidConfiguration:
        return False
    return True
