"""Clients with all that is theirs, and their registration."""

import hashlib
from typing import Any

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_keys import Found, Keys
from sild.apiclient.apply_rights import Rights
from sild.apiclient.apply_run import Call, Run
from sild.apiclient.apply_secrets import read_file, to_der
from sild.apiclient.apply_services import Services
from sild.apiclient.declared import DeclaredClient, DeclaredGroup, DeclaredServer
from sild.apiclient.declared_reading import member_of
from sild.apiclient.values import Octets, path_of

_LARGEST_CERTIFICATE = 1024**2
_LEAVING = frozenset({"DELETION_IN_PROGRESS", "GLOBAL_ERROR", "DISABLING_IN_PROGRESS"})
_CONNECTED = frozenset({"REGISTERED", "REGISTRATION_IN_PROGRESS", "ENABLING_IN_PROGRESS"})


class Clients:
    """The clients of a declaration."""

    def __init__(self, run: Run, declared: DeclaredServer, keys: Keys) -> None:
        self._run = run
        self._declared = declared
        self._keys = keys

    async def make(self) -> None:
        """Do all of it, clients beside each other; what is registered last needs the keys."""
        try:
            await self._make()
        finally:
            self._keys.no_more_clients()

    async def _make(self) -> None:
        found = [] if self._run.blank else await self._run.get("/clients")
        known = {client["id"]: client for client in found}
        for client_id in known:
            self._keys.note_client(client_id)
        branches = [self._client(each, known.get(each.id)) for each in self._declared.clients]
        if self._run.options.prune:
            declared = {client.id for client in self._declared.clients}
            branches += [
                self._remove(client)
                for client in known.values()
                if client["id"] not in declared and not client.get("owner")
            ]
        await self._run.together(*branches)

    async def _client(self, declared: DeclaredClient, found: Found | None) -> None:
        is_owner = declared.id == self._declared.owner
        if found is None and not is_owner:
            found = await self._add(declared)
            self._keys.note_client(declared.id)
            is_new = True
        else:
            is_new = self._run.blank
            await self._connect(declared, found)
        # What is just made has nothing yet that could be asked for.
        rights = Rights(self._run, declared.id)
        await self._run.together(
            self._certificates(declared, is_new=is_new),
            self._offer(declared, rights, is_new=is_new),
        )
        if is_owner:
            await rights.grant_rest()
            return
        await self._run.together(self._register(declared, found), rights.grant_rest())

    async def _add(self, declared: DeclaredClient) -> Found:
        parts = declared.id.split(":")
        client = {
            "member_class": parts[1],
            "member_code": parts[2],
            "connection_type": declared.connection_type,
            **({"subsystem_code": parts[3]} if len(parts) == 4 else {}),
            **({"subsystem_name": declared.name} if declared.name is not None else {}),
        }
        call = Call("POST", "/clients", {"client": client, "ignore_warnings": True})
        answer = await self._run.change(f"add the client {declared.id}", call)
        made: Found = answer.json if answer else {"id": declared.id, "status": "SAVED", **client}
        return made

    async def _connect(self, declared: DeclaredClient, found: Found | None) -> None:
        if found is None or found.get("connection_type") == declared.connection_type:
            return
        what = f"let {declared.id} connect by {declared.connection_type}"
        body = {"connection_type": declared.connection_type}
        await self._run.change(what, Call("PATCH", path_of("clients", declared.id), body))

    async def _certificates(self, declared: DeclaredClient, *, is_new: bool) -> None:
        wanted: dict[str, bytes] = {}
        for name in declared.certificates:
            content = await read_file(self._run.options.folder / name, _LARGEST_CERTIFICATE)
            wanted[hashlib.sha256(to_der(content, name)).hexdigest().upper()] = content
        place = path_of("clients", declared.id) + "/tls-certificates"
        found = [] if is_new else await self._run.get(place)
        known = {str(each["hash"]).upper() for each in found}
        for sha256 in sorted(known - wanted.keys()):
            what = f"remove the TLS certificate {sha256[:16]} of {declared.id}"
            await self._run.change(what, Call("DELETE", place + path_of(sha256)))
        for sha256, content in wanted.items():
            if sha256 not in known:
                what = f"add the TLS certificate {sha256[:16]} of {declared.id}"
                await self._run.change(what, Call("POST", place, upload=Octets(content)))

    async def _offer(self, declared: DeclaredClient, rights: Rights, *, is_new: bool) -> None:
        """Groups and services; groups that go may have rights until the services let go of them."""
        if declared.id.count(":") == 2:
            return
        place = path_of("clients", declared.id) + "/local-groups"
        found = [] if is_new else await self._run.get(place)
        known = {group["code"]: group for group in found}
        await self._run.together(
            *(self._group(declared, each, known.get(each.code), rights) for each in declared.groups)
        )
        services = Services(self._run, declared, rights)
        await services.make(is_new=is_new)
        kept = {group.code for group in declared.groups}
        for code, group in known.items():
            if code not in kept:
                what = f"delete the local group {code} of {declared.id}"
                await self._run.change(what, Call("DELETE", path_of("local-groups", group["id"])))

    async def _group(
        self, client: DeclaredClient, declared: DeclaredGroup, found: Found | None, rights: Rights
    ) -> None:
        description = declared.description or declared.code
        named = f"the local group {declared.code} of {client.id}"
        if found is None:
            body = {"code": declared.code, "description": description}
            place = path_of("clients", client.id) + "/local-groups"
            answer = await self._run.change(f"add {named}", Call("POST", place, body))
            found = answer.json if answer else {"id": "0", "member_count": 0}
        elif found["description"] != description:
            place, body = path_of("local-groups", found["id"]), {"description": description}
            await self._run.change(f"describe {named}", Call("PATCH", place, body))
        rights.know_group(declared.code, found["id"])
        known = await self._members(found)
        place = path_of("local-groups", found["id"]) + "/members"
        gone = sorted(known - {*declared.members})
        if gone:
            what = f"take {', '.join(gone)} from {named}"
            await self._run.change(what, Call("POST", place + "/delete", {"items": gone}))
        new = sorted({*declared.members} - known)
        if new:
            what = f"put {', '.join(new)} into {named}"
            await rights.grant(what, Call("POST", place, {"items": new}))

    async def _members(self, group: Found) -> set[str]:
        members = group.get("members")
        if group.get("member_count") and not members:
            members = (await self._run.get(path_of("local-groups", group["id"])))["members"]
        return {member["id"] for member in members or ()}

    async def _register(self, declared: DeclaredClient, found: Found | None) -> None:
        """Have the client registered, by whoever it is that does so, and rightly named."""
        run = self._run
        status = found["status"] if found else "SAVED"
        place = path_of("clients", declared.id)
        if status in _LEAVING:
            raise ApplyError(f"the client {declared.id} is {status}: remove it, then apply again")
        if status != "REGISTERED":
            if not await self._may_register(declared):
                return
            if status == "DISABLED":
                what = f"enable the client {declared.id}"
                await run.change_in_time(what, Call("PUT", f"{place}/enable"), self._sent(declared))
            elif status == "SAVED" and declared.register:
                what = f"register the client {declared.id}"
                call = Call("PUT", f"{place}/register")
                await run.change_in_time(what, call, self._sent(declared))
            waits = f"the Central Server to register {declared.id}"
            await run.until(waits, lambda: self._is_registered(declared))
        await self._rename(declared, found)

    async def _may_register(self, declared: DeclaredClient) -> bool:
        """Wait for what a registration needs."""
        if not declared.register:
            return True
        signs = await self._keys.signs_for(member_of(declared.id))
        return await self._keys.registered() and signs

    def _sent(self, declared: DeclaredClient) -> Any:
        async def is_sent() -> bool:
            now = await self._now(declared)
            return bool(now and now["status"] in _CONNECTED)

        return is_sent

    async def _is_registered(self, declared: DeclaredClient) -> bool:
        now = await self._now(declared)
        return bool(now and now["status"] == "REGISTERED")

    async def _now(self, declared: DeclaredClient) -> Found | None:
        clients = await self._run.clients()
        return next((each for each in clients if each["id"] == declared.id), None)

    async def _rename(self, declared: DeclaredClient, found: Found | None) -> None:
        if declared.name is None or found is None or self._is_named(declared, found):
            return
        if not found.get("rename_status"):
            if not await self._keys.registered():
                return
            call = Call("PUT", path_of("clients", declared.id) + "/rename", {
                "client_name": declared.name,
            })  # fmt: skip
            await self._run.change_in_time(f"name the client {declared.id} {declared.name!r}", call)
        waits = f"the global configuration to name {declared.id} {declared.name!r}"

        async def is_named() -> bool:
            return self._is_named(declared, await self._now(declared) or {})

        await self._run.until(waits, is_named)

    @staticmethod
    def _is_named(declared: DeclaredClient, found: Found) -> bool:
        return found.get("subsystem_name") == declared.name

    async def _remove(self, client: Found) -> None:
        """Unregister and delete a client that is not declared."""
        place, named = path_of("clients", client["id"]), f"the client {client['id']}"
        if client["status"] in _CONNECTED | {"DISABLED"}:
            await self._keys.registered()
            await self._run.change_in_time(
                f"unregister {named}", Call("PUT", f"{place}/unregister")
            )
        await self._run.change(f"delete {named}", Call("DELETE", place))
