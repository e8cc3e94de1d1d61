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
    import argcomplete

    print(argcomplete.shellcode(["sild"], shell=asked.shell), end="")
    return 0


def complete(parser: argparse.ArgumentParser) -> None:
    """Complete what stands on the command line, if a shell asks for that, and end."""
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
