"""The `sild` command: one sub-command a verb."""

from sild.cli.main import main

__all__ = ["main"]
