"""The process that holds the keys: it signs, and speaks to nobody outside this host."""

import asyncio
import logging
import signal
from pathlib import Path

from sild.components.signer.certificates import Certificates
from sild.components.signer.rpc import serve_control, serve_workers
from sild.components.signer.soft_token import SoftToken
from sild.components.signer.store import KeyConfStore
from sild.components.signer.tokens import Tokens
from sild.runtime.clock import SystemClock
from sild.runtime.files import FileNotPrivate, make_private_directory, read_private
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings

_LOG = logging.getLogger(__name__)
_PIN_LIMIT = 1024


async def run_signer(layout: Layout, settings: SecurityServerSettings) -> None:
    """The signer's main coroutine."""
    clock = SystemClock()
    make_private_directory(layout.keys)
    store = KeyConfStore(layout.keys / "keyconf")
    token = SoftToken(layout.keys / "softtoken", clock, settings.signer)
    tokens = Tokens(token, store, settings.signer)
    certificates = Certificates(tokens, store, clock)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopping.set)
    await _enter_pin(tokens, settings.server.token_pin_file)
    workers = await serve_workers(layout.signer_socket, tokens)
    control = await serve_control(layout.signer_admin_socket, tokens, certificates)
    try:
        await stopping.wait()
    finally:
        await workers.close()
        await control.close()
        tokens.close()


async def _enter_pin(tokens: Tokens, path: Path | None) -> None:
    """Log in with the PIN in the file, where one is set and the token has been initialised."""
    if path is None or not tokens.status().initialized:
        return
    try:
        pin = read_private(path, _PIN_LIMIT).decode("utf-8").strip()
        await tokens.login(pin)
    except FileNotPrivate as error:
        # Until its mode is put right, the PIN is entered by hand; and it should be another one.
        _LOG.error("the token's PIN is not entered from a file that is no secret: %s", error)
    except Exception:  # noqa: BLE001 - the signer still serves: the PIN can be entered by hand
        _LOG.exception("the token's PIN could not be entered from %s", path)
