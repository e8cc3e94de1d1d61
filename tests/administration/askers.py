"""Who asks a security server that stands alone: each role in a session and by a key, and nobody."""

import json
import re
import ssl
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from administration.operations import NOBODY, ROLES
from administration.world import FIRST, PASSWORD, USER, Administered, Places
from sild.model.permissions import Role
from sild.servers.accounts import with_server_accounts

SESSION, KEY = "session", "key"
_CORRELATION = "x-road-ui-correlation-id"
_LINE = re.compile(r"correlation-id: \[([0-9a-f]{16})\] INFO  \[Sild Security Server\] \S+ - (.*)")


@dataclass(frozen=True)
class Asker:
    """Somebody with one role, and how they prove it; nobody has none."""

    role: str
    how: str
    http: httpx.AsyncClient

    @property
    def name(self):
        return f"{self.role} by {self.how}"

    async def ask(self, method, path, **content):
        answer = await self.http.request(method, path, **content)
        return answer, answer.headers[_CORRELATION]


def new_lines(path, seen):
    """What the audit log tells since so many bytes, by request; and how many bytes it has now."""
    with path.open("rb") as file:
        file.seek(seen)
        text = file.read().decode("ascii")
    told = {}
    for line in text.splitlines():
        request, record = _LINE.search(line).groups()
        told.setdefault(request, []).append(json.loads(record))
    return told, seen + len(text)


@asynccontextmanager
async def standing_alone(folder, **sections):
    """A security server of which nothing is known yet, with some settings, and who asks it."""
    further = {name.replace("_", "-"): settings for name, settings in sections.items()}
    administered = Administered(folder / "ss", FIRST, Places.find(), further)
    administered.write_settings()
    keys = await _add_people(administered.home)
    async with AsyncExitStack() as opened:
        opened.push_async_callback(administered.stop)
        await administered.start()
        askers = [Asker(NOBODY, NOBODY, await opened.enter_async_context(api_of(administered)))]
        for role in ROLES:
            session = await opened.enter_async_context(api_of(administered))
            form = {"username": role.lower(), "password": PASSWORD}
            (await session.post("/login", data=form)).raise_for_status()
            session.headers["x-xsrf-token"] = session.cookies["XSRF-TOKEN"]
            proof = {"authorization": f"X-Road-ApiKey token={keys[role]}"}
            by_key = await opened.enter_async_context(api_of(administered, proof))
            askers += [Asker(role, SESSION, session), Asker(role, KEY, by_key)]
        yield administered, askers


async def _add_people(home):
    """A user of each role, besides one of all; give a key of each."""
    keys = {}

    async def add(accounts, _):
        await accounts.add_user(USER, PASSWORD, [Role(name) for name in ROLES.values()])
        for role, name in ROLES.items():
            await accounts.add_user(role.lower(), PASSWORD, [Role(name)])
            keys[role] = (await accounts.keys.create([name], frozenset(Role))).text

    await with_server_accounts(home, add)
    return keys


def api_of(administered, headers=None):
    """A client of a server's API as any library makes one."""
    context = ssl.create_default_context(cafile=administered.layout.api_tls)
    context.check_hostname = False
    return httpx.AsyncClient(
        base_url=administered.url, verify=context, headers=headers, timeout=60, trust_env=False
    )
