from datetime import timedelta

import pytest

from components.centralserver.source_builders import (
    EXTERNAL,
    INTERNAL,
    Central,
    KeyRing,
    SignerRefuses,
)
from sild.components.centralserver.schema import MIGRATIONS
from sild.components.centralserver.settings import SigningKeyAlgorithm
from sild.components.centralserver.source_errors import (
    ConfigurationNotFound,
    InstanceNotSet,
    KeyActionNotPossible,
    KeyNotDeleted,
    KeyNotGenerated,
    NoSigningKeys,
    SigningKeyNotFound,
    TokenActionNotPossible,
    TokensNotFetched,
    UnknownToken,
)
from sild.components.centralserver.source_rows import SourceRows
from sild.components.centralserver.source_tables import PART, SIGNING_KEY, SOURCE, TRUSTED_ANCHOR
from sild.components.centralserver.source_tokens import KeyAction, TokenAction
from sild.components.centralserver.sources import SourceSettings
from sild.components.centralserver.system import Node
from sild.model.tokens import KeyAlgorithm
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.database import Database
from sild.runtime.migrations import find_differences, migrate
from sild.runtime.rpc import RpcTimeout, RpcUnavailable

pytestmark = pytest.mark.anyio


@pytest.fixture
async def central(database, tmp_path):
    return await Central(database, tmp_path / "public").initialize()


async def keys_of(central):
    async with central.database.reading() as connection:
        return await SourceRows(connection).keys()


async def test_the_migrations_make_the_tables_of_sources(tmp_path):
    async with Database.open(f"sqlite:///{tmp_path / 'central.db'}") as database:
        await migrate(database, MIGRATIONS)
        found = await find_differences(database, SOURCE.metadata)
    ours = {table.name for table in (SOURCE, SIGNING_KEY, PART, TRUSTED_ANCHOR)}
    assert not [each for each in found if any(name in str(each) for name in ours)]


async def test_the_first_key_of_a_source_signs_at_once(central):
    first = await central.sources.add_key(INTERNAL, "0", "one")
    second = await central.sources.add_key(INTERNAL, "0", "two")
    assert first.signing_key.active
    assert first.actions == ()
    assert first.key.label == "one"
    assert first.available
    assert not second.signing_key.active
    assert set(second.actions) == set(KeyAction)
    assert await central.sources.find_active(EXTERNAL) is None
    third = await central.sources.add_key(EXTERNAL, "0", "three")
    assert third.signing_key.active
    assert await central.sources.active_keys() == {
        "internal": first.key.id,
        "external": third.key.id,
    }


async def test_the_certificate_of_a_key_is_the_reference_s(central):
    internal, external = await central.add_keys()
    for key, name in ((internal, "internalSigningKey"), (external, "externalSigningKey")):
        certificate = read_certificate(key.certificate)
        assert certificate.subject_text == f"CN={name}"
        private = central.keys.private[key.key_id]
        assert certificate.public_key == private.public_key()


async def test_a_source_takes_two_keys_on_a_token(database, tmp_path):
    central = await Central(database, tmp_path, keys=KeyRing("0", "hsm")).initialize()
    for _ in range(2):
        await central.sources.add_key(INTERNAL, "0", "key")
    with pytest.raises(TokenActionNotPossible):
        await central.sources.add_key(INTERNAL, "0", "key")
    assert len(central.keys.key_ids) == 2
    await central.sources.add_key(EXTERNAL, "0", "key")
    await central.sources.add_key(INTERNAL, "hsm", "key")
    assert len(await keys_of(central)) == 4


@pytest.mark.parametrize(
    ("setting", "algorithm"),
    [
        (SigningKeyAlgorithm.RSA, KeyAlgorithm.RSA_2048),
        (SigningKeyAlgorithm.EC, KeyAlgorithm.EC_P256),
    ],
)
async def test_settings_say_which_keys_are_made(database, tmp_path, setting, algorithm):
    settings = SourceSettings(internal=setting, external=SigningKeyAlgorithm.EC)
    central = await Central(database, tmp_path, settings=settings).initialize()
    view = await central.sources.add_key(INTERNAL, "0", "key")
    assert view.key.algorithm is algorithm


async def test_without_federation_nobody_misses_the_external_key(database, tmp_path):
    central = Central(database, tmp_path, settings=SourceSettings(federation=False))
    assert await central.sources.active_keys() == {"internal": None}


async def test_another_key_is_activated(central):
    first, _ = await central.add_keys()
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    await central.sources.activate_key(second.key_id)
    assert (await central.sources.find_active(INTERNAL)).key_id == second.key_id
    assert [
        key.key_id for key in await keys_of(central) if key.active and key.kind is INTERNAL
    ] == [second.key_id]
    assert (await central.sources.find_active(EXTERNAL)) is not None
    assert not (await central.sources.get_key(first.key_id)).active


