"""The old server's parameters as settings of this one, as far as they mean the same.

The table is what is known; what it does not name is told to stay behind. Whether a value can be a
setting is for the settings themselves to say.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sild.components.takeover.findings import Finding, lost, note
from sild.components.takeover.inifile import Parameters

Value: TypeAlias = str | int | float | bool | list[str]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting by section and name, and the parameter that it was."""

    section: str
    name: str
    value: Value
    was: str


@dataclass(frozen=True, slots=True)
class TakenSettings:
    """All settings; `findings` say which parameters did not become any."""

    settings: tuple[Setting, ...]
    findings: tuple[Finding, ...]


class _Unfit(Exception):
    """Why a value cannot be a setting."""


def _text(value: str) -> str:
    return value


def _whole(value: str) -> int:
    if not re.fullmatch(r"-?\d{1,15}", value, re.ASCII):
        raise _Unfit(f"{value[:100]!r} is no whole number")
    return int(value)


def _truth(value: str) -> bool:
    if value.lower() not in {"true", "false"}:
        raise _Unfit(f"{value[:100]!r} is neither true nor false")
    return value.lower() == "true"


def _milliseconds(value: str) -> float:
    if not (number := _whole(value)):
        raise _Unfit("it was without a limit, which is no setting here")
    return number / 1000


def _seconds(value: str) -> float:
    return float(_whole(value))


def _names(value: str) -> list[str]:
    return [name for part in value.split(",") if (name := part.strip().rstrip("/"))]


def _size(value: str) -> int:
    found = re.fullmatch(r"(\d{1,12})(B|KB|MB|GB)?", value, re.ASCII)
    if found is None:
        raise _Unfit(f"{value[:100]!r} is no size")
    return int(found[1]) * {"KB": 1024, "MB": 1024**2, "GB": 1024**3}.get(found[2], 1)


_JAVA_SUITE = re.compile(r"TLS_(ECDHE|DHE)_(RSA|ECDSA)_WITH_AES_(128|256)_(GCM|CBC)_SHA(256|384)?")
_CHACHA_SUITE = re.compile(r"TLS_(ECDHE|DHE)_(RSA|ECDSA)_WITH_CHACHA20_POLY1305_SHA256")


def _suites(value: str) -> str:
    """OpenSSL's names of TLS 1.2 suites; those of 1.3 are always offered."""
    named = []
    for suite in _names(value):
        if found := _JAVA_SUITE.fullmatch(suite):
            exchange, signature, bits, mode, digest = found.groups()
            parts = (exchange, signature, f"AES{bits}", *(("GCM",) * (mode == "GCM")))
            named.append("-".join((*parts, f"SHA{digest or ''}")))
        elif found := _CHACHA_SUITE.fullmatch(suite):
            named.append(f"{found[1]}-{found[2]}-CHACHA20-POLY1305")
        elif not re.fullmatch(r"TLS_(AES|CHACHA20)_\w+", suite):
            raise _Unfit(f"the suite {suite[:100]!r} is not offered here")
    if not named:
        raise _Unfit("it names no suite of TLS 1.2")
    return ":".join(named)


@dataclass(frozen=True, slots=True)
class _Target:
    section: str
    name: str
    read: Callable[[str], Value]


def _same(section: str, names: Mapping[str, Callable[[str], Value]]) -> dict[str, _Target]:
    return {name: _Target(section, name, read) for name, read in names.items()}


