"""The migrations of the server's own configuration."""

from pathlib import Path

from sild.runtime.migrations import Migrations

MIGRATIONS = Migrations("serverconf", Path(__file__).parent / "migrations")
