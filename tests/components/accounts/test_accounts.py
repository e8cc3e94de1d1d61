from datetime import timedelta

import argon2
import pytest

from adminapi.api_builder import PASSWORD, some_accounts, weak_passwords
from sild.components.accounts.accounts import Accounts
from sild.components.accounts.errors import (
    ApiKeyNotFound,
    CredentialsRefused,
    InvalidRole,
    InvalidUserName,
    LockedOut,
    RoleNotHeld,
    UserExists,
    UserNotFound,
    WeakPassword,
)
from sild.components.accounts.passwords import Passwords
from sild.components.accounts.settings import AccountSettings
from sild.model.permissions import CENTRAL_SERVER, Role

pytestmark = pytest.mark.anyio

HERE = "192.0.2.1"
OFFICER = frozenset({Role.REGISTRATION_OFFICER})


@pytest.fixture
async def accounts(tmp_path):
    async with some_accounts(f"sqlite:///{tmp_path}/accounts.db") as (made, clock):
        made.clock = clock
        await made.add_user("joe", PASSWORD, OFFICER)
        yield made


async def test_a_name_and_its_password_give_the_person(accounts):
    person = await accounts.authenticate("joe", PASSWORD, HERE)
    assert (person.name, person.roles) == ("joe", OFFICER)


async def test_the_password_of_nobody_is_never_right():
    passwords = weak_passwords()
    for password in ("nobody", ""):
        assert not await passwords.is_right(None, password)


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("joe", "wrong"),
        ("joe", ""),
        ("", PASSWORD),
        ("JOE", PASSWORD),
        ("joe ", PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", "nobody"),
        ("joe", PASSWORD + "x" * 300),
        ("j" * 300, PASSWORD),
    ],
)
async def test_anything_else_is_refused(accounts, name, password):
    with pytest.raises(CredentialsRefused):
        await accounts.authenticate(name, password, HERE)


async def test_passwords_are_kept_as_argon2id_and_differ_by_salt(accounts):
    await accounts.add_user("ann", PASSWORD, OFFICER)
    async with accounts._store.reading() as rows:
        hashes = [user.password for user in await rows.users()]
    assert all(each.startswith("$argon2id$") for each in hashes)
    assert len(set(hashes)) == 2


async def test_a_hash_of_weaker_parameters_is_replaced_at_the_next_log_in(accounts):
    stronger = argon2.PasswordHasher(time_cost=2, memory_cost=16, parallelism=1)
    again = Accounts(
        accounts._store,
        CENTRAL_SERVER,
        AccountSettings(),
        accounts.clock,
        passwords=Passwords(stronger),
    )
    person = await again.authenticate("joe", PASSWORD, HERE)
    async with accounts._store.reading() as rows:
        assert "m=16,t=2" in (await rows.find_user("joe")).password
    assert await again.authenticate("joe", PASSWORD, HERE) == person


async def fail(accounts, times, name="joe", address=HERE):
    for _ in range(times):
        with pytest.raises(CredentialsRefused) as refused:
            await accounts.authenticate(name, "wrong", address)
        assert not isinstance(refused.value, LockedOut)


async def test_a_user_is_locked_out_after_failures_for_a_while(accounts):
    await fail(accounts, 5)
    with pytest.raises(LockedOut):
        await accounts.authenticate("joe", PASSWORD, "198.51.100.7")
    accounts.clock.turn(timedelta(seconds=301))
    await accounts.authenticate("joe", PASSWORD, HERE)


async def test_a_user_is_locked_out_however_their_name_is_written(accounts):
    await fail(accounts, 3, "JOE")
    await fail(accounts, 2)
    with pytest.raises(LockedOut):
        await accounts.authenticate("joe", PASSWORD, "198.51.100.7")


async def test_a_success_forgets_failures(accounts):
    for _ in range(3):
        await fail(accounts, 4)
        await accounts.authenticate("joe", PASSWORD, HERE)


async def test_an_address_is_locked_out_whatever_names_it_tries(accounts):
    for number in range(20):
        await fail(accounts, 1, f"user{number}")
    with pytest.raises(LockedOut):
        await accounts.authenticate("joe", PASSWORD, HERE)
    await accounts.authenticate("joe", PASSWORD, "198.51.100.7")


async def test_a_success_does_not_clear_the_failures_of_its_address(accounts):
    for number in range(4):
        await fail(accounts, 4, f"user{number}")
        await accounts.authenticate("joe", PASSWORD, HERE)
    await fail(accounts, 4, "another")
    with pytest.raises(LockedOut):
        await accounts.authenticate("joe", PASSWORD, HERE)


async def test_another_password_of_a_user_unlocks_them(accounts):
    await fail(accounts, 5)
    await accounts.set_password("joe", "another password")
    await accounts.authenticate("joe", "another password", HERE)


@pytest.mark.parametrize("name", ["", " joe", "joe ", "j\noe", "j" * 256, "\u200e"])
async def test_a_name_that_nobody_can_have_is_refused(accounts, name):
    with pytest.raises(InvalidUserName):
        await accounts.add_user(name, PASSWORD, OFFICER)


@pytest.mark.parametrize("password", ["", "short", "x" * 256, "ANN-THE-OFFICER"])
async def test_a_weak_password_is_refused(accounts, password):
    with pytest.raises(WeakPassword):
        await accounts.add_user("ann-the-officer", password, OFFICER)
    with pytest.raises(WeakPassword):
        await accounts.set_password("joe", "" if password.startswith("ANN") else password)


