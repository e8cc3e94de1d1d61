"""Rights: who may call what, given at once or as soon as who is meant is known."""

from collections import defaultdict
from collections.abc import Iterable

from sild.apiclient.apply_keys import Found
from sild.apiclient.apply_run import Call, Run, names_unknown
from sild.apiclient.errors import ApiError
from sild.apiclient.values import path_of

_LOCAL, _GLOBAL, _SUBSYSTEM = "LOCALGROUP", "GLOBALGROUP", "SUBSYSTEM"


class Rights:
    """The rights to what one client offers.

    The global configuration may not know yet who is meant: such rights are given at the end.
    """

    def __init__(self, run: Run, client: str) -> None:
        self._run = run
        self._client = client
        self._groups: dict[str, str] = {}
        self._later: list[tuple[str, Call]] = []
        self._given: dict[str, set[str]] = defaultdict(set)

    def know_group(self, code: str, group_id: str) -> None:
        """Note what the API calls a local group."""
        self._groups[code] = group_id

    async def grant(self, what: str, call: Call) -> None:
        """Make a change that needs others to be known, now or at the end."""
        try:
            await self._run.change(what, call)
        except ApiError as error:
            if not names_unknown(error):
                raise
            self._later.append((what, call))

    async def grant_rest(self) -> None:
        """Make the changes that could not be made, when they can be."""
        await self._run.together(*(self._run.change_in_time(*each) for each in self._later))

    def note(self, subject: str, service_code: str) -> None:
        """Note that someone is to have the right to a whole service."""
        self._given[subject].add(service_code)

    async def grant_noted(self) -> None:
        """Give the rights that were noted: one call for all services of each who has them."""
        await self._run.together(
            *(self._grant_services(subject, codes) for subject, codes in self._given.items())
        )
        self._given.clear()

    async def _grant_services(self, subject: str, codes: Iterable[str]) -> None:
        names = sorted(codes)
        what = f"let {subject} call {', '.join(names)} of {self._client}"
        client = self._id_of(subject)
        place = path_of("clients", self._client, "service-clients", client) + "/access-rights"
        body = {"items": [{"service_code": code} for code in names]}
        await self.grant(what, Call("POST", place, body))

    async def equal(
        self, place: str, named: str, wanted: Iterable[str], found: list[Found]
    ) -> None:
        """Give and take rights at a place: a service's or an endpoint's list of its clients."""
        await self.take(place, named, wanted, found)
        new = sorted({*wanted} - {_name_of(each) for each in found})
        if new:
            items = [self._item(subject) for subject in new]
            what = f"let {', '.join(new)} call {named} of {self._client}"
            await self.grant(what, Call("POST", place, {"items": items}))

    async def take(self, place: str, named: str, wanted: Iterable[str], found: list[Found]) -> None:
        """Take the rights of those who should not have them."""
        gone = [each for each in found if _name_of(each) not in {*wanted}]
        if gone:
            names = ", ".join(sorted(map(_name_of, gone)))
            kind = "service_client_type"
            items = [{"id": each["id"], kind: each[kind]} for each in gone]
            what = f"let {names} no longer call {named} of {self._client}"
            await self._run.change(what, Call("POST", f"{place}/delete", {"items": items}))

    def _item(self, subject: str) -> Found:
        kind = {0: _LOCAL, 1: _GLOBAL}.get(subject.count(":"), _SUBSYSTEM)
        return {"id": self._id_of(subject), "service_client_type": kind}

    def _id_of(self, subject: str) -> str:
        return subject if ":" in subject else self._groups[subject]


def subjects_of(found: Iterable[Found]) -> set[str]:
    """Who is meant, as a declaration names them."""
    return {_name_of(each) for each in found}


def _name_of(service_client: Found) -> str:
    if service_client.get("service_client_type") == _LOCAL:
        return str(service_client.get("local_group_code") or service_client["id"])
    return str(service_client["id"])
