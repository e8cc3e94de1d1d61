"""A publisher that is killed at any moment: what is published can always be used."""

import asyncio
import random
import subprocess
import sys
import time
from pathlib import Path

from components.centralserver.source_builders import EXTERNAL, INTERNAL, Central
from components.centralserver.test_publish import MEMBER, register
from sild.components.centralserver.metadata import METADATA
from sild.components.centralserver.registry_rows import RegistryRows
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.globalconf.directory import read_directory, verify_directory
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database

KILLS = 3
RUN = f"""
import sys
sys.path[:0] = {sys.path!r}
from components.centralserver.test_publish_kills import publish_and_publish
publish_and_publish(*sys.argv[1:])
"""


def publish_and_publish(path, name):
    """Publishes something new again and again, until killed."""
    asyncio.run(_publish(Path(path), name))


async def _publish(path, name):
    async with Database.open(f"sqlite:///{path / name / 'central.db'}") as database:
        async with database.migrating() as connection:
            await connection.run_sync(METADATA.create_all)
        central = await Central(database, path / "public").initialize()
        await central.add_keys()
        await register(central)
        for kind in (INTERNAL, EXTERNAL):
            file = await central.sources.anchors.file(kind)
            (path / f"{name}-{kind.value}").write_bytes(file.document)
        for number in range(10_000):
            async with database.transaction() as connection:
                rows = RegistryRows(connection, central.clock.now())
                await rows.add_subsystem(MEMBER.subsystem(f"{name}-{number}"), "x" * 100)
            await central.publisher.publish()
            (path / "rounds").open("a").write(f"{name}\n")


def certificates_of(path, kind):
    return [
        certificate
        for file in path.glob(f"*-{kind.value}")
        for certificate in read_anchor(file.read_bytes()).certificates
    ]


def check(path):
    """Every directory is whole, signed, and names parts that are there."""
    public = path / "public"
    for version in (2, 3, 4, 5, 6):
        for kind in (INTERNAL, EXTERNAL):
            document = (public / f"V{version}" / kind.directory).read_bytes()
            directory = verify_directory(
                read_directory(document), certificates_of(path, kind), SystemClock().now()
            )
            assert directory.parts
            for part in directory.parts:
                assert part.is_of((public / part.location.removeprefix("/")).read_bytes())


def wait_for_rounds(path, name, count, process):
    rounds = path / "rounds"
    for _ in range(12_000):
        if rounds.exists() and rounds.read_text().split().count(name) >= count:
            return
        assert process.poll() is None
        time.sleep(0.01)
    raise AssertionError("nothing is published")


def test_a_publisher_that_is_killed_leaves_valid_configuration(tmp_path):
    chance = random.Random(5)
    for number in range(KILLS):
        name = f"publisher{number}"
        process = subprocess.Popen([sys.executable, "-c", RUN, str(tmp_path), name])
        try:
            wait_for_rounds(tmp_path, name, 2, process)
            time.sleep(chance.uniform(0, 0.2))
        finally:
            process.kill()
            process.wait()
        check(tmp_path)
