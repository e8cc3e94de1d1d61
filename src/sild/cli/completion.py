"""`sild completion`: what shells complete commands by; only this module knows argcomplete."""

import argparse
import os
from typing import Any

_SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_DESCRIPTION = """\
Prints what a shell needs to complete sild's commands:

    source <(sild completion bash)                                   in ~/.bashrc
    source <(sild completion zsh)                                    in ~/.zshrc
    sild completion fish > ~/.config/fish/completions/sild.fish
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "completion",
        help="print what a shell needs to complete commands",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=_SHELLS)
    parser.set_defaults(run=run)


def run(asked: argparse.Namespace) -> int:
    """Print it."""
    from argcomplete.shell_integration import shellcode

    print(shellcode(["sild"], shell=asked.shell), end="")
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Complete what stands on the command line, if a shell asks for that, and end."""
    if "_ARGCOMPLETE" in os.environ:
        from argcomplete import autocomplete

        autocomplete(parser)
