"""The process that holds the keys: it signs, and speaks to nobody outside this host."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from sild.components.signer.autologin import Autologin
from sild.components.signer.certificates import Certificates
from sild.components.signer.devices import read_devices
from sild.components.signer.errors import TokenUnavailable
from sild.components.signer.rpc import serve_control, serve_workers
from sild.components.signer.settings import SignerSettings
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConfStore
from sild.components.signer.tokens import Devices, Pins, Tokens
from sild.runtime.clock import Clock, SystemClock
from sild.runtime.files import make_private_directory
from sild.runtime.schedule import Period, Schedule


class SignerPlaces(Protocol):
    """Where a server keeps what concerns its signer."""

    @property
    def devices_file(self) -> Path: ...  # noqa: D102 - as in the layout of each server
    @property
    def keys(self) -> Path: ...  # noqa: D102
    @property
    def signer_socket(self) -> Path: ...  # noqa: D102
    @property
    def signer_admin_socket(self) -> Path: ...  # noqa: D102


class PinSettings(Protocol):
    """What a server's own section says of PINs."""

    @property
    def token_pin_file(self) -> Path | None: ...  # noqa: D102


class SignerProcessSettings(Protocol):
    """What a server's settings say of its signer."""

    @property
    def server(self) -> PinSettings: ...  # noqa: D102
    @property
    def signer(self) -> SignerSettings: ...  # noqa: D102


async def run_signer(
    places: SignerPlaces, settings: SignerProcessSettings, pins: Pins | None = None
) -> None:
    """The signer's main coroutine; `pins` outlive it."""
    clock = SystemClock()
    make_private_directory(places.keys)
    store = KeyConfStore(places.keys / "keyconf")
    token = SoftToken(places.keys / "softtoken", clock, settings.signer)
    tokens = Tokens(token, store, settings.signer, _devices(places, settings.signer, clock), pins)
    certificates = Certificates(tokens, store, clock, settings.signer)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    await tokens.enter_kept_pins()
    wanted = settings.signer
    autologin = Autologin(
        tokens,
        replace(wanted, autologin_file=wanted.autologin_file or settings.server.token_pin_file),
        os.environ,
        clock,
    )
    waiting = autologin.waits_for_program or await autologin.attempt()
    workers = await serve_workers(places.signer_socket, tokens)
    control = await serve_control(places.signer_admin_socket, tokens, certificates)
    schedule = Schedule(clock)
    times = settings.signer
    period = Period(
        times.module_scan_interval, times.module_retry_interval, expected=(TokenUnavailable,)
    )
    schedule.every("tokens", period, tokens.scan)
    try:
        async with asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(schedule.run())]
            if waiting:
                working.append(tasks.create_task(autologin.run()))
            await stopping.wait()
            for task in working:
                task.cancel()
    finally:
        await workers.close()
        await control.close()
        await tokens.close()


def _devices(places: SignerPlaces, settings: SignerSettings, clock: Clock) -> Devices | None:
    """The hardware that the server has, if any; raises SettingsError."""
    devices = read_devices(settings.devices_file or places.devices_file)
    if not devices:
        return None
    from sild.components.signer.pkcs11_modules import HardwareTokens  # noqa: PLC0415 - few have any

    return HardwareTokens(devices, clock)
