"""One ecosystem for all tests of this folder; it does not go on idling beside other folders."""

import httpx
import pytest

from ecosystem.running import Devnet


@pytest.fixture(scope="package")
def devnet(tmp_path_factory):
    """Two real security servers and one in the test's hands, with authorities and services."""
    running = Devnet(tmp_path_factory.mktemp("devnet"))
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="package")
def http(devnet):
    """An information system's HTTP client."""
    with httpx.Client(trust_env=False, timeout=120) as client:
        yield client
