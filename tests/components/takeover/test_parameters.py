"""Parameters become settings where they mean the same, and are told of where they do not."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.components.takeover.devices import read_devices
from sild.components.takeover.errors import BackupUnreadable
from sild.components.takeover.findings import FindingKind
from sild.components.takeover.inifile import merged, read_ini
from sild.components.takeover.parameters import read_parameters


def read(section, **parameters):
    return read_parameters(
        {(section, name.replace("_", "-")): value for name, value in parameters.items()}
    )


def settings(section, **parameters):
    found = read(section, **parameters).settings
    return {(each.section, each.name): each.value for each in found}


@pytest.mark.parametrize(
    ("section", "name", "value", "expected"),
    [
        ("proxy", "client-http-port", "80", ("proxy", "client-http-port", 80)),
        ("proxy", "client-timeout", "30000", ("proxy", "connect-seconds", 30.0)),
        ("proxy", "server-listen-address", "192.0.2.1", ("proxy", "listen-address", "192.0.2.1")),
        ("proxy", "log-client-cert", "TRUE", ("proxy", "log-client-cert", True)),
        ("proxy", "health-check-port", "5588", ("health", "port", 5588)),
        ("signer", "ocsp-retry-delay", "90", ("ocsp", "ocsp-retry-delay", 90.0)),
        ("message-log", "soap-body-logging", "false", ("message-log", "message-body-logging", False)),
        (
            *("configuration-client", "proxy-configuration-backup-cron", "0 0 4 * * ?"),
            ("backup", "backup-cron", "0 0 4 * * ?"),
        ),
        (
            *("message-log", "disabled-body-logging-local-producer-subsystems"),
            *("A/B/C/D/, E/F/G/H",),
            (
                *("message-log", "disabled-body-logging-local-producer-subsystems"),
                ["A/B/C/D", "E/F/G/H"],
            ),
        ),
        (
            *("proxy-ui-api", "request-size-limit-binary-upload", "20MB"),
            ("admin-api", "request-size-limit-binary-upload", 20 * 1024**2),
        ),
    ],
)  # fmt: skip
def test_a_parameter_becomes_the_setting_that_it_is(section, name, value, expected):
    found = read_parameters({(section, name): value})
    assert found.findings == ()
    assert [(each.section, each.name, each.value) for each in found.settings] == [expected]
    assert found.settings[0].was == f"[{section}] {name}"


def test_suites_have_the_names_of_openssl():
    suites = (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_DHE_RSA_WITH_AES_256_CBC_SHA256,"
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_AES_256_GCM_SHA384,"
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"
    )
    assert settings("proxy", client_tls_ciphers=suites) == {
        ("proxy", "client-tls-ciphers"): "ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-SHA256:"
        "ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-CHACHA20-POLY1305"
    }


def test_keys_are_made_of_the_kind_that_was_said():
    names = [("signer", f"{use}-key-algorithm") for use in ("signing", "authentication")]
    assert settings("signer", key_length="3072") == dict.fromkeys(names, "RSA-3072")
    found = read_parameters(
        {
            ("signer", "key-length"): "3072",
            ("proxy-ui-api", "authentication-key-algorithm"): "EC",
            ("proxy-ui-api", "signing-key-algorithm"): "RSA",
        }
    )
    assert [each.value for each in found.settings] == ["RSA-3072", "EC-P256"]


def test_one_port_is_for_listening_and_for_calling():
    assert settings("proxy", server_listen_port="5501") == {("proxy", "server-port"): 5501}
    found = read("proxy", server_listen_port="5501", server_port="5500")
    assert [each.value for each in found.settings] == [5500]
    assert found.findings[0].kind is FindingKind.LOST


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("message-log", "archive-encryption-enabled", "true"),
        ("message-log", "messagelog-encryption-enabled", "true"),
        ("proxy", "ssl-enabled", "false"),
    ],
)
def test_protection_that_cannot_come_over_is_lost_and_not_dropped(section, name, value):
    found = read_parameters({(section, name): value})
    assert found.settings == ()
    assert [each.kind for each in found.findings] == [FindingKind.LOST]
    usual = {"true": "false", "false": "true"}[value]
    assert read_parameters({(section, name): usual}).findings == ()


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("proxy", "client-http-port", "eighty"),
        ("proxy", "log-client-cert", "perhaps"),
        ("proxy", "client-httpclient-timeout", "0"),
        ("proxy", "client-tls-ciphers", "TLS_RSA_WITH_RC4_128_MD5"),
        ("proxy", "xroad-tls-ciphers", "TLS_AES_128_GCM_SHA256"),
        ("proxy", "jetty-clientproxy-configuration-file", "/etc/xroad/jetty/clientproxy.xml"),
        ("proxy", "grpc-port", "5567"),
        ("proxy", "backup-encryption-keyids", "ABCD"),
        ("signer", "key-named-curve", "secp384r1"),
        ("anti-dos", "max-cpu-load", "1.1"),
        ("message-log", "archive-gpg-home-directory", "/etc/xroad/gpghome"),
        ("proxy-ui-api", "acme-renewal-active", "true"),
        ("proxy-ui-api", "request-size-limit-regular", "1 parsec"),
        ("op-monitor", "buffer-size", "1"),
        ("odd", "thing", "1"),
    ],
)
def test_what_is_no_setting_is_told(section, name, value):
    found = read_parameters({(section, name): value})
    assert found.settings == ()
    (finding,) = found.findings
    assert finding.kind is FindingKind.NOTE
    assert name in finding.what


def test_passwords_are_not_told():
    found = read("message-log", messagelog_keystore_password="hush")
    assert "hush" not in str(found.findings)


def test_later_files_override_earlier_ones():
    first = read_ini("a", b"; comment\n[proxy]\nclient-http-port=80 \n# more\nconnector-host = x\n")
    second = read_ini("b", b"\xef\xbb\xbf[proxy]\nclient-http-port = 8080\nodd\n[empty]\n")
    assert merged([first, second]) == {
        ("proxy", "client-http-port"): "8080",
        ("proxy", "connector-host"): "x",
        ("proxy", "odd"): "",
    }


@pytest.mark.parametrize("content", [b"no section = 1", b"\xff\xfe", b"[a\nb = 1"])
def test_what_is_no_ini_file_is_refused(content):
    with pytest.raises(BackupUnreadable, match="local"):
        read_ini("local.ini", content)


@given(st.binary(max_size=300))
def test_any_file_gives_settings_or_a_refusal(content):
    with contextlib.suppress(BackupUnreadable):
        parameters = read_ini("x", b"[proxy]\n" + content)
        read_parameters(parameters)
        read_devices(parameters)


def test_devices_are_described_by_the_names_of_here():
    taken = read_devices(
        read_ini(
            "devices.ini",
            b"[softToken]\nenabled = true\n"
            b"[hsm]\nlibrary = /usr/lib/x.so\nsign_mechanism = CKM_RSA_PKCS_PSS\n"
            b"os_locking_ok = true\nslot_ids = 1, 2\nodd = 3\npub_key_attribute_wrap = maybe\n"
            b"priv_key_attribute_allowed_mechanisms = CKM_RSA_PKCS,CKM_ECDSA\n",
        )
    )
    assert taken.devices == {
        "hsm": {
            "library": "/usr/lib/x.so",
            "rsa-sign-mechanism": "CKM_RSA_PKCS_PSS",
            "os-locking-ok": True,
            "slot-ids": ["1", "2"],
            "priv-key-attribute-allowed-mechanisms": ["CKM_RSA_PKCS", "CKM_ECDSA"],
        }
    }
    assert len(taken.findings) == 2
