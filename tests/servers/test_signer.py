"""The signer's process: the PIN that it enters by itself must be a secret."""

import asyncio
import logging
from dataclasses import replace

import pytest

from sild.components.signer.rpc import connect_control
from sild.components.signer.settings import SignerSettings
from sild.runtime.files import make_private_directory, write_private
from sild.runtime.rpc import RpcError
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings, ServerSection
from sild.servers.signer import run_signer

pytestmark = pytest.mark.anyio

PIN = "Secret-1234"


async def status_with(layout, settings):
    """Run the signer until it says how its token is; initialise the token where it is new."""
    signer = asyncio.create_task(run_signer(layout, settings))
    control = connect_control(layout.signer_admin_socket)
    try:
        for _ in range(6000):
            try:
                status = await control.token("0")
            except (RpcError, OSError):
                await asyncio.sleep(0.02)
                continue
            if not status.initialized:
                await control.initialize(PIN)
            return status
        raise AssertionError("the signer did not answer")
    finally:
        signer.cancel()
        await asyncio.gather(signer, return_exceptions=True)


@pytest.fixture
async def layout(tmp_path):
    layout = Layout(tmp_path)
    make_private_directory(layout.run)
    return layout


@pytest.mark.parametrize(("mode", "entered"), [(0o600, True), (0o440, True), (0o644, False)])
async def test_a_pin_is_entered_from_a_file_only_if_it_is_private(layout, caplog, mode, entered):
    path = layout.home / "token-pin"
    write_private(path, f"{PIN}\n".encode(), mode=mode)
    settings = SecurityServerSettings(
        server=ServerSection(token_pin_file=path), signer=SignerSettings(pin_rounds=1000)
    )
    without = replace(settings, server=ServerSection())
    assert not (await status_with(layout, without)).initialized
    with caplog.at_level(logging.ERROR):
        status = await status_with(layout, settings)
    assert status.initialized
    assert status.logged_in is entered
    assert ("chmod 600" in caplog.text) is not entered
    assert PIN not in caplog.text
