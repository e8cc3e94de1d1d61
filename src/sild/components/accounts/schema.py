"""The migrations of accounts."""

from pathlib import Path

from sild.runtime.migrations import Migrations

MIGRATIONS = Migrations("accounts", Path(__file__).parent / "migrations")
