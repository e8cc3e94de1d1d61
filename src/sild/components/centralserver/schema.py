"""The migrations of the Central Server's database."""

from pathlib import Path

from sild.runtime.migrations import Migrations

MIGRATIONS = Migrations("centralserver", Path(__file__).parent / "migrations")
