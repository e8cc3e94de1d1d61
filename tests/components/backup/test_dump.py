import importlib
import json
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Numeric, Table, insert

import sild.components
from components.backup.builders import (
    ITEM,
    METADATA,
    PERSON,
    contents,
    fill,
    make_tables,
)
from sild.components.backup.dump import (
    SavedDatabase,
    check_can_be_saved,
    dump_database,
    load_database,
)
from sild.components.backup.errors import BackupFailed, BackupRefused
from sild.runtime.database import Database

pytestmark = pytest.mark.anyio


@pytest.fixture
async def saved(database):
    await make_tables(database)
    return SavedDatabase("registry", database, (METADATA,))


async def load(saved, folder):
    async with saved.database.transaction() as connection:
        await load_database(connection, saved, folder)


async def load_and_fail(saved, folder):
    async with saved.database.transaction() as connection:
        await load_database(connection, saved, folder)
        raise ZeroDivisionError


async def test_tables_come_back_as_they_were(saved, tmp_path):
    await fill(saved.database)
    before = await contents(saved.database)
    await dump_database(saved, tmp_path / "dump")
    await fill(saved.database, [(1, "Other", None)], [])
    await load(saved, tmp_path / "dump")
    assert await contents(saved.database) == before


async def test_more_rows_than_fit_into_one_batch_come_back(saved, tmp_path):
    people = [(1, "Boss", None), *((n, f"P{n}", 1) for n in range(2, 1300))]
    async with saved.database.transaction() as connection:
        await connection.execute(
            insert(PERSON), [{"id": i, "name": n, "boss_id": b} for i, n, b in people]
        )
    await dump_database(saved, tmp_path / "dump")
    await fill(saved.database)
    await load(saved, tmp_path / "dump")
    assert (await contents(saved.database))[0] == sorted(people)


async def test_rows_that_are_added_later_get_new_numbers(saved, tmp_path):
    await fill(saved.database)
    await dump_database(saved, tmp_path / "dump")
    await fill(saved.database, [], [])
    await load(saved, tmp_path / "dump")
    async with saved.database.transaction() as connection:
        added = await connection.execute(insert(PERSON).values(name="New"))
    assert added.inserted_primary_key[0] > 9


async def test_a_row_may_have_the_number_zero(saved, tmp_path):
    await fill(saved.database, [(0, "Zero", None)], [])
    await dump_database(saved, tmp_path / "dump")
    before = await contents(saved.database)
    await load(saved, tmp_path / "dump")
    assert await contents(saved.database) == before
    async with saved.database.transaction() as connection:
        added = await connection.execute(insert(PERSON).values(name="First"))
    assert added.inserted_primary_key[0] == 1


async def test_a_load_that_is_rolled_back_leaves_the_numbers_of_rows_that_come(saved, tmp_path):
    await dump_database(saved, tmp_path / "dump")
    async with saved.database.transaction() as connection:
        for name in ("First", "Second"):
            await connection.execute(insert(PERSON).values(name=name))
    with pytest.raises(ZeroDivisionError):
        await load_and_fail(saved, tmp_path / "dump")
    async with saved.database.transaction() as connection:
        added = await connection.execute(insert(PERSON).values(name="Third"))
    assert added.inserted_primary_key[0] == 3


async def test_rows_are_numbered_from_one_in_an_empty_table(saved, tmp_path):
    await dump_database(saved, tmp_path / "dump")
    await load(saved, tmp_path / "dump")
    async with saved.database.transaction() as connection:
        added = await connection.execute(insert(PERSON).values(name="First"))
    assert added.inserted_primary_key[0] == 1


@pytest.mark.parametrize("there_first", ["sqlite", "postgresql"])
async def test_a_dump_of_one_engine_is_loaded_into_the_other(tmp_path, postgres, there_first):
    urls = {
        "sqlite": f"sqlite:///{tmp_path / 'one' / 'x.db'}",
        "postgresql": postgres.new_database(),
    }
    first, second = (urls.pop(there_first), *urls.values())
    async with Database.open(first) as source, Database.open(second) as target:
        for each in (source, target):
            await make_tables(each)
        await fill(source)
        await fill(target, [(1, "Other", None)], [])
        await dump_database(SavedDatabase("r", source, (METADATA,)), tmp_path / "dump")
        await load(SavedDatabase("r", target, (METADATA,)), tmp_path / "dump")
        assert await contents(target) == await contents(source)
        async with target.transaction() as connection:
            added = await connection.execute(insert(PERSON).values(name="New"))
        assert added.inserted_primary_key[0] > 9