_TABLE: Mapping[str, Mapping[str, _Target]] = {
    "proxy": {
        **_same(
            "proxy",
            {
                "connector-host": _text,
                "client-http-port": _whole,
                "client-https-port": _whole,
                "server-port": _whole,
                "ocsp-responder-port": _whole,
                "pool-total-max-connections": _whole,
                "pool-total-default-max-connections-per-route": _whole,
                "pool-enable-connection-reuse": _truth,
                "server-support-clients-pooled-connections": _truth,
                "server-min-supported-client-version": _text,
                "verify-client-cert": _truth,
                "enforce-client-is-cert-validity-period-check": _truth,
                "log-client-cert": _truth,
                "client-tls-protocols": _text,
                "client-tls-ciphers": _suites,
            },
        ),
        "xroad-tls-ciphers": _Target("proxy", "tls-ciphers", _suites),
        "server-listen-address": _Target("proxy", "listen-address", _text),
        "client-timeout": _Target("proxy", "connect-seconds", _milliseconds),
        "client-httpclient-timeout": _Target("proxy", "answer-seconds", _milliseconds),
        "ocsp-responder-client-connect-timeout": _Target(
            "proxy", "ocsp-connect-seconds", _milliseconds
        ),
        "ocsp-responder-client-read-timeout": _Target("proxy", "ocsp-read-seconds", _milliseconds),
        "client-connector-initial-idle-time": _Target(
            "proxy", "client-connector-initial-idle-seconds", _milliseconds
        ),
        "client-connector-max-idle-time": _Target(
            "proxy", "client-connector-max-idle-seconds", _milliseconds
        ),
        "server-connector-initial-idle-time": _Target(
            "proxy", "server-connector-initial-idle-seconds", _milliseconds
        ),
        "server-connector-max-idle-time": _Target(
            "proxy", "server-connector-max-idle-seconds", _milliseconds
        ),
        "client-idle-connection-monitor-timeout": _Target(
            "proxy", "client-idle-connection-monitor-seconds", _milliseconds
        ),
        "client-fastest-connecting-ssl-uri-cache-period": _Target(
            "proxy", "route-memory-seconds", _seconds
        ),
        "backup-encryption-enabled": _Target("backup", "backup-encryption-enabled", _truth),
        "health-check-port": _Target("health", "port", _whole),
        "health-check-interface": _Target("health", "listen-address", _text),
        "hsm-health-check-enabled": _Target("health", "hsm-health-check-enabled", _truth),
    },
    "anti-dos": _same(
        "anti-dos",
        {"enabled": _truth, "max-parallel-connections": _whole, "min-free-file-handles": _whole},
    ),
    "signer": {
        **_same("signer", {"enforce-token-pin-policy": _truth}),
        "module-manager-update-interval": _Target("signer", "module-scan-interval", _seconds),
        "ocsp-retry-delay": _Target("ocsp", "ocsp-retry-delay", _seconds),
        "ocsp-prioritization-strategy": _Target("ocsp", "ocsp-prioritization-strategy", _text),
    },
    "configuration-client": {
        **_same(
            "configuration-client",
            {
                "update-interval": _seconds,
                "allowed-federations": _text,
                "global-conf-tls-cert-verification": _truth,
                "global-conf-hostname-verification": _truth,
            },
        ),
        "downloader-connect-timeout": _Target(
            "configuration-client", "downloader-connect-timeout", _milliseconds
        ),
        "downloader-read-timeout": _Target(
            "configuration-client", "downloader-read-timeout", _milliseconds
        ),
        "proxy-configuration-backup-cron": _Target("backup", "backup-cron", _text),
    },
    "message-log": {
        **_same(
            "message-log",
            {
                "message-body-logging": _truth,
                "enabled-body-logging-local-producer-subsystems": _names,
                "enabled-body-logging-remote-producer-subsystems": _names,
                "disabled-body-logging-local-producer-subsystems": _names,
                "disabled-body-logging-remote-producer-subsystems": _names,
                "max-loggable-message-body-size": _whole,
                "truncated-body-allowed": _truth,
                "timestamp-immediately": _truth,
                "timestamp-records-limit": _whole,
                "timestamp-retry-delay": _seconds,
                "timestamping-prioritization-strategy": _text,
                "timestamper-client-connect-timeout": _whole,
                "timestamper-client-read-timeout": _whole,
                "acceptable-timestamp-failure-period": _whole,
                "keep-records-for": _whole,
                "clean-interval": _text,
                "clean-transaction-batch": _whole,
                "archive-interval": _text,
                "archive-max-filesize": _whole,
                "archive-transaction-batch": _whole,
                "archive-grouping": _text,
            },
        ),
        "soap-body-logging": _Target("message-log", "message-body-logging", _truth),
    },
    "proxy-ui-api": {
        **_same(
            "admin-api",
            {
                "allowed-hostnames": _names,
                "regular-api-whitelist": _names,
                "key-management-api-whitelist": _names,
                "rate-limit-requests-per-second": _whole,
                "rate-limit-requests-per-minute": _whole,
                "rate-limit-cache-size": _whole,
                "request-size-limit-regular": _size,
                "request-size-limit-binary-upload": _size,
                "strict-identifier-checks": _truth,
            },
        ),
        "auto-update-timestamp-service-url": _Target(
            "message-log", "auto-update-timestamp-service-url", _truth
        ),
        "allow-csr-for-key-with-certificate": _Target(
            "signer", "allow-csr-for-key-with-certificate", _truth
        ),
        "automatic-activate-auth-certificate": _Target(
            "signer", "automatic-activate-auth-certificate", _truth
        ),
        "wsdl-validator-command": _Target("services", "wsdl-validator-command", _text),
        "reserved-service-codes": _Target("services", "reserved-service-codes", _names),
    },
}

