"""The configuration client's settings, named as in the reference's `[configuration-client]`."""

from dataclasses import dataclass
from typing import Annotated

from sild.runtime.settings import Between


@dataclass(frozen=True, slots=True)
class ConfigurationClientSettings:
    """Times are in seconds."""

    update_interval: Annotated[float, Between(1)] = 60.0
    """How often the configuration is downloaded."""
    retry_interval: Annotated[float, Between(1)] = 60.0
    """How long after a download that no source gave it is tried again."""
    downloader_connect_timeout: Annotated[float, Between(0.1)] = 10.0
    downloader_read_timeout: Annotated[float, Between(0.1)] = 30.0
    """How long one file may take, once connected, to its last byte."""
    global_conf_tls_cert_verification: bool = True
    """Whether sources must prove themselves over HTTPS; what they give is signed either way."""
    global_conf_hostname_verification: bool = True
    allowed_federations: str = "none"
    """The instances to federate with, separated by commas; `all` or `none` of them."""
    minimum_global_configuration_version: Annotated[int, Between(2, 6)] = 2
    """Versions below this are not asked for; version 2 knows certificates by SHA-1 alone."""
