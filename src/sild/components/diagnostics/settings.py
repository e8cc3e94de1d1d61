"""The settings of diagnostics, of the health check and of metrics."""

from dataclasses import dataclass
from typing import Annotated

from sild.runtime.settings import Between


@dataclass(frozen=True, slots=True)
class DiagnosticsSettings:
    """What counts as trouble."""

    memory_usage_threshold: Annotated[int, Between(0, 100)] = 0
    """From how many percent of the machine's memory on the message path uses too much; 0: never."""
    connection_test_seconds: Annotated[float, Between(1, 600)] = 60.0
    """How long a test of a connection may take."""


@dataclass(frozen=True, slots=True)
class HealthSettings:
    """Where a load balancer asks whether this server serves, and what it looks at then."""

    listen_address: str = "0.0.0.0"  # noqa: S104 - balancers are elsewhere; it tells no secret
    """Where the health check listens."""
    port: Annotated[int, Between(0, 65535)] = 0
    """The port of the health check; 0: there is none."""
    hsm_health_check_enabled: bool = False
    """Whether the server is unhealthy while a hardware token is away or logged out."""
    check_seconds: Annotated[float, Between(0.1, 60)] = 5.0
    """How long one look may take before it counts as failed."""
    healthy_seconds: Annotated[float, Between(0, 3600)] = 2.0
    """For how long a good answer is given again without looking."""
    unhealthy_seconds: Annotated[float, Between(0, 3600)] = 30.0
    """The same of a bad answer."""


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """Where Prometheus asks for numbers."""

    listen_address: str = "127.0.0.1"
    """Where metrics are told; they name members and services' outcomes, though no content."""
    port: Annotated[int, Between(0, 65535)] = 0
    """The port of `/metrics`; 0: there is none."""
