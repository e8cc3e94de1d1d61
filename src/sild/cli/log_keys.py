"""`sild log new-key`: secret keys that a message log is encrypted with."""

import argparse
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.components.messagelog.settings import MessageLogSettings

_FAILED, _UNUSABLE = 1, 2
_SECRET_BYTES = 32
_LARGEST = 1024 * 1024
# Java's key tool knows no capitals in names, and the name is part of what keys are derived from.
_KEY_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")

_NEW_KEY = """\
Adds a fresh secret key to the key store that [message-log] messagelog-keystore names, a PKCS #12
file under messagelog-keystore-password; the file is made if it is not there. Records are encrypted
with the key that messagelog-key-id names, once messagelog-encryption-enabled is true. Keys that are
there stay: what they have encrypted is read with them.

exit status: 0 the key is there; 1 it could not be added; 2 the settings name no key store
"""


def add_action(actions: "argparse._SubParsersAction[Any]") -> None:
    """Add the action to `sild log`."""
    new_key = actions.add_parser(
        "new-key",
        help="make a key that records are encrypted with",
        description=_NEW_KEY,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    new_key.add_argument(
        "--home", type=Path, required=True, help="the directory that holds all of the server"
    )
    new_key.add_argument("key_id", type=_key_id, metavar="KEY-ID", help="what the key is called")
    new_key.set_defaults(run=run_new_key)


def _key_id(text: str) -> str:
    if not _KEY_ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot name a key: write small letters, digits, and . _ - between them"
        )
    return text


def run_new_key(asked: argparse.Namespace) -> int:
    """Add a key, and tell how it is used."""
    from sild.protocol.pki.secretkeys import UnreadableKeystore
    from sild.runtime.files import FileError
    from sild.runtime.settings import SettingsError
    from sild.servers.layout import Layout
    from sild.servers.settings import read_server_settings

    try:
        settings = read_server_settings(Layout(asked.home.absolute())).message_log
    except SettingsError as error:
        print(error, file=sys.stderr)
        return _UNUSABLE
    if settings.messagelog_keystore is None or not settings.messagelog_keystore_password:
        missing = "set messagelog-keystore and messagelog-keystore-password in [message-log] first"
        print(f"sild log new-key: {missing}", file=sys.stderr)
        return _UNUSABLE
    try:
        added = _add(asked.key_id, settings.messagelog_keystore, settings)
    except (UnreadableKeystore, FileError, OSError) as error:
        print(f"sild log new-key: {settings.messagelog_keystore}: {error}", file=sys.stderr)
        return _FAILED
    if not added:
        print(f"sild log new-key: there is a key {asked.key_id!r} already", file=sys.stderr)
        return _FAILED
    print(f"The key {asked.key_id!r} is in {settings.messagelog_keystore}.")
    print(
        f'It is used with messagelog-key-id = "{asked.key_id}". Keep a copy of the file elsewhere.'
    )
    return 0


def _add(key_id: str, path: Path, settings: "MessageLogSettings") -> bool:
    from sild.protocol.pki.secretkeys import read_secret_keys
    from sild.protocol.pki.secretkeystore import write_secret_keys
    from sild.runtime.clock import SystemClock
    from sild.runtime.files import read_bounded, write_private

    password = settings.messagelog_keystore_password or ""
    secrets = read_secret_keys(read_bounded(path, _LARGEST), password) if path.exists() else {}
    if key_id in secrets:
        return False
    random = SystemClock().random_bytes
    secrets[key_id] = random(_SECRET_BYTES)
    write_private(path, write_secret_keys(secrets, password, random))
    return True
