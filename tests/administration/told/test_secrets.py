"""What is secret stands nowhere but where it must."""

import pytest

from administration.told.applied import APPLIED_PIN, DATABASE_PASSWORD
from administration.told.canaries import (
    Secrets,
    files_below,
    files_of_tar,
    opened_backups,
    pem_key,
    token_keys,
)
from administration.told.run import NEXT_PIN, PIN

# Everything is done once, before the first of them.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

# What stands where an administrator put it, to be read at each start.
GIVEN = {"first-user", "token-pin"}
PIN_READERS = {"python", "python3", "sild", "signer"}
"""The supervisor, and who enters PINs."""


def homes_of(run):
    homes = {code: server.home for code, server in zip(run.codes, run.servers, strict=True)}
    return homes | {"central": run.central.layout.home}


@pytest.fixture(scope="module")
def keys(run):
    """Looks for the private keys of all servers, too; gives the file that each TLS key stands in."""
    places = {}
    pins = {"ss0": PIN, "ss1": NEXT_PIN, "ss2": APPLIED_PIN, "central": PIN}
    for name, home in homes_of(run).items():
        for file, key in token_keys(home / "signer" / "softtoken", pins[name]):
            run.secrets.add_key(f"{name}'s key {file}", key)
        for path in home.glob("*-tls.pem"):
            what = f"{name}'s {path.name}"
            run.secrets.add_key(what, pem_key(path))
            places[what] = path
    places["ss2's password"] = run.ss2.layout.settings_file
    return places


def told_in(run, keys, files):
    """Where secrets stand that must not stand there."""
    found = set()
    for path, data in files:
        for secret in run.secrets.in_(data):
            here = next((place for what, place in keys.items() if secret.startswith(what)), None)
            if path.name not in GIVEN and path != here:
                found.add((str(path), secret))
    return found


def test_keys_are_looked_for(run, keys):
    looked_for = [name for name in run.secrets.forms if name.endswith("(d)")]
    assert {name.split("'")[0] for name in looked_for} == {"ss0", "ss1", "ss2", "central"}
    assert len(keys) >= 6
    assert len(looked_for) >= len(keys) + 9


@pytest.mark.feature("US-07")
def test_no_file_of_a_server_tells_a_secret(run, keys):
    files = [each for home in homes_of(run).values() for each in files_below(home)]
    names = {path.name for path, _ in files}
    assert {"audit.log", "server.log", "serverconf.db", "keyconf", "snapshot"} <= names
    assert told_in(run, keys, files) == set()


@pytest.mark.feature("BK-01")
def test_no_backup_that_is_not_encrypted_tells_a_secret(run, keys):
    layouts = (run.ss1.layout, run.ss2.layout, run.central.layout)
    opened = [each for of in layouts for each in opened_backups(of.backups, of.gnupg)]
    names = {path.name for path, _ in opened}
    assert {"sild.toml", "manifest.json"} <= names
    assert told_in(run, {}, opened) == set()


@pytest.mark.feature("BK-04")
@pytest.mark.parametrize("code", ["ss1", "ss2"])
def test_no_copy_that_a_restoration_made_tells_a_secret(run, keys, code):
    path = homes_of(run)[code] / "restoring" / "conf_prerestore_backup.tar"
    assert told_in(run, {}, files_of_tar(path, path.read_bytes())) == set()


def test_no_file_that_is_applied_or_made_by_that_tells_a_secret(run, keys):
    files = run.applied.files()
    assert {path.suffix for path, _ in files} >= {".yaml", ".xml"}
    assert told_in(run, {}, files) == set()


def test_the_server_that_was_applied_keeps_everything_in_its_database(run, postgres):
    assert not run.ss2.layout.server_database.exists()
    assert not run.ss2.layout.message_database.exists()
    assert DATABASE_PASSWORD in run.ss2.layout.settings_file.read_text()


def test_nobody_was_answered_a_secret(run, keys):
    answered = "\n".join(run.answered)
    assert len(run.answered) > 50
    assert run.secrets.in_(answered.encode()) == set()


def test_no_process_was_called_with_a_secret(run, keys):
    told = {
        (name, secret)
        for (name, what), seen in run.watch.seen.items()
        for said in seen
        for secret in run.secrets.in_(said)
        if what == "cmdline" or name not in PIN_READERS
    }
    assert {name for name, _ in run.watch.seen} >= {"signer", "control", "worker-0"}
    assert told == set()


def test_what_is_planted_is_found(run, keys, tmp_path):
    planted = tmp_path / "some.log"
    secrets = Secrets()
    for name in run.secrets.forms:
        form = min(run.secrets.forms[name], key=len)
        planted.write_bytes(b"before " + form + b" after")
        assert name in {secret for _, secret in told_in(run, keys, files_below(tmp_path))}
    assert secrets.in_(NEXT_PIN.encode()) == set()
