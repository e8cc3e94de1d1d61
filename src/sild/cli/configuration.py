"""`sild configuration`: download global configuration, verify anchors, check optional parts."""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sild.components.confclient.once import Downloaded
    from sild.protocol.errors import GlobalConfError
    from sild.protocol.globalconf.anchor import Anchor

_LARGEST = 1024 * 1024
_INTERNAL_ERROR, _NO_ANCHOR, _MALFORMED_ANCHOR = 125, 115, 116
_NOT_EXTERNAL, _NO_PRIVATE = 117, 121
_NOT_DOWNLOADED, _EXPIRED, _BAD_SIGNATURE = 122, 123, 124
_VERSIONS = (2, 3, 4, 5, 6)
_PARTS = ("MONITORING", "FETCHINTERVAL", "NEXTUPDATE")

_DESCRIPTION = """\
Shows what a configuration anchor leads to: whether the global configuration can be downloaded there
now, is signed by whom the anchor names, has not expired and is whole. No server is needed for it.
"""
_EPILOG = """\
exit status of download and verify:
  0    it is in order
  115  there is no such anchor file
  116  the anchor is malformed
  117  --external: it leads to no external configuration, or to private parameters
  121  --internal: it leads to no private parameters
  122  no source could be reached, or none had it
  123  it has expired
  124  its signature is not that of a signer whom the anchor names
  125  anything else
exit status of check-part:
  0    the part may be published
  1    it may not, or cannot be read

examples:
  sild configuration download configuration-anchor.xml conf/
  sild configuration download configuration-anchor.xml conf/ --version 2
  sild configuration verify configuration-anchor.xml --internal
  sild configuration check-part monitoring monitoring-params.xml
"""


