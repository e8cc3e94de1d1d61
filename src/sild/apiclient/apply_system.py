"""Time-stamping, the server's address, and maintenance."""

from typing import Any

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_keys import Found, Keys
from sild.apiclient.apply_run import Call, Run
from sild.apiclient.declared import DeclaredServer

_STAMPING = "/system/timestamping-services"
_ADDRESS = "/system/server-address"
_MAINTENANCE = "/system/maintenance-mode"
_ON, _OFF = "ENABLED_MAINTENANCE_MODE", "DISABLED_MAINTENANCE_MODE"
_TURNING_ON, _TURNING_OFF = "PENDING_ENABLE_MAINTENANCE_MODE", "PENDING_DISABLE_MAINTENANCE_MODE"


class System:
    """What concerns the server as a whole."""

    def __init__(self, run: Run, declared: DeclaredServer, keys: Keys) -> None:
        self._run = run
        self._declared = declared
        self._keys = keys

    async def make(self) -> None:
        """Do all of it."""
        await self._run.together(self._timestamping(), self._after_registration())

    async def _timestamping(self) -> None:
        wanted = self._declared.timestamping
        if wanted is None:
            return
        if self._run.blank:
            for name in (wanted,) if isinstance(wanted, str) else wanted:
                which = "all time-stamping services" if name == "all" else ""
                what = f"use {which or f'the time-stamping service {name}'}"
                await self._run.change(what, Call("POST", ""))
            return
        chosen = await self._chosen(wanted)
        found = await self._run.get(_STAMPING)
        for each in found:
            if each["url"] not in {service["url"] for service in chosen}:
                what = f"no longer use the time-stamping service {each['name']}"
                await self._run.change(what, Call("POST", f"{_STAMPING}/delete", _plain(each)))
        for service in chosen:
            if service["url"] not in {each["url"] for each in found}:
                what = f"use the time-stamping service {service['name']}"
                await self._run.change(what, Call("POST", _STAMPING, _plain(service)))

    async def _chosen(self, wanted: str | tuple[str, ...]) -> list[Found]:
        async def approved_now() -> list[Found]:
            found: list[Found] = await self._run.get("/timestamping-services")
            return found

        if not wanted:
            return []
        waits = "any time-stamping service to be approved"
        dry = self._run.dry
        approved = await approved_now() if dry else await self._run.until(waits, approved_now) or []
        if wanted == "all":
            return approved
        names = (wanted,) if isinstance(wanted, str) else wanted
        chosen = []
        for name in names:
            fitting = [each for each in approved if name in (each["name"], each["url"])]
            if not fitting:
                known = ", ".join(each["name"] for each in approved) or "there is none"
                raise ApplyError(f"no time-stamping service {name} is approved: {known}")
            chosen += fitting
        return chosen

    async def _after_registration(self) -> None:
        """What a server can ask of the Central Server once that knows it."""
        if self._run.blank:
            maintained = self._declared.maintenance
            if maintained is not None and maintained is not False:
                await self._run.change("turn maintenance mode on", Call("PUT", ""))
            return
        if not await self._keys.registered():
            return
        await self._run.together(self._address(), self._maintenance())

    async def _address(self) -> None:
        now = await self._run.get(_ADDRESS)
        wanted = self._declared.address
        current = _at(now, "current_address")
        # A server that is not registered yet gets its address with its certificate.
        if current in {wanted, None} and _at(now, "requested_change") in {wanted, None}:
            return
        if _at(now, "requested_change") != wanted:
            what = f"change the server's address to {wanted}"
            call = Call("PUT", _ADDRESS, {"address": wanted})
            await self._run.change_in_time(what, call)

        async def is_there() -> bool:
            return bool(_at(await self._run.get(_ADDRESS), "current_address") == wanted)

        waits = f"the global configuration to have the address {wanted}"
        await self._run.until(waits, is_there)

    async def _maintenance(self) -> None:
        declared = self._declared.maintenance
        if declared is None:
            return
        turned_on = declared is not False
        reached, turning = (_ON, _TURNING_ON) if turned_on else (_OFF, _TURNING_OFF)
        status = await self._status()
        if status == reached:
            return
        if status != turning:
            message = {"message": declared} if isinstance(declared, str) else {}
            verb = "enable" if turned_on else "disable"
            call = Call("PUT", f"{_MAINTENANCE}/{verb}", message if turned_on else None)
            what = f"turn maintenance mode {'on' if turned_on else 'off'}"
            await self._run.change_in_time(what, call)

        async def is_reached() -> bool:
            return await self._status() == reached

        await self._run.until("maintenance mode to be known to everybody", is_reached)

    async def _status(self) -> str:
        return str((await self._run.get(_MAINTENANCE))["status"])


def _at(found: Found, name: str) -> Any:
    return (found.get(name) or {}).get("address")


def _plain(service: Found) -> Found:
    return {name: service[name] for name in ("name", "url", "cost_type")}
