import asyncio
import subprocess

import pytest

from components.messagelog.builders import keeping, plain_record, writing
from protocol.pki.test_secretkeys import PASSWORD, TODAY
from sild.components.messagelog.encryption import RecordCipher, Seal
from sild.components.messagelog.errors import EncryptionKeyNotFound
from sild.components.messagelog.index import TakeLimits, _read_batch
from sild.components.messagelog.settings import MessageLogSettings

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("engine")]

SECRET = bytes(range(32))
LARGE = b"a large body, " * 40_000


def openssl(*arguments, given=b""):
    return subprocess.run(
        ["openssl", *arguments], input=given, capture_output=True, check=True
    ).stdout


def derived_keys():
    """The two keys of the alias "key1", by the command line."""
    options = ["digest:SHA512", f"hexkey:{SECRET.hex()}", "salt:key1"]
    flags = [part for option in options for part in ("-kdfopt", option)]
    both = openssl("kdf", "-keylen", "32", "-binary", *flags, "HKDF")
    return both[:16], both[16:]


def counter_mode(key, block, data):
    return openssl("enc", "-aes-128-ctr", "-K", key.hex(), "-iv", block, given=data)


def test_the_scheme_is_that_of_the_reference():
    cipher, seal = RecordCipher({"key1": SECRET}, "key1"), Seal("key1", 0x0102)
    message_key, attachment_key = derived_keys()
    first = "00000000000001020000000000000000"
    assert cipher.message(seal, b"the message") == counter_mode(message_key, first, b"the message")
    assert cipher.attachment(seal, b"body") == counter_mode(attachment_key, first, b"body")
    third = "00000000000001020000000200000000"
    sealed = cipher.attachment(seal, b"another", number=3)
    assert sealed == counter_mode(attachment_key, third, b"another")


@pytest.mark.parametrize("size", [1, 15, 16, 17, 1000])
def test_a_body_in_pieces_is_sealed_as_one(size):
    cipher, seal = RecordCipher({"key1": SECRET}, "key1"), Seal("key1", 7)
    pieces = [
        cipher.attachment(seal, LARGE[start : start + size], offset=start)
        for start in range(0, 2000, size)
    ]
    whole = cipher.attachment(seal, LARGE)
    assert b"".join(pieces)[:2000] == whole[:2000]
    assert cipher.attachment(seal, whole) == LARGE


def test_a_key_that_is_not_there_is_missed_at_once():
    with pytest.raises(EncryptionKeyNotFound):
        RecordCipher({"key1": SECRET}, "key2")


def test_encryption_without_a_key_is_refused_with_the_settings(tmp_path):
    for given in ({}, {"messagelog_keystore": tmp_path / "k"}, {"messagelog_key_id": "key1"}):
        with pytest.raises(ValueError, match="messagelog-keystore"):
            MessageLogSettings(messagelog_encryption_enabled=True, **given)


@pytest.fixture
def keystore(tmp_path):
    path = tmp_path / "keys.p12"
    path.write_bytes(TODAY)
    return {"messagelog_keystore": path, "messagelog_keystore_password": PASSWORD}


def sealed_with(keystore, key_id):
    return keystore | {"messagelog_encryption_enabled": True, "messagelog_key_id": key_id}


async def save(writer, kept, *given):
    await asyncio.gather(*[writer.log.save(plain_record(name), body) for name, body in given])
    await kept.taker.take_all()


