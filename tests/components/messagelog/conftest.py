"""The engines that the store's contract holds on."""

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, tmp_path):
    """What `keeping` keeps in, below the test's directory."""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres")
        (tmp_path / "database-url").write_text(server.new_database())
    return request.param
