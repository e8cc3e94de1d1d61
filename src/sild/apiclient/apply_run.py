"""One run: every question and every change goes through it, so that a dry run changes nothing."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from sild.apiclient.apply_errors import ApplyFailed, StillWaiting
from sild.apiclient.apply_values import Event, Happening, Options, Tell
from sild.apiclient.client import ApiClient
from sild.apiclient.errors import ApiClientError, ApiError, UnexpectedAnswer
from sild.apiclient.values import Answer, Json, Upload

_T = TypeVar("_T")
Query: TypeAlias = Mapping[str, str | int | bool]
Look: TypeAlias = Callable[[], Awaitable[bool]]
_GROWTH = 1.5
_CONFLICT, _FAILED = 409, 500
_CANNOT = frozenset({401, 403, 404, 405})
_REFRESH = "/api/sild/v1/refresh"


@dataclass(frozen=True, slots=True)
class Call:
    """A call to the server."""

    method: str
    path: str
    json: Json = None
    upload: Upload | None = None
    query: Query | None = None


class Gate:
    """What some wait for and others open, or shut for good."""

    def __init__(self) -> None:
        self._decided = asyncio.Event()
        self._open = False

    def open(self) -> None:
        """Let everybody pass."""
        self._open = True
        self._decided.set()

    def shut(self) -> None:
        """Let nobody pass, unless it is open."""
        self._decided.set()

    async def passed(self) -> bool:
        """Wait for the decision, and say whether it is open."""
        await self._decided.wait()
        return self._open


class Shared:
    """Something that many want done at the same time: it is done once for all of them."""

    def __init__(self, do: Callable[[], Awaitable[Any]]) -> None:
        self._do = do
        self._turn = asyncio.Lock()
        self._begun = self._done = 0
        self._found: Any = None

    async def __call__(self) -> Any:
        """What it gave when it was done, begun after this was asked."""
        asked = self._begun
        async with self._turn:
            if self._done <= asked:
                self._begun += 1
                self._found = await self._do()
                self._done = self._begun
            return self._found


class Run:
    """One run against one server."""

    def __init__(self, client: ApiClient, options: Options, tell: Tell) -> None:
        self.options = options
        self.changes: list[str] = []
        self.blank = False
        """Whether there is nothing to ask yet: a dry run of a server without configuration."""
        self.tokens = Shared(lambda: self.get("/tokens"))
        self.clients = Shared(lambda: self.get("/clients"))
        self._refresh = Shared(self._have_it_refreshed)
        self._refreshes = True
        self._client = client
        self._tell = tell
        self._clock = options.clock
        self._deadline = self._clock.monotonic() + options.timeout
        self._places = asyncio.Semaphore(options.calls_at_once)

    @property
    def dry(self) -> bool:
        """Whether nothing is changed."""
        return self.options.dry_run

    async def get(self, path: str, query: Query | None = None) -> Any:
        """Ask for JSON."""
        return (await self.ask(Call("GET", path, query=query))).json

    async def ask(self, call: Call) -> Answer:
        """Make a call that changes nothing, not many at once."""
        async with self._places:
            return await self._client.call(
                call.method, call.path, json=call.json, upload=call.upload, query=call.query
            )

    async def change(self, what: str, call: Call) -> Answer | None:
        """Make a change and tell of it; a dry run tells of it, and gives None."""
        if self.dry:
            self._note(Happening.WOULD, what)
            return None
        answer = await self._make(what, call)
        self._note(Happening.DONE, what)
        return answer

    async def change_in_time(self, what: str, call: Call, is_so: Look | None = None) -> None:
        """Make a change that is refused until others have done their part.

        After each refusal `is_so` says whether it is so all the same: an answer may get lost.
        """
        if self.dry:
            self._note(Happening.WOULD, what)
            return
        refused = ""

        async def made() -> bool:
            nonlocal refused
            try:
                await self._make(what, call)
            except ApiError as error:
                if not _may_pass(error):
                    raise
                refused = str(error)
                return is_so is not None and await is_so()
            return True

        await self.until(lambda: refused or what, made)
        self._note(Happening.DONE, what)

    async def until(
        self, what: str | Callable[[], str], look: Callable[[], Awaitable[_T]]
    ) -> _T | None:
        """Look until something is there, and give it; a dry run gives None at once.

        Raises StillWaiting when time is up.
        """
        if self.dry:
            return None
        pause, told = self.options.poll, ""
        while not (found := await look()):
            words = what() if callable(what) else what
            if not self.options.wait:
                raise StillWaiting([words])
            if words != told:
                told = words
                self._tell(Event(Happening.WAITS, words))
            if self._clock.monotonic() + pause > self._deadline:
                raise StillWaiting([words])
            await self._clock.sleep(pause)
            await self._refresh()
            pause = min(pause * _GROWTH, self.options.longest_poll)
        return found

    async def _have_it_refreshed(self) -> None:
        """Have the server look for what is new; other makes of servers cannot be asked to."""
        if self.options.before_look is not None:
            await self.options.before_look()
        if not self._refreshes:
            return
        try:
            await self.ask(Call("POST", _REFRESH, query={"ocsp": True}))
        except ApiError as error:
            self._refreshes = error.status not in _CANNOT

    async def together(self, *branches: Coroutine[Any, Any, _T]) -> list[_T]:
        """Go all ways to their ends, and give what they gave.

        Raises what stopped any of them as one error.
        """
        found: dict[int, _T] = {}
        stopped: list[ApiClientError] = []

        async def walk(place: int, branch: Coroutine[Any, Any, _T]) -> None:
            try:
                found[place] = await branch
            except ApiClientError as error:
                stopped.append(error)
            except (KeyError, IndexError, TypeError, ValueError) as error:
                unlike = UnexpectedAnswer(f"the server's answer is not as described: {error!r}")
                unlike.__cause__ = error
                stopped.append(unlike)

        async with asyncio.TaskGroup() as tasks:
            for place, branch in enumerate(branches):
                tasks.create_task(walk(place, branch))
        if stopped:
            raise _as_one(stopped)
        return [found[place] for place in range(len(branches))]

    async def _make(self, what: str, call: Call) -> Answer:
        try:
            return await self.ask(call)
        except ApiError as error:
            raise ApiError(what, error.failure) from error

    def _note(self, happening: Happening, what: str) -> None:
        self.changes.append(what)
        self._tell(Event(happening, what))


def names_unknown(error: ApiError) -> bool:
    """Whether a call names what the server does not know, and may know later."""
    return (error.code or "").endswith("not_found")


def _may_pass(error: ApiError) -> bool:
    """Whether the same call may succeed later."""
    return error.status == _CONFLICT or error.status >= _FAILED or names_unknown(error)


def _as_one(stopped: list[ApiClientError]) -> ApiClientError:
    if len(stopped) == 1:
        return stopped[0]
    waiting = all(isinstance(error, StillWaiting) for error in stopped)
    reasons = dict.fromkeys(reason for error in stopped for reason in _reasons(error))
    return StillWaiting(reasons) if waiting else ApplyFailed(reasons)


def _reasons(error: ApiClientError) -> tuple[str, ...]:
    if isinstance(error, ApplyFailed | StillWaiting):
        return error.reasons
    return (str(error),)
