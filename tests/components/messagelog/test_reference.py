"""A log as the reference keeps it, in a real PostgreSQL, is taken over with all that proves it."""

import asyncio
import os
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace

import pytest

from components.messagelog.builders import (
    OWNER,
    STAMPED_AT,
    TRUST,
    TSA,
    keeping,
    records_of,
)
from protocol.pki.test_secretkeys import KEYS, PASSWORD, TODAY
from sild.components.messagelog.containers import write_record
from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.errors import EncryptionKeyNotFound, ReferenceLogUnreadable
from sild.components.messagelog.reference import Imported, ReferenceImport
from sild.components.serverconf.declaration import ServerDeclaration, apply_declaration
from sild.components.serverconf.store import ConfigurationStore
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.asic.container import read_container, with_signature_timestamp
from sild.protocol.asic.verify import verify_container
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.timestamp import read_timestamp_token, with_certificate
from sild.protocol.signature.hashchain import HashTree, Leaf
from sild.protocol.signature.names import SIGNATURES, TS_HASH_CHAIN
from sild.protocol.signature.verify import read_signature
from sild.runtime.clock import SystemClock
from sild.runtime.database import Database
from sild.servers.databases import migrate_databases, open_database
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings

pytestmark = pytest.mark.anyio

SCHEMA = """
CREATE TABLE logrecord (
    id bigint PRIMARY KEY, discriminator varchar(255) NOT NULL, time bigint, archived boolean,
    queryid varchar(255), message text, signature text, hashchain text, hashchainresult text,
    signaturehash text, timestamprecord bigint REFERENCES logrecord (id), timestamphashchain text,
    response boolean, "timestamp" text, memberclass varchar(255), membercode varchar(255),
    subsystemcode varchar(255), xrequestid varchar(255), keyid varchar(255), ciphermessage bytea
);
CREATE TABLE message_attachment (
    id bigserial PRIMARY KEY, logrecord_id bigint NOT NULL REFERENCES logrecord (id),
    attachment_no int NOT NULL, attachment oid NOT NULL, UNIQUE (logrecord_id, attachment_no)
);
"""
CIPHER = RecordCipher({"key1": bytes.fromhex(KEYS[TODAY]["key1"])}, "key1")
LARGE = os.urandom(2_500_000)
STAMP_OF_MANY, STAMP_OF_ONE = 90, 91


def quoted(value):
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(value)
        case bytes():
            return f"'\\x{value.hex()}'::bytea"
        case _:
            return "'" + value.replace("'", "''") + "'"


class Log:
    """The statements that fill a log."""

    def __init__(self):
        self.statements = [SCHEMA]

    def row(self, table, **values):
        names = ", ".join(f'"{name}"' for name in values)
        self.statements.append(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join(map(quoted, values.values()))});"
        )

    def stamp(self, number, token, result=None):
        self.row(
            "logrecord",
            id=number,
            discriminator="t",
            timestamp=b64encode(token).decode(),
            hashchainresult=result and result.decode(),
        )

    def message(self, number, record, *bodies, sealed=False, **more):
        values = {
            "id": number,
            "discriminator": "m",
            "time": record.time_ms,
            "archived": False,
            "queryid": record.query_id,
            "message": record.message.decode(),
            "signature": record.signature.decode(),
            "hashchain": record.hash_chain and record.hash_chain.decode(),
            "hashchainresult": record.hash_chain_result and record.hash_chain_result.decode(),
            "response": record.is_response,
            "memberclass": record.owner.member_class,
            "membercode": record.owner.member_code,
            "subsystemcode": record.owner.subsystem_code,
            "xrequestid": record.request_id,
        } | more
        seal = Seal("key1", number)
        if sealed:
            values["message"] = None
            values["ciphermessage"] = CIPHER.message(seal, record.message)
            values["keyid"] = "key1"
        self.row("logrecord", **values)
        for place, body in enumerate(bodies, 1):
            kept = CIPHER.attachment(seal, body, number=place) if sealed else body
            self.statements.append(
                "INSERT INTO message_attachment (logrecord_id, attachment_no, attachment) "
                f"VALUES ({number}, {place}, lo_from_bytea(0, {quoted(kept)}));"
            )


def token_over(data):
    """A token as the reference keeps it."""
    token = read_timestamp_token(TSA.token(data, at=STAMPED_AT))
    return with_certificate(token, TSA.signer.certificate)


def fill(*, with_several=False):
    """Two that share a time-stamp, one that has its own inside, one that waits; two are sealed."""
    (first,), (second,), (third,), (fourth,) = (
        [replace(record, query_id=name) for record in records_of(body)]
        for name, body in (("first", None), ("second", b"body"), ("third", LARGE), ("fourth", None))
    )
    log = Log()
    digests = [DigestAlgorithm.SHA512.digest(each.signature) for each in (first, second)]
    tree = HashTree([Leaf(((SIGNATURES, digest),)) for digest in digests], TS_HASH_CHAIN)
    log.stamp(STAMP_OF_MANY, token_over(tree.result_document()), tree.result_document())
    for number, (record, *bodies) in enumerate(((first,), (second, b"body"))):
        log.message(
            number + 1,
            record,
            *bodies,
            sealed=number == 1,
            archived=number == 0,
            timestamprecord=STAMP_OF_MANY,
            timestamphashchain=tree.chain_document(number).decode(),
        )
    own = token_over(read_signature(third.signature).value)
    log.stamp(STAMP_OF_ONE, own)
    inside = replace(third, signature=with_signature_timestamp(third.signature, own))
    log.message(7, inside, LARGE, sealed=True, timestamprecord=STAMP_OF_ONE)
    log.message(8, fourth)
    if with_several:
        log.message(9, fourth, b"one", b"two")
    return log


