"""The settings of an administration API, named as in the reference's `[admin-service]`."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from sild.runtime.settings import Between

_LARGEST = 1024 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class AdminApiSettings:
    """Who may ask, how often, and for how much; sizes are in bytes."""

    allowed_hostnames: tuple[str, ...] = ()
    """The host names that requests may be for; any, if there is none."""
    regular_api_whitelist: tuple[str, ...] = ("0.0.0.0/0", "::/0")
    """From which addresses API keys are accepted."""
    key_management_api_whitelist: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """From which addresses API keys are managed with a name and password."""
    rate_limit_enabled: bool = True
    """Whether there is a limit on how often one address asks."""
    rate_limit_requests_per_second: Annotated[int, Between(-1)] = 20
    """How often in a second; -1: no limit."""
    rate_limit_requests_per_minute: Annotated[int, Between(-1)] = 600
    """How often in a minute; -1: no limit."""
    rate_limit_cache_size: Annotated[int, Between(1)] = 10_000
    """How many addresses are remembered."""
    rate_limit_expire_after_access_minutes: Annotated[int, Between(1)] = 5
    """When an address that asks no more is forgotten."""
    request_size_limit_regular: Annotated[int, Between(1, _LARGEST)] = 50 * 1024
    """How large a request's body may be."""
    request_size_limit_binary_upload: Annotated[int, Between(1, _LARGEST)] = 10 * 1024 * 1024
    """How large it may be where files are uploaded."""
    strict_identifier_checks: bool = True
    """Whether new identifiers hold only letters and digits of ASCII and '()+,-.=?; otherwise only
    colons, semicolons, slashes, percent signs and control characters are refused."""
    audit_log: Path | None = None
    """The file of the audit log; without it, one of the server's own."""
    audit_syslog: str = ""
    """A log daemon that gets the audit log as well, over UDP: localhost:514."""

    def __post_init__(self) -> None:
        for networks in (self.regular_api_whitelist, self.key_management_api_whitelist):
            for network in networks:
                ipaddress.ip_network(network.strip(), strict=False)
        if self.audit_syslog:
            self.syslog_address()

    def syslog_address(self) -> tuple[str, int]:
        """Give host and port of the log daemon; raises ValueError."""
        host, _, port = self.audit_syslog.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise ValueError(
                f"{self.audit_syslog!r} is no address of a log daemon: write HOST:PORT"
            )
        return host.strip("[]"), int(port)
