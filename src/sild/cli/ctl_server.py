"""Which server a command speaks to, and as whom: options, the environment, a file of one's own."""

import argparse
import getpass
import os
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sild.runtime.files import FileNotPrivate, FileTooLarge, read_private

if TYPE_CHECKING:
    from sild.apiclient.values import Credentials, Server, Verification

_LARGEST_FILE = 64 * 1024
_PREFIX = "SILD_CTL_"
_NAMES = (
    "url",
    "fingerprint",
    "ca-file",
    "insecure",
    "api-key",
    "api-key-file",
    "user",
    "password",
    "password-file",
    "call-timeout",
)

HELP = """\
the server and who you are:
  Options go before the environment, which goes before ~/.config/sild/ctl.toml:

    default = "ss1"
    [servers.ss1]
    url = "https://ss1.example.org:4000"
    fingerprint = "AB:CD:..."        # or ca-file; else the system's authorities vouch for it
    api-key-file = "ss1.key"         # or user, and password-file

  In the environment: SILD_CTL_SERVER, SILD_CTL_FINGERPRINT, SILD_CTL_CA_FILE, SILD_CTL_API_KEY,
  SILD_CTL_API_KEY_FILE, SILD_CTL_USER, SILD_CTL_PASSWORD, SILD_CTL_PASSWORD_FILE,
  SILD_CTL_CALL_TIMEOUT, SILD_CTL_CONFIG.

exit status:
  0  done
  1  refused or failed, for a reason that is told
  2  the command or its files are not understood
  3  the server cannot be reached, or is not the one that is trusted
  4  the server warns: --ignore-warnings goes on in spite of it
"""


