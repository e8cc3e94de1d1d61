"""Accounts are changed beside a Central Server, and its audit log says by whom."""

import json
import os
import pwd
import subprocess
import sys

import pytest

OFFICER, ADMINISTRATOR = "XROAD_REGISTRATION_OFFICER", "XROAD_SYSTEM_ADMINISTRATOR"


@pytest.fixture
def user(tmp_path):
    """What a command answers; the password stands on its standard input."""
    home = tmp_path / "home"

    def user(*arguments, password=""):
        command = (sys.executable, "-m", "sild", "central-server", "user", *arguments)
        ended = subprocess.run(
            (*command, "--home", str(home)),
            input=f"{password}\n",
            check=False,
            capture_output=True,
            text=True,
        )
        return ended.returncode, ended.stdout, ended.stderr

    user.home = home
    return user


def audited(user):
    lines = (user.home / "audit.log").read_text().splitlines()
    return [json.loads(line[line.index("{") :]) for line in lines]


@pytest.mark.feature("AU-01")
def test_accounts_come_change_and_go(user):
    password = "correct horse battery"
    assert user("add", "ada", "--role", OFFICER, password=password)[0] == 0
    assert user("roles", "ada", "--role", OFFICER, "--role", ADMINISTRATOR)[0] == 0
    assert json.loads(user("list", "--json")[1]) == [
        {"name": "ada", "roles": sorted([OFFICER, ADMINISTRATOR])}
    ]
    assert user("password", "ada", password="another horse battery")[0] == 0
    assert user("remove", "ada")[0] == 0
    assert user("list")[1] == ""
    name, roles = {"userName": "ada"}, {"roles": [OFFICER]}
    assert [(line["event"], line["data"]) for line in audited(user)] == [
        ("Add user", name | roles),
        ("Edit user roles", name | {"roles": [OFFICER, ADMINISTRATOR]}),
        ("Set user password", name),
        ("Delete user", name),
    ]
    assert {line["user"] for line in audited(user)} == {pwd.getpwuid(os.getuid()).pw_name}
    assert password not in (user.home / "audit.log").read_text()


@pytest.mark.feature("AU-01")
def test_what_is_refused_stands_in_the_audit_log_too(user):
    code, _, err = user("add", "ada", "--role", OFFICER, password="short")
    assert (code, err) == (1, "sild: a password has at least 12 characters\n")
    assert user("remove", "nobody")[0] == 1
    first, second = audited(user)
    assert (first["event"], first["reason"]) == (
        "Add user failed",
        "a password has at least 12 characters",
    )
    assert (second["event"], second["data"]) == ("Delete user failed", {"userName": "nobody"})
    assert "short" not in (user.home / "audit.log").read_text()


def test_a_role_that_nobody_has_is_no_act(user):
    assert user("add", "ada", "--role", "KING", password="correct horse battery")[0] == 1
    assert audited(user) == []