async def test_a_table_that_came_later_is_empty_after_an_older_backup(saved, tmp_path):
    await fill(saved.database)
    await dump_database(saved, tmp_path / "dump")
    (tmp_path / "dump" / "item.jsonl").unlink()
    await load(saved, tmp_path / "dump")
    assert (await contents(saved.database))[1] == []


def rewrite(folder, table, columns, *rows):
    lines = [columns, *rows]
    (folder / f"{table}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


async def test_a_column_that_came_later_is_blank_if_it_can_be(saved, tmp_path):
    await dump_database(saved, tmp_path / "dump")
    rewrite(tmp_path / "dump", "person", ["id", "name"], [1, "a"])
    await load(saved, tmp_path / "dump")
    assert (await contents(saved.database))[0] == [(1, "a", None)]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("person", [["id"], [1]]),
        ("person", [["id", "name", "shoe_size"], [1, "a", 3]]),
        ("person", [["id", "name", "name"], [1, "a", "b"]]),
        ("person", [["id", "name"], [1]]),
        ("person", [["id", "name"], [1, "a", 2]]),
        ("person", [["id", "name"], ["1", "a"]]),
        ("person", [["id", "name"], [True, "a"]]),
        ("person", [["id", "name"], [1, None]]),
        ("person", [["id", "name"], [1, "a"], [1, "b"]]),
        ("person", [["id", "name"], [2**70, "a"]]),
        ("person", [["id", "name", "boss_id"], [1, "a", 5]]),
        ("person", [{"id": 1}]),
        ("item", [["id", "owner_id", "note", "hidden"], [1, 77, "x", False]]),
        ("item", [["id", "owner_id", "note", "hidden", "content"], [1, 1, "x", False, "%"]]),
        ("item", [["id", "owner_id", "note", "hidden", "made"], [1, 1, "x", False, "now"]]),
        ("item", [["id", "owner_id", "note", "hidden", "made"], [1, 1, "x", False, "2026-01-01"]]),
        ("stranger", [["id"], [1]]),
    ],
)
async def test_what_does_not_fit_is_refused_and_changes_nothing(saved, tmp_path, table, lines):
    await fill(saved.database)
    before = await contents(saved.database)
    folder = tmp_path / "dump"
    folder.mkdir()
    rewrite(folder, "person", ["id", "name"], [1, "a"])
    rewrite(folder, table, *lines)
    with pytest.raises(BackupRefused):
        await load(saved, folder)
    assert await contents(saved.database) == before


@pytest.mark.parametrize("content", [b"", b"[", b'["id","name"]', b'["id","name"]\n[1,"a"]'])
async def test_a_table_that_is_cut_short_is_refused(saved, tmp_path, content):
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "person.jsonl").write_bytes(content)
    with pytest.raises(BackupRefused):
        await load(saved, tmp_path / "dump")


async def test_a_column_that_cannot_be_saved_is_refused(tmp_path):
    metadata = MetaData()
    Table("odd", metadata, Column("id", Integer, primary_key=True), Column("n", Numeric))
    async with Database.open(f"sqlite:///{tmp_path / 'x' / 'x.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(metadata.create_all)
        with pytest.raises(BackupFailed):
            await dump_database(SavedDatabase("r", database, (metadata,)), tmp_path / "dump")


def test_items_come_after_the_people_that_they_point_to():
    assert list(SavedDatabase("r", None, (METADATA,)).tables) == [PERSON, ITEM]


def test_every_table_of_the_servers_can_be_saved():
    components = Path(sild.components.__path__[0])
    found = {}
    for path in components.glob("*/*tables.py"):
        module = importlib.import_module(f"sild.components.{path.parent.name}.{path.stem}")
        for value in vars(module).values():
            if isinstance(value, MetaData):
                found |= {(path.parent.name, table.name): table for table in value.tables.values()}
    assert {"centralserver", "accounts", "serverconf"} <= {component for component, _ in found}
    for table in found.values():
        check_can_be_saved(table)
