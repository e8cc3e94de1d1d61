import grp
import os
import pwd

import pytest

from sild.components.accounts.pam_people import (
    PamPeople,
    authenticate_by_pam,
    groups_of,
    roles_of_groups,
)
from sild.components.accounts.settings import AccountSettings
from sild.model.permissions import Role

pytestmark = pytest.mark.anyio

GROUPS = {"joe": frozenset({"xroad-security-officer", "ldap-clerks"}), "eve": frozenset({"users"})}


def check(name, password, service):
    return service == "xroad" and password == f"{name}'s"


def people(*mappings):
    settings = AccountSettings(complementary_user_role_mappings=mappings)
    groups = roles_of_groups(settings.complementary_groups())
    return PamPeople("xroad", groups, check, lambda name: GROUPS.get(name, frozenset()))


async def test_the_groups_of_a_user_are_their_roles():
    person = await people().find_authentic("joe", "joe's")
    assert person.roles == {Role.SECURITY_OFFICER}


async def test_other_groups_have_the_roles_that_settings_say():
    mappings = ("XROAD_REGISTRATION_OFFICER=ldap-clerks", "XROAD_SYSTEM_ADMINISTRATOR=ldap-clerks")
    person = await people(*mappings).find_authentic("joe", "joe's")
    assert person.roles == {
        Role.SECURITY_OFFICER,
        Role.REGISTRATION_OFFICER,
        Role.SYSTEM_ADMINISTRATOR,
    }


@pytest.mark.parametrize(
    ("name", "password"),
    [("joe", "eve's"), ("joe", ""), ("", "'s"), ("eve", "eve's"), ("joe\0", "joe\0's")],
)
async def test_a_wrong_password_or_no_role_is_nobody(name, password):
    assert await people().find_authentic(name, password) is None


async def test_who_left_the_groups_is_nobody():
    assert await people().find("eve") is None
    assert (await people().find("joe")).name == "joe"


@pytest.mark.parametrize("mapping", ["XROAD_KING=x", "x", "XROAD_SECURITY_OFFICER=", "=x"])
def test_a_mapping_that_is_none_is_refused(mapping):
    with pytest.raises(ValueError, match="is no mapping"):
        AccountSettings(complementary_user_role_mappings=(mapping,))


def test_pam_itself_refuses_whom_it_does_not_know():
    assert not authenticate_by_pam("nobody-of-this-name", "secret", "xroad")


def test_groups_are_those_of_the_operating_system():
    user = pwd.getpwuid(os.geteuid())
    assert grp.getgrgid(user.pw_gid).gr_name in groups_of(user.pw_name)
    assert groups_of("nobody-of-this-name") == frozenset()
