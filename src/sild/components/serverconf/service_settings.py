"""The settings of service descriptions, some of them named as the reference names them."""

from dataclasses import dataclass
from typing import Annotated

from sild.runtime.settings import Between


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How descriptions of services are had, and what they may not say."""

    wsdl_validator_command: str = ""
    """A program that is given the address of a WSDL before it is used. What it prints is shown as
    warnings, which can be ignored; when it ends with anything but 0 the WSDL is refused."""
    wsdl_validator_timeout: Annotated[float, Between(1, 600)] = 60.0
    """How long that program may take, in seconds."""
    reserved_service_codes: tuple[str, ...] = ()
    """Codes that no service may have, besides those of the metaservices, which none can have."""
    description_timeout: Annotated[float, Between(1, 600)] = 30.0
    """How long the download of a description may take, in seconds."""
    largest_description: Annotated[int, Between(1024, 10 * 1024**2)] = 10 * 1024**2
    """How many bytes a description may have."""