async def test_the_key_that_signs_is_neither_activated_nor_deleted(central):
    first, _ = await central.add_keys()
    for act in (central.sources.activate_key, central.sources.delete_key):
        with pytest.raises(KeyActionNotPossible):
            await act(first.key_id)
    assert first.key_id in central.keys.key_ids


async def test_the_rows_themselves_keep_the_key_that_signs(central):
    first, _ = await central.add_keys()
    async with central.database.transaction() as connection:
        with pytest.raises(KeyActionNotPossible):
            await SourceRows(connection).remove_key(first)


async def test_keys_of_a_token_that_is_logged_out_are_left_alone(central):
    await central.add_keys()
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    await central.keys.logout("0")
    for act in (central.sources.activate_key, central.sources.delete_key):
        with pytest.raises(KeyActionNotPossible):
            await act(second.key_id)
    with pytest.raises(TokenActionNotPossible):
        await central.sources.add_key(EXTERNAL, "0", "three")


async def test_a_key_is_deleted_from_its_token_and_from_the_anchor(central):
    first, _ = await central.add_keys()
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    assert len((await central.anchor()).sources[0].certificates) == 2
    await central.sources.delete_key(second.key_id)
    assert second.key_id not in central.keys.key_ids
    assert (await central.anchor()).sources[0].certificates == (first.certificate,)
    with pytest.raises(SigningKeyNotFound):
        await central.sources.delete_key(second.key_id)


@pytest.mark.parametrize("error", [SignerRefuses("cannot"), RpcTimeout("late")])
async def test_a_key_that_its_token_keeps_is_kept_here(central, error):
    await central.add_keys()
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    central.keys.broken["delete_key"] = error
    with pytest.raises(KeyNotDeleted):
        await central.sources.delete_key(second.key_id)
    assert await central.sources.get_key(second.key_id)
    assert len((await central.anchor()).sources[0].certificates) == 2


async def test_a_key_that_its_token_has_lost_is_shown_and_can_only_be_deleted(central):
    await central.add_keys()
    second = (await central.sources.add_key(INTERNAL, "0", "two")).signing_key
    await central.keys.delete_key(second.key_id)
    (shown,) = (
        key
        for key in (await central.sources.get_token("0")).keys
        if key.signing_key.key_id == second.key_id
    )
    assert (shown.available, shown.actions) == (False, (KeyAction.DELETE,))
    assert shown.key.public_key == read_certificate(second.certificate).public_key_der
    with pytest.raises(KeyActionNotPossible):
        await central.sources.activate_key(second.key_id)
    await central.sources.delete_key(second.key_id)
    assert second.key_id not in [key.key_id for key in await keys_of(central)]


@pytest.mark.parametrize("error", [SignerRefuses("cannot"), RpcUnavailable("gone")])
@pytest.mark.parametrize("call", ["generate_key", "sign"])
async def test_a_key_without_a_certificate_is_none(central, call, error):
    central.keys.broken[call] = error
    with pytest.raises(KeyNotGenerated):
        await central.sources.add_key(INTERNAL, "0", "key")
    assert central.keys.key_ids == []
    assert await keys_of(central) == ()


async def test_a_key_whose_signature_is_wrong_is_none(central):
    central.keys.sign = lambda *_: other()

    async def other():
        return b"not a signature"

    with pytest.raises(KeyNotGenerated):
        await central.sources.add_key(INTERNAL, "0", "key")
    assert central.keys.key_ids == []


async def test_before_initialisation_there_are_no_keys(database, tmp_path):
    central = Central(database, tmp_path)
    with pytest.raises(InstanceNotSet):
        await central.sources.add_key(INTERNAL, "0", "key")
    assert central.keys.key_ids == []
    assert await keys_of(central) == ()


async def test_tokens_and_keys_that_are_not_there_are_not_found(central):
    with pytest.raises(UnknownToken):
        await central.sources.add_key(INTERNAL, "7", "key")
    for act in (
        central.sources.activate_key,
        central.sources.delete_key,
        central.sources.get_key,
    ):
        with pytest.raises(SigningKeyNotFound):
            await act("KEY-9")
    central.keys.broken["tokens"] = RpcUnavailable("gone")
    with pytest.raises(TokensNotFetched):
        await central.sources.tokens()


