"""Schemas that follow the code: Alembic revisions run from the program, a folder a component."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, MetaData

from sild.runtime.database import Database, DatabaseError

# ruff: noqa: PLC0415 - whoever has no schema to change does without Alembic: it takes long to
# import, and eleven megabytes

_VERSION_TABLE = "alembic_version_"


@dataclass(frozen=True, slots=True)
class Migrations:
    """A component's migrations: a folder of Alembic revisions, with a version table of its own."""

    component: str
    folder: Path

    @property
    def version_table(self) -> str:
        """Name the table that says which revisions were run."""
        return _VERSION_TABLE + self.component


async def migrate(database: Database, migrations: Migrations) -> None:
    """Run the component's revisions that were not run, all or none.

    Raises DatabaseError for a schema of a later release.
    """
    async with database.migrating() as connection:
        await connection.run_sync(_upgrade, migrations)


async def find_differences(database: Database, metadata: MetaData) -> list[Any]:
    """List what tells the schema from the metadata: a test holds migrations to the tables."""
    async with database.reading() as connection:
        return await connection.run_sync(_compare, metadata)


def _upgrade(connection: Connection, migrations: Migrations) -> None:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    folder = str(migrations.folder)
    script = ScriptDirectory(folder, version_locations=[folder])

    def revisions(revision: Any, _: MigrationContext) -> Any:
        return script._upgrade_revs("head", revision)  # noqa: SLF001 - what its own command does

    with EnvironmentContext(Config(), script, fn=revisions, destination_rev="head") as environment:
        environment.configure(connection=connection, version_table=migrations.version_table)
        try:
            environment.run_migrations()
        except CommandError as error:
            raise DatabaseError(
                f"the tables of {migrations.component} are of another release: {error}"
            ) from error


def _compare(connection: Connection, metadata: MetaData) -> list[Any]:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    context = MigrationContext.configure(
        connection,
        opts={
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _: (
                not (kind == "table" and str(name).startswith(_VERSION_TABLE))
            ),
        },
    )
    return list(compare_metadata(context, metadata))
