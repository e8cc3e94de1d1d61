"""The old list of keys is read; what is no list of keys is refused."""

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import TestCa
from sild.components.takeover.errors import BackupUnreadable
from sild.components.takeover.keyconf import read_keyconf
from sild.model.tokens import CertificateStatus, KeyUsage
from sild.protocol.ids import ClientId

CERTIFICATE = TestCa.create().issue_sign().certificate
MEMBER = (
    '<memberId ns2:objectType="MEMBER"><ns2:xRoadInstance>DEV</ns2:xRoadInstance>'
    "<ns2:memberClass>GOV</ns2:memberClass><ns2:memberCode>M1</ns2:memberCode></memberId>"
)
CONTENTS = f"<contents>{base64.b64encode(CERTIFICATE.der).decode()}</contents>"


def conf(inside, root="keyConf"):
    return (
        f'<ns3:{root} xmlns:ns2="http://x-road.eu/xsd/identifiers"'
        f' xmlns:ns3="http://x-road.eu/xsd/xroad.xsd">{inside}</ns3:{root}>'
    ).encode()


def device(inside="", kind="softToken", number="0"):
    return f"<device><deviceType>{kind}</deviceType><id>{number}</id>{inside}</device>"


def key(inside="", usage='usage="SIGNING"'):
    return f"<key {usage}><friendlyName>A key</friendlyName><keyId>AB</keyId>{inside}</key>"


def read(inside, root="keyConf"):
    return read_keyconf(conf(inside, root))


@pytest.mark.parametrize("root", ["keyConf", "deviceConf"])
def test_keys_and_certificates_are_read(root):
    cert = f'<cert active="false">{MEMBER}{CONTENTS}<status>global error</status></cert>'
    (token,) = read(device(key(cert)), root).tokens
    (made,) = token.keys
    assert (token.is_software, token.label) == (True, "softToken")
    assert (made.id, made.label, made.usage) == ("AB", "A key", KeyUsage.SIGNING)
    (entry,) = made.certificates
    assert entry.sha256 == CERTIFICATE.sha256.hex()
    assert (entry.status, entry.active) == (CertificateStatus.GLOBAL_ERROR, False)
    assert entry.member == ClientId("DEV", "GOV", "M1")


def test_what_is_not_told_has_its_usual_value():
    (token,) = read(device(key(f"<cert>{CONTENTS}</cert>", usage=""))).tokens
    (made,) = token.keys
    assert (made.usage, made.public_key) == (None, None)
    (entry,) = made.certificates
    assert (entry.active, entry.status) == (True, CertificateStatus.SAVED)


def test_requests_are_read():
    request = f'<certRequest id="R1">{MEMBER}<subjectName>CN=x</subjectName></certRequest>'
    (token,) = read(device(key(request))).tokens
    (made,) = token.keys[0].requests
    assert (made.id, made.subject, made.member) == ("R1", "CN=x", ClientId("DEV", "GOV", "M1"))


def test_tokens_in_devices_are_read():
    inside = (
        "<friendlyName>My HSM</friendlyName><tokenId>serial</tokenId><slotId>label</slotId>"
        "<pinIndex>3</pinIndex>"
    )
    (token,) = read(device(inside, "hsm", "68736d33")).tokens
    assert not token.is_software
    assert (token.id, token.type, token.label) == ("68736d33", "hsm", "My HSM")
    assert (token.serial_number, token.device_label, token.slot_index) == ("serial", "label", 3)


def test_a_certificate_that_is_none_is_lost():
    found = read(device(key('<cert id="C1"><contents>AAAA</contents></cert>')))
    assert found.tokens[0].keys[0].certificates == ()
    assert "C1" in found.findings[0].what


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<keyConf>",
        b'<!DOCTYPE k [<!ENTITY x SYSTEM "file:///etc/passwd">]><k>&x;</k>',
        conf("", root="globalConf"),
        conf("<device/>"),
        conf("<device><deviceType>softToken</deviceType></device>"),
        conf(device() + device()),
        conf(device(key(usage='usage="ODD"'))),
        conf(device(key("<cert/>"))),
        conf(device(key(f"<cert>{CONTENTS}<status>odd</status></cert>"))),
        conf(device(key("<publicKey>?</publicKey>"))),
        conf(device("<pinIndex>x</pinIndex>")),
        conf(device(key(f'<cert><memberId ns2:objectType="MEMBER"/>{CONTENTS}</cert>'))),
    ],
)
def test_what_is_no_list_of_keys_is_refused(document):
    with pytest.raises(BackupUnreadable):
        read_keyconf(document)


@given(st.binary(max_size=200), st.integers(0, 600))
def test_any_document_gives_keys_or_a_refusal(junk, place):
    good = conf(device(key(f"<cert>{MEMBER}<contents>AAAA</contents></cert>")))
    for document in (junk, good[:place] + junk + good[place:]):
        with contextlib.suppress(BackupUnreadable):
            read_keyconf(document)
