"""The migrations of the message log."""

from pathlib import Path

from sild.runtime.migrations import Migrations

MIGRATIONS = Migrations("messagelog", Path(__file__).parent / "migrations")
