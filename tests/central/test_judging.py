"""What a registration is judged by: whom the instance trusts now, whoever signed what it published.

What is published says the same a moment later. Meanwhile a key may sign that did not then, and
what the database has may not be signed at all.
"""

import shutil
from dataclasses import replace

import pytest

from central.nodes import (
    OPERATOR,
    SECONDS,
    found,
    make_authorities,
    node_at,
    registration_of,
    running,
    topology_at,
)
from ecosystem.processes import until
from sild.apiclient.errors import ApiError
from sild.apiclient.values import ApiKey

ADDRESS = "127.0.80.1"
KEYS = "/configuration-sources/INTERNAL/signing-keys"


def directory_of(node):
    """What is published, signed."""
    return (node.layout.published / "V6" / "internalconf").read_bytes()


class Registrar:
    """Registers servers at a node, as the carrier of the management services does."""

    def __init__(self, node, authorities, client):
        self.node = node
        self.authorities = authorities
        self.client = client

    async def register(self, code):
        body = registration_of(f"{OPERATOR.encoded}:{code}", self.authorities, "ss.example.org")
        return (await self.client.call("POST", "/management-requests", json=body)).json


@pytest.fixture
async def registrar(tmp_path, anyio_backend):
    """A node that has published, and will not for an hour, whatever is changed."""
    node = node_at(tmp_path, ADDRESS, {"center": {"generate-on-change": False}})
    authorities = make_authorities(topology_at(ADDRESS))
    async with running(node):
        await found(node, authorities)
        await node.kill()
        before = directory_of(node)
        node.plan = replace(node.plan, generation=3600.0)
        await node.start_again()
        await until(lambda: directory_of(node) != before, SECONDS, "the one round of the hour")
        made = await node.ask("POST", "/api-keys", ["XROAD_MANAGEMENT_SERVICE"])
        services = node.client_with(ApiKey(made["key"]))
        try:
            yield Registrar(node, authorities, services)
        finally:
            await services.close()


@pytest.mark.feature("CR-02")
async def test_a_key_that_signs_only_from_the_next_round_on_changes_nothing(registrar):
    node = registrar.node
    published = directory_of(node)
    (token,) = await node.ask("GET", "/tokens")
    keys = token["configuration_signing_keys"]
    (old,) = (key for key in keys if key["source_type"] == "INTERNAL")
    new = await node.ask("POST", KEYS, {"token_id": "0", "key_label": "next"})
    await node.ask("PUT", f"/signing-keys/{new['id']}/activate")
    await node.ask("DELETE", f"/signing-keys/{old['id']}")
    assert (await registrar.register("NEW"))["status"] == "WAITING"
    assert directory_of(node) == published


@pytest.mark.feature("CR-09")
async def test_who_is_not_approved_any_more_is_not_until_the_next_round_either(registrar):
    node = registrar.node
    published = directory_of(node)
    assert (await registrar.register("FIRST"))["status"] == "WAITING"
    (service,) = await node.ask("GET", "/certification-services")
    await node.ask("DELETE", f"/certification-services/{service['id']}")
    with pytest.raises(ApiError) as refused:
        await registrar.register("SECOND")
    assert refused.value.code == "management_request_invalid_auth_certificate"
    assert "not issued by a certification service approved in DEV" in str(refused.value)
    assert directory_of(node) == published


@pytest.mark.feature("CR-09")
async def test_nothing_is_registered_once_nothing_is_published(registrar):
    shutil.rmtree(registrar.node.layout.published)
    with pytest.raises(ApiError) as refused:
        await registrar.register("NEW")
    assert (refused.value.status, refused.value.code) == (409, "global_conf_outdated")
