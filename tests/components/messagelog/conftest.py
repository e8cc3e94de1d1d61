"""The engines that the store's contract holds on."""

import pytest

from components.messagelog import builders


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request, monkeypatch):
    """What `keeping` keeps in; with PostgreSQL, a database for each path."""
    if request.param == "postgresql":
        server, urls = request.getfixturevalue("postgres"), {}

        def url_at(path):
            if path not in urls:
                urls[path] = server.new_database()
            return urls[path]

        monkeypatch.setattr(builders, "url_at", url_at)
    return request.param
