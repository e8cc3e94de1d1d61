"""The proxy's settings, named as the reference names its `[proxy]` parameters."""

from dataclasses import dataclass
from pathlib import Path

_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Addresses, ports and limits of the message path."""

    connector_host: str = "0.0.0.0"  # noqa: S104 - the reference's default; one setting binds it
    """Where information systems connect."""
    client_http_port: int = 8080
    serve_plain_http: bool = True
    """Whether information systems may connect without TLS, where their client's type lets them."""
    client_https_port: int = 8443
    listen_address: str = "0.0.0.0"  # noqa: S104 - other security servers come from anywhere
    """Where other security servers connect."""
    server_port: int = 5500
    """Where this server listens to others, and where it expects them to listen."""
    ocsp_responder_port: int = 5577
    connect_seconds: float = 30.0
    """How long one connection to another security server may take."""
    answer_seconds: float = 300.0
    """How long a provider's server may take until its answer begins."""
    ocsp_connect_seconds: float = 20.0
    ocsp_read_seconds: float = 30.0
    route_memory_seconds: float = 3600.0
    """How long the fastest of several provider servers is remembered."""
    pooled_connections_per_target: int = 2500
    server_min_supported_client_version: str = ""
    """The oldest calling security server that is served; empty for any."""
    batch_limit: int = 16
    """How many messages one signature may cover; more than 16 hardly save anything."""
    verify_client_cert: bool = True
    """Whether the connection type of a client is enforced."""
    enforce_client_is_cert_validity_period_check: bool = False
    """Whether the certificate that an information system shows must be in its validity period."""
    memory_body_bytes: int = 65536
    """Bodies above this rest on disk while their signature is awaited."""
    spool_limit_bytes: int = 64 * 1024 * _MIB
    """What all resting bodies together, and so each of them, may take of a worker's disk."""
    parallel_limit: int = 5000
    """How many connections each listener serves at a time."""
    exchange_log: Path | None = None
    """A file that receives one JSON line per exchange with its steps and their durations."""
    tls_ciphers: str = ":".join(  # noqa: FLY002 - one suite a line
        (
            "ECDHE-RSA-AES256-GCM-SHA384",
            "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-AES256-SHA384",
            "DHE-RSA-AES256-SHA256",
            "ECDHE-ECDSA-AES256-SHA384",
        )
    )
    """TLS 1.2 suites between servers, by colons or commas; the reference offers the last three."""
    tls_protocols: str = "TLSv1.2,TLSv1.3"
    """Versions between servers; without TLSv1.2 no server of the reference can be reached."""
    client_tls_ciphers: str = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:!aNULL"
    """TLS 1.2 suites with information systems, consumers and services."""
    client_tls_protocols: str = "TLSv1.2,TLSv1.3"
    """Versions with information systems."""
    log_client_cert: bool = False
    """Whether the log names the certificate that an information system shows with each request."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the listeners came to listen; port 0 in the settings means any free one."""

    client_http: int
    client_https: int
    server: int
    ocsp: int
