"""Keys that sign global configuration, in a device: the signer never has them."""

import json

import pytest

from central.nodes import Client, found, node_at, running
from sild.runtime.fetch import Fetcher
from sild.runtime.files import make_private_directory
from softhsm import USER_PIN, SoftHsm

ADDRESS = "127.0.76.1"
KEYS = "/configuration-sources/INTERNAL/signing-keys"
ANCHOR = "/configuration-sources/INTERNAL/anchor/download"
PUBLISH = "/api/sild/v1/global-configuration"


@pytest.fixture
async def node(tmp_path, monkeypatch):
    """A node with a device, founded with keys of the software token."""
    hsm = SoftHsm(tmp_path / "device")
    for name, value in hsm.environment.items():
        monkeypatch.setenv(name, value)
    hsm.make_token("center")
    node = node_at(tmp_path, ADDRESS)
    make_private_directory(node.layout.home)
    wanted = {"token-id-format": '"{moduleType}{label}"', "slot-ids": f'["{hsm.slots["center"]}"]'}
    node.layout.devices_file.write_text(hsm.devices(**wanted))
    async with running(node):
        await found(node)
        yield node


async def device_of(node):
    (token,) = [each for each in await node.ask("GET", "/tokens") if each["id"] != "0"]
    return token


@pytest.mark.feature("CC-03")
async def test_configuration_is_signed_by_a_key_in_a_device(node, tmp_path):
    anchor = (await node.client.call("GET", ANCHOR)).content
    async with Fetcher() as fetcher:
        client = Client(tmp_path / "client", anchor, fetcher)
        await client.refresh()
        token = await device_of(node)
        assert (token["logged_in"], token["possible_actions"]) == (False, ["LOGIN"])
        await node.ask("PUT", f"/tokens/{token['id']}/login", {"password": USER_PIN})
        made = await node.ask("POST", KEYS, {"key_label": "in a device", "token_id": token["id"]})
        await node.ask("POST", PUBLISH)
        # Known before it signs, so that the client needs no other anchor.
        await client.refresh()
        await node.ask("PUT", f"/signing-keys/{made['id']}/activate")
        await node.ask("POST", PUBLISH)
        before = client.expires
        await client.refresh()
        assert client.expires >= before
        (kept,) = (await device_of(node))["configuration_signing_keys"]
        assert kept["active"]
        await node.ask("PUT", f"/tokens/{token['id']}/logout")
        alerts = await node.ask("GET", "/notifications/alerts")
        assert "token" in json.dumps(alerts), alerts
