import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sild.adminapi.centralserver.additions import ADDITIONS
from sild.adminapi.centralserver.application import describe_api
from sild.adminapi.contract import differences, read_description, unused_additions

SILD = Path(sys.executable).with_name("sild")


@pytest.fixture
def published(contracts):
    return contracts / "central-server.openapi.json"


def openapi(*words):
    """Run the command; give its exit code and what it printed."""
    done = subprocess.run(
        [shutil.which(SILD), "central-server", "openapi", *words],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return done.returncode, done.stdout


@pytest.mark.feature("AP-01")
def test_nothing_of_the_published_description_is_missing_or_changed(published):
    code, told = openapi("--against", published)
    assert (code, told) == (0, "nothing is missing or changed\n")


@pytest.mark.feature("AP-01")
def test_every_addition_is_told_with_its_reason(published):
    code, told = openapi("--against", published, "--all", "--json")
    assert code == 0
    found = json.loads(told)
    assert len(found) > 100
    assert all(each["reason"] for each in found)


def test_every_addition_of_the_table_is_one(published):
    found = differences(read_description(published), describe_api(), ADDITIONS)
    assert unused_additions(found, ADDITIONS) == []


@pytest.mark.feature("AP-01")
def test_what_is_missing_is_told_with_exit_code_1(published, tmp_path):
    document = json.loads(published.read_text())
    document["paths"]["/members"]["put"] = document["paths"]["/members"]["post"]
    more = tmp_path / "more.json"
    more.write_text(json.dumps(document))
    assert openapi("--against", more) == (1, "PUT /members: is missing\n1 missing or changed\n")


@pytest.mark.feature("AP-01")
def test_the_description_is_printed_as_yaml_and_as_json():
    code, text = openapi()
    assert code == 0
    assert yaml.safe_load(text) == describe_api()
    assert json.loads(openapi("--json")[1]) == describe_api()


@pytest.mark.parametrize("text", ["", "[]", "{", "paths"])
def test_a_file_that_is_no_description_ends_with_exit_code_2(text, tmp_path):
    path = tmp_path / "other.yaml"
    path.write_text(text)
    assert openapi("--against", path)[0] == 2
