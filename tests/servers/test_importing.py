"""A server of the reference becomes one here, whole or not at all."""

import asyncio
import base64
import hashlib
import re
import stat
import tarfile
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PublicFormat,
    load_der_public_key,
    pkcs12,
)

from components.takeover.builders import MOMENT, PIN, anchor, pem_of
from pki_builder import TestCa, key_of, name_of
from servers.old_server import OldGnupg, OldServer
from servers.signer_process import SignerProcess
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.stamps import StampStore
from sild.components.serverconf.endpoint_rows import read_endpoints
from sild.components.serverconf.group_rows import read_groups
from sild.components.serverconf.store import ConfigurationStore
from sild.components.signer.store import KeyConfStore
from sild.components.takeover.errors import (
    BackupUnreadable,
    HomeNotEmpty,
    PinRefused,
    SignatureNotShown,
)
from sild.model.access import AccessRules, Call
from sild.model.tokens import SOFT_TOKEN_ID, CertificateStatus, KeyUsage
from sild.protocol.algorithms import SignatureAlgorithm
from sild.protocol.errors import AccessDenied
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.ids import ClientId, GlobalGroupId, ServiceId
from sild.servers.databases import open_configuration, open_message_database
from sild.servers.import_opening import BackupTrust
from sild.servers.importing import PartsLostReport
from sild.servers.internal_tls import read_internal_tls
from sild.servers.layout import Layout
from sild.servers.server_backups import open_server_backups
from sild.servers.settings import read_server_settings

OWNER = ClientId("DEV", "COM", "1234")
OWN = OWNER.subsystem("Own")
ECDSA = SignatureAlgorithm.ECDSA_SHA512
DIGEST = hashlib.sha512(b"message").digest()


@pytest.fixture
def old(tmp_path):
    return OldServer(tmp_path)


@pytest.fixture
def gnupg(tmp_path):
    made = OldGnupg(tmp_path / "old-gnupg")
    yield made
    made.close()


def configuration(home):
    """What the databases of a home say, asked in a coroutine of a `ConfigurationStore`."""
    layout = Layout(home)
    settings = read_server_settings(layout)

    async def read():
        async with (
            open_configuration(layout, settings) as database,
            open_message_database(layout, settings) as messages,
        ):
            store = ConfigurationStore(database)
            async with store.reading() as conf:
                return {
                    "server": await conf.find_server(),
                    "clients": await conf.clients(),
                    "descriptions": await conf.descriptions(),
                    "endpoints": await read_endpoints(conf, OWN),
                    "rights": await conf.rights(),
                    "groups": await read_groups(conf),
                    "chosen": await StampStore(messages).chosen(),
                }

    return asyncio.run(read())


