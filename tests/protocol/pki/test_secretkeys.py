"""Key stores made by Java's key tool, of today and of its old default, and others made of them."""

import os
import subprocess
from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.protocol.pki.secretkeys import UnreadableKeystore, read_secret_keys
from sild.protocol.pki.secretkeystore import write_secret_keys

PASSWORD = "pass-1234"
TODAY = b64decode(
    "MIICogIBAzCCAkwGCSqGSIb3DQEHAaCCAj0EggI5MIICNTCCAjEGCSqGSIb3DQEHAaCCAiIEggIeMIICGjCCAQEGCyqGSIb"
    "3DQEMCgEFoIGzMIGwBgsqhkiG9w0BDAoBAqCBoASBnTCBmjBmBgkqhkiG9w0BBQ0wWTA4BgkqhkiG9w0BBQwwKwQUOiZVfQ"
    "P801cYNOnQHmjxfMLO1sICAicQAgEgMAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBDfmtwYQPCuADZtBfaPPi/QBDAp9"
    "lVRazy2hlnt+M/0hq7RAM4Gr4VnxwOLW8RSHlQYKmsq32Rdv3FN9/y7AIr8iBgxPDAXBgkqhkiG9w0BCRQxCh4IAGsAZQB5"
    "ADEwIQYJKoZIhvcNAQkVMRQEElRpbWUgMTc5NTMyODkyMDQ5MTCCAREGCyqGSIb3DQEMCgEFoIHDMIHABgsqhkiG9w0BDAo"
    "BAqCBsASBrTCBqjBmBgkqhkiG9w0BBQ0wWTA4BgkqhkiG9w0BBQwwKwQUrCwpzzWGX9jRcrQufs1+6ezkMesCAicQAgEgMA"
    "wGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAEqBBAEWdNC7eFK0N9GRjpUf3JABEDyQZoa/I3AwhuGtQXGjJkZVvxoOsKT16+gn"
    "3w+UZiuyRkXnZ6FIrtESeDKus1++Ipa2/H1ZsDyxA54d3MAPvc8MTwwFwYJKoZIhvcNAQkUMQoeCABrAGUAeQAyMCEGCSqG"
    "SIb3DQEJFTEUBBJUaW1lIDE3OTUzMjg5MjEwMTAwTTAxMA0GCWCGSAFlAwQCAQUABCDtEDd55QQA3Geh5WLjhl3WXxHZnCq"
    "W5S8gGTPCq7XvBwQUnoXDvqP+oDFlOUFtX1fKZZwDZFECAicQ"
)
OLD = b64decode(
    "MIIB/QIBAzCCAbYGCSqGSIb3DQEHAaCCAacEggGjMIIBnzCCAZsGCSqGSIb3DQEHAaCCAYwEggGIMIIBhDCBtwYLKoZIhvc"
    "NAQwKAQWgajBoBgsqhkiG9w0BDAoBAqBZBFcwVTApBgoqhkiG9w0BDAEDMBsEFJ4JiXSlLC+CGYBqwvHn09mv4BbfAgMAw1"
    "AEKGEN1SkHID/unMpLiQ37+9AAf2xPU/PeeWEMmxKO0crbw34FpvzEYHQxPDAXBgkqhkiG9w0BCRQxCh4IAGsAZQB5ADEwI"
    "QYJKoZIhvcNAQkVMRQEElRpbWUgMTc5NTMyODkyMTI4NjCBxwYLKoZIhvcNAQwKAQWgejB4BgsqhkiG9w0BDAoBAqBpBGcw"
    "ZTApBgoqhkiG9w0BDAEDMBsEFNYeJSskwdSGX5PRqjCt0iplb5oxAgMAw1AEOFSk3Vf2akcgpzyMmXXDBD5YqXQ8hQ0QF6a"
    "YJasN0sKDM4rEOacz+NWxg9AQMu+FN6izTtyg6zCmMTwwFwYJKoZIhvcNAQkUMQoeCABrAGUAeQAyMCEGCSqGSIb3DQEJFT"
    "EUBBJUaW1lIDE3OTUzMjg5MjE4NTQwPjAhMAkGBSsOAwIaBQAEFJ69robOfuUxp+HqXFhgPS5krvjLBBTV9eNemb5wiVhUu"
    "6xq/BOU/5fzIAIDAYag"
)
KEYS = {
    TODAY: {
        "key1": "24ff4b2ac458dec7cb8e37bb329ee995",
        "key2": "0ccc0be9dd77b49363e75dd65132b404d9c487f928fd5a58728f4f66f31d0e7f",
    },
    OLD: {
        "key1": "7611660d3f8d97420c3d2e9e59c96264",
        "key2": "f20a084adf5e9accbf913dce6c03b17cf0d6c6a73c4ac9d6077d970d067c99b4",
    },
}


@pytest.mark.parametrize("store", [TODAY, OLD], ids=["PBES2 and AES", "triple DES"])
def test_secret_keys_are_read_by_their_aliases(store):
    found = {alias: secret.hex() for alias, secret in read_secret_keys(store, PASSWORD).items()}
    assert found == KEYS[store]


def test_what_is_written_is_read_again_and_by_no_other_password():
    secrets = {"key1": bytes(range(32)), "key-2": b"\x80" * 16}
    written = write_secret_keys(secrets, PASSWORD, os.urandom)
    assert read_secret_keys(written, PASSWORD) == secrets
    assert not any(secret in written for secret in secrets.values())
    for password in ("", "pass-1235"):
        with pytest.raises(UnreadableKeystore):
            read_secret_keys(written, password)


def test_openssl_accepts_what_is_written(tmp_path):
    path = tmp_path / "keys.p12"
    path.write_bytes(write_secret_keys({"key1": bytes(range(32))}, PASSWORD, os.urandom))
    command = ("openssl", "pkcs12", "-in", path, "-noout", "-info", "-passin", f"pass:{PASSWORD}")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "MAC: sha256" in done.stderr) == (0, True)
    assert "pkcs8ShroudedKeyBag" in done.stdout + done.stderr


@pytest.mark.parametrize("store", [TODAY, OLD])
@pytest.mark.parametrize("password", ["", "pass-1235", "Pass-1234"])
def test_another_password_opens_nothing(store, password):
    with pytest.raises(UnreadableKeystore):
        read_secret_keys(store, password)


@given(place=st.integers(0, len(TODAY) - 1), bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_a_changed_store_gives_the_same_keys_or_none(place, bit):
    changed = bytearray(TODAY)
    changed[place] ^= 1 << bit
    try:
        found = read_secret_keys(bytes(changed), PASSWORD)
    except UnreadableKeystore:
        return
    assert found == read_secret_keys(TODAY, PASSWORD)


@pytest.mark.parametrize("garbage", [b"", b"garbage", TODAY[:-1], TODAY + b"x", bytes(2_000_000)])
def test_what_is_no_key_store_is_refused(garbage):
    with pytest.raises(UnreadableKeystore):
        read_secret_keys(garbage, PASSWORD)
