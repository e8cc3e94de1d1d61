"""Service descriptions, services, endpoints, and who may call them."""

from collections.abc import Mapping
from dataclasses import dataclass

from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_keys import Found
from sild.apiclient.apply_rights import Rights, subjects_of
from sild.apiclient.apply_run import Call, Run
from sild.apiclient.declared import (
    ANY_METHOD,
    ANY_PATH,
    DEFAULT_TIMEOUT,
    DeclaredClient,
    DeclaredEndpoint,
    OpenApiService,
    RestService,
    Service,
    WsdlService,
)
from sild.apiclient.values import path_of

_TYPES: Mapping[type, str] = {RestService: "REST", OpenApiService: "OPENAPI3", WsdlService: "WSDL"}


@dataclass(frozen=True, slots=True)
class _Parameters:
    """How a service is to be called; a `url` of None is left as it is."""

    url: str | None
    timeout: int
    verify_tls: bool

    def body(self, found: Found) -> Found:
        """What to ask for, given what is there."""
        url = self.url or found["url"]
        # Without TLS there is nothing to verify, and the API refuses to be told so.
        verify = self.verify_tls and url.startswith("https:")
        return {"url": url, "timeout": self.timeout, "ssl_auth": verify}

    def differ(self, found: Found) -> bool:
        """Whether a service is called otherwise."""
        body = self.body(found)
        return (body["url"], body["timeout"]) != (found["url"], found["timeout"]) or (
            body["ssl_auth"] != bool(found.get("ssl_auth")) and body["url"].startswith("https:")
        )


class Services:
    """What a client offers."""

    def __init__(self, run: Run, declared: DeclaredClient, rights: Rights) -> None:
        self._run = run
        self._declared = declared
        self._client = declared.id
        self._rights = rights
        # Rights are to codes: versions of a service share them.
        self._access: dict[str, set[str]] = {}

    async def make(self, *, is_new: bool) -> None:
        """Make what is offered equal to what is declared."""
        place = path_of("clients", self._client) + "/service-descriptions"
        found = [] if is_new else await self._run.get(place)
        known = {_key_of(each): each for each in found}
        declared = {_key_for(each): each for each in self._declared.services}
        gone = [each for key, each in known.items() if key not in declared]
        # What goes may stand in the way of what comes.
        await self._run.together(*(self._remove(each) for each in gone))
        described = await self._run.together(
            *(self._described(each, known.get(key)) for key, each in declared.items())
        )
        for service, description, _ in described:
            self._note_access(service, description)
        await self._run.together(*(self._fill(*each) for each in described))
        await self._rights.grant_noted()
        # Last, so that nobody calls a service before its parameters and rights are right.
        await self._run.together(*(self._switch(each, there) for each, there, _ in described))

    async def _remove(self, found: Found) -> None:
        what = f"remove {_named(found)} of {self._client}"
        await self._run.change(what, Call("DELETE", path_of("service-descriptions", found["id"])))

    async def _described(
        self, declared: Service, found: Found | None
    ) -> tuple[Service, Found, bool]:
        """The description as it is there, made if need be, and whether it is new."""
        if found is None:
            body: Found = {"type": _TYPES[type(declared)], "url": declared.url}
            if not isinstance(declared, WsdlService):
                body["rest_service_code"] = declared.code
            place = path_of("clients", self._client) + "/service-descriptions"
            what = f"add {_title(declared)} to {self._client}"
            call = Call("POST", place, body | {"ignore_warnings": True})
            answer = await self._run.change(what, call)
            made = answer.json if answer else _imagined(declared, self._client)
            return declared, made, True
        if isinstance(declared, OpenApiService) and found["url"] != declared.url:
            body = {
                "type": "OPENAPI3",
                "url": declared.url,
                "rest_service_code": declared.code,
                "new_rest_service_code": declared.code,
                "ignore_warnings": True,
            }
            place = path_of("service-descriptions", found["id"])
            what = f"read {_title(declared)} of {self._client} from {declared.url}"
            answer = await self._run.change(what, Call("PATCH", place, body))
            found = answer.json if answer else found
        return declared, found, False

    def _note_access(self, declared: Service, found: Found) -> None:
        for service in found["services"]:
            access = self._access.setdefault(service["service_code"], set())
            access |= {*declared.access}
            if isinstance(declared, WsdlService):
                for each in declared.services:
                    if each.code == service["full_service_code"]:
                        access |= {*each.access}

    async def _fill(self, declared: Service, found: Found, is_new: bool) -> None:
        wanted = {each["id"]: _parameters(declared, each) for each in found["services"]}
        if isinstance(declared, WsdlService):
            known = {each["full_service_code"] for each in found["services"]}
            missing = [each.code for each in declared.services if each.code not in known]
            if missing and not self._run.dry:
                raise ApplyError(f"{declared.url} describes no {', '.join(missing)}")
        await self._set_parameters(found, wanted)
        await self._run.together(
            *(self._equal_access(each, is_new=is_new) for each in found["services"]),
            *(
                self._endpoints(declared.endpoints, each, is_new=is_new)
                for each in found["services"]
                if isinstance(declared, RestService | OpenApiService)
            ),
        )

    async def _set_parameters(self, found: Found, wanted: Mapping[str, _Parameters]) -> None:
        differing = [each for each in found["services"] if wanted[each["id"]].differ(each)]
        if len(differing) > 1 and len({*wanted.values()}) == 1 and wanted[differing[0]["id"]].url:
            what = f"set how all services of {_named(found)} of {self._client} are called"
            every = {"url_all": True, "timeout_all": True, "ssl_auth_all": True}
            await self._set(
                what, differing[0], wanted[differing[0]["id"]].body(differing[0]) | every
            )
            return
        for each in differing:
            what = f"set how {each['full_service_code']} of {self._client} is called"
            await self._set(what, each, wanted[each["id"]].body(each))

    async def _set(self, what: str, service: Found, body: Found) -> None:
        call = Call("PATCH", path_of("services", service["id"]), body | {"ignore_warnings": True})
        await self._run.change(what, call)

    async def _equal_access(self, service: Found, *, is_new: bool) -> None:
        code = service["service_code"]
        wanted = self._access[code]
        place = path_of("services", service["id"]) + "/service-clients"
        # A new description may have a service of which there was another version.
        asks = not is_new and service.get("subjects_count") != 0
        found = await self._run.get(place) if asks else []
        await self._rights.take(place, service["full_service_code"], wanted, found)
        for subject in wanted - subjects_of(found):
            self._rights.note(subject, code)

    async def _endpoints(
        self, declared: tuple[DeclaredEndpoint, ...], service: Found, *, is_new: bool
    ) -> None:
        known = {
            (each["method"], each["path"]): each
            for each in service.get("endpoints") or ()
            if (each["method"], each["path"]) != (ANY_METHOD, ANY_PATH)
        }
        wanted = {(each.method, each.path): each for each in declared}
        branches = [
            self._remove_endpoint(each, service)
            for key, each in known.items()
            if key not in wanted and not each.get("generated")
        ]
        branches += [
            self._endpoint(each, service, known.get(key), is_new=is_new)
            for key, each in wanted.items()
        ]
        branches += [
            self._endpoint_access((), each, service)
            for key, each in known.items()
            if key not in wanted and each.get("generated") and not is_new
        ]
        await self._run.together(*branches)

    async def _remove_endpoint(self, endpoint: Found, service: Found) -> None:
        what = f"remove {_path(endpoint)} from {service['full_service_code']} of {self._client}"
        await self._run.change(what, Call("DELETE", path_of("endpoints", endpoint["id"])))

    async def _endpoint(
        self, declared: DeclaredEndpoint, service: Found, found: Found | None, *, is_new: bool
    ) -> None:
        if found is None:
            body = {
                "service_code": service["service_code"],
                "method": declared.method,
                "path": declared.path,
            }
            what = f"add {_path(body)} to {service['full_service_code']} of {self._client}"
            place = path_of("services", service["id"]) + "/endpoints"
            answer = await self._run.change(what, Call("POST", place, body))
            found, is_new = (answer.json if answer else body | {"id": "0"}), True
        if declared.access or not is_new:
            await self._endpoint_access(declared.access, found, service, is_new=is_new)

    async def _endpoint_access(
        self, wanted: tuple[str, ...], endpoint: Found, service: Found, *, is_new: bool = False
    ) -> None:
        place = path_of("endpoints", endpoint["id"]) + "/service-clients"
        found = [] if is_new else await self._run.get(place)
        named = f"{_path(endpoint)} of {service['full_service_code']}"
        await self._rights.equal(place, named, wanted, found)

    async def _switch(self, declared: Service, found: Found) -> None:
        place = path_of("service-descriptions", found["id"])
        named = f"{_title(declared)} of {self._client}"
        notice = declared.disabled
        if notice is None and found["disabled"]:
            await self._run.change(f"enable {named}", Call("PUT", f"{place}/enable"))
        elif notice is not None and (not found["disabled"] or found["disabled_notice"] != notice):
            call = Call("PUT", f"{place}/disable", {"disabled_notice": notice})
            await self._run.change(f"disable {named}", call)


