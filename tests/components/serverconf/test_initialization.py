import asyncio
from dataclasses import replace

import pytest

from components.serverconf.worlds import FIRST, STRANGER, FixedWorld
from sild.components.serverconf.initialization import (
    Initialization,
    InitializationPorts,
    InitializationWarning,
    TokenInitStatus,
    Wanted,
    Warned,
)
from sild.components.serverconf.initialization_errors import (
    AlreadyInitialized,
    AnchorNotImported,
    InvalidInitParameters,
    PinCharacters,
    TokenNotMade,
    WeakPin,
)
from sild.components.serverconf.schema import MIGRATIONS
from sild.components.serverconf.store import ConfigurationStore
from sild.model.services import Client, ClientStatus, ConnectionType
from sild.model.tokens import SOFT_TOKEN_ID, Token, TokenStatus
from sild.protocol.errors import GlobalConfOutdated, ProtocolError
from sild.protocol.ids import SecurityServerId
from sild.runtime.database import Database
from sild.runtime.migrations import migrate
from sild.runtime.rpc import RpcUnavailable

pytestmark = pytest.mark.anyio
PIN = "Secret-1234"
WANTED = Wanted("GOV", "M1", "SS7", PIN)
SERVER = SecurityServerId(FIRST, "SS7")
W = InitializationWarning


class PolicyFailure(ProtocolError):
    """What the signer raises for a weak PIN."""

    code = "token_weak_pin"


class SoftwareToken:
    """One software token, whose PIN needs ten characters."""

    def __init__(self):
        self.token = Token(SOFT_TOKEN_ID, "soft", TokenStatus.NOT_INITIALIZED, logged_in=False)
        self.broken = None
        self.pins = []

    async def tokens(self):
        if self.broken is not None:
            raise self.broken
        return (self.token,)

    async def initialize(self, pin):
        if len(pin) < 10 or not pin.isascii():
            raise PolicyFailure("a PIN needs more")
        if self.token.initialized:
            raise ProtocolError("the token is initialised")
        self.pins.append(pin)
        self.token = replace(self.token, status=TokenStatus.OK)


class BackupKeys:
    """Remembers the keys that were asked for."""

    def __init__(self):
        self.names = []
        self.broken = None

    async def make_key(self, name):
        if self.broken is not None:
            raise self.broken
        self.names.append(name)


class Anchors:
    """Whether there is an anchor."""

    def __init__(self):
        self.imported = True

    async def is_imported(self):
        return self.imported


class Fresh:
    """A server that is not initialised yet, and what is around it."""

    def __init__(self, database):
        self.store = ConfigurationStore(database)
        self.anchors, self.world = Anchors(), FixedWorld()
        self.token, self.backup_keys = SoftwareToken(), BackupKeys()
        ports = InitializationPorts(self.anchors, self.world, self.token, self.backup_keys)
        self.initialization = Initialization(self.store, ports)

    async def client(self, client=FIRST):
        async with self.store.reading() as kept:
            return await kept.get_client(client)


async def fresh_server(database):
    """A server with empty tables."""
    await migrate(database, MIGRATIONS)
    return Fresh(database)


@pytest.fixture
async def made(database_url):
    async with Database.open(database_url) as database:
        yield await fresh_server(database)


async def test_owner_code_pin_and_backup_key_are_made(made):
    status = await made.initialization.status()
    assert (status.anchor_imported, status.server) == (True, None)
    assert status.token is TokenInitStatus.NOT_INITIALIZED
    assert await made.initialization.initialize(WANTED) == SERVER
    status = await made.initialization.status()
    assert status.is_complete
    assert status.server == SERVER
    assert made.token.pins == [PIN]
    assert made.backup_keys.names == ["DEV/GOV/M1/SS7"]
    assert await made.client() == Client(FIRST, ClientStatus.SAVED, ConnectionType.SSLAUTH)


async def test_a_server_is_initialised_once(made):
    await made.initialization.initialize(WANTED)
    with pytest.raises(AlreadyInitialized):
        await made.initialization.initialize(replace(WANTED, server_code="SS8"))
    assert (await made.initialization.status()).server == SERVER


async def test_of_two_who_initialise_at_once_one_is_refused(made):
    asked = (made.initialization.initialize(WANTED) for _ in range(2))
    outcomes = await asyncio.gather(*asked, return_exceptions=True)
    assert outcomes[0] == SERVER
    assert isinstance(outcomes[1], AlreadyInitialized)


