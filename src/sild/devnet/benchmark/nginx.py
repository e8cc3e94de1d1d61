"""The comparison: client, HTTP, nginx, mutual TLS, nginx, HTTP, service; connections are kept."""

import asyncio
import contextlib
import shutil
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sild.devnet.benchmark.figures import CONSUMER, PROVIDER
from sild.devnet.benchmark.tls import Negotiated
from sild.devnet.credentials import generate_key
from sild.devnet.errors import DevnetError
from sild.devnet.serving import listen
from sild.model.tokens import KeyAlgorithm
from sild.runtime.clock import Clock
from sild.runtime.files import write_private

_PATIENCE_SECONDS = 60.0
_VALIDITY = timedelta(days=2)

# Nothing is rewritten, logged or kept on disk, and connections are kept: the cost of transport.
_CONFIGURATION = """\
daemon off;
worker_processes {workers};
pid {home}/nginx.pid;
error_log {home}/error.log warn;
{user}
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {home}/body;
    proxy_temp_path {home}/proxy;
    fastcgi_temp_path {home}/fastcgi;
    uwsgi_temp_path {home}/uwsgi;
    scgi_temp_path {home}/scgi;
    client_max_body_size 0;
    client_body_buffer_size 64k;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_read_timeout 300s;
    keepalive_requests 1000000000;
    ssl_protocols {version};
    {suite}
    ssl_session_tickets off;
    upstream next {{
        server {upstream};
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {host}:{port}{tls};
        {section}
    }}
}}
"""
_CLIENT_SIDE = """\
location / {{
            proxy_pass https://next;
            proxy_ssl_protocols {version};
            proxy_ssl_certificate {home}/a.pem;
            proxy_ssl_certificate_key {home}/a.pem;
            proxy_ssl_trusted_certificate {home}/b.crt;
            proxy_ssl_verify on;
            proxy_ssl_name {host};
        }}"""
_SERVER_SIDE = """\
ssl_certificate {home}/b.pem;
        ssl_certificate_key {home}/b.pem;
        ssl_client_certificate {home}/a.crt;
        ssl_verify_client on;
        location / {{ proxy_pass http://next; }}"""


def find_nginx() -> str | None:
    """The program, where it is installed."""
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class ChainPlan:
    """Where the chain stands and what it is like."""

    home: Path
    hosts: tuple[str, str]
    backend: str
    key: KeyAlgorithm
    tls: Negotiated
    workers: int


class NginxChain:
    """Two running nginx."""

    def __init__(self, plan: ChainPlan, ports: tuple[int, int]) -> None:
        self.host = plan.hosts[0]
        self.port, self._tls_port = ports
        self._plan = plan
        self._processes: dict[str, asyncio.subprocess.Process] = {}

    @classmethod
    async def start(cls, program: str, plan: ChainPlan, clock: Clock) -> Self:
        """Start both; raises DevnetError where they do not come up."""
        plan.home.mkdir(parents=True, exist_ok=True)
        for name, host in zip("ab", plan.hosts, strict=True):
            _make_identity(plan, name, host, clock)
        ports = (_free_port(plan.hosts[0]), _free_port(plan.hosts[1]))
        chain = cls(plan, ports)
        try:
            for server in (PROVIDER, CONSUMER):
                chain._processes[server] = await chain._start(program, server)
            await chain._up(plan.hosts[1], ports[1])
            await chain._up(plan.hosts[0], ports[0])
        except BaseException:
            await chain.close()
            raise
        return chain

    @property
    def pids(self) -> dict[str, int]:
        """The master process of each."""
        return {server: process.pid for server, process in self._processes.items()}

    @property
    def tls_address(self) -> tuple[str, int]:
        """Where the second listens to the first."""
        return self._plan.hosts[1], self._tls_port

    async def close(self) -> None:
        """Stop both."""
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()

    async def _start(self, program: str, server: str) -> asyncio.subprocess.Process:
        home = self._plan.home / server
        home.mkdir(exist_ok=True)
        path = home / "nginx.conf"
        path.write_text(self._configuration(server, home))
        return await asyncio.create_subprocess_exec(
            program,
            *("-c", str(path), "-p", str(home), "-e", str(home / "error.log")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )

    def _configuration(self, server: str, home: Path) -> str:
        plan, version = self._plan, self._plan.tls.version
        first = server == CONSUMER
        section = (_CLIENT_SIDE if first else _SERVER_SIDE).format(
            home=plan.home, host=plan.hosts[1], version=version
        )
        suite = f"ssl_ciphers {plan.tls.suite};"
        if version == "TLSv1.3":
            suite = f"ssl_conf_command Ciphersuites {plan.tls.suite};"
        return _CONFIGURATION.format(
            workers=plan.workers,
            home=home,
            user="user root;" if _is_root() else "",
            version=version,
            suite=suite,
            upstream=f"{plan.hosts[1]}:{self._tls_port}" if first else plan.backend,
            host=plan.hosts[0] if first else plan.hosts[1],
            port=self.port if first else self._tls_port,
            tls="" if first else " ssl",
            section=section,
        )

    async def _up(self, host: str, port: int) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _PATIENCE_SECONDS
        while loop.time() < deadline and all(
            process.returncode is None for process in self._processes.values()
        ):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(host, port)
                writer.close()
                return
            await asyncio.sleep(0.05)
        raise DevnetError(f"nginx does not listen; its log is in {self._plan.home}")


def _is_root() -> bool:
    return Path("/proc/self").stat().st_uid == 0


def _free_port(host: str) -> int:
    with listen(host, 0) as found:
        port: int = found.getsockname()[1]
        return port


def _make_identity(plan: ChainPlan, name: str, host: str, clock: Clock) -> None:
    """A key and a certificate that the other side is told to trust."""
    key, now = generate_key(plan.key), clock.now()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _VALIDITY)
        .not_valid_after(now + _VALIDITY)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host), x509.IPAddress(ip_address(host))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(plan.home / f"{name}.pem", private + certificate)
    write_private(plan.home / f"{name}.crt", certificate)
