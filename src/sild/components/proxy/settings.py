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
    """How long one connection to another security server may take, and TLS on it."""
    answer_seconds: float = 300.0
    """How long a provider's server may take until its answer begins."""
    silence_seconds: float = 30.0
    """The longest silence within a message, of information systems and security servers."""
    slow_seconds: float = 60.0
    """In each such span in which it is waited for, one who sends or reads must move a little:"""
    slow_bytes: int = 600
    """this much a security server or service,"""
    client_slow_bytes: int = 6000
    """this much an information system."""
    ocsp_connect_seconds: float = 20.0
    ocsp_read_seconds: float = 30.0
    route_memory_seconds: float = 3600.0
    """How long the fastest of several provider servers is remembered."""
    pool_total_max_connections: int = 10000
    """Connections to other security servers, and as many to services of one time-out."""
    pool_total_default_max_connections_per_route: int = 2500
    """How many of them may lead to one server."""
    pool_enable_connection_reuse: bool = True
    """Whether a connection to another security server serves more than one message."""
    client_idle_connection_monitor_seconds: float = 30.0
    """How long a connection that nobody uses is kept."""
    service_idle_connection_seconds: float = 4.0
    """The same of connections to services, many of which close theirs after five seconds."""
    client_connector_initial_idle_seconds: float = 30.0
    """How long an information system that has connected may take to say what it wants."""
    client_connector_max_idle_seconds: float = 60.0
    """How long its connection is kept between its requests."""
    server_connector_initial_idle_seconds: float = 30.0
    """The same of other security servers."""
    server_connector_max_idle_seconds: float = 60.0
    server_support_clients_pooled_connections: bool = True
    """Whether other security servers may send more than one message over a connection."""
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
class AntiDosSettings:
    """What a worker serves at a time, and who goes first when that is not enough."""

    enabled: bool = True
    """Whether newcomers are weighed; else they wait in the kernel until there is a place."""
    max_parallel_connections: int = 5000
    """How many connections each listener serves at a time."""
    min_free_file_handles: int = 100
    """With fewer than so many left, no connection is accepted."""
    largest_share: float = 0.8
    """The part of all places that one address may have, and so may all unknown ones together."""
    max_waiting_connections: int = 1000
    """How many connections may wait for a place, the known before the unknown."""
    waiting_seconds: float = 10.0
    """How long one may wait."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the listeners came to listen; port 0 in the settings means any free one."""

    client_http: int
    client_https: int
    server: int
    ocsp: int
