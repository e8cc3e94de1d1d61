"""What a declaration may say, and how it is told what is wrong with it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.apiclient.apply_errors import DeclarationError
from sild.apiclient.declared import AUTHENTICATION, SIGNING
from sild.apiclient.declared_reading import keys_of, read_declared, read_declared_file

SERVER = {"owner": "DEV:GOV:1", "code": "ss1", "address": "ss1.example"}
SUBSYSTEM = "DEV:GOV:1:register"
REST = {"type": "REST", "code": "things", "url": "http://10.0.0.1/"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=9,
)


def client(**parts):
    return SERVER | {"clients": [{"id": SUBSYSTEM} | parts]}


def service(**parts):
    return client(services=[REST | parts])


def test_the_least_that_can_be_declared():
    declared = read_declared(SERVER)
    assert declared.id == "DEV:GOV:1:ss1"
    (token,) = declared.tokens
    assert [key.usage for key in keys_of(declared, token)] == [AUTHENTICATION, SIGNING]


def test_keys_that_are_not_said_are_those_that_the_clients_need():
    clients = [{"id": SUBSYSTEM}, {"id": "DEV:COM:2:shop"}, {"id": "DEV:COM:3:shop"}]
    device = {"id": "hsm", "keys": [{"usage": "SIGNING", "member": "DEV:COM:3"}]}
    declared = read_declared(SERVER | {"clients": clients, "tokens": [{}, device]})
    software, hardware = declared.tokens
    signing = [key.member for key in keys_of(declared, software) if key.usage == SIGNING]
    assert signing == ["DEV:GOV:1", "DEV:COM:2"]
    assert [key.member for key in keys_of(declared, hardware)] == ["DEV:COM:3"]


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([], "Expected `object`, got `array`"),
        ({}, "Object missing required field `owner`"),
        (SERVER | {"kode": 1}, "Object contains unknown field `kode`"),
        (SERVER | {"code": 12}, "code: Expected `str`, got `int`; write it in quotes"),
        (SERVER | {"owner": "GOV:1"}, "owner: Expected `str` matching regex"),
        (SERVER | {"pin": {}}, "pin: a secret has one of file, environment and command"),
        (SERVER | {"pin": {"file": "a", "environment": "b"}}, "pin: a secret has one of"),
        (SERVER | {"pin": {"command": []}}, "pin: the command of a secret is empty"),
        (client(id="DEV:GOV"), "clients[0].id: Expected `str` matching regex"),
        (client(id="OTHER:GOV:1:x"), "clients: OTHER:GOV:1:x is of another instance"),
        (client(id="DEV:GOV:1", services=[REST]), "clients: DEV:GOV:1: a member has no services"),
        (service(type="GRAPHQL"), "clients[0].services[0].type: Invalid value 'GRAPHQL'"),
        (service(url="ftp://x/"), "clients[0].services[0].url: Expected"),
        (service(timeout=5000), "clients[0].services[0].timeout: Expected `int` <= 1000"),
        (service(access=["a:b:c"]), "clients[0].services[0].access[0]: Expected"),
        (service(access=["nobody"]), f"clients: {SUBSYSTEM}: services: things: there is no local"),
        (service(endpoints=[{"path": "x"}]), "endpoints[0].path: Expected"),
        (service(endpoints=[{"path": "/x"}] * 2), "services: things: endpoints: * /x stands here"),
        (
            client(services=[REST, REST]),
            f"clients: {SUBSYSTEM}: services: things stands here twice",
        ),
        (SERVER | {"clients": [{"id": SUBSYSTEM}] * 2}, f"clients: {SUBSYSTEM} stands here twice"),
        (
            SERVER | {"tokens": [{"id": "hsm", "keys": [{"usage": "AUTHENTICATION"}]}]},
            "tokens: hsm: an authentication key is on the software token",
        ),
        (
            SERVER | {"tokens": [{"keys": [{"usage": "AUTHENTICATION", "member": "A:B:C"}]}]},
            "tokens: 0: an authentication key is the owner's",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(value, said):
    with pytest.raises(DeclarationError) as caught:
        read_declared(value)
    assert said in str(caught.value)


@given(JSON)
def test_anything_is_a_declaration_or_a_declaration_error(value):
    with pytest.raises(DeclarationError):
        read_declared(value)


@given(st.dictionaries(st.sampled_from(["clients", "tokens", "pin", "anchor", "fields"]), JSON))
def test_any_part_is_one_or_a_declaration_error(parts):
    with contextlib.suppress(DeclarationError):
        assert read_declared(SERVER | parts).owner == "DEV:GOV:1"


def test_a_file_is_read(tmp_path):
    path = tmp_path / "server.yaml"
    path.write_text("owner: DEV:GOV:1\ncode: ss1\naddress: ss1.example\n")
    assert read_declared_file(path).address == "ss1.example"


@pytest.mark.parametrize("content", [b"\xff", b"a: [", b"owner: [1]", b"&a [*a]"])
def test_a_file_that_is_none_is_told_with_its_name(tmp_path, content):
    path = tmp_path / "server.yaml"
    path.write_bytes(content)
    with pytest.raises(DeclarationError, match=r"server\.yaml"):
        read_declared_file(path)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(DeclarationError, match="cannot be read"):
        read_declared_file(tmp_path / "none.yaml")