def add_parser(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add the command."""
    parser = commands.add_parser(
        "configuration",
        help="download and verify global configuration, check its optional parts",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    acts = parser.add_subparsers(title="acts", metavar="ACT", required=True)
    download = acts.add_parser("download", help="download into a folder what an anchor leads to")
    _add_anchor(download)
    download.add_argument("folder", type=Path, metavar="FOLDER", help="where to put it")
    download.set_defaults(run=_download)
    verify = acts.add_parser("verify", help="download what an anchor leads to, and keep nothing")
    _add_anchor(verify)
    kind = verify.add_mutually_exclusive_group()
    kind.add_argument(
        "-p", "--internal", action="store_true", help="it must have private parameters"
    )
    kind.add_argument("-s", "--external", action="store_true", help="it must have none")
    verify.set_defaults(run=_verify)
    check = acts.add_parser("check-part", help="check a part before it is uploaded")
    check.add_argument(
        "part", type=str.upper, choices=_PARTS, metavar="PART", help=", ".join(_PARTS).lower()
    )
    check.add_argument("file", type=Path, metavar="FILE", help="its file; - is standard input")
    check.set_defaults(run=_check_part)


def _add_anchor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("anchor", type=Path, metavar="ANCHOR", help="the anchor's file")
    parser.add_argument(
        "--version",
        type=int,
        choices=_VERSIONS,
        metavar="N",
        help="take this version of the configuration and no other (default: the newest)",
    )
    parser.add_argument(
        "--federations",
        default="none",
        metavar="NAMES",
        help="also take these partner instances', separated by commas, or `all` (default: none)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _download(asked: argparse.Namespace) -> int:
    from sild.components.confclient.once import write_plainly

    downloaded = _fetch(asked)
    if isinstance(downloaded, int):
        return downloaded
    try:
        write_plainly(asked.folder, downloaded)
    except OSError as error:
        return _failed(asked, _INTERNAL_ERROR, f"{asked.folder}: {error.strerror or error}")
    return _told(asked, downloaded)


def _verify(asked: argparse.Namespace) -> int:
    downloaded = _fetch(asked)
    if isinstance(downloaded, int):
        return downloaded
    if asked.internal and not downloaded.is_internal:
        return _failed(asked, _NO_PRIVATE, "the anchor leads to no private parameters")
    if asked.external and downloaded.is_internal:
        return _failed(asked, _NOT_EXTERNAL, "the anchor is not one for an external source")
    return _told(asked, downloaded)


def _fetch(asked: argparse.Namespace) -> "Downloaded | int":
    """What the anchor leads to, or the exit code of what has been told to be wrong."""
    from sild.components.confclient.once import pin_version
    from sild.protocol.errors import GlobalConfError, MalformedAnchor
    from sild.protocol.globalconf.anchor import read_anchor
    from sild.runtime.files import FileError, read_bounded

    try:
        anchor = read_anchor(read_bounded(asked.anchor, _LARGEST))
        if asked.version is not None:
            anchor = pin_version(anchor, asked.version)
    except OSError as error:
        return _failed(asked, _NO_ANCHOR, f"{asked.anchor}: {error.strerror or error}")
    except (FileError, MalformedAnchor) as error:
        return _failed(asked, _MALFORMED_ANCHOR, f"{asked.anchor}: {error}")
    try:
        downloaded = asyncio.run(_download_by(anchor, asked))
    except GlobalConfError as error:
        return _failed(asked, _code_of(error, asked), error.message)
    version = downloaded.instances[anchor.instance].version
    if asked.version not in (None, version):
        return _failed(asked, _INTERNAL_ERROR, f"the source gave version {version}")
    return downloaded


async def _download_by(anchor: "Anchor", asked: argparse.Namespace) -> "Downloaded":
    from sild.components.confclient.download import ConfigurationClient, Places
    from sild.components.confclient.once import download_once
    from sild.components.confclient.settings import ConfigurationClientSettings
    from sild.protocol.globalconf.trusted import Federations
    from sild.runtime.clock import SystemClock
    from sild.runtime.fetch import Fetcher

    async with Fetcher() as fetcher:
        nowhere = Places(asked.anchor, asked.anchor.parent)
        client = ConfigurationClient(nowhere, ConfigurationClientSettings(), fetcher, SystemClock())
        return await download_once(client, anchor, Federations.from_text(asked.federations))


def _code_of(error: "GlobalConfError", asked: argparse.Namespace) -> int:
    from sild.protocol import errors

    wanted = vars(asked)
    lacking = _NO_PRIVATE if wanted.get("internal") else _INTERNAL_ERROR
    codes = (
        (errors.GlobalConfDownloadFailed, _NOT_DOWNLOADED),
        (errors.GlobalConfExpiredDirectory, _EXPIRED),
        (errors.GlobalConfMissingSignature, _BAD_SIGNATURE),
        (errors.GlobalConfSignatureFailure, _BAD_SIGNATURE),
        (errors.GlobalConfMissingVerificationCert, _BAD_SIGNATURE),
        (errors.GlobalConfMissingPart, _NOT_EXTERNAL if wanted.get("external") else lacking),
    )
    return next((code for kind, code in codes if isinstance(error, kind)), _INTERNAL_ERROR)


def _failed(asked: argparse.Namespace, code: int, reason: str) -> int:
    if asked.json:
        print(json.dumps({"exit_status": code, "error": reason}, indent=2))
    else:
        print(reason, file=sys.stderr)
    return code


def _told(asked: argparse.Namespace, downloaded: "Downloaded") -> int:
    told = [
        {
            "instance": conf.instance,
            "version": conf.version,
            "expires": f"{conf.expires:%FT%TZ}",
            "parts": [kind.value for kind in conf.contents],
        }
        for conf in downloaded.instances.values()
    ]
    refused = [
        {"instance": source.instance, "location": each.location, "error": str(each.error)}
        for source in downloaded.sources
        for each in source.attempts
        if each.error is not None
    ]
    if asked.json:
        print(json.dumps({"exit_status": 0, "instances": told, "refused": refused}, indent=2))
        return 0
    for conf in downloaded.instances.values():
        parts = ", ".join(kind.value for kind in conf.contents)
        until = f"{conf.expires:%FT%TZ}"
        print(f"{conf.instance}: version {conf.version}, until {until}, {parts}")
    for failure in refused:
        print(f"not from {failure['location']}: {failure['error']}", file=sys.stderr)
    return 0


def _check_part(asked: argparse.Namespace) -> int:
    from sild.protocol.errors import MalformedGlobalConf
    from sild.protocol.globalconf import extensions
    from sild.runtime.files import FileError, FileTooLarge, read_bounded

    readers = (
        extensions.read_monitoring,
        extensions.read_fetch_interval,
        extensions.read_next_update,
    )
    try:
        if asked.file == Path("-"):
            content = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            content = read_bounded(asked.file, _LARGEST)
        if len(content) > _LARGEST:
            raise FileTooLarge(f"a part has at most {_LARGEST} bytes")
        dict(zip(_PARTS, readers, strict=True))[asked.part](content)
    except (OSError, FileError, MalformedGlobalConf) as error:
        print(f"{asked.file}: {error}", file=sys.stderr)
        return 1
    print(f"{asked.file} is a {asked.part} part")
    return 0