@pytest.fixture
def filled(postgres):
    """Fill a new database with a log; gives its address."""

    def make(log):
        url = postgres.new_database()
        postgres.sql(url, "\n".join(log.statements))
        return url

    return make


@pytest.fixture
def keys(tmp_path):
    path = tmp_path / "keys.p12"
    path.write_bytes(TODAY)
    return {"messagelog_keystore": path, "messagelog_keystore_password": PASSWORD}


async def take_over(kept, url, cipher=CIPHER):
    async with Database.open(url) as source:
        return await ReferenceImport(source, kept.store, cipher, "DEV").run()


async def check_taken(kept):
    first, second, third, fourth = await kept.records()
    assert [each.record.query_id for each in (first, second, third, fourth)] == [
        *("first", "second", "third", "fourth")
    ]
    assert [each.record.body for each in (first, second, third)] == [None, b"body", LARGE]
    for each in (first, second, third):
        assert each.record.owner == OWNER
        container = read_container(write_record(each, each.timestamp))
        report = verify_container(container, {"DEV": TRUST})
        assert report.timestamped_at == STAMPED_AT
        assert report.unverified == ()
    assert fourth.timestamp is None
    archived = await kept.rows("SELECT archived FROM messagelog_record ORDER BY id")
    assert [bool(row[0]) for row in archived] == [True, False, False, False]
    assert await kept.rows("SELECT count(*) FROM messagelog_timestamp") == [(2,)]


@pytest.mark.usefixtures("engine")
async def test_records_are_taken_over_once_with_all_that_proves_them(tmp_path, filled, keys):
    url = filled(fill())
    async with keeping(tmp_path, **keys) as kept:
        assert await take_over(kept, url) == Imported(4, ())
        await check_taken(kept)
        assert await take_over(kept, url) == Imported(0, ())
        assert await kept.store.count() == 4
        assert await kept.timestamping.stamp_waiting() == 1


async def test_what_came_meanwhile_is_taken_over_the_next_time(tmp_path, filled, postgres):
    log = fill()
    url = filled(log)
    async with keeping(tmp_path) as kept:
        await take_over(kept, url)
        later = Log()
        later.statements.clear()
        (record,) = records_of(None)
        for number in range(100, 230):
            later.message(number, replace(record, query_id=str(number)))
        postgres.sql(url, "\n".join(later.statements))
        assert (await take_over(kept, url)).records == 130
        assert await kept.store.count() == 134


@pytest.mark.usefixtures("engine")
async def test_of_two_imports_at_a_time_one_gives_way(tmp_path, filled):
    url = filled(fill())
    async with keeping(tmp_path) as kept:
        both = [take_over(kept, url) for _ in range(2)]
        done = await asyncio.gather(*both, return_exceptions=True)
        assert Imported(4, ()) in done
        assert all(each == Imported(4, ()) or is_given_way(each) for each in done)
        assert await kept.store.count() == 4


def is_given_way(outcome):
    return isinstance(outcome, ReferenceLogUnreadable) or outcome == Imported(0, ())


async def test_a_record_with_several_attachments_is_left_out_and_named(tmp_path, filled):
    async with keeping(tmp_path) as kept:
        assert await take_over(kept, filled(fill(with_several=True))) == Imported(4, (9,))


async def test_without_its_key_nothing_that_is_sealed_is_taken_over(tmp_path, filled):
    async with keeping(tmp_path) as kept:
        for cipher in (None, RecordCipher({"key2": b"another"}, None)):
            with pytest.raises(EncryptionKeyNotFound):
                await take_over(kept, filled(fill()), cipher)
        assert await kept.store.count() == 0


@pytest.mark.parametrize("change", ["membercode = NULL", "\"timestamp\" = 'AAAA'"])
async def test_what_the_reference_never_writes_is_refused(tmp_path, filled, postgres, change):
    url = filled(fill())
    kind = "t" if "timestamp" in change else "m"
    postgres.sql(url, f"UPDATE logrecord SET {change} WHERE discriminator = '{kind}'")
    async with keeping(tmp_path) as kept:
        with pytest.raises(ReferenceLogUnreadable):
            await take_over(kept, url)
        assert await kept.store.count() == 0


@pytest.mark.feature("ML-05")
async def test_the_command_imports_and_tells(tmp_path, filled, keys):
    layout = Layout(tmp_path)
    await migrate_databases(layout, SecurityServerSettings())
    async with open_database(layout.server_database) as database:
        server = SecurityServerId(ClientId("DEV", "GOV", "M1"), "SS1")
        declared = ServerDeclaration(server)
        await apply_declaration(ConfigurationStore(database), declared, SystemClock())
    (tmp_path / "sild.toml").write_text(
        f'[message-log]\nmessagelog-keystore = "{keys["messagelog_keystore"]}"\n'
        f'messagelog-keystore-password = "{PASSWORD}"\n'
    )

    def run(url):
        command = ("log", "import-reference", "--home", str(tmp_path), url)
        return subprocess.run(
            [sys.executable, "-m", "sild", *command], capture_output=True, text=True, check=False
        )

    done = run(filled(fill(with_several=True)))
    assert (done.returncode, done.stdout) == (1, "4 records were imported.\n")
    assert "Left out for their several attachments: 9" in done.stderr
    async with keeping(tmp_path, **keys) as kept:
        await check_taken(kept)
    assert run("postgresql://nobody@/nothing?host=/nowhere").returncode == 1
