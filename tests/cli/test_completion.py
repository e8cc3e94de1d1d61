"""Shells complete the commands."""

import os
import subprocess
import sys

import pytest

from sild.cli import main


def completed(line, path):
    """What a shell is offered at the end of a line."""
    shell = {
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(path),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "COMP_TYPE": "9",
    }
    command = (sys.executable, "-m", "sild")
    subprocess.run(command, env=os.environ | shell, check=True, capture_output=True)
    return {word.strip() for word in path.read_text().split("\n")}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("sild cen", {"central-server"}),
        ("sild ctl clie", {"clients", "client-certificates"}),
        ("sild ctl clients reg", {"register"}),
        ("sild ctl clients connection x HTTPS", {"HTTPS", "HTTPS_NO_AUTH"}),
    ],
)
def test_what_a_line_may_go_on_with_is_offered(line, offered, tmp_path):
    assert completed(line, tmp_path / "offered") == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_what_they_need(shell, capsys):
    assert main(["completion", shell]) == 0
    assert "sild" in capsys.readouterr().out
