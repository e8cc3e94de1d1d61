"""TLS on each side of running servers: versions, suites, and whose certificates are known."""

import socket
import ssl
import subprocess
import sys
import time

import httpx
import pytest

from ecosystem.letters import path_to
from ecosystem.plan import KIOSK, police_declaration
from ecosystem.soap_cases.credentials import self_signed
from ports import free_port

REFERENCE_SUITES = (
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES256-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
)
OTHER_SUITES = ("AES256-SHA256", "AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "CAMELLIA256-SHA256")


def shaken(address, port, credential=None, versions=None, suites=None):
    """What a handshake comes to: version and suite; raises ssl.SSLError where there is none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if versions:
        context.minimum_version, context.maximum_version = versions
    if suites:
        context.set_ciphers(f"{suites}:@SECLEVEL=0")
    if credential:
        context.load_cert_chain(*credential)
    with (
        socket.create_connection((address, port), timeout=60) as plain,
        context.wrap_socket(plain) as wrapped,
    ):
        return wrapped.version(), wrapped.cipher()[0]


V12 = (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2)
V13 = (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_3)
V11 = (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1)


@pytest.fixture(scope="module")
def to_health(devnet, tmp_path_factory):
    """Shake hands with the health server's port for security servers."""
    files = devnet.files_of(devnet.held.auth, tmp_path_factory.mktemp("auth"))

    def shake(versions=None, suites=None):
        health = devnet.health
        return shaken(health.plan.address, health.ports.server, files, versions, suites)

    return shake


@pytest.mark.feature("PX-27")
def test_security_servers_speak_tls_1_3_where_both_can(to_health):
    assert to_health()[0] == "TLSv1.3"


@pytest.mark.feature("PX-27")
def test_a_security_server_is_reached_by_suites_of_the_reference(to_health):
    reached = []
    for suite in REFERENCE_SUITES:
        try:
            reached.append(to_health(V12, suite)[1])
        except ssl.SSLError:
            continue
    # The key of the devnet's certificate is elliptic: suites of RSA keys are not for it.
    assert reached == ["ECDHE-ECDSA-AES256-SHA384"]


@pytest.mark.feature("PX-27")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_a_security_server_speaks_no_older_version(to_health):
    with pytest.raises(ssl.SSLError):
        to_health(V11, "ALL")


@pytest.mark.feature("PX-27")
@pytest.mark.parametrize("suite", OTHER_SUITES)
def test_a_security_server_speaks_no_other_suite(to_health, suite):
    with pytest.raises(ssl.SSLError):
        to_health(V12, suite)


def started(home, *lines, http_port=0):
    """A security server of these proxy settings, and its HTTPS port for information systems."""
    port = free_port()
    home.mkdir(mode=0o700)
    settings = home / "sild.toml"
    own = (
        f"client-https-port = {port}",
        f"client-http-port = {http_port}",
        'connector-host = "127.0.0.1"',
    )
    settings.write_text("\n".join(("[listeners]", "api-port = 0", "[proxy]", *own, *lines)))
    settings.chmod(0o600)
    command = (sys.executable, "-m", "sild", "security-server", "--home", str(home))
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    return process, port


def until_shaken(port):
    """What a handshake comes to once the server listens."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return shaken("127.0.0.1", port)
        except ConnectionError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.feature("IS-01")
def test_the_port_without_tls_can_be_closed(tmp_path):
    http_port = free_port()
    process, port = started(tmp_path / "home", "serve-plain-http = false", http_port=http_port)
    try:
        until_shaken(port)
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", http_port), timeout=60)
    finally:
        process.terminate()
        assert process.wait(120) == 0


@pytest.mark.feature("PX-27")
def test_versions_and_suites_of_information_systems_are_settings(tmp_path):
    process, port = started(
        tmp_path / "home",
        'client-tls-protocols = "TLSv1.2"',
        'client-tls-ciphers = "ECDHE-RSA-AES256-GCM-SHA384,ECDHE-ECDSA-AES256-GCM-SHA384"',
    )
    try:
        version, suite = until_shaken(port)
        assert version == "TLSv1.2"
        assert suite.endswith("AES256-GCM-SHA384")
        for refused in ({"versions": V13}, {"versions": V12, "suites": "AES128"}):
            with pytest.raises(ssl.SSLError):
                shaken("127.0.0.1", port, **refused)
    finally:
        process.terminate()
        assert process.wait(120) == 0


@pytest.mark.feature("PX-27")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('client-tls-protocols = "SSLv3"', "client-tls-protocols is 'SSLv3'"),
        ('tls-protocols = "TLSv1.2,TLSv1.1"', "tls-protocols is 'TLSv1.2,TLSv1.1'"),
        ('tls-ciphers = "NONE-SUCH"', "tls-ciphers is 'NONE-SUCH'"),
    ],
)
def test_a_server_does_not_start_with_tls_that_it_cannot_speak(tmp_path, line, said):
    settings = tmp_path / "sild.toml"
    settings.write_text(f"[proxy]\n{line}\n")
    settings.chmod(0o600)
    command = (sys.executable, "-m", "sild", "security-server", "--check", "--home", str(tmp_path))
    ended = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert ended.returncode == 2
    assert said in ended.stderr


# Whose certificates are known


def calling_as(devnet, *credential):
    """Call by HTTPS, as the kiosk, with a certificate and its key."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*credential)
    with httpx.Client(verify=context, trust_env=False, timeout=120) as http:
        url = devnet.police.https_url + path_to("open")
        return http.get(url, headers={"X-Road-Client": KIOSK.short})


@pytest.fixture
def kiosk(devnet, tmp_path):
    """Call with the certificate of the kiosk's information system."""
    files = devnet.files_of(devnet.kiosk, tmp_path)
    return lambda: calling_as(devnet, *files)


@pytest.fixture
def declare(devnet):
    """Let another certificate be that of the kiosk, until the test ends."""

    async def declared(certificate):
        await devnet.police.control.declare(police_declaration(devnet.recorder.url, certificate))
        await devnet.refresh()

    yield lambda certificate: devnet.run(declared(certificate))
    devnet.run(declared(devnet.kiosk.certificate.der))


@pytest.mark.feature("IS-02")
def test_a_certificate_counts_from_when_it_is_added_until_it_is_taken_away(devnet, kiosk, declare):
    known, other = devnet.kiosk.certificate.der, devnet.papers.signing(KIOSK.member).certificate.der
    assert kiosk().status_code == 200
    declare(other)
    refused = kiosk()
    assert refused.headers["X-Road-Error"] == "server.clientproxy.ssl_authentication_failed"
    declare(known)
    assert kiosk().status_code == 200


@pytest.mark.feature("PX-22")
def test_that_a_certificate_has_ended_counts_only_where_that_is_set(devnet, declare, tmp_path):
    ended = self_signed("ended", devnet.police.plan.address, ended=True)
    declare(ended.certificate.der)
    assert calling_as(devnet, *devnet.files_of(ended, tmp_path)).status_code == 200


@pytest.mark.feature("PX-22")
def test_the_certificate_of_the_server_itself_speaks_for_its_clients(devnet):
    assert calling_as(devnet, devnet.police.layout.internal_tls).status_code == 200


@pytest.mark.feature("PX-30")
def test_the_log_names_the_certificate_that_an_information_system_shows(devnet, kiosk):
    subject = devnet.kiosk.certificate.x509.subject.rfc4514_string()
    assert kiosk().status_code == 200
    logs = "".join(path.read_text() for path in devnet.police.layout.home.rglob("*.log"))
    assert f"a request for {KIOSK} came from" in logs
    assert f"with {subject}" in logs.replace('\\"', '"')
