"""The old server's parameters written as the settings files of this one, each tried first."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_type_hints

from sild.components.signer.devices import read_devices
from sild.components.takeover.devices import TakenDevices
from sild.components.takeover.findings import Finding, lost, note
from sild.components.takeover.parameters import Setting, Value
from sild.runtime.files import write_private
from sild.runtime.settings import SettingsError, read_settings
from sild.servers.layout import Layout
from sild.servers.server_tls import information_system_policy, server_policy
from sild.servers.settings import SecurityServerSettings

_HEAD = "# Taken over from another server; what each setting was there stands behind it.\n"


@dataclass(slots=True)
class SettingsImport:
    """Writes settings, and keeps what is to be told."""

    layout: Layout
    findings: list[Finding] = field(default_factory=list)

    def put(self, settings: Iterable[Setting]) -> tuple[Setting, ...]:
        """Write those that can be settings here."""
        waiting = [each for each in settings if self._is_known(each)]
        taken: list[Setting] = []
        # One may need another, as lists of subsystems need bodies to be logged, or not to be.
        while waiting:
            refused = [each for each in waiting if not self._try(taken, each)]
            if len(refused) == len(waiting):
                break
            waiting = refused
        for each in waiting:
            problem = self._problem([*taken, each]) or ""
            self.findings.append(lost(f"parameter {each.was}", problem))
        self.layout.settings_file.unlink(missing_ok=True)
        if taken:
            write_private(self.layout.settings_file, _settings_file(taken))
        return tuple(taken)

    def put_devices(self, taken: TakenDevices) -> None:
        """Write the PKCS #11 devices that can be described here."""
        self.findings.extend(taken.findings)
        described: dict[str, Mapping[str, Value]] = {}
        for name, device in taken.devices.items():
            problem = self._device_problem({name: device})
            if problem is None:
                described[name] = device
            else:
                self.findings.append(lost(f"device {name}", problem))
        self.layout.devices_file.unlink(missing_ok=True)
        if described:
            write_private(self.layout.devices_file, _devices_file(described))

    def _is_known(self, setting: Setting) -> bool:
        sections = get_type_hints(SecurityServerSettings)
        section = sections.get(setting.section.replace("-", "_"))
        if section is not None and setting.name.replace("-", "_") in get_type_hints(section):
            return True
        self.findings.append(note(f"parameter {setting.was}", "there is no such setting here"))
        return False

    def _try(self, taken: list[Setting], setting: Setting) -> bool:
        if self._problem([*taken, setting]) is not None:
            return False
        taken.append(setting)
        return True

    def _problem(self, settings: Iterable[Setting]) -> str | None:
        write_private(self.layout.settings_file, _settings_file(settings))

        def read() -> None:
            found = read_settings(SecurityServerSettings, self.layout.settings_file, {})
            server_policy(found.proxy)
            information_system_policy(found.proxy)

        return self._told(read, self.layout.settings_file)

    def _device_problem(self, devices: Mapping[str, Mapping[str, Value]]) -> str | None:
        path = self.layout.devices_file
        write_private(path, _devices_file(devices))
        return self._told(lambda: read_devices(path), path)

    def _told(self, read: Callable[[], object], path: Path) -> str | None:
        try:
            read()
        except SettingsError as error:
            return error.problems[0].removeprefix(f"{path}: ")
        return None


def _settings_file(settings: Iterable[Setting]) -> bytes:
    sections: dict[str, list[str]] = defaultdict(list)
    for each in settings:
        sections[each.section].append(f"{each.name} = {_toml(each.value)}  # {each.was}")
    parts = ("\n".join([f"[{name}]", *lines, ""]) for name, lines in sections.items())
    return "\n".join([_HEAD, *parts]).encode()


def _devices_file(devices: Mapping[str, Mapping[str, Value]]) -> bytes:
    lines: list[str] = []
    for name, device in devices.items():
        lines += [f"[{_toml(name)}]", *(f"{key} = {_toml(each)}" for key, each in device.items())]
        lines.append("")
    return "\n".join(lines).encode()


def _toml(value: Value) -> str:
    return json.dumps(value, ensure_ascii=False)
