"""The file that lists PKCS #11 devices."""

from pathlib import Path

import pytest

from sild.components.signer.devices import RsaMechanism, read_devices
from sild.runtime.settings import SettingsError

PLACES = {"moduleType": "hsm", "slotIndex": "2", "serialNumber": "0a1b", "label": "card"}


def devices(tmp_path, text):
    path = tmp_path / "devices.toml"
    path.write_text(text)
    return read_devices(path)


def test_without_a_file_there_are_no_devices(tmp_path):
    assert read_devices(tmp_path / "none.toml") == {}
    assert devices(tmp_path, "") == {}


def test_each_section_is_a_device(tmp_path):
    found = devices(
        tmp_path,
        """
        [hsm]
        library = "/usr/lib/hsm.so"
        [smart-card]
        library = "/usr/lib/card.so"
        sign_verify_pin = true
        rsa-sign-mechanism = "CKM_RSA_PKCS_PSS"
        slot-ids = ["1", "4"]
        os-locking-ok = false
        priv-key-attribute-allowed-mechanisms = ["CKM_RSA_PKCS_PSS"]
        [old]
        library = "/usr/lib/old.so"
        enabled = false
        """,
    )
    assert list(found) == ["hsm", "smart-card"]
    assert found["hsm"].library == Path("/usr/lib/hsm.so")
    card = found["smart-card"]
    assert card.sign_verify_pin
    assert card.rsa_sign_mechanism is RsaMechanism.PSS
    assert (card.slot_ids, card.os_locking_ok) == (("1", "4"), False)
    assert found["hsm"].priv_key_attribute_sensitive
    assert found["hsm"].priv_key_attribute_extractable is False


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[hsm]", "library is required"),
        ("hsm = 1", "section"),
        ("[hsm]\nlibrary = 1", "a path"),
        ('[hsm]\nlibrary = "a"\nlibary = "b"', "not known"),
        ('[hsm]\nlibrary = "a"\nslot-ids = ["x"]', "number of a slot"),
        ('[hsm]\nlibrary = "a"\nrsa-sign-mechanism = "CKM_RSA_X_509"', "one of"),
        ('[hsm]\nlibrary = "a"\nec-sign-mechanism = "CKM_RSA_PKCS"', "one of"),
        ('[hsm]\nlibrary = "a"\ntoken-id-format = "{what}"', "token-id-format"),
        ('[hsm]\nlibrary = "a"\npub-key-attribute-allowed-mechanisms = ["CKM_X"]', "CKM_X"),
        ('[softToken]\nlibrary = "a"', "softToken"),
        ('["a b"]\nlibrary = "a"', "a b"),
        ('[a-b]\nlibrary = "a"\n[a_b]\nlibrary = "a"', "a-b"),
        ("[hsm", "TOML|cannot be read"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path, text, problem):
    with pytest.raises(SettingsError, match=problem):
        devices(tmp_path, text)


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("{moduleType}{slotIndex}{serialNumber}{label}", "hsm20a1bcard"),
        ("{moduleType}-{label}", "hsm-card"),
        ("fixed", "fixed"),
    ],
)
def test_a_tokens_id_is_made_of_what_is_known_of_it(tmp_path, pattern, told):
    text = f'[hsm]\nlibrary = "a"\ntoken-id-format = "{pattern}"'
    token_id = devices(tmp_path, text)["hsm"].token_id(PLACES)
    assert bytes.fromhex(token_id).decode() == told
