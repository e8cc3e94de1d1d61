import pytest

from components.serverconf.builders import CALLER, OWNER, server_conf
from components.serverconf.client_worlds import certificate, key, token
from sild.components.serverconf.errors import OrphansNotFound
from sild.components.serverconf.orphans import Orphans
from sild.model.tokens import KeyUsage, RequestEntry

pytestmark = pytest.mark.anyio

MEMBER = CALLER.member


class Keys:
    """Tokens of which something can be deleted."""

    def __init__(self, *keys):
        self.held = (token(*keys),)
        self.deleted = []

    async def tokens(self):
        return self.held

    async def delete_key(self, key_id):
        self.deleted.append(("key", key_id))

    async def delete_certificate(self, sha256):
        self.deleted.append(("certificate", sha256))

    async def delete_request(self, request_id):
        self.deleted.append(("request", request_id))


def request(name, member=MEMBER):
    return RequestEntry(name, "CN=x", "profile", member)


@pytest.fixture
async def conf(tmp_path):
    async with server_conf(tmp_path) as made:
        yield made


async def test_keys_of_nobody_else_go_and_of_others_keys_what_is_the_members(conf):
    keys = Keys(
        key("own", certificate(MEMBER, b"1"), request("r1")),
        key("asked", request("r2")),
        key("shared", certificate(MEMBER, b"2"), certificate(OWNER, b"3"), request("r3")),
        key("other", certificate(OWNER, b"4")),
        key("auth", certificate(None, b"5"), usage=KeyUsage.AUTHENTICATION),
        key("unused"),
    )
    orphans = Orphans(conf.store, keys)
    await orphans.check_exist(CALLER)
    await orphans.remove(CALLER)
    assert keys.deleted == [
        ("key", "own"),
        ("key", "asked"),
        ("certificate", b"2".hex()),
        ("request", "r3"),
    ]


@pytest.mark.parametrize("there", [CALLER, MEMBER, MEMBER.subsystem("other")])
async def test_nothing_is_left_behind_while_a_client_of_the_member_is_there(conf, there):
    keys = Keys(key("own", certificate(MEMBER)))
    orphans = Orphans(conf.store, keys)
    await conf.add_client(there)
    for act in (orphans.check_exist, orphans.remove):
        with pytest.raises(OrphansNotFound):
            await act(CALLER)
    assert keys.deleted == []


async def test_where_nothing_is_left_nothing_is_found(conf):
    orphans = Orphans(conf.store, Keys(key("other", certificate(OWNER)), key("unused")))
    for act in (orphans.check_exist, orphans.remove):
        with pytest.raises(OrphansNotFound):
            await act(CALLER)