async def test_tokens_are_shown_with_their_signing_keys(database, tmp_path):
    central = await Central(database, tmp_path, keys=KeyRing("0", "hsm")).initialize()
    await central.add_keys()
    await central.sources.add_key(INTERNAL, "0", "two")
    soft, hsm = await central.sources.tokens()
    assert [view.key.label for view in soft.keys] == ["internal", "external", "two"]
    assert set(soft.actions) == {
        TokenAction.LOGOUT,
        TokenAction.CHANGE_PIN,
        TokenAction.GENERATE_EXTERNAL_KEY,
        TokenAction.EDIT_FRIENDLY_NAME,
    }
    assert hsm.keys == ()
    assert TokenAction.GENERATE_INTERNAL_KEY in hsm.actions
    assert TokenAction.EDIT_FRIENDLY_NAME not in hsm.actions
    await central.keys.logout("0")
    central.keys.change("hsm", logged_in=False, available=False)
    soft, hsm = await central.sources.tokens()
    assert set(soft.actions) == {TokenAction.LOGIN, TokenAction.EDIT_FRIENDLY_NAME}
    assert hsm.actions == ()
    assert all(view.actions == () and not view.available for view in soft.keys)


async def test_an_anchor_has_every_address_and_key(central):
    first, external = await central.add_keys()
    anchor = await central.anchor()
    assert anchor.instance == "DEV"
    assert [source.url for source in anchor.sources] == [
        "http://cs.test/internalconf",
        "https://cs.test/internalconf",
    ]
    assert anchor.sources[0].certificates == (first.certificate,)
    external_anchor = await central.anchor(EXTERNAL)
    assert external_anchor.sources[0].url == "http://cs.test/externalconf"
    assert external_anchor.sources[0].certificates == (external.certificate,)


async def test_the_nodes_of_a_cluster_share_their_anchor(database, tmp_path):
    one = await Central(database, tmp_path / "1", node=Node("one", True)).initialize()
    two = Central(database, tmp_path / "2", node=Node("two", True), keys=KeyRing("0"))
    two.keys.private["taken"] = two.keys.private["taken too"] = None
    await two.set(ADDRESS="cs2.test")
    mine, _ = await one.add_keys()
    theirs, _ = await two.add_keys()
    for each in (one, two):
        anchor = await each.anchor()
        assert {source.url: source.certificates for source in anchor.sources} == {
            "http://cs.test/internalconf": (mine.certificate,),
            "http://cs2.test/internalconf": (theirs.certificate,),
            "https://cs.test/internalconf": (mine.certificate,),
            "https://cs2.test/internalconf": (theirs.certificate,),
        }
    assert (await one.sources.find_active(INTERNAL)).key_id == mine.key_id
    assert (await two.sources.find_active(INTERNAL)).key_id == theirs.key_id
    with pytest.raises(SigningKeyNotFound):
        await one.sources.activate_key(theirs.key_id)


async def test_an_anchor_is_made_anew_for_another_address(central):
    await central.add_keys()
    before = await central.sources.anchors.find(INTERNAL)
    central.clock.turn(timedelta(minutes=1))
    await central.set(ADDRESS="new.test")
    async with central.database.transaction() as connection:
        await central.sources.recreate_anchors(connection)
    for kind in (INTERNAL, EXTERNAL):
        anchor = await central.anchor(kind)
        assert anchor.sources[0].url == f"http://new.test/{kind.directory}"
    assert (await central.sources.anchors.find(INTERNAL)).generated_at > before.generated_at


async def test_without_keys_an_address_changes_all_the_same(central):
    async with central.database.transaction() as connection:
        await central.sources.recreate_anchors(connection)
    assert await central.sources.anchors.find(INTERNAL) is None


async def test_an_anchor_that_cannot_be_made_is_refused(database, tmp_path):
    central = Central(database, tmp_path)
    with pytest.raises(InstanceNotSet):
        await central.sources.anchors.recreate(INTERNAL)
    await central.initialize()
    with pytest.raises(NoSigningKeys):
        await central.sources.anchors.recreate(INTERNAL)
    with pytest.raises(ConfigurationNotFound):
        await central.sources.anchors.file(INTERNAL)


async def test_an_anchor_is_handed_out_under_the_reference_s_name(central):
    await central.add_keys()
    anchor = await central.sources.anchors.recreate(EXTERNAL)
    file = await central.sources.anchors.file(EXTERNAL)
    moment = f"{anchor.generated_at:%Y-%m-%d_%H_%M_%S}"
    assert file.name == f"configuration_anchor_DEV_external_UTC_{moment}.xml"
    read = read_anchor(file.document)
    assert anchor.hash == read.display_hash
    assert len(anchor.hash) == 28 * 3 - 1
    assert abs(read.generated_at - anchor.generated_at) < timedelta(milliseconds=1)
    assert await central.sources.anchors.download_url(EXTERNAL) == "https://cs.test/externalconf"
