"""What is spoken between security servers, and with information systems, by their settings."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pki_builder import TestCa
from sild.components.proxy.settings import ProxySettings
from sild.model.snapshot import AuthenticationCertificate
from sild.runtime.clock import SystemClock
from sild.servers.handshakes import SignerForHandshakes
from sild.servers.server_tls import ServerTls

AUTH = TestCa.create().issue_auth()
KEY = AUTH.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
ANY = ProxySettings()


def tls_by(settings):
    """The TLS of a server that has its certificate."""
    tls = ServerTls(settings, SignerForHandshakes(Path("/nowhere"), SystemClock()))
    tls.use(AuthenticationCertificate("key", AUTH.certificate.der, (), ()), KEY)
    return tls


def shaken(consumer, provider):
    """The version and suite that two servers of these settings come to, or the error."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = tls_by(consumer).client().wrap_bio(to_client, to_server, server_hostname="a")
    context = tls_by(provider).listening.current
    server = context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(6):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return type(error)
    return client.version(), client.cipher()[0]


def test_without_settings_it_is_the_newest_version():
    assert shaken(ANY, ANY)[0] == "TLSv1.3"


@pytest.mark.parametrize("version", ["TLSv1.2", "TLSv1.3"])
def test_each_server_speaks_no_version_but_those_of_its_settings(version):
    (other,) = {"TLSv1.2", "TLSv1.3"} - {version}
    # The same setting for information systems says nothing of security servers.
    one = ProxySettings(tls_protocols=version, client_tls_protocols=other)
    assert shaken(one, ANY)[0] == shaken(ANY, one)[0] == version
    another = ProxySettings(tls_protocols=other)
    assert shaken(one, another) is ssl.SSLError or issubclass(shaken(one, another), ssl.SSLError)


def test_each_server_speaks_no_suite_but_those_of_its_settings():
    # The first is none that information systems are offered.
    for suite in ("ECDHE-ECDSA-AES256-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"):
        one = ProxySettings(tls_protocols="TLSv1.2", tls_ciphers=suite)
        assert shaken(one, ANY) == shaken(ANY, one) == ("TLSv1.2", suite)
