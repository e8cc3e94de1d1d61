"""The registry with the real management requests."""

import pytest

from components.centralserver.registry_builder import (
    CERTIFICATE,
    PORTAL,
    SERVER,
    SUBSYSTEM,
    registered,
)
from components.centralserver.request_builders import Requested
from pki_builder import TestCa
from sild.components.centralserver.paging import Page
from sild.components.centralserver.registered_servers import RegisteredServers
from sild.components.centralserver.registry import Registry
from sild.components.centralserver.request_values import RequestFilter
from sild.model.registration import Origin
from sild.protocol.management.requests import AuthCertDeletion, ClientDeletion

pytestmark = pytest.mark.anyio


@pytest.fixture
async def made(database):
    return await registered(database)


@pytest.fixture
def requests(made):
    return Requested(made, TestCa.create()).requests


async def _left(requests):
    found = await requests.find(RequestFilter(), Page())
    return [(saved.request, saved.origin, saved.comments) for saved in reversed(found.items)]


async def test_a_removed_server_leaves_requests_that_outlive_it(made, requests):
    await RegisteredServers(made.database, made.clock, requests).remove(SERVER)
    comments = "SERVER:DEV/GOV/M1/SS1 deletion"
    assert sorted(await _left(requests), key=str) == sorted(
        [
            (ClientDeletion(SERVER, SUBSYSTEM), Origin.CENTER, comments),
            (ClientDeletion(SERVER, PORTAL), Origin.CENTER, comments),
            (AuthCertDeletion(SERVER, CERTIFICATE), Origin.CENTER, comments),
        ],
        key=str,
    )
    assert (await made.contents()).servers == ()


async def test_an_unregistered_client_leaves_one_request(made, requests):
    registry = Registry(made.database, made.clock, requests)
    await registry.unregister(PORTAL, SERVER)
    assert await _left(requests) == [(ClientDeletion(SERVER, PORTAL), Origin.CENTER, None)]
    assert (await made.contents()).servers[0].server.clients == (SUBSYSTEM,)


async def test_a_removed_certificate_leaves_one_request(made, requests):
    servers = RegisteredServers(made.database, made.clock, requests)
    (certificate,) = await servers.auth_certificates_of(SERVER)
    await servers.remove_auth_certificate(SERVER, certificate.id)
    assert await _left(requests) == [(AuthCertDeletion(SERVER, CERTIFICATE), Origin.CENTER, None)]
    assert (await made.contents()).servers[0].auth_certificates == ()
