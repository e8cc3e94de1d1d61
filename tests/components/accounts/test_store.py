from datetime import UTC, datetime

import pytest

from adminapi.api_builder import some_accounts
from sild.components.accounts.errors import CredentialsRefused
from sild.components.accounts.store import AccountStore, StoredUser
from sild.components.accounts.tables import METADATA
from sild.model.permissions import Role
from sild.runtime.database import Database
from sild.runtime.migrations import find_differences

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
JOE = StoredUser(
    "joe", frozenset({Role.SECURITY_OFFICER, Role.SYSTEM_ADMINISTRATOR}), "$argon2id$x", NOW
)
OTTO = StoredUser("otto", frozenset({Role.REGISTRATION_OFFICER}), "$argon2id$y", NOW)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres").new_database()
    return f"sqlite:///{tmp_path}/accounts.db"


@pytest.fixture
async def store(url):
    async with some_accounts(url), Database.open(url) as database:
        yield AccountStore(database)


async def test_the_migrations_make_the_tables_that_the_code_expects(url):
    async with some_accounts(url), Database.open(url) as database:
        assert await find_differences(database, METADATA) == []


async def test_users_come_out_as_they_went_in(store):
    async with store.transaction() as accounts:
        await accounts.add_user(OTTO)
        await accounts.add_user(JOE)
    async with store.reading() as accounts:
        assert await accounts.users() == (JOE, OTTO)
        assert await accounts.find_user("joe") == JOE
        assert await accounts.find_user("JOE") is None


async def test_a_name_that_no_database_holds_is_refused_like_any_other(url):
    async with some_accounts(url) as (accounts, _):
        with pytest.raises(CredentialsRefused):
            await accounts.authenticate("joe\0", "x", "192.0.2.1")


async def test_a_user_changes(store):
    async with store.transaction() as accounts:
        await accounts.add_user(JOE)
        await accounts.add_user(OTTO)
        await accounts.set_user_roles("joe", frozenset({Role.REGISTRATION_OFFICER}))
        await accounts.set_password("joe", "new", NOW)
        joe = await accounts.find_user("joe")
        assert joe.roles == {Role.REGISTRATION_OFFICER}
        assert joe.password == "new"
        assert await accounts.find_user("otto") == OTTO


async def test_a_removed_user_is_gone_with_their_roles(store):
    async with store.transaction() as accounts:
        await accounts.add_user(JOE)
        await accounts.remove_user("joe")
        assert await accounts.users() == ()
        await accounts.add_user(StoredUser("joe", frozenset(), "x", NOW))
        assert (await accounts.find_user("joe")).roles == frozenset()


async def test_a_stronger_hash_replaces_only_the_one_it_is_of(store):
    async with store.transaction() as accounts:
        await accounts.add_user(JOE)
        await accounts.replace_hash("joe", "another", "stronger")
        assert (await accounts.find_user("joe")).password == JOE.password
        await accounts.replace_hash("joe", JOE.password, "stronger")
        assert (await accounts.find_user("joe")).password == "stronger"


async def test_keys_come_out_as_they_went_in(store):
    async with store.transaction() as accounts:
        one = await accounts.add_key("a" * 64, frozenset({Role.MANAGEMENT_SERVICE}), NOW)
        two = await accounts.add_key("b" * 64, JOE.roles, NOW)
    async with store.reading() as accounts:
        assert await accounts.keys() == (one, two)
        assert await accounts.find_key(two.id) == two
        assert await accounts.find_key_of_hash("b" * 64) == two
        assert await accounts.find_key_of_hash("c" * 64) is None
        assert await accounts.find_key(99) is None
        assert await accounts.find_key(2**63 - 1) is None


async def test_the_id_of_a_removed_key_never_names_another(store):
    async with store.transaction() as accounts:
        one = await accounts.add_key("a" * 64, OTTO.roles, NOW)
        await accounts.set_key_roles(one.id, JOE.roles)
        assert (await accounts.find_key(one.id)).roles == JOE.roles
        await accounts.remove_key(one.id)
        assert await accounts.keys() == ()
        assert (await accounts.add_key("b" * 64, OTTO.roles, NOW)).id > one.id