# What the old server had in use and this one cannot have without something that is not there.
_NEEDED: Mapping[tuple[str, str], str] = {
    ("message-log", "archive-encryption-enabled"): (
        "the OpenPGP keys of archives are in no backup: set up [message-log] archive-* anew"
    ),
    ("message-log", "messagelog-encryption-enabled"): (
        "the key store is in no backup: set up [message-log] messagelog-* anew"
    ),
    ("proxy", "ssl-enabled"): "security servers speak TLS with each other, always",
}
_ENABLED_BY_DEFAULT = frozenset({("proxy", "ssl-enabled")})

_REASONS: tuple[tuple[str, str], ...] = (
    (r"message-log\.(archive|messagelog)-.*", "it is set up anew, with what it names"),
    (r"proxy\.backup-encryption-keyids", "give the keys to backup import-key, then name them"),
    (r"proxy-ui-api\.(acme|mail|.*notification).*", "it is set up anew, with its accounts"),
    (
        r".*\.([a-z-]*-)?(path|pathname|file|properties|keystore.*|truststore.*)",
        "a place of before",
    ),
    (r".*\.(grpc-.*|admin-port|port)", "it is about the processes of the old server"),
    (r"(proxy|proxy-ui-api)\..*(cache|jetty|so-linger|memory|heap).*", "it is about Java"),
    (r"anti-dos\.max-(cpu-load|heap-usage)", "it is about Java"),
    (r"(env-monitor|op-monitor.*|common)\..*", "it is about parts that have settings of their own"),
)


def read_parameters(parameters: Parameters) -> TakenSettings:
    """What the parameters are as settings."""
    settings: dict[tuple[str, str], Setting] = {}
    findings: list[Finding] = []
    left = dict(parameters)
    for each in _key_settings(left, findings):
        settings[each.section, each.name] = each
    _compare_ports(left, findings)
    for (section, name), value in left.items():
        was = f"[{section}] {name}"
        target = _TABLE.get(section, {}).get(name)
        if target is None:
            findings.extend(_left_behind(section, name, value))
            continue
        try:
            made = Setting(target.section, target.name, target.read(value), was)
            settings[target.section, target.name] = made
        except _Unfit as error:
            findings.append(note(f"parameter {was} = {value[:200]}", str(error)))
    return TakenSettings(tuple(settings.values()), tuple(findings))


def _left_behind(section: str, name: str, value: str) -> list[Finding]:
    needed = _NEEDED.get((section, name))
    if needed is not None:
        usual = "true" if (section, name) in _ENABLED_BY_DEFAULT else "false"
        was = f"parameter [{section}] {name} = {value[:200]}"
        return [] if value.lower() == usual else [lost(was, needed)]
    for pattern, why in _REASONS:
        if re.fullmatch(pattern, f"{section}.{name}"):
            return [note(f"parameter [{section}] {name}", why)]
    return [note(f"parameter [{section}] {name}", "there is no such setting here")]


def _key_settings(left: dict[tuple[str, str], str], findings: list[Finding]) -> list[Setting]:
    """Which keys are made where nothing is said, by algorithm and, for RSA, length."""
    length = left.pop(("signer", "key-length"), None)
    curve = left.pop(("signer", "key-named-curve"), None)
    if curve not in {None, "secp256r1"}:
        findings.append(note("parameter [signer] key-named-curve", f"{curve} is not made here"))
    made = []
    for purpose in ("signing", "authentication"):
        name = f"{purpose}-key-algorithm"
        algorithm = left.pop(("proxy-ui-api", name), None)
        if algorithm == "EC":
            made.append(Setting("signer", name, "EC-P256", f"[proxy-ui-api] {name}"))
        elif length is not None:
            made.append(Setting("signer", name, f"RSA-{length}", "[signer] key-length"))
    return made


def _compare_ports(left: dict[tuple[str, str], str], findings: list[Finding]) -> None:
    """One port is for both here: where others are called, and where they call."""
    listening = left.pop(("proxy", "server-listen-port"), None)
    if listening is None:
        return
    called = left.setdefault(("proxy", "server-port"), listening)
    if called != listening:
        findings.append(
            lost(
                f"parameter [proxy] server-listen-port = {listening[:20]}",
                f"this server listens where it expects others to, at server-port = {called[:20]}",
            )
        )
