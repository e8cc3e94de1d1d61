"""Sources beside the signer that holds their keys, over its socket."""

import shutil
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from components.centralserver.source_builders import EC_KEYS, EXTERNAL, INTERNAL, Central
from components.centralserver.test_publish import downloaded, register
from components.signer.builders import PIN, opened
from sild.components.centralserver.source_errors import PinIncorrect, TokenActionNotPossible
from sild.components.centralserver.source_tokens import TokenAction
from sild.components.signer.rpc import connect_control, serve_control
from sild.model.tokens import TokenStatus
from sild.runtime.rpc import close_rpc

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def signer_of(folder):
    """A signer with a token that has a PIN, and who asks it."""
    signer = opened(folder / "signer")
    # A socket's path has no room for long names.
    place = Path(tempfile.mkdtemp(prefix="sild-"))
    served = await serve_control(place / "run" / "control", signer.tokens, signer.certificates)
    keys = connect_control(place / "run" / "control")
    try:
        await keys.initialize(PIN)
        yield keys
    finally:
        close_rpc(keys)
        await served.close()
        await signer.tokens.close()
        shutil.rmtree(place)


async def test_a_source_lives_with_the_keys_of_a_signer(database, tmp_path):
    async with signer_of(tmp_path) as keys:
        central = Central(database, tmp_path / "public", settings=EC_KEYS, keys=keys)
        await central.initialize()
        with pytest.raises(TokenActionNotPossible):
            await central.sources.add_key(INTERNAL, "0", "first")
        with pytest.raises(PinIncorrect) as caught:
            await central.sources.login.login("0", "Wrong-1234")
        assert caught.value.metadata == ("pin_incorrect",)
        view = await central.sources.login.login("0", PIN)
        assert view.token.status is TokenStatus.OK
        internal, external = await central.add_keys()
        await register(central)
        await central.publisher.publish()
        assert (await downloaded(central, INTERNAL)).instance == "DEV"
        assert (await downloaded(central, EXTERNAL)).instance == "DEV"
        second = (await central.sources.add_key(INTERNAL, "0", "second")).signing_key
        await central.sources.activate_key(second.key_id)
        await central.sources.delete_key(internal.key_id)
        await central.publisher.publish()
        assert (await downloaded(central, INTERNAL)).instance == "DEV"
        (view,) = await central.sources.tokens()
        shown = {each.key.id: each.key.label for each in view.keys}
        assert shown == {external.key_id: "external", second.key_id: "second"}
        assert TokenAction.LOGOUT in view.actions
        await central.sources.login.logout("0")
