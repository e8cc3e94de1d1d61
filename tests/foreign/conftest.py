"""A published SOAP server as information system, and two security servers between it and zeep."""

import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from anyio.from_thread import start_blocking_portal

from foreign.plan import CLERK_SERVER, HOST, INTERVALS, TOPOLOGY, declarations
from ports import base_port, free_port
from scripted.ecosystem import ScriptedEcosystem
from sild.devnet.ecosystem import Plan

_ENVIRONMENT = Path(sys.prefix) / "foreign"
_PATIENCE_SECONDS = 120


@pytest.fixture(scope="package")
def provider_url(tmp_path_factory):
    """Where a SOAP server that is not of this project answers."""
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        pytest.skip(f"no {_ENVIRONMENT}: `make dev` makes it")
    port = free_port(HOST)
    url = f"http://{HOST}:{port}/soap"
    log = tmp_path_factory.mktemp("provider") / "log"
    script = Path(__file__).with_name("provider.py")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [python, "-I", script, HOST, str(port)], stdout=output, stderr=output
        )
    try:
        _wait_for(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(_PATIENCE_SECONDS)


def _wait_for(url, process, log):
    deadline = time.monotonic() + _PATIENCE_SECONDS
    with httpx.Client(trust_env=False, timeout=60) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                client.get(url, params={"wsdl": ""}).raise_for_status()
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
    pytest.fail(f"the provider did not start:\n{log.read_text()}")


@pytest.fixture(scope="package")
def road_url(tmp_path_factory, provider_url):
    """Where information systems of the clerk call, with a server between them and the register."""
    plan = Plan(TOPOLOGY, tmp_path_factory.mktemp("road"), base_port(), INTERVALS)
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(ScriptedEcosystem(plan)) as ecosystem,
    ):
        for server, declaration in declarations(provider_url).items():
            portal.call(ecosystem.servers[server].control.declare, declaration)
            portal.call(ecosystem.servers[server].worker.reload)
        yield ecosystem.servers[CLERK_SERVER].http_url
