import pytest

from sild.model.permissions import (
    CENTRAL_SERVER,
    SECURITY_SERVER,
    Permission,
    Role,
    on_secondary_node,
    permissions_of,
)


@pytest.mark.parametrize(
    ("table", "total", "counts"),
    [
        (
            SECURITY_SERVER,
            98,
            {
                Role.SYSTEM_ADMINISTRATOR: 36,
                Role.SECURITY_OFFICER: 42,
                Role.REGISTRATION_OFFICER: 38,
                Role.SERVICE_ADMINISTRATOR: 45,
                Role.SECURITYSERVER_OBSERVER: 28,
            },
        ),
        (
            CENTRAL_SERVER,
            90,
            {
                Role.SYSTEM_ADMINISTRATOR: 28,
                Role.SECURITY_OFFICER: 33,
                Role.REGISTRATION_OFFICER: 36,
                Role.MANAGEMENT_SERVICE: 15,
            },
        ),
    ],
)
def test_the_tables_have_as_many_permissions_as_the_reference(table, total, counts):
    assert {role: len(permissions) for role, permissions in table.items()} == counts
    assert len(permissions_of(table, table)) == total


def test_every_permission_is_one_of_some_role():
    known = permissions_of(SECURITY_SERVER, SECURITY_SERVER) | permissions_of(
        CENTRAL_SERVER, CENTRAL_SERVER
    )
    assert known == set(Permission)


def test_names_and_values_are_the_same():
    assert all(permission.name == permission.value for permission in Permission)
    assert all(role.value == f"XROAD_{role.name}" for role in Role)


def test_who_has_two_roles_may_what_either_may():
    both = permissions_of([Role.SECURITY_OFFICER, Role.REGISTRATION_OFFICER], CENTRAL_SERVER)
    assert Permission.ADD_MEMBER_CLASS in both
    assert Permission.ADD_NEW_MEMBER in both
    assert Permission.BACKUP_CONFIGURATION not in both


def test_a_role_that_the_server_does_not_know_permits_nothing():
    assert permissions_of([Role.SERVICE_ADMINISTRATOR], CENTRAL_SERVER) == frozenset()


def test_on_a_secondary_node_only_observers_look_and_tokens_are_unlocked():
    secondary = on_secondary_node(SECURITY_SERVER)
    observer = Role.SECURITYSERVER_OBSERVER
    assert secondary[observer] == SECURITY_SERVER[observer]
    for role in secondary.keys() - {observer}:
        assert secondary[role] <= {Permission.ACTIVATE_DEACTIVATE_TOKEN}
    assert secondary[Role.SECURITY_OFFICER] == {Permission.ACTIVATE_DEACTIVATE_TOKEN}
    assert secondary[Role.SERVICE_ADMINISTRATOR] == frozenset()
