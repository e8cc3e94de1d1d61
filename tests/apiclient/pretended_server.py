"""A security server's management API that keeps everything in memory, for its clients' tests.

It answers as the contract says; what the Central Server would decide, a test decides with
`approve`, or lets be approved at once.
"""

import hashlib
import itertools
import json

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PREFIX = "/api/v1"
AUTHORITY = "Test CA"


class Refused(Exception):
    """An error as the API tells it."""

    def __init__(self, status, code, *metadata):
        super().__init__(code)
        error = {"code": code, "metadata": list(metadata)}
        self.body = {"status": status, "error": error}
        self.status = status


class PretendedServer:
    """The server; `calls` are the changes asked of it, as method and path."""

    def __init__(self, *, approves=True):
        self.approves = approves
        self.calls = []
        self.asked = []
        self.anchor = None
        self.owner = self.code = self.pin = None
        self.logged_in = False
        self.keys = []
        self.clients = {}
        self.descriptions = {}
        self.groups = {}
        self.tls = {}
        self.rights = {}
        self.strangers = set()
        self.stamping = []
        self.approved_stamping = [
            {"name": "tsa 1", "url": "http://tsa1.example/", "cost_type": "FREE"},
            {"name": "tsa 2", "url": "http://tsa2.example/", "cost_type": "PAID"},
        ]
        self.address = None
        self.requested_address = None
        self.maintenance = "DISABLED_MAINTENANCE_MODE"
        self.wsdl = {}
        self.finds_pin = False
        self.busy = {}
        self.changes_left = None
        self._ids = itertools.count(1)
        self.application = Starlette(routes=[*self._routes()])

    def approve(self):
        """What is asked of the Central Server is granted and published."""
        for certificate in self._certificates():
            if certificate["status"] == "REGISTRATION_IN_PROGRESS":
                certificate["status"] = "REGISTERED"
        for client in self.clients.values():
            if client["status"] in ("REGISTRATION_IN_PROGRESS", "ENABLING_IN_PROGRESS"):
                client["status"] = "REGISTERED"
            if client.get("rename_status") == "NAME_SUBMITTED":
                client["subsystem_name"] = client.pop("new_name")
                del client["rename_status"]
        if self.requested_address:
            self.address, self.requested_address = self.requested_address, None
        self.maintenance = self.maintenance.replace("PENDING_ENABLE", "ENABLED").replace(
            "PENDING_DISABLE", "DISABLED"
        )

    @property
    def service_rights(self):
        """Who may call what: pairs of a subject and a service code or endpoint."""
        return {(subject, place) for place, subjects in self.rights.items() for subject in subjects}

    def _routes(self):
        for name in dir(self):
            if not name.startswith("on_"):
                continue
            act = getattr(self, name)
            for line in (act.__doc__ or "").splitlines():
                method, _, path = line.strip().partition(" ")
                yield Route(PREFIX + path, self._answering(act), methods=[method])

    def _answering(self, act):
        async def answer(request):
            if request.method != "GET" and not request.url.path.endswith("/previews"):
                self.calls.append((request.method, request.url.path.removeprefix(PREFIX)))
                if self.changes_left == 0:
                    return JSONResponse({"status": 403}, 403)
                self.changes_left = self.changes_left and self.changes_left - 1
            content = await request.body()
            is_json = request.headers.get("content-type") == "application/json"
            body = json.loads(content) if is_json else content
            place = request.url.path.removeprefix(PREFIX)
            self.asked.append((request.method, place, dict(request.query_params), body))
            if self.busy.get(place, 0):
                self.busy[place] -= 1
                return JSONResponse({"status": 500, "error": {"code": "busy"}}, 500)
            try:
                found = act(request, body)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)
            if isinstance(found, Response):
                return found
            return Response(status_code=204) if found is None else JSONResponse(found)

        return answer

    def _certificates(self):
        return [each for key in self.keys for each in key["certificates"]]

    def _certificate(self, request):
        for each in self._certificates():
            if each["certificate_details"]["hash"] == request.path_params["hash"]:
                return each
        raise Refused(404, "certificate_not_found")

    def _known(self):
        return {*self.clients, self.owner, "DEV:security-server-owners"} - self.strangers

    # foundation

    def on_status(self, request, body):
        """GET /initialization/status"""
        return {
            "is_anchor_imported": self.anchor is not None,
            "is_server_code_initialized": self.code is not None,
            "is_server_owner_initialized": self.owner is not None,
            "software_token_init_status": "INITIALIZED" if self.pin else "NOT_INITIALIZED",
            "enforce_token_pin_policy": False,
        }

    def on_anchor(self, request, body):
        """GET /system/anchor
        POST /system/anchor
        PUT /system/anchor
        POST /system/anchor/previews"""
        anchor = body or self.anchor
        if request.url.path.endswith("anchor") and body:
            self.anchor = body
        digest = hashlib.sha224(anchor).hexdigest().upper()
        return {"hash": digest, "created_at": "2026-01-01T00:00:00Z"}

    def on_initialization(self, request, body):
        """POST /initialization"""
        if "owner_member_code" in body:
            self.owner = f"DEV:{body['owner_member_class']}:{body['owner_member_code']}"
            self.clients[self.owner] = {
                "id": self.owner,
                "status": "REGISTERED",
                "owner": True,
                "connection_type": "HTTPS_NO_AUTH",
            }
        self.code = body.get("security_server_code", self.code)
        self.pin = body.get("software_token_pin", self.pin)

    def on_servers(self, request, body):
        """GET /security-servers"""
        return [{"id": f"{self.owner}:{self.code}"}]

    # keys

    def on_tokens(self, request, body):
        """GET /tokens"""
        token = {"id": "0", "name": "softToken-0", "logged_in": self.logged_in, "keys": self.keys}
        return [token]

    def on_login(self, request, body):
        """PUT /tokens/{id}/login"""
        if body["password"] != self.pin:
            raise Refused(400, "pin_incorrect")
        if self.logged_in or self.finds_pin:
            self.logged_in = True
            raise Refused(409, "action_not_possible")
        self.logged_in = True

    def on_token(self, request, body):
        """PATCH /tokens/{id}
        PUT /tokens/{id}/logout
        PUT /tokens/{id}/pin
        POST /tokens/{id}/keys"""
        return {"id": request.path_params["id"], "keys": []}

    def on_keys(self, request, body):
        """GET /keys/{id}
        PATCH /keys/{id}
        DELETE /keys/{id}
        POST /keys/{id}/csrs"""
        if request.url.path.endswith("csrs"):
            for key in self.keys:
                if key["id"] in request.url.path:
                    asked = {"id": f"R{next(self._ids)}", "owner_id": body.get("member_id")}
                    key["certificate_signing_requests"].append(asked)
            return Response(b"a request")
        for key in self.keys:
            if request.method == "GET" and key["id"] in request.url.path:
                return key
        if request.method == "DELETE" and "ignore_warnings" not in request.query_params:
            warning = {"code": "auth_key_with_registered_cert_warning", "metadata": ["x"]}
            return JSONResponse({"status": 400, "warnings": [warning]}, 400)
        return None if request.method == "DELETE" else {"id": request.path_params["id"]}

    def on_certificate(self, request, body):
        """GET /token-certificates/{hash}
        DELETE /token-certificates/{hash}
        PUT /token-certificates/{hash}/disable"""
        return self._certificate(request) if request.method == "GET" else None

    def on_sign_certificates(self, request, body):
        """GET /clients/{id}/sign-certificates"""
        return [each for each in self._certificates() if each["owner_id"] in request.url.path]

    def on_api_keys(self, request, body):
        """POST /api-keys"""
        return {"id": 7, "roles": body, "key": "the-secret-key"}

    def on_upload(self, request, body):
        """POST /backups/upload"""
        return {"filename": "backup.gpg", "created_at": "2026-01-01T00:00:00Z"}

    def on_download(self, request, body):
        """GET /system/anchor/download"""
        return Response(self.anchor, media_type="application/xml")

    def on_authorities(self, request, body):
        """GET /certificate-authorities"""
        return [{"name": AUTHORITY, "authentication_only": False, "default_csr_format": "DER"}]

    def on_fields(self, request, body):
        """GET /certificate-authorities/{name}/csr-subject-fields"""
        return [
            {"id": "C", "read_only": False, "required": True},
            {"id": "serialNumber", "read_only": True, "required": True, "default_value": "DEV/1"},
        ]

    def on_key(self, request, body):
        """POST /tokens/{id}/keys-with-csrs"""
        asked = body["csr_generate_request"]
        assert asked["subject_field_values"] == {"C": "EE", "serialNumber": "DEV/1"}
        member = asked.get("member_id", self.owner)
        request_id = f"R{next(self._ids)}"
        key = {
            "id": f"K{next(self._ids)}",
            "name": body["key_label"],
            "label": body["key_label"],
            "usage": asked["key_usage_type"],
            "certificates": [],
            "certificate_signing_requests": [{"id": request_id, "owner_id": member}],
        }
        self.keys.append(key)
        return {"key": key, "csr_id": request_id}

    def on_request(self, request, body):
        """GET /keys/{id}/csrs/{csr}"""
        return Response(f"request of {request.path_params['id']}")

    def on_import(self, request, body):
        """POST /token-certificates"""
        key_id = body.decode().removeprefix("certificate of ")
        (key,) = [key for key in self.keys if key["id"] == key_id]
        (asked,) = key["certificate_signing_requests"]
        signing = key["usage"] == "SIGNING"
        certificate = {
            "owner_id": asked["owner_id"],
            "active": False,
            "status": "REGISTERED" if signing else "SAVED",
            "ocsp_status": "DISABLED",
            "saved_to_configuration": True,
            "certificate_details": {"hash": hashlib.sha256(body).hexdigest().upper()},
        }
        key["certificate_signing_requests"] = []
        key["certificates"].append(certificate)
        return certificate

    def on_activate(self, request, body):
        """PUT /token-certificates/{hash}/activate"""
        certificate = self._certificate(request)
        certificate |= {"active": True, "ocsp_status": "OCSP_RESPONSE_GOOD"}

    def on_register_certificate(self, request, body):
        """PUT /token-certificates/{hash}/register"""
        self._certificate(request)["status"] = "REGISTRATION_IN_PROGRESS"
        self.address = body["address"]
        self._decide()

    def _decide(self):
        if self.approves:
            self.approve()

    # clients

    def on_clients(self, request, body):
        """GET /clients
        POST /clients"""
        if request.method == "GET":
            return [*self.clients.values()]
        asked = body["client"]
        parts = ("DEV", asked["member_class"], asked["member_code"], asked.get("subsystem_code"))
        name = ":".join(filter(None, parts))
        self.clients[name] = {**asked, "id": name, "status": "SAVED", "owner": False}
        return self.clients[name]

    def on_client(self, request, body):
        """PATCH /clients/{id}
        DELETE /clients/{id}"""
        if request.method == "DELETE":
            del self.clients[request.path_params["id"]]
            return None
        client = self.clients[request.path_params["id"]]
        client |= body
        return client

    def on_client_act(self, request, body):
        """PUT /clients/{id}/{act}"""
        client = self.clients[request.path_params["id"]]
        match request.path_params["act"]:
            case "register":
                client["status"] = "REGISTRATION_IN_PROGRESS"
            case "unregister":
                client["status"] = "DELETION_IN_PROGRESS"
            case "enable":
                client["status"] = "ENABLING_IN_PROGRESS"
            case "rename":
                client |= {"rename_status": "NAME_SUBMITTED", "new_name": body["client_name"]}
        self._decide()

    def on_tls(self, request, body):
        """GET /clients/{id}/tls-certificates
        POST /clients/{id}/tls-certificates"""
        kept = self.tls.setdefault(request.path_params["id"], [])
        if request.method == "GET":
            return kept
        kept.append({"hash": hashlib.sha256(body).hexdigest().upper()})
        return kept[-1]

    def on_tls_gone(self, request, body):
        """DELETE /clients/{id}/tls-certificates/{hash}"""
        kept = self.tls[request.path_params["id"]]
        kept[:] = [each for each in kept if each["hash"] != request.path_params["hash"]]

    # groups

    def on_groups(self, request, body):
        """GET /clients/{id}/local-groups
        POST /clients/{id}/local-groups"""
        client = request.path_params["id"]
        if request.method == "GET":
            return [each for each in self.groups.values() if each["client"] == client]
        number = str(next(self._ids))
        self.groups[number] = {**body, "id": number, "client": client, "members": []}
        return self.groups[number]

    def on_group(self, request, body):
        """PATCH /local-groups/{id}
        DELETE /local-groups/{id}"""
        number = request.path_params["id"]
        if request.method == "DELETE":
            del self.groups[number]
            return None
        self.groups[number] |= body
        return self.groups[number]

    def on_group_members(self, request, body):
        """POST /local-groups/{id}/members
        POST /local-groups/{id}/members/delete"""
        group = self.groups[request.path_params["id"]]
        if request.url.path.endswith("delete"):
            group["members"] = [
                each for each in group["members"] if each["id"] not in body["items"]
            ]
        else:
            group["members"] += [{"id": each} for each in body["items"]]
        return {}

    # services

    def on_descriptions(self, request, body):
        """GET /clients/{id}/service-descriptions
        POST /clients/{id}/service-descriptions"""
        client = request.path_params["id"]
        if request.method == "GET":
            return [each for each in self.descriptions.values() if each["client_id"] == client]
        number = str(next(self._ids))
        codes = self.wsdl[body["url"]] if body["type"] == "WSDL" else [body["rest_service_code"]]
        self.descriptions[number] = {
            "id": number,
            "client_id": client,
            "type": body["type"],
            "url": body["url"],
            "disabled": True,
            "disabled_notice": "",
            "services": [self._service(client, code, body) for code in codes],
        }
        return self.descriptions[number]

    def _service(self, client, code, body):
        is_base = body["type"] == "REST"
        endpoints = [] if body["type"] != "OPENAPI3" else [self._endpoint(code, "GET", "/pets")]
        return {
            "id": f"{client}:{code}",
            "full_service_code": code,
            "service_code": code.partition(".")[0],
            "url": body["url"] if is_base else "http://described.example/",
            "timeout": 60,
            "ssl_auth": body["url"].startswith("https") and is_base,
            "endpoints": endpoints,
        }

    def _endpoint(self, code, method, path, *, generated=True):
        number = str(next(self._ids))
        endpoint = {"id": number, "service_code": code, "method": method, "path": path}
        return endpoint | {"generated": generated}

    def on_description(self, request, body):
        """GET /service-descriptions/{id}
        PATCH /service-descriptions/{id}
        DELETE /service-descriptions/{id}"""
        number = request.path_params["id"]
        if request.method == "DELETE":
            for service in self.descriptions.pop(number)["services"]:
                self.rights.pop(service["service_code"], None)
            return None
        if body:
            self.descriptions[number]["url"] = body["url"]
        return self.descriptions[number]

    def on_switch(self, request, body):
        """PUT /service-descriptions/{id}/enable
        PUT /service-descriptions/{id}/disable"""
        disabled = request.url.path.endswith("disable")
        notice = body["disabled_notice"] if disabled else ""
        self.descriptions[request.path_params["id"]] |= {
            "disabled": disabled,
            "disabled_notice": notice,
        }

    def _services(self):
        return [each for found in self.descriptions.values() for each in found["services"]]

    def on_service(self, request, body):
        """GET /services/{id}
        PATCH /services/{id}"""
        if request.method == "GET":
            return next(each for each in self._services() if each["id"] in request.url.path)
        if body["ssl_auth"] and not body["url"].startswith("https"):
            raise Refused(400, "invalid_https_url")
        (service,) = [each for each in self._services() if each["id"] == request.path_params["id"]]
        (siblings,) = [
            found["services"]
            for found in self.descriptions.values()
            if service in found["services"]
        ]
        for each in siblings if body.get("url_all") else [service]:
            each |= {name: body[name] for name in ("url", "timeout", "ssl_auth")}
        return service

    def on_endpoints(self, request, body):
        """POST /services/{id}/endpoints"""
        (service,) = [each for each in self._services() if each["id"] == request.path_params["id"]]
        made = self._endpoint(body["service_code"], body["method"], body["path"], generated=False)
        service["endpoints"].append(made)
        return made

    def on_endpoint_gone(self, request, body):
        """DELETE /endpoints/{id}"""
        for service in self._services():
            for each in [*service["endpoints"]]:
                if each["id"] == request.path_params["id"]:
                    assert not each["generated"]
                    service["endpoints"].remove(each)

    # rights

    def _subject(self, item):
        if item in self.groups:
            return self.groups[item]["code"]
        if item not in self._known():
            raise Refused(409, "service_client_not_found", item)
        return item

    def _shown(self, subject):
        for group in self.groups.values():
            if group["code"] == subject:
                kind = {"service_client_type": "LOCALGROUP", "local_group_code": subject}
                return {"id": group["id"], **kind}
        kind = "GLOBALGROUP" if subject.count(":") == 1 else "SUBSYSTEM"
        return {"id": subject, "service_client_type": kind}

    def on_access_rights(self, request, body):
        """POST /clients/{id}/service-clients/{subject}/access-rights"""
        subject = self._subject(request.path_params["subject"])
        for item in body["items"]:
            self.rights.setdefault(item["service_code"], set()).add(subject)
        return []

    def on_service_clients(self, request, body):
        """GET /services/{id}/service-clients
        POST /services/{id}/service-clients
        POST /services/{id}/service-clients/delete"""
        code = request.path_params["id"].split(":")[4].partition(".")[0]
        return self._change_rights(code, request, body)

    def on_endpoint_clients(self, request, body):
        """GET /endpoints/{id}/service-clients
        POST /endpoints/{id}/service-clients
        POST /endpoints/{id}/service-clients/delete"""
        (found,) = [
            each
            for service in self._services()
            for each in service["endpoints"]
            if each["id"] == request.path_params["id"]
        ]
        return self._change_rights(f"{found['method']} {found['path']}", request, body)

    def _change_rights(self, place, request, body):
        held = self.rights.setdefault(place, set())
        if request.method == "GET":
            return [self._shown(subject) for subject in sorted(held)]
        subjects = {self._subject(each["id"]) for each in body["items"]}
        self.rights[place] = held - subjects if "delete" in request.url.path else held | subjects
        return []

    # system

    def on_stamping(self, request, body):
        """GET /timestamping-services
        GET /system/timestamping-services
        POST /system/timestamping-services
        POST /system/timestamping-services/delete"""
        if request.method == "GET":
            is_own = "system" in request.url.path
            return self.stamping if is_own else self.approved_stamping
        if request.url.path.endswith("delete"):
            self.stamping.remove(body)
        else:
            self.stamping.append(body)
        return body

    def on_address(self, request, body):
        """GET /system/server-address
        PUT /system/server-address"""
        if request.method == "PUT":
            self.requested_address = body["address"]
            self._decide()
            return None
        told = {"current_address": self.address, "requested_change": self.requested_address}
        return {name: {"address": value} for name, value in told.items() if value}

    def on_maintenance(self, request, body):
        """GET /system/maintenance-mode
        PUT /system/maintenance-mode/{verb}"""
        if request.method == "GET":
            return {"status": self.maintenance, "is_management_services_provider": False}
        self.maintenance = f"PENDING_{request.path_params['verb'].upper()}_MAINTENANCE_MODE"
        self._decide()
        return None