def test_the_whole_server_comes_over(old):
    report = old.take_over()
    assert report.lost == ()
    assert report.server.short == "DEV/COM/1234/SS0"
    found = configuration(old.home)
    assert found["server"] == report.server
    assert [client.id for client in found["clients"]] == [OWNER, OWN]
    assert len(found["clients"][1].certificates) == 1
    assert [(each.type.value, len(each.services)) for each in found["descriptions"]] == [
        ("REST", 1),
        ("OPENAPI3", 1),
        ("WSDL", 2),
    ]
    assert found["descriptions"][0].refreshed == datetime.fromisoformat(MOMENT + "+00:00")
    assert {(each.endpoint.method, each.generated) for each in found["endpoints"]} == {
        ("*", True),
        ("GET", False),
        ("POST", True),
    }
    assert len(found["endpoints"]) == 5
    assert len(found["rights"]) == 4
    (group,) = found["groups"]
    assert (group.code, group.updated) == ("friends", datetime.fromisoformat(MOMENT + "+00:00"))
    assert group.members[0].added == datetime(2023, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert found["chosen"] == (ChosenService("TSA", "http://tsa.test"),)
    layout = Layout(old.home)
    assert read_anchor(layout.anchor_file.read_bytes()).instance == "DEV"
    assert read_server_settings(layout).proxy.client_http_port == 8081
    assert read_internal_tls(layout.internal_tls).chain[0]
    assert old.left_beside() == set()


def test_rights_mean_the_same_as_before(old):
    old.take_over()
    found = configuration(old.home)
    endpoints = [each.endpoint for each in found["endpoints"]]
    rules = AccessRules(endpoints, found["rights"], [group.group for group in found["groups"]])
    other, stranger = ClientId("DEV", "GOV", "9", "Other sub"), ClientId("DEV", "GOV", "9", "X")
    everyone = frozenset({GlobalGroupId("DEV", "everyone")})
    rest, soap = ServiceId(OWN, "rest"), ServiceId(OWN, "getRandom", "v2")
    rules.check_access(other, frozenset(), Call(rest, "DELETE", "/b"))
    rules.check_access(stranger, everyone, Call(soap))
    rules.check_access(OWNER, frozenset(), Call(ServiceId(OWN, "pets"), "POST", "/pets"))
    for caller, groups, call in (
        (stranger, frozenset(), Call(soap)),
        (stranger, everyone, Call(rest, "GET", "/a/1")),
        (OWNER, frozenset(), Call(ServiceId(OWN, "pets"), "GET", "/pets")),
    ):
        with pytest.raises(AccessDenied):
            rules.check_access(caller, groups, call)


@pytest.mark.anyio
async def test_a_signer_signs_with_the_keys_that_came_over(old):
    await asyncio.to_thread(old.take_over)
    async with SignerProcess(old.home) as signer:
        (token,) = await signer.control.tokens()
        assert token.label == "Old token"
        assert token.initialized
        await signer.control.login(SOFT_TOKEN_ID, PIN)
        (token,) = await signer.control.tokens()
        assert token.available_keys == {old.signing, old.authentication}
        by_usage = {key.usage: key for key in token.keys}
        signing = by_usage[KeyUsage.SIGNING]
        (entry,) = signing.certificates
        assert entry.certificate == old.sign_certificate
        assert (entry.status, entry.active) == (CertificateStatus.REGISTERED, True)
        assert entry.member == OWNER
        signature = await signer.worker.sign(signing.id, DIGEST, ECDSA.uri)
        ECDSA.verify(load_der_public_key(signing.public_key), signature, b"message")
        (auth,) = by_usage[KeyUsage.AUTHENTICATION].certificates
        assert await signer.worker.auth_key(auth.sha256)


def test_a_rehearsal_tells_the_same_and_changes_nothing(old):
    rehearsed = old.take_over(rehearse=True)
    assert not old.home.exists()
    assert old.left_beside() == set()
    without = old.take_over(rehearse=True, pin=None)
    assert any("no PIN was given" in each.why for each in without.findings)
    assert without.taken == rehearsed.taken
    report = old.take_over()
    assert (rehearsed.taken, rehearsed.keys) == (report.taken, report.keys)


def test_nothing_that_is_there_is_written_over(old):
    old.home.mkdir()
    (old.home / "something").touch()
    for rehearse in (False, True):
        with pytest.raises(HomeNotEmpty, match="new home only"):
            old.take_over(rehearse=rehearse)
    assert [path.name for path in old.home.iterdir()] == ["something"]
    with pytest.raises(HomeNotEmpty):
        old.take_over(home=old.home / "something")
    with pytest.raises(HomeNotEmpty):
        old.take_over(home=old.directory / "no" / "such")
    (old.directory / "link").symlink_to(old.directory)
    with pytest.raises(HomeNotEmpty):
        old.take_over(home=old.directory / "link")
    (old.directory / "link").unlink()


def test_an_empty_home_becomes_the_server(old):
    old.home.mkdir()
    old.take_over()
    assert Layout(old.home).server_database.exists()
    assert stat.S_IMODE(old.home.stat().st_mode) == 0o700


def test_a_wrong_pin_is_refused_and_nothing_is_left(old):
    for pin in ("Secret1235", "", "x" * 300):
        with pytest.raises(PinRefused):
            old.take_over(pin=pin)
    with pytest.raises(PinRefused, match="needed"):
        old.take_over(pin=None)
    assert not old.home.exists()
    assert old.left_beside() == set()


def lose_a_key_file(old):
    name = f"etc/xroad/signer/softtoken/{old.signing}.p12"
    old.further[name] = None
    return "its file is not in the backup"


def swap_key_files(old):
    folder = "etc/xroad/signer/softtoken"
    files = old.keys.files()
    old.further[f"{folder}/{old.signing}.p12"] = files[f"{folder}/{old.authentication}.p12"]
    return "its file holds another key"


def damage_a_key_file(old):
    old.further[f"etc/xroad/signer/softtoken/{old.signing}.p12"] = b"junk"
    return "the PIN of its token does not open it"


def lose_the_pin_file(old):
    old.further["etc/xroad/signer/softtoken/.softtoken.p12"] = None
    return "holds no PIN"


def add_a_certificate_of_another_key(old):
    old.keys.add(KeyUsage.SIGNING, certificate=TestCa.create().certificate.der)
    return "it is of another key"


def add_an_unusable_key(old):
    packed = pkcs12.serialize_key_and_certificates(
        b"x", key_of("rsa1024"), None, None, BestAvailableEncryption(PIN.encode())
    )
    key_id = "AB" * 20
    old.further[f"etc/xroad/signer/softtoken/{key_id}.p12"] = packed
    old.keys.keys.append(f"<key><friendlyName/><keyId>{key_id}</keyId></key>")
    return "cannot be used here"


def name_a_key_file_oddly(old):
    old.further["etc/xroad/signer/softtoken/key.p12"] = b"x"
    return "not named so"


def lose_the_anchor(old):
    old.further["etc/xroad/configuration-anchor.xml"] = None
    return "holds none"


def lose_a_device(old):
    old.further["etc/xroad/signer/devices.ini"] = b"[hsm]\nlibrary = x.so\nslot_ids = one\n"
    return "no number of a slot"


def encrypt_archives(old):
    old.further["etc/xroad/conf.d/local.ini"] = b"[message-log]\narchive-encryption-enabled=true\n"
    return "no backup"


def set_what_cannot_be(old):
    old.further["etc/xroad/conf.d/local.ini"] = b"[message-log]\ntimestamp-records-limit = 0\n"
    return "of at least 1|from 1 to"


def lose_a_tls_key(old):
    old.further["etc/xroad/ssl/internal.key"] = pem_of(TestCa.create().issue_auth(number=8))[0]
    return "of another key"


@pytest.mark.parametrize(
    "lose",
    [
        lose_a_key_file,
        swap_key_files,
        damage_a_key_file,
        lose_the_pin_file,
        add_a_certificate_of_another_key,
        add_an_unusable_key,
        name_a_key_file_oddly,
        lose_the_anchor,
        lose_a_device,
        encrypt_archives,
        set_what_cannot_be,
        lose_a_tls_key,
    ],
)
def test_what_cannot_come_over_stops_it_unless_it_may_be_left_out(old, lose):
    why = lose(old)
    with pytest.raises(PartsLostReport) as refused:
        old.take_over()
    assert any(re.search(why, each.why) for each in refused.value.report.lost)
    assert not old.home.exists()
    assert old.left_beside() == set()
    report = old.take_over(leave_out=True)
    assert report.lost == refused.value.report.lost
    read_server_settings(Layout(old.home))
    KeyConfStore(Layout(old.home).keys / "keyconf")


def test_keys_that_were_used_for_nothing_yet_come_over_too(old):
    key_id, _ = old.keys.add(KeyUsage.SIGNING)
    del old.keys.keys[-1]
    old.take_over()
    conf = KeyConfStore(Layout(old.home).keys / "keyconf").conf
    assert conf.get_key(key_id).usage is None
    assert len(conf.keys) == 3


def test_signing_certificates_of_early_releases_are_registered(old):
    key_id, _ = old.keys.add(KeyUsage.SIGNING, status="")
    old.take_over()
    conf = KeyConfStore(Layout(old.home).keys / "keyconf").conf
    assert conf.get_key(key_id).certificates[0].status is CertificateStatus.REGISTERED


def test_requests_come_over(old):
    asked = (
        '<certRequest id="R1"><subjectName>CN=ss0</subjectName>'
        "<certificateProfile>a.Profile</certificateProfile></certRequest>"
    )
    old.keys.add(KeyUsage.AUTHENTICATION, requests=asked)
    old.take_over()
    conf = KeyConfStore(Layout(old.home).keys / "keyconf").conf
    _, request = conf.get_request("R1")
    assert (request.subject, request.profile) == ("CN=ss0", "a.Profile")


def test_keys_in_devices_come_over_with_the_devices(old):
    key = key_of("rsa", 5).public_key()
    public_key = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    old.keys.devices.append(
        "<device><deviceType>hsm</deviceType><friendlyName>HSM</friendlyName><id>68736d</id>"
        "<tokenId>serial</tokenId><slotId>slot</slotId><pinIndex>2</pinIndex>"
        '<key usage="SIGNING"><friendlyName>K</friendlyName><keyId>0A</keyId>'
        f"<publicKey>{base64.b64encode(public_key).decode()}</publicKey></key></device>"
    )
    old.further["etc/xroad/signer/devices.ini"] = b"[hsm]\nlibrary = /usr/lib/hsm.so\n"
    report = old.take_over()
    assert report.taken["tokens in devices"] == 1
    conf = KeyConfStore(Layout(old.home).keys / "keyconf").conf
    assert (conf.tokens[0].type, conf.tokens[0].slot_index) == ("hsm", 2)
    assert conf.get_key("0A").token_id == "68736d"
    assert 'library = "/usr/lib/hsm.so"' in Layout(old.home).devices_file.read_text()


def test_parameters_of_packages_hold_unless_the_administrator_said_otherwise(old):
    old.further["etc/xroad/conf.d/override-securityserver-fi.ini"] = (
        b"[message-log]\nmessage-body-logging=false\n[signer]\nkey-length=3072\n"
        b"[proxy]\nclient-http-port=80\n"
    )
    old.further["etc/xroad/conf.d/local.ini"] = (
        b"[proxy]\nclient-http-port=8085\n"
        b"[message-log]\nenabled-body-logging-local-producer-subsystems=DEV/COM/1234/Own/\n"
    )
    report = old.take_over()
    assert report.lost == ()
    settings = read_server_settings(Layout(old.home))
    assert settings.proxy.client_http_port == 8085
    assert not settings.message_log.message_body_logging
    assert settings.signer.signing_key_algorithm.value == "RSA-3072"
    assert settings.message_log.enabled_body_logging_local_producer_subsystems == (
        "DEV/COM/1234/Own",
    )


def test_a_tls_identity_in_pkcs12_comes_over(old):
    issued = TestCa.create().issue(name_of(CN="ss0.test"), number=7)
    certificate = x509.load_der_x509_certificate(issued.certificate.der)
    packed = pkcs12.serialize_key_and_certificates(
        b"proxy-ui-api", issued.key, certificate, None, BestAvailableEncryption(b"proxy-ui-api")
    )
    old.further["etc/xroad/ssl/proxy-ui-api.p12"] = packed
    old.take_over()
    identity = read_internal_tls(Layout(old.home).api_tls)
    assert identity.chain == (issued.certificate.der,)


def test_a_backup_key_is_made_so_that_backups_work_at_once(old, gnupg):
    del gnupg
    old.take_over()

    async def back_up():
        async with open_server_backups(old.home) as backups:
            try:
                return await backups.create()
            finally:
                await backups.close()

    assert asyncio.run(back_up()).name.startswith("conf_backup_")


def of_another_server(old):
    old.label = "security_XROAD_7.1_DEV/COM/1234/OTHER"
    return "database is of DEV/COM/1234/SS0"


def with_a_foreign_anchor(old):
    old.further["etc/xroad/configuration-anchor.xml"] = anchor("OTHER")
    return "anchor is of OTHER"


def with_a_broken_anchor(old):
    old.further["etc/xroad/configuration-anchor.xml"] = b"<anchor/>"
    return "anchor cannot be read"


def with_a_broken_list_of_keys(old):
    old.further["etc/xroad/signer/keyconf.xml"] = b"<keys"
    return "list of keys cannot be read"


def with_broken_parameters(old):
    old.further["etc/xroad/conf.d/local.ini"] = b"\xff"
    return "local.ini cannot be read"


def with_a_contradiction(old):
    old.tables["serverconf"] = []
    return "not initialised"


def with_a_name_that_leads_out(old):
    old.extra.append((tarfile.TarInfo("../../etc/cron.d/x"), b""))
    return "leads out"


@pytest.mark.parametrize(
    "spoil",
    [
        of_another_server,
        with_a_foreign_anchor,
        with_a_broken_anchor,
        with_a_broken_list_of_keys,
        with_broken_parameters,
        with_a_contradiction,
        with_a_name_that_leads_out,
    ],
)
def test_what_cannot_be_a_server_is_refused_even_in_part(old, spoil):
    told = spoil(old)
    for leave_out in (False, True):
        with pytest.raises(BackupUnreadable, match=told):
            old.take_over(leave_out=leave_out)
    assert not old.home.exists()
    assert old.left_beside() == set()


def test_a_long_identifier_fits_a_label_that_was_cut(old):
    code = "S" * 120
    old.tables["serverconf"] = [(1, code, 10)]
    old.label = f"security_XROAD_7.1_DEV/COM/1234/{code}"
    assert old.take_over(rehearse=True).server.server_code == code


def test_signed_backups_are_taken_with_the_key_that_signed(old, gnupg):
    key, stranger = gnupg.make_key("DEV/COM/1234/SS0"), gnupg.make_key("Stranger")
    sealed = gnupg.seal(old.tar(), key)
    exported, strange = old.directory / "key.asc", old.directory / "stranger.asc"
    exported.write_bytes(gnupg.public_key(key))
    strange.write_bytes(gnupg.public_key(stranger))

    def take(**trust):
        return old.take_over(backup=sealed, trust=BackupTrust(**trust), rehearse=True)

    assert take(signer_key=exported).lost == ()
    assert take(gpg_home=gnupg.directory).lost == ()
    assert take(unsigned=True).lost == ()
    with pytest.raises(SignatureNotShown, match="say whose signature"):
        take()
    with pytest.raises(SignatureNotShown, match="cannot be trusted"):
        take(signer_key=strange)
    with pytest.raises(SignatureNotShown, match=f"signed by {key}, not by"):
        take(gpg_home=gnupg.directory, signer_key=strange)
    empty = old.directory / "empty"
    empty.mkdir()
    with pytest.raises(SignatureNotShown, match="cannot be trusted"):
        take(gpg_home=empty)
    # What is compressed has more than one form; whatever says something else is refused.
    whole, taken = sealed.read_bytes(), []
    places = range(len(whole) // 20, len(whole), len(whole) // 10)
    for at in places:
        sealed.write_bytes(whole[:at] + bytes((whole[at] ^ 1,)) + whole[at + 1 :])
        with suppress(SignatureNotShown, BackupUnreadable):
            taken.append(take(signer_key=exported))
    assert len(taken) < len(places)
    assert all(each.lost == () for each in taken)


def test_what_is_encrypted_for_keys_that_are_not_here_is_refused_by_their_names(old, gnupg):
    key = gnupg.make_key("DEV/COM/1234/SS0")
    sealed = gnupg.seal(old.tar(), key, [key])
    exported = old.directory / "key.asc"
    exported.write_bytes(gnupg.public_key(key))
    for trust in (BackupTrust(unsigned=True), BackupTrust(signer_key=exported)):
        with pytest.raises(SignatureNotShown, match=r"encrypted for [0-9A-F]{16}.*--gpg-home"):
            old.take_over(backup=sealed, trust=trust)
    assert not old.home.exists()
    before = sorted(path.name for path in gnupg.directory.iterdir())
    trust = BackupTrust(gpg_home=gnupg.directory)
    assert old.take_over(backup=sealed, trust=trust).lost == ()
    assert sorted(path.name for path in gnupg.directory.iterdir()) == before


def test_a_tar_is_trusted_only_where_that_is_said(old):
    with pytest.raises(SignatureNotShown, match="--plain"):
        old.take_over(trust=BackupTrust(unsigned=True))


def test_what_gnupg_did_not_write_is_refused(old, gnupg):
    del gnupg
    path = old.directory / "junk.gpg"
    path.write_bytes(b"junk")
    with pytest.raises(BackupUnreadable, match="cannot be opened"):
        old.take_over(backup=path, trust=BackupTrust(unsigned=True))
