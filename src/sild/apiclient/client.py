"""Calls of the management APIs of both servers: with a key or a session, over verified TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from sild.apiclient.errors import (
    ApiClientError,
    ApiError,
    ApiNotTrusted,
    ApiTimeout,
    ApiUnreachable,
    Failure,
    UnexpectedAnswer,
    Warned,
)
from sild.apiclient.values import Answer, ApiKey, Form, Json, Login, Octets, Server, Upload
from sild.apiclient.verification import client_context
from sild.runtime.clock import Clock, SystemClock

_PREFIX = "/api/v1"
_UNAUTHORIZED, _BUSY, _FIRST_ERROR = 401, 429, 300
_XSRF_COOKIE, _XSRF_HEADER = "XSRF-TOKEN", "X-XSRF-TOKEN"
_FIRST_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class _Call:
    """A request before it is sent."""

    method: str
    path: str
    content: Mapping[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


class ApiClient:
    """A client of one server; `close` it, or use it as an async context."""

    def __init__(self, server: Server, clock: Clock | None = None) -> None:
        parts = urlsplit(server.url)
        if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"}:
            raise ApiClientError(f"{server.url!r} is not the https address of a server")
        self._server = server
        self._clock = clock or SystemClock()
        try:
            context = client_context(server.verification)
        except (OSError, ssl.SSLError) as error:
            raise ApiClientError(f"the trusted authorities cannot be read: {error}") from error
        self._http = httpx.AsyncClient(
            base_url=server.url,
            verify=context,
            trust_env=False,
            # Without compression, so that a small answer cannot grow to a large one here.
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
            timeout=httpx.Timeout(None, connect=server.patience.connect),
        )
        self._logging_in = asyncio.Lock()
        self._sessions = 0

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: Json = None,
        query: Mapping[str, str | int | bool] | None = None,
        upload: Upload | None = None,
    ) -> Answer:
        """Ask for an operation: `path` is one of the contract, or begins with `/api/`.

        Raises ApiError and the other ApiClientErrors. What a busy server did not take is asked
        again after the pause that it asks for.
        """
        content = _content(json, upload) | {"params": query or {}}
        whole = path if path.startswith("/api/") else _PREFIX + path
        call = _Call(method, whole, content)
        session = self._sessions
        if isinstance(self._server.credentials, Login) and not session:
            session = await self._log_in(session)
        response = await self._patiently(call)
        if response.status == _UNAUTHORIZED and isinstance(self._server.credentials, Login):
            # Sessions end; what was refused so was not done.
            await self._log_in(session)
            response = await self._patiently(call)
        return _accepted(call.name, response)

    async def log_out(self) -> None:
        """End the session, if there is one."""
        if self._sessions:
            call = _Call("POST", "/logout", {})
            _accepted(call.name, await self._patiently(call))
            self._http.cookies.clear()
            self._sessions = 0

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    async def _log_in(self, seen: int) -> int:
        """Log in, unless another call did so since; give the number of the session."""
        credentials = self._server.credentials
        async with self._logging_in:
            if self._sessions == seen and isinstance(credentials, Login):
                self._http.cookies.clear()
                form = {"username": credentials.username, "password": credentials.password}
                call = _Call("POST", "/login", {"data": form})
                _accepted(call.name, await self._patiently(call))
                if _XSRF_COOKIE not in self._http.cookies:
                    raise UnexpectedAnswer("the server gave no session to who logged in")
                self._sessions = seen + 1
            return self._sessions

    async def _patiently(self, call: _Call) -> Answer:
        patience = self._server.patience
        pause = _FIRST_PAUSE
        for _ in range(patience.attempts - 1):
            answer = await self._once(call)
            if answer.status != _BUSY:
                return answer
            wanted = _wanted_pause(answer)
            if wanted is not None and wanted > patience.longest_pause:
                return answer
            await self._clock.sleep(
                min(pause, patience.longest_pause) if wanted is None else wanted
            )
            pause *= 2
        return await self._once(call)

    async def _once(self, call: _Call) -> Answer:
        seconds = self._server.patience.call
        with _telling(call.name):
            try:
                async with asyncio.timeout(seconds), self._sent(call) as response:
                    return await self._read(call, response)
            except TimeoutError as error:
                message = f"{call.name}: the server did not answer in {seconds:g} seconds"
                raise ApiTimeout(message) from error

    @asynccontextmanager
    async def _sent(self, call: _Call) -> AsyncIterator[httpx.Response]:
        response = await self._http.send(self._request(call), stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    def _request(self, call: _Call) -> httpx.Request:
        headers = {**call.content.get("headers", {}), **self._headers()}
        content = {**call.content, "headers": headers}
        try:
            return self._http.build_request(call.method, call.path, **content)
        except (httpx.InvalidURL, TypeError, ValueError) as error:
            raise ApiClientError(f"{call.name}: this cannot be asked: {error}") from error

    def _headers(self) -> dict[str, str]:
        credentials = self._server.credentials
        if isinstance(credentials, ApiKey):
            return {"Authorization": f"X-Road-ApiKey token={credentials.token}"}
        token = self._http.cookies.get(_XSRF_COOKIE)
        return {} if token is None else {_XSRF_HEADER: token}

    async def _read(self, call: _Call, response: httpx.Response) -> Answer:
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self._server.largest_answer:
                raise UnexpectedAnswer(
                    f"{call.name}: the answer has more than {self._server.largest_answer} bytes"
                )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status_code, headers, bytes(content))


def _content(json: Json, upload: Upload | None) -> dict[str, Any]:
    match upload:
        case Form(fields=fields, files=files):
            parts = {name: (file.name, file.content) for name, file in files.items()}
            # Fields alone would be sent as a form of another type.
            texts = {name: (None, text) for name, text in fields.items()}
            return {"files": {**texts, **parts}}
        case Octets(content=content):
            return {"content": content, "headers": {"Content-Type": "application/octet-stream"}}
        case None:
            return {} if json is None else {"json": json}


def _wanted_pause(answer: Answer) -> float | None:
    text = answer.headers.get("retry-after", "")
    return float(text) if text.isascii() and text.isdecimal() else None


def _accepted(name: str, answer: Answer) -> Answer:
    if answer.status >= _FIRST_ERROR:
        raise ApiError(name, _failure_of(answer))
    return answer


def _failure_of(answer: Answer) -> Failure:
    """The error in an answer; what does not look like one is passed over."""
    try:
        body = answer.json
    except UnexpectedAnswer:
        body = None
    body = body if isinstance(body, dict) else {}
    error = body.get("error")
    error = error if isinstance(error, dict) else {}
    warnings = body.get("warnings")
    fields = error.get("validation_errors")
    return Failure(
        status=answer.status,
        code=_text(error.get("code")),
        metadata=_texts(error.get("metadata")),
        validation_errors={str(name): _texts(codes) for name, codes in fields.items()}
        if isinstance(fields, dict)
        else {},
        warnings=tuple(
            Warned(_text(each.get("code")) or "", _texts(each.get("metadata")))
            for each in (warnings if isinstance(warnings, list) else ())
            if isinstance(each, dict)
        ),
        correlation_id=answer.correlation_id,
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, list) else ()


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turn what the library raises into errors of this room."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise ApiTimeout(f"{name}: the server was not connected to in time") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        if _is_distrust(error):
            raise ApiNotTrusted(f"{name}: the server is not trusted: {reason}") from error
        raise ApiUnreachable(f"{name}: the server cannot be reached: {reason}") from error


def _is_distrust(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False