class NotUnderstood(Exception):
    """The command or its files are not understood."""


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which server, and who."""
    group = parser.add_argument_group("the server")
    group.add_argument(
        "--server", metavar="SERVER", help="its address (https://...), or its name in the file"
    )
    group.add_argument("--fingerprint", metavar="SHA256", help="of the certificate it shows")
    group.add_argument("--ca-file", metavar="FILE", help="authorities that vouch for it, PEM")
    group.add_argument(
        "--insecure", action="store_true", help="believe ANY server: for trials on one machine"
    )
    group.add_argument("--api-key-file", metavar="FILE", help="the API key stands in this file")
    group.add_argument("--user", metavar="NAME", help="log in with a password, which is asked for")
    group.add_argument(
        "--call-timeout", type=float, metavar="SECONDS", help="for each call, 60 if it is not said"
    )
    group.add_argument("--config", metavar="FILE", help="instead of ~/.config/sild/ctl.toml")


def server_of(asked: argparse.Namespace) -> "Server":
    """The server that is meant; raises NotUnderstood."""
    from sild.apiclient.values import Patience, Server

    config = _config_path(asked)
    given = _given(asked, config)
    url = given.get("url")
    if not isinstance(url, str):
        raise NotUnderstood(
            "which server? Say --server https://HOST:4000, or set SILD_CTL_SERVER, or name it in"
            f" {config}"
        )
    timeout = given.get("call-timeout", 60.0)
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        raise NotUnderstood(f"the timeout {timeout!r} is no number of seconds") from None
    return Server(
        url=url if "://" in url else f"https://{url}",
        verification=_verification(given, config.parent),
        credentials=_credentials(given, config.parent),
        patience=Patience(call=seconds),
    )


def _config_path(asked: argparse.Namespace) -> Path:
    named = asked.config or os.environ.get(_PREFIX + "CONFIG")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "sild" / "ctl.toml"


def _given(asked: argparse.Namespace, config: Path) -> dict[str, Any]:
    """All that is said of the server, by its name in the file."""
    options = {name: getattr(asked, name.replace("-", "_"), None) for name in _NAMES}
    environment = {
        name: os.environ.get(_PREFIX + name.upper().replace("-", "_"))
        for name in _NAMES
        # A server's address and its key come together, or a key goes to a stranger.
        if name != "url"
    }
    said = {name: value for name, value in {**environment, **_said(options)}.items() if value}
    if asked.user:
        # Who is named on the command line is meant, whatever keys there are.
        said = {name: each for name, each in said.items() if not name.startswith("api-key")}
    wanted = asked.server or os.environ.get(_PREFIX + "SERVER")
    known = _read_config(config, needed=bool(asked.config))
    if wanted and "://" in wanted:
        return {**said, "url": wanted}
    name = wanted or known.get("default")
    servers = known.get("servers", {})
    if name is None and len(servers) == 1:
        (name,) = servers
    if name is None:
        return said
    if not isinstance(servers, dict) or not isinstance(servers.get(name), dict):
        raise NotUnderstood(f"there is no [servers.{name}] in {config}")
    server = servers[name]
    unknown = sorted(server.keys() - {*_NAMES})
    if unknown:
        raise NotUnderstood(f"{config}: [servers.{name}] knows no {', '.join(unknown)}")
    return _without_rivals(server, said)


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value}


_VERIFYING = frozenset({"fingerprint", "ca-file", "insecure"})
_KEYS = frozenset({"api-key", "api-key-file"})
_PASSWORDS = frozenset({"password", "password-file"})
# What of the file is not meant where something is said; a password belongs to whatever user.
_INSTEAD_OF: Mapping[str, frozenset[str]] = {
    **dict.fromkeys(_VERIFYING, _VERIFYING),
    **dict.fromkeys(_KEYS, _KEYS | _PASSWORDS | {"user"}),
    **dict.fromkeys(_PASSWORDS, _PASSWORDS),
    "user": _KEYS | _PASSWORDS,
}


def _without_rivals(server: Mapping[str, Any], said: Mapping[str, Any]) -> dict[str, Any]:
    rivals = frozenset[str]().union(*(_INSTEAD_OF.get(name, frozenset()) for name in said))
    return {name: value for name, value in server.items() if name not in rivals} | dict(said)


def _read_config(path: Path, *, needed: bool) -> dict[str, Any]:
    """The file, which is private as it may hold keys."""
    if not needed and not path.exists():
        return {}
    try:
        return tomllib.loads(read_private(path, _LARGEST_FILE).decode())
    except (OSError, FileTooLarge, FileNotPrivate, ValueError) as error:
        raise NotUnderstood(f"{path} cannot be read: {error}") from error


def _verification(given: Mapping[str, Any], folder: Path) -> "Verification":
    from sild.apiclient.values import Authorities, Pin, Unverified

    if given.get("fingerprint"):
        try:
            return Pin.from_hex(str(given["fingerprint"]))
        except ValueError as error:
            raise NotUnderstood(f"the fingerprint is none: {error}") from error
    if given.get("ca-file"):
        return Authorities(_path(given["ca-file"], folder))
    return Unverified() if given.get("insecure") is True else Authorities()


def _path(name: object, folder: Path) -> Path:
    """A path; one that the file says is relative to it."""
    path = Path(str(name)).expanduser()
    return path if path.is_absolute() or path.exists() else folder / path


def _credentials(given: Mapping[str, Any], folder: Path) -> "Credentials":
    from sild.apiclient.values import ApiKey, Login

    if given.get("api-key"):
        return ApiKey(str(given["api-key"]))
    if given.get("api-key-file"):
        return ApiKey(read_secret_file(_path(given["api-key-file"], folder)))
    if given.get("user"):
        user = str(given["user"])
        if given.get("password"):
            return Login(user, str(given["password"]))
        if given.get("password-file"):
            return Login(user, read_secret_file(_path(given["password-file"], folder)))
        return Login(user, ask_secret(f"Password of {user}: "))
    return None


def read_secret_file(path: Path) -> str:
    """The secret in a private file; raises NotUnderstood."""
    try:
        text = read_private(path, _LARGEST_FILE).decode().strip("\r\n")
    except (OSError, FileTooLarge, FileNotPrivate, ValueError) as error:
        raise NotUnderstood(f"{path} cannot be read: {error}") from error
    if not text:
        raise NotUnderstood(f"there is no secret in {path}")
    return text


def ask_secret(prompt: str) -> str:
    """A secret from whoever types, or the next line of standard input."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline(_LARGEST_FILE).rstrip("\r\n")
