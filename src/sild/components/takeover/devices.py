"""The old server's PKCS #11 devices, devices.ini, as devices.toml names them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sild.components.takeover.findings import Finding, note
from sild.components.takeover.inifile import Parameters
from sild.components.takeover.parameters import Value

_SOFTWARE = "softToken"
_TRUTHS = frozenset(
    {"enabled", "library-cant-create-os-threads", "os-locking-ok", "sign-verify-pin"}
    | {"batch-signing-enabled", "read-only"}
    | {
        f"pub-key-attribute-{name}"
        for name in ("encrypt", "verify", "verify-recover", "wrap", "trusted")
    }
    | {
        f"priv-key-attribute-{name}"
        for name in (
            *("sensitive", "decrypt", "sign", "sign-recover", "unwrap", "extractable"),
            "wrap-with-trusted",
        )
    }
)
_LISTS = frozenset(
    {
        "slot-ids",
        "pub-key-attribute-allowed-mechanisms",
        "priv-key-attribute-allowed-mechanisms",
    }
)
_TEXTS = frozenset({"library", "token-id-format", "rsa-sign-mechanism", "ec-sign-mechanism"})
_RENAMED = {"sign-mechanism": "rsa-sign-mechanism"}


@dataclass(frozen=True, slots=True)
class TakenDevices:
    """The parameters of each device by its name; `findings` say which are left."""

    devices: Mapping[str, Mapping[str, Value]]
    findings: tuple[Finding, ...]


def read_devices(parameters: Parameters) -> TakenDevices:
    """The devices that the file describes."""
    devices: dict[str, dict[str, Value]] = {}
    findings: list[Finding] = []
    for (device, written), text in parameters.items():
        if device == _SOFTWARE:
            continue
        name = written.replace("_", "-")
        name = _RENAMED.get(name, name)
        value = _value(name, text)
        if value is None:
            what = f"parameter {written} = {text[:100]} of device {device}"
            findings.append(note(what, "there is no such setting here"))
        else:
            devices.setdefault(device, {})[name] = value
    return TakenDevices(devices, tuple(findings))


def _value(name: str, text: str) -> Value | None:
    if name in _TRUTHS and text.lower() in {"true", "false"}:
        return text.lower() == "true"
    if name in _LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text if name in _TEXTS else None
