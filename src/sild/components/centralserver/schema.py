"""The Central Server's database as a whole: the tables of every area, and its migrations."""

from pathlib import Path

from sqlalchemy import MetaData

from sild.components.centralserver import (
    registry_tables,
    request_tables,
    source_tables,
    system_tables,
    trust_tables,
)
from sild.components.centralserver.metadata import METADATA
from sild.runtime.migrations import Migrations

AREAS = (registry_tables, request_tables, source_tables, system_tables, trust_tables)

TABLES: MetaData = METADATA
"""Every table; without the modules above it would know only those that somebody has imported."""

MIGRATIONS = Migrations("centralserver", Path(__file__).parent / "migrations")
