"""The published configuration over HTTP, as any web server could serve it from its files (CC-02).

    GET /internalconf?version=6                         a directory in a version, 2 by default
    GET /V6/internalconf                                the same by its path
    GET /V6/20260102030405123456789/shared-params.xml   a part

Parts never change, so whoever caches may keep them as long as any directory can name them.
Directories change with every round.
"""

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from stat import S_ISREG

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

_METHODS = ["GET", "HEAD"]
# What existing clients get that ask for none: the oldest, which knew of no versions.
_DEFAULT_VERSION = "2"
_DIRECTORY = re.compile(r"(?:internal|external)conf")
_VERSION = re.compile(r"[0-9]{1,2}")
_STAMP = re.compile(r"[0-9]{23}")
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,200}")
_DIRECTORY_TYPE, _PART_TYPE = "application/octet-stream", "text/xml"
_LARGEST_DIRECTORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class CacheTimes:
    """For how many seconds caches may keep a directory, and a part."""

    directory: int = 10
    part: int = 86_400


class Distribution:
    """Answers for the files of one folder; `app` is the application."""

    def __init__(self, folder: Path, times: CacheTimes | None = None) -> None:
        self._folder = folder
        self._times = times or CacheTimes()
        self.app = Starlette(
            routes=[
                Route("/{directory:str}", self._asked_directory, methods=_METHODS),
                Route("/V{version:str}/{directory:str}", self._named_directory, methods=_METHODS),
                Route("/V{version:str}/{stamp:str}/{name:str}", self._part, methods=_METHODS),
            ]
        )
        self.app.router.redirect_slashes = False

    async def _asked_directory(self, request: Request) -> Response:
        version = request.query_params.get("version", _DEFAULT_VERSION)
        return await self._directory(request, version, request.path_params["directory"])

    async def _named_directory(self, request: Request) -> Response:
        places = request.path_params
        return await self._directory(request, places["version"], places["directory"])

    async def _directory(self, request: Request, version: str, name: str) -> Response:
        if not (_VERSION.fullmatch(version) and _DIRECTORY.fullmatch(name)):
            return _not_found()
        found = await asyncio.to_thread(_read, self._folder / f"V{version}" / name)
        if found is None:
            return _not_found()
        content, modified = found
        tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        headers = _caching(tag, modified, f"public, max-age={self._times.directory}")
        if _is_held(request, tag, modified):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return Response(content, headers=headers, media_type=_DIRECTORY_TYPE)

    async def _part(self, request: Request) -> Response:
        version, stamp, name = (request.path_params[each] for each in ("version", "stamp", "name"))
        if not (_VERSION.fullmatch(version) and _STAMP.fullmatch(stamp) and _PART.fullmatch(name)):
            return _not_found()
        path = self._folder / f"V{version}" / stamp / name
        status = await asyncio.to_thread(_status, path)
        if status is None:
            return _not_found()
        tag, modified = f'"{stamp}-{status.st_size:x}"', _modified(status)
        headers = _caching(tag, modified, f"public, max-age={self._times.part}, immutable")
        if _is_held(request, tag, modified):
            return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
        return FileResponse(path, headers=headers, media_type=_PART_TYPE, stat_result=status)


def _not_found() -> Response:
    return PlainTextResponse("not published\n", HTTPStatus.NOT_FOUND)


def _caching(tag: str, modified: datetime, control: str) -> Mapping[str, str]:
    return {
        "ETag": tag,
        "Last-Modified": format_datetime(modified, usegmt=True),
        "Cache-Control": control,
    }


def _is_held(request: Request, tag: str, modified: datetime) -> bool:
    """Whether the caller has this: by tags, where it names any, else by date (RFC 9110, 13.2.2)."""
    if (tags := request.headers.get("if-none-match")) is not None:
        given = {each.strip().removeprefix("W/") for each in tags.split(",")}
        return tag in given or "*" in given
    try:
        since = parsedate_to_datetime(request.headers.get("if-modified-since", ""))
    except (TypeError, ValueError):
        return False
    return modified <= (since if since.tzinfo else since.replace(tzinfo=UTC))


def _read(path: Path) -> tuple[bytes, datetime] | None:
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            content = file.read(_LARGEST_DIRECTORY)
    except OSError:
        return None
    return content, _modified(status)


def _status(path: Path) -> os.stat_result | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status if S_ISREG(status.st_mode) else None


def _modified(status: os.stat_result) -> datetime:
    return datetime.fromtimestamp(int(status.st_mtime), UTC)