async def test_the_anchor_comes_first(made):
    made.anchors.imported = False
    with pytest.raises(AnchorNotImported):
        await made.initialization.initialize(WANTED)
    assert not (await made.initialization.status()).anchor_imported


async def test_the_instance_is_that_of_the_global_configuration(made):
    made.world.conf = None
    with pytest.raises(GlobalConfOutdated):
        await made.initialization.initialize(WANTED)
    assert made.token.pins == []


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        (
            Wanted(),
            (
                "server_code_not_provided",
                "member_class_not_provided",
                "member_code_not_provided",
                "pin_code_not_provided",
            ),
        ),
        (replace(WANTED, member_class=None), ("member_class_not_provided",)),
        (replace(WANTED, pin=None), ("pin_code_not_provided",)),
    ],
)
async def test_what_is_missing_is_told(made, wanted, told):
    with pytest.raises(InvalidInitParameters) as refused:
        await made.initialization.initialize(wanted)
    assert refused.value.metadata == told


async def test_what_is_there_is_not_given_again(made):
    await made.token.initialize(PIN)
    with pytest.raises(InvalidInitParameters) as refused:
        await made.initialization.initialize(WANTED)
    assert refused.value.metadata == ("pin_code_exists",)
    async with made.store.transaction() as kept:
        await kept.set_server(SERVER)
    made.token.token = replace(made.token.token, status=TokenStatus.NOT_INITIALIZED)
    with pytest.raises(InvalidInitParameters) as refused:
        await made.initialization.initialize(WANTED)
    assert refused.value.metadata == (
        "server_code_exists",
        "member_class_exists",
        "member_code_exists",
    )


@pytest.mark.parametrize(("pin", "refusal"), [("12", WeakPin), ("Sécret-1234", PinCharacters)])
async def test_a_pin_that_is_refused_leaves_nothing_behind(made, pin, refusal):
    with pytest.raises(refusal):
        await made.initialization.initialize(replace(WANTED, pin=pin))
    status = await made.initialization.status()
    assert (status.server, status.token) == (None, TokenInitStatus.NOT_INITIALIZED)
    assert made.backup_keys.names == []


async def test_a_weak_pin_is_told_what_it_lacks(made):
    with pytest.raises(WeakPin) as refused:
        await made.initialization.initialize(replace(WANTED, pin="12"))
    assert refused.value.metadata == ("pin_min_length", "10", "pin_min_char_classes_count", "3")


async def test_a_signer_that_does_not_answer_is_told(made):
    made.token.broken = RpcUnavailable("the signer is not there")
    assert (await made.initialization.status()).token is TokenInitStatus.UNKNOWN
    with pytest.raises(TokenNotMade):
        await made.initialization.initialize(WANTED)
    assert (await made.initialization.status()).server is None


async def test_what_was_interrupted_can_be_finished(made):
    made.backup_keys.broken = RuntimeError("killed")
    with pytest.raises(RuntimeError):
        await made.initialization.initialize(WANTED)
    status = await made.initialization.status()
    assert (status.server, status.token) == (None, TokenInitStatus.INITIALIZED)
    made.backup_keys.broken = None
    rest = replace(WANTED, pin=None)
    planned = await made.initialization.plan(rest)
    assert await made.initialization.warnings(planned) == (Warned(W.TOKEN_INITIALIZED),)
    await made.initialization.initialize(rest)
    assert (await made.initialization.status()).is_complete


async def warned(made, wanted):
    return await made.initialization.warnings(await made.initialization.plan(wanted))


async def test_what_is_usual_is_not_warned_of(made):
    assert await warned(made, WANTED) == ()


async def test_an_owner_whom_nobody_knows_is_warned_of(made):
    assert await warned(made, replace(WANTED, member_code="M9")) == (
        Warned(W.UNREGISTERED_MEMBER, "DEV/GOV/M9"),
    )
    # A member of another instance is another member.
    asked = replace(WANTED, member_class="NGO", member_code=STRANGER.member_code)
    assert await warned(made, asked) == (Warned(W.UNREGISTERED_MEMBER, "DEV/NGO/X1"),)


async def test_a_server_that_is_registered_already_is_warned_of(made):
    assert await warned(made, replace(WANTED, server_code="SS1")) == (
        Warned(W.SERVER_ID_EXISTS, "DEV/GOV/M1/SS1"),
    )


async def test_what_is_there_is_warned_of(made):
    async with made.store.transaction() as kept:
        await kept.set_server(SERVER)
    assert await warned(made, Wanted(pin=PIN)) == (
        Warned(W.SERVER_CODE_EXISTS),
        Warned(W.OWNER_EXISTS),
    )
