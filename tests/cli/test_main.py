import os
import subprocess
import sys
from pathlib import Path

import pytest

import sild
from sild.cli import main


def test_the_version_is_the_package_s(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"sild {sild.__version__}\n"


def test_no_command_is_answered_with_help_and_refused(capsys):
    assert main([]) == 2
    assert "usage: sild" in capsys.readouterr().err


@pytest.mark.parametrize("command", [[sys.executable, "-m", "sild"], ["sild"]])
def test_the_command_and_the_module_are_one(command):
    if command == ["sild"]:
        command = [str(Path(sys.executable).with_name("sild"))]
    answer = subprocess.run([*command, "--version"], capture_output=True, text=True, check=True)
    assert answer.stdout == f"sild {sild.__version__}\n"


def test_a_reader_that_has_read_enough_is_no_error():
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "sild", "central-server", "openapi"]
    with os.fdopen(write, "wb") as gone:
        told = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (told.returncode, told.stderr) == (1, b"")
