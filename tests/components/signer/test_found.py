"""What is found on devices, beside what is known."""

from dataclasses import replace

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from components.signer.builders import OWNER, certify
from pki_builder import TestCa
from sild.components.signer.found import left_on_device, with_found
from sild.components.signer.ports import DeviceState, FoundCertificate, FoundKey
from sild.components.signer.store import KeyConf
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    RequestEntry,
    TokenStatus,
)

CA = TestCa.create()
P256 = KeyAlgorithm.EC_P256
TOKEN = "68736d"


def made(name):
    """A key of a device and a signing certificate for it."""
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    found = FoundKey(name, f"label of {name}", P256, spki)
    return found, certify(CA, Key(name, "", KeyUsage.SIGNING, P256, spki))


ONE, ONE_CERTIFICATE = made("01")
TWO, TWO_CERTIFICATE = made("02")


def seen(*keys, certificates=(), **changes):
    state = DeviceState(
        TokenStatus.OK,
        logged_in=True,
        type="hsm",
        serial_number="1",
        device_label="card",
        keys=tuple(keys),
        certificates=tuple(certificates),
    )
    return {TOKEN: replace(state, **changes)}


def test_a_device_is_remembered_with_its_keys():
    conf = with_found(KeyConf(), seen(ONE))
    (token,) = conf.tokens
    assert (token.id, token.label, token.type, token.serial_number) == (
        TOKEN,
        "hsm-card",
        "hsm",
        "1",
    )
    (key,) = conf.keys
    assert (key.id, key.label, key.usage, key.token_id) == ("01", "label of 01", None, TOKEN)
    assert not key.saved_to_configuration
    assert with_found(conf, seen(ONE)) == conf


def test_a_certificate_on_the_device_is_known_but_not_used():
    on_device = FoundCertificate("01", ONE_CERTIFICATE.der)
    conf = with_found(KeyConf(), seen(ONE, certificates=[on_device]))
    (entry,) = conf.keys[0].certificates
    assert (entry.saved, entry.active) == (False, False)
    assert not conf.keys[0].saved_to_configuration
    assert with_found(conf, seen(ONE)).keys[0].certificates == ()


def test_a_certificate_of_another_key_or_none_is_passed_over():
    wrong = [FoundCertificate("01", TWO_CERTIFICATE.der), FoundCertificate("01", b"junk")]
    conf = with_found(KeyConf(), seen(ONE, certificates=wrong))
    assert conf.keys[0].certificates == ()


def test_what_is_only_found_goes_when_it_is_found_no_more():
    conf = with_found(KeyConf(), seen(ONE, TWO))
    assert [key.id for key in with_found(conf, seen(TWO)).keys] == ["02"]


def test_nothing_is_forgotten_that_somebody_made_or_saved():
    conf = with_found(KeyConf(), seen(ONE, TWO))
    named = replace(conf.get_key("01"), label="mine", usage=KeyUsage.SIGNING)
    requested = replace(conf.get_key("02"), requests=(RequestEntry("r", "", ""),))
    conf = conf.with_key(named).with_key(requested)
    for states in (seen(), {}, seen(available=False, keys=None)):
        after = with_found(conf, states)
        assert after.keys == conf.keys
        assert [token.id for token in after.tokens] == [TOKEN]
    assert with_found(conf, seen(ONE, TWO)).get_key("01").label == "mine"


def test_keys_stay_while_nobody_is_logged_in_who_could_see_them():
    conf = with_found(KeyConf(), seen(ONE))
    assert with_found(conf, seen(keys=None)) == conf


def test_a_device_without_a_key_of_ours_is_forgotten_when_it_is_gone():
    conf = with_found(KeyConf(), seen(ONE))
    for states in ({}, seen(available=False, keys=None)):
        assert with_found(conf, states) == KeyConf()


def test_a_key_that_another_token_has_is_not_taken_from_it():
    conf = with_found(KeyConf(), seen(ONE))
    both = {**seen(ONE), "6869": seen(ONE)[TOKEN]}
    after = with_found(conf, both)
    assert [(key.id, key.token_id) for key in after.keys] == [("01", TOKEN)]


def test_what_a_device_still_holds_is_known_as_found_there():
    saved = CertificateEntry(
        ONE_CERTIFICATE.sha256.hex(),
        ONE_CERTIFICATE.der,
        CertificateStatus.REGISTERED,
        active=True,
        member=OWNER,
    )
    key = replace(with_found(KeyConf(), seen(ONE)).keys[0], certificates=(saved,))
    held = seen(ONE, certificates=[FoundCertificate("01", ONE_CERTIFICATE.der)])[TOKEN]
    (left,) = left_on_device(key, held)
    assert (left.saved, left.active, left.member) == (False, False, None)
    assert left_on_device(key, seen(ONE)[TOKEN]) == ()