async def test_what_is_kept_is_sealed_and_opened_again(tmp_path, keystore):
    given = [("none", None), ("small", b"a small body"), ("large", LARGE)]
    limits = TakeLimits(size=1)  # so that a body comes in many transactions
    sealing = sealed_with(keystore, "key1")
    async with writing(tmp_path) as writer, keeping(tmp_path, limits, **sealing) as kept:
        await save(writer, kept, *given)
        by_name = {each.record.query_id: each.record for each in await kept.records()}
        assert {name: each.body for name, each in by_name.items()} == dict(given)
        assert {each.message for each in by_name.values()} == {plain_record().message}
        assert len(await numbers_of(kept)) == len(given)
        columns = [
            *await kept.rows("SELECT message, body FROM messagelog_record"),
            *await kept.rows("SELECT content, NULL FROM messagelog_piece"),
        ]
    stored = b"".join(column or b"" for row in columns for column in row)
    stored += b"".join(path.read_bytes() for path in tmp_path.glob("messagelog.db*"))
    for secret in (b"a small body", b"a large body", b"/r1/DEV/GOV/M2"):
        assert secret not in stored


async def test_no_number_is_given_twice_however_many_come_in_one_transaction(tmp_path, keystore):
    sealing = sealed_with(keystore, "key1")
    async with writing(tmp_path) as writer, keeping(tmp_path, **sealing) as kept:
        for batch in ("ab", "cd", "ef"):
            await save(writer, kept, *[(name, name.encode()) for name in batch])
        numbers = await numbers_of(kept)
        assert numbers == list(range(numbers[0], numbers[0] + 6))


async def test_logs_with_one_key_store_have_no_number_in_common(tmp_path, keystore):
    given = set()
    for node in ("one", "two"):
        path = tmp_path / node
        path.mkdir()
        sealing = sealed_with(keystore, "key1")
        async with writing(path) as writer, keeping(path, **sealing) as kept:
            await save(writer, kept, *[(f"{n}", b"body") for n in range(3)])
            numbers = await numbers_of(kept)
        # The reference's numbers are the ids of its rows.
        assert min(numbers) > 1 << 60
        given.update(numbers)
    assert len(given) == 6


async def numbers_of(kept):
    rows = await kept.rows("SELECT cipher_number FROM messagelog_record ORDER BY cipher_number")
    return [number for (number,) in rows]


async def test_what_was_plain_stays_plain_and_old_keys_open_what_they_sealed(tmp_path, keystore):
    phases = [("plain", {}), ("first", sealed_with(keystore, "key1")),
              ("second", sealed_with(keystore, "key2")), ("plain again", keystore)]  # fmt: skip
    async with writing(tmp_path) as writer:
        for name, settings in phases:
            async with keeping(tmp_path, **settings) as kept:
                await save(writer, kept, (name, name.encode()))
    async with keeping(tmp_path, **keystore) as kept:
        assert [each.record.body.decode() for each in await kept.records()] == [
            name for name, _ in phases
        ]
        rows = await kept.rows("SELECT key_id, body FROM messagelog_record ORDER BY id")
        assert [key_id for key_id, _ in rows] == [None, "key1", "key2", None]
        assert rows[0][1] == b"plain"
    async with keeping(tmp_path) as kept:
        assert (await kept.store.get_record(1)).record.body == b"plain"
        with pytest.raises(EncryptionKeyNotFound):
            await kept.store.get_record(2)


async def test_a_body_goes_on_as_it_was_begun(tmp_path, keystore):
    """Encryption is switched on between two pieces, and off between two others."""
    for first, then, key_id in ((keystore, sealed_with(keystore, "key1"), None),
                                (sealed_with(keystore, "key1"), keystore, "key1")):  # fmt: skip
        name = f"worker-{key_id}"
        async with writing(tmp_path, name) as writer:
            await writer.log.save(plain_record(name), LARGE)
        async with keeping(tmp_path, **first) as kept:
            begun = _read_batch(writer.directory, None, TakeLimits(entries=1))
            await kept.taker._add(writer.directory.name, begun)
            assert len(await kept.rows("SELECT 1 FROM messagelog_unfinished")) == 1
        async with keeping(tmp_path, **then) as kept:
            await kept.taker.take_all()
            record = (await kept.records())[-1].record
            assert (record.query_id, record.body) == (name, LARGE)
            keys = await kept.rows("SELECT key_id FROM messagelog_record ORDER BY id")
            assert keys[-1] == (key_id,)
