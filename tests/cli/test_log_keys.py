"""Keys that a message log is encrypted with, made by the command."""

import stat

import pytest

from sild.cli import main
from sild.components.messagelog.encryption import Seal, open_cipher
from sild.servers.layout import Layout
from sild.servers.settings import read_server_settings

STORE = 'messagelog-keystore = "{}"\nmessagelog-keystore-password = "pass-1234"\n'


@pytest.fixture
def keystore(tmp_path):
    return tmp_path / "keys.p12"


@pytest.fixture
def home(tmp_path, keystore):
    """Writes the settings of a server, with a key store and more; its home."""
    folder = tmp_path / "home"
    folder.mkdir()

    def write(more=""):
        text = f"[message-log]\n{STORE.format(keystore)}{more}"
        (folder / "sild.toml").write_text(text)
        return folder

    return write


def new_key(home, key_id):
    return main(["log", "new-key", key_id, "--home", str(home)])


def cipher_at(home):
    return open_cipher(read_server_settings(Layout(home)).message_log)


def test_a_key_is_made_and_others_are_added(home, keystore, capsys):
    assert new_key(home(), "key-1") == 0
    assert 'messagelog-key-id = "key-1"' in capsys.readouterr().out
    assert stat.S_IMODE(keystore.stat().st_mode) == 0o600
    on = "messagelog-encryption-enabled = true\nmessagelog-key-id = "
    sealed = cipher_at(home(f'{on}"key-1"')).message(Seal("key-1", 7), b"the message")
    assert new_key(home(), "key-2") == 0
    both = cipher_at(home(f'{on}"key-2"'))
    assert both.current == "key-2"
    assert both.message(Seal("key-1", 7), sealed) == b"the message"
    assert both.message(Seal("key-2", 7), b"the message") != sealed


def test_a_key_that_is_there_is_not_replaced(home, keystore, capsys):
    assert new_key(home(), "key-1") == 0
    before = keystore.read_bytes()
    assert new_key(home(), "key-1") == 1
    assert "already" in capsys.readouterr().err
    assert keystore.read_bytes() == before


def test_another_file_is_not_replaced(home, keystore, capsys):
    keystore.write_bytes(b"something else")
    assert new_key(home(), "key-1") == 1
    assert str(keystore) in capsys.readouterr().err
    assert keystore.read_bytes() == b"something else"


def test_without_a_key_store_in_the_settings_nothing_is_made(home, capsys):
    folder = home()
    (folder / "sild.toml").write_text("[message-log]\n")
    assert new_key(folder, "key-1") == 2
    assert "messagelog-keystore" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "Key", "a b", "-a", "k" * 101])
def test_what_cannot_name_a_key_is_refused(home, name):
    with pytest.raises(SystemExit) as ended:
        new_key(home(), name)
    assert ended.value.code == 2