@pytest.mark.parametrize(
    "roles", [set(), {Role.MANAGEMENT_SERVICE}, {Role.SERVICE_ADMINISTRATOR}, {*Role}]
)
async def test_a_role_that_nobody_can_have_here_is_refused(accounts, roles):
    with pytest.raises(InvalidRole):
        await accounts.add_user("ann", PASSWORD, roles)
    with pytest.raises(InvalidRole):
        await accounts.set_roles("joe", roles)


async def test_two_users_have_two_names(accounts):
    with pytest.raises(UserExists):
        await accounts.add_user("joe", PASSWORD, OFFICER)


async def test_users_come_change_and_go(accounts):
    await accounts.add_user("ann", PASSWORD, OFFICER)
    await accounts.set_roles("ann", {Role.SECURITY_OFFICER})
    await accounts.remove_user("joe")
    assert [(user.name, user.roles) for user in await accounts.users()] == [
        ("ann", {Role.SECURITY_OFFICER})
    ]
    with pytest.raises(CredentialsRefused):
        await accounts.authenticate("joe", PASSWORD, HERE)


async def test_who_is_not_there_does_not_change(accounts):
    with pytest.raises(UserNotFound):
        await accounts.set_roles("ann", OFFICER)
    with pytest.raises(UserNotFound):
        await accounts.set_password("ann", PASSWORD)
    with pytest.raises(UserNotFound):
        await accounts.remove_user("ann")


async def session_of(accounts):
    person = await accounts.authenticate("joe", PASSWORD, HERE)
    return accounts.sessions.open(person)[0]


async def test_a_session_follows_its_persons_roles(accounts):
    name = await session_of(accounts)
    await accounts.set_roles("joe", {Role.SECURITY_OFFICER})
    accounts.clock.turn(timedelta(seconds=6))
    session = await accounts.find_session(name, uses=True)
    assert session.person.roles == {Role.SECURITY_OFFICER}


async def test_a_session_ends_with_its_user(accounts):
    name = await session_of(accounts)
    await accounts.remove_user("joe")
    accounts.clock.turn(timedelta(seconds=6))
    assert await accounts.find_session(name, uses=True) is None
    assert accounts.sessions.find(name, uses=True) is None


async def test_a_session_ends_with_its_password(accounts):
    name = await session_of(accounts)
    await accounts.set_password("joe", "another password")
    accounts.clock.turn(timedelta(seconds=6))
    assert await accounts.find_session(name, uses=True) is None


async def test_a_key_is_shown_once_and_kept_as_a_hash(accounts):
    made = await accounts.keys.create(["XROAD_REGISTRATION_OFFICER"], OFFICER)
    assert await accounts.keys.find_of_text(made.text) == made.key
    assert await accounts.keys.find_of_text(made.text.upper()) is None
    async with accounts._store._database.reading() as connection:
        rows = (await connection.exec_driver_sql("SELECT * FROM accounts_api_key")).all()
    assert made.text not in str(rows)


async def test_a_key_has_no_more_roles_than_its_maker(accounts):
    with pytest.raises(RoleNotHeld):
        await accounts.keys.create(["XROAD_SECURITY_OFFICER"], OFFICER)
    with pytest.raises(RoleNotHeld):
        await accounts.keys.create(["XROAD_MANAGEMENT_SERVICE"], OFFICER)
    administrator = frozenset({Role.SYSTEM_ADMINISTRATOR})
    made = await accounts.keys.create(["XROAD_MANAGEMENT_SERVICE"], administrator)
    assert made.key.roles == {Role.MANAGEMENT_SERVICE}


@pytest.mark.parametrize("roles", [[], ["XROAD_KING"], ["xroad_security_officer"], [""]])
async def test_a_key_of_no_role_is_refused(accounts, roles):
    with pytest.raises(InvalidRole):
        await accounts.keys.create(roles, frozenset(Role))


async def test_a_key_keeps_roles_that_its_changer_does_not_have(accounts):
    made = await accounts.keys.create(["XROAD_SECURITY_OFFICER"], frozenset(Role))
    both = ["XROAD_SECURITY_OFFICER", "XROAD_REGISTRATION_OFFICER"]
    changed = await accounts.keys.set_roles(made.key.id, both, OFFICER)
    assert changed.roles == {Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER}
    await accounts.keys.set_roles(made.key.id, both[1:], OFFICER)
    with pytest.raises(RoleNotHeld):
        await accounts.keys.set_roles(made.key.id, both, OFFICER)
    assert await accounts.keys.all() == (await accounts.keys.get(made.key.id),)


async def test_a_revoked_key_is_no_key(accounts):
    made = await accounts.keys.create(["XROAD_REGISTRATION_OFFICER"], OFFICER)
    assert await accounts.keys.revoke(made.key.id) == made.key
    assert await accounts.keys.find_of_text(made.text) is None
    for act in (accounts.keys.get, accounts.keys.revoke):
        with pytest.raises(ApiKeyNotFound) as refused:
            await act(made.key.id)
        assert refused.value.metadata == (str(made.key.id),)
    with pytest.raises(ApiKeyNotFound):
        await accounts.keys.set_roles(made.key.id, ["XROAD_REGISTRATION_OFFICER"], OFFICER)