def _key_for(declared: Service) -> tuple[str, str]:
    name = declared.url if isinstance(declared, WsdlService) else declared.code
    return _TYPES[type(declared)], name


def _key_of(found: Found) -> tuple[str, str]:
    services = found["services"]
    if found["type"] == "WSDL" or not services:
        return found["type"], found["url"]
    return found["type"], services[0]["service_code"]


def _parameters(declared: Service, service: Found) -> _Parameters:
    url = declared.url if isinstance(declared, RestService) else declared.service_url
    timeout, verify = declared.timeout, declared.verify_tls
    if isinstance(declared, WsdlService):
        for each in declared.services:
            if each.code == service["full_service_code"]:
                url = each.url or url
                timeout = timeout if each.timeout is None else each.timeout
                verify = verify if each.verify_tls is None else each.verify_tls
    return _Parameters(url, timeout, verify)


def _imagined(declared: Service, client: str) -> Found:
    """What a description would hold that a dry run does not add."""
    codes = (
        [each.code for each in declared.services]
        if isinstance(declared, WsdlService)
        else [declared.code]
    )
    services = [
        {
            "id": f"{client}:{code}",
            "full_service_code": code,
            "service_code": code.partition(".")[0] if isinstance(declared, WsdlService) else code,
            "url": declared.url,
            "timeout": DEFAULT_TIMEOUT,
            "ssl_auth": declared.url.startswith("https:"),
        }
        for code in codes
    ]
    return {
        "id": "0",
        "type": _TYPES[type(declared)],
        "url": declared.url,
        "disabled": True,
        "disabled_notice": "",
        "services": services,
    }


def _title(declared: Service) -> str:
    return " ".join(_key_for(declared))


def _named(found: Found) -> str:
    return " ".join(_key_of(found))


def _path(endpoint: Found) -> str:
    return f"{endpoint['method']} {endpoint['path']}"
