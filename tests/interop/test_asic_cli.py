"""The verdict on every container and archive of the vectors, through the command line."""

import csv
import json
import re
import subprocess
import sys
import zipfile

import pytest

from sild.cli import main

_FIRST = (
    "9011ab557706b5050584d6888af7b390e5350f4edad296bd7a582aa51732aac7"
    "f49a4ec44dd361027945ade0de8b8cf607fb7b7d11f17b0560d44b965c358eaa"
)
_SECOND = "624334053a96e0e1209d342514b5d890aeaeee8f0659da69688a3eeac0304856"
# What the index says of archives, as exit codes and words.
ARCHIVES = {
    "archives/message-archive-0.zip": (0, _FIRST),
    "archives/mlog-WITH_LINKINGINFO.zip": (0, _SECOND),
    "archives/mlog-NO_LINKINGINFO.zip": (1, None),
}


def rows(vectors, kind):
    with (vectors / "INDEX.tsv").open() as index:
        return [row for row in csv.DictReader(index, delimiter="\t") if row["kind"] == kind]


def conf_of(vectors, row):
    folder = re.search(r"= ([\w/]+)", row["trust"])[1]
    return str(vectors / folder)


def verdict(capsys, *arguments):
    code = main([*map(str, arguments), "--json"])
    return code, json.loads(capsys.readouterr().out)


def expected(row):
    if row["expected"] == "VALID":
        return 0, "valid", None
    return 1, "invalid", row["expected"]


def test_every_container_of_the_index(vectors, capsys):
    found = rows(vectors, "asic")
    assert len(found) == 11
    for row in found:
        container = vectors / row["file"]
        code, told = verdict(capsys, "verify", container, "--conf", conf_of(vectors, row))
        assert (code, told["verdict"], told["code"]) == expected(row), row["file"]


def test_some_containers_of_the_index_as_processes(vectors):
    found = {row["file"]: row for row in rows(vectors, "asic")}
    for name in ("valid-batch-ts", "invalid-signed-hashchain", "not-asic"):
        row = found[f"asic/{name}.asice"]
        command = [sys.executable, "-m", "sild", "verify", str(vectors / row["file"])]
        done = subprocess.run(
            [*command, "--conf", conf_of(vectors, row), "--json"],
            capture_output=True,
            check=False,
        )
        told = json.loads(done.stdout)
        assert (done.returncode, told["verdict"], told["code"]) == expected(row)


def test_every_container_inside_the_message_archives(vectors, capsys, tmp_path):
    (row,) = rows(vectors, "asic-in-archive")
    archive_name, _, name = row["file"].partition("!")
    with zipfile.ZipFile(vectors / archive_name) as archive:
        containers = [entry for entry in archive.namelist() if entry.endswith(".asice")]
        assert containers == [name]
        (tmp_path / name).write_bytes(archive.read(name))
    code, told = verdict(capsys, "verify", tmp_path / name, "--conf", conf_of(vectors, row))
    assert (code, told["verdict"], told["code"]) == expected(row)
    assert told["signer"] == "MEMBER:CS/GOV/0245437-2"


def test_every_archive_of_the_index(vectors, capsys):
    found = rows(vectors, "archive")
    assert {row["file"] for row in found} == ARCHIVES.keys()
    for row in found:
        code, told = verdict(capsys, "verify-archive", "--first", vectors / row["file"])
        assert (code, told["last_digest"]) == ARCHIVES[row["file"]], row["file"]


def test_some_archives_of_the_index_as_processes(vectors):
    command = [sys.executable, "-m", "sild", "verify-archive", "--first"]
    for name, (code, digest) in ARCHIVES.items():
        done = subprocess.run(
            [*command, str(vectors / name)], capture_output=True, text=True, check=False
        )
        assert done.returncode == code
        assert done.stdout.splitlines()[-1] == digest or "no linking info" in done.stdout


@pytest.mark.parametrize("name", ["valid-batch-ts", "valid-signed-message-with-attachments"])
def test_what_the_reference_writes_is_valid_strictly(vectors, capsys, name):
    (row,) = (r for r in rows(vectors, "asic") if r["file"] == f"asic/{name}.asice")
    container, conf = vectors / row["file"], conf_of(vectors, row)
    assert verdict(capsys, "verify", container, "--conf", conf, "--strict")[0] == 0


def test_a_container_that_somebody_packed_again_is_not_valid_strictly(vectors, capsys):
    (row,) = (r for r in rows(vectors, "asic") if r["file"] == "asic/valid-signed-message.asice")
    container, conf = vectors / row["file"], conf_of(vectors, row)
    code, told = verdict(capsys, "verify", container, "--conf", conf, "--strict")
    assert (code, told["code"]) == (1, "not_strict")


def test_the_attachment_that_was_not_logged_is_named(vectors, capsys):
    name = "asic/valid-signed-hashchain.asice"
    (row,) = (r for r in rows(vectors, "asic") if r["file"] == name)
    arguments = ("verify", vectors / name, "--conf", conf_of(vectors, row))
    assert verdict(capsys, *arguments)[1]["unverified"] == ["/attachment1"]
    assert verdict(capsys, *arguments, "--strict")[0] == 1
