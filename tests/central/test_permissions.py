"""Every operation of the Central Server, asked for by every role and by nobody.

Who may do what is written down here once more, from what the reference does, so that a mistake
in the program's own tables shows.
"""

import re
from contextlib import AsyncExitStack

import pytest
import yaml

from central.nodes import node_at, running

ADDRESS = "127.0.70.1"
PREFIX = "/api/v1"
ROLES = {
    "SO": "SECURITY_OFFICER",
    "RO": "REGISTRATION_OFFICER",
    "SYS": "SYSTEM_ADMINISTRATOR",
    "MGMT": "MANAGEMENT_SERVICE",
}
NOBODY = "nobody"
ANYONE = (*ROLES, NOBODY)
TABLE = """
GET    /backups                                                        SYS
POST   /backups                                                        SYS
POST   /backups/upload                                                 SYS
DELETE /backups/{filename}                                             SYS
GET    /backups/{filename}/download                                    SYS
PUT    /backups/{filename}/restore                                     SYS
GET    /certification-services                                         SYS MGMT
POST   /certification-services                                         SYS
DELETE /certification-services/{id}                                    SYS
GET    /certification-services/{id}                                    SYS MGMT
PATCH  /certification-services/{id}                                    SYS
GET    /certification-services/{id}/certificate                        SYS MGMT
GET    /certification-services/{id}/intermediate-cas                   SYS MGMT
POST   /certification-services/{id}/intermediate-cas                   SYS
GET    /certification-services/{id}/ocsp-responders                    SYS MGMT
POST   /certification-services/{id}/ocsp-responders                    SYS
GET    /global-groups                                                  RO
POST   /global-groups                                                  RO
DELETE /global-groups/{code}                                           RO
GET    /global-groups/{code}                                           RO
PATCH  /global-groups/{code}                                           RO
GET    /global-groups/{code}/members/filter-model                      RO
POST   /global-groups/{code}/members/add                               RO
POST   /global-groups/{code}/members                                   RO
DELETE /global-groups/{code}/members/{client}                          RO
GET    /configuration-sources/{type}/anchor                            SO SYS
GET    /configuration-sources/{type}/anchor/download                   SO
PUT    /configuration-sources/{type}/anchor/re-create                  SO
GET    /configuration-sources/{type}/configuration-parts               SO SYS
POST   /configuration-sources/{type}/configuration-parts               SO SYS
GET    /configuration-sources/{type}/configuration-parts/{part}/{version}/download  SO SYS
DELETE /signing-keys/{key}                                             SO
PUT    /signing-keys/{key}/activate                                    SO
POST   /configuration-sources/{type}/signing-keys                      SO
GET    /tokens                                                         SO SYS
PUT    /tokens/{token}/login                                           SO SYS
PUT    /tokens/{token}/logout                                          SO SYS
GET    /trusted-anchors                                                SO SYS
POST   /trusted-anchors                                                SO
POST   /trusted-anchors/preview                                        SO
DELETE /trusted-anchors/{hash}                                         SO
GET    /trusted-anchors/{hash}/download                                SO SYS
GET    /configuration-sources/{type}/download-url                      SO SYS
POST   /initialization                                                 SO SYS
GET    /initialization/status                                          SO RO SYS MGMT
DELETE /intermediate-cas/{id}                                          SYS
GET    /intermediate-cas/{id}                                          SYS MGMT
GET    /intermediate-cas/{id}/ocsp-responders                          SYS MGMT
POST   /intermediate-cas/{id}/ocsp-responders                          SYS
DELETE /intermediate-cas/{id}/ocsp-responders/{other}                  SYS
GET    /member-classes                                                 SO RO
POST   /member-classes                                                 SO
DELETE /member-classes/{code}                                          SO
PATCH  /member-classes/{code}                                          SO
POST   /members                                                        RO
DELETE /members/{member}                                               RO
GET    /members/{member}                                               RO
PATCH  /members/{member}                                               RO
GET    /members/{member}/subsystems                                    RO
GET    /members/{member}/global-groups                                 RO
GET    /members/{member}/owned-servers                                 RO
GET    /members/{member}/used-servers                                  RO
DELETE /members/{member}/servers/{server}                              RO
POST   /subsystems                                                     RO
DELETE /subsystems/{subsystem}                                         RO
PATCH  /subsystems/{subsystem}                                         RO
DELETE /subsystems/{subsystem}/servers/{server}                        RO
GET    /clients                                                        SO RO
DELETE /ocsp-responders/{id}                                           SYS
GET    /ocsp-responders/{id}                                           SYS MGMT
PATCH  /ocsp-responders/{id}                                           SYS
GET    /ocsp-responders/{id}/certificate                               SYS MGMT
GET    /security-servers                                               RO
DELETE /security-servers/{server}                                      RO
GET    /security-servers/{server}                                      RO
PATCH  /security-servers/{server}                                      RO
GET    /security-servers/{server}/authentication-certificates          RO
DELETE /security-servers/{server}/authentication-certificates/{id}     RO
GET    /security-servers/{server}/clients                              RO
GET    /management-services-configuration                              SO
PATCH  /management-services-configuration                              SO
POST   /management-services-configuration/register-provider            SO
GET    /management-services-configuration/download-certificate         SO
GET    /management-services-configuration/certificate                  SO
POST   /management-services-configuration/certificate                  SO
POST   /management-services-configuration/generate-csr                 SO
POST   /management-services-configuration/upload-certificate           SO
PUT    /system/server-address                                          SO
GET    /system/status                                                  SO RO SYS MGMT
GET    /system/version                                                 SO RO SYS MGMT
GET    /system/high-availability-cluster/status                        SO RO SYS MGMT
GET    /timestamping-services                                          SYS
POST   /timestamping-services                                          SYS
DELETE /timestamping-services/{id}                                     SYS
GET    /timestamping-services/{id}                                     SYS
PATCH  /timestamping-services/{id}                                     SYS
GET    /management-requests                                            RO
GET    /management-requests/{id}                                       RO
DELETE /management-requests/{id}                                       RO
POST   /management-requests/{id}/approval                              RO
GET    /openapi.yaml                                                   SO RO SYS MGMT nobody
GET    /user                                                           SO RO SYS MGMT
GET    /user/roles                                                     SO RO SYS MGMT
GET    /user/permissions                                               SO RO SYS MGMT
GET    /notifications/alerts                                           SO RO SYS MGMT
GET    /notifications/session-status                                   SO RO SYS MGMT
"""
OPERATIONS = {
    (method, path): frozenset(roles)
    for method, path, *roles in map(str.split, TABLE.strip().splitlines())
}
# Whose requests may be whose: the Central Server's officers ask for themselves, its own services
# for security servers, and neither for the other.
REQUEST_TYPES = {
    "AUTH_CERT_REGISTRATION": "RO MGMT",
    "AUTH_CERT_DELETION": "RO MGMT",
    "CLIENT_REGISTRATION": "RO MGMT",
    "CLIENT_DELETION": "RO MGMT",
    "CLIENT_DISABLE": "MGMT",
    "CLIENT_ENABLE": "MGMT",
    "CLIENT_RENAME": "MGMT",
    "OWNER_CHANGE": "MGMT",
    "ADDRESS_CHANGE": "MGMT",
    "MAINTENANCE_MODE_ENABLE": "MGMT",
    "MAINTENANCE_MODE_DISABLE": "MGMT",
}
# API keys are managed with a name and password or in a session, never with a key.
BY_PEOPLE = {"/api-keys", "/api-keys/{id}"}
VALUES = {
    "{filename}": "none.gpg",
    "{id}": "999",
    "{other}": "999",
    "{code}": "NONE",
    "{client}": "DEV:GOV:none",
    "{member}": "DEV:GOV:none",
    "{subsystem}": "DEV:GOV:none:none",
    "{server}": "DEV:GOV:none:none",
    "{part}": "MONITORING",
    "{version}": "6",
    "{key}": "0" * 40,
    "{token}": "9",
    "{hash}": "AB:CD",
}
BODIES = {
    "POST /global-groups": {"code": "new", "description": "New"},
    "PATCH /global-groups/{code}": {"description": "Other"},
    "POST /global-groups/{code}/members/add": {"items": ["DEV:GOV:none"]},
    "POST /global-groups/{code}/members": {"query": "x"},
    "POST /configuration-sources/{type}/signing-keys": {"token_id": "9", "key_label": "x"},
    "PUT /tokens/{token}/login": {"password": "Secret-1234"},
    "POST /initialization": {
        "software_token_pin": "Secret-1234",
        "instance_identifier": "DEV",
        "central_server_address": ADDRESS,
    },
    "POST /member-classes": {"code": "NEW", "description": "New"},
    "PATCH /member-classes/{code}": {"description": "Other"},
    "POST /members": {
        "member_id": {"member_class": "NONE", "member_code": "M9"},
        "member_name": "Nobody",
    },
    "PATCH /members/{member}": {"member_name": "Nobody"},
    "POST /subsystems": {
        "subsystem_id": {"member_class": "NONE", "member_code": "M9", "subsystem_code": "S"},
        "subsystem_name": "None",
    },
    "PATCH /subsystems/{subsystem}": {"subsystem_name": "None"},
    "PATCH /certification-services/{id}": {"tls_auth": "false"},
    "PATCH /security-servers/{server}": {"server_address": "ss.example.org"},
    "PATCH /management-services-configuration": {"service_provider_id": "DEV:GOV:none:none"},
    "POST /management-services-configuration/register-provider": {
        "security_server_id": "DEV:GOV:none:none"
    },
    "POST /management-services-configuration/generate-csr": {"name": "CN=cs.example.org"},
    "PUT /system/server-address": {"central_server_address": ADDRESS},
}
UPLOADS = {
    "POST /backups/upload": "file",
    "POST /certification-services": "certificate",
    "POST /certification-services/{id}/intermediate-cas": "certificate",
    "POST /certification-services/{id}/ocsp-responders": "certificate",
    "POST /configuration-sources/{type}/configuration-parts": "file",
    "POST /trusted-anchors": "anchor",
    "POST /trusted-anchors/preview": "anchor",
    "POST /intermediate-cas/{id}/ocsp-responders": "certificate",
    "PATCH /ocsp-responders/{id}": "certificate",
    "POST /management-services-configuration/upload-certificate": "certificate",
    "POST /timestamping-services": "certificate",
    "PATCH /timestamping-services/{id}": "certificate",
}


@pytest.fixture(scope="module")
async def callers(tmp_path_factory, anyio_backend):
    """A client for each role, and one for nobody."""
    node = node_at(tmp_path_factory.mktemp("permissions"), ADDRESS, generation=60.0)
    async with running(node), AsyncExitStack() as opened:
        await node.ask("POST", "/initialization", BODIES["POST /initialization"])
        clients = {NOBODY: await opened.enter_async_context(node.http())}
        for role, name in ROLES.items():
            http = node.http(**await node.key(name))
            clients[role] = await opened.enter_async_context(http)
        yield clients


def content_of(method, path):
    """What an operation is sent: whole, so that nothing but the caller can be wrong with it."""
    name = f"{method} {path}"
    if name in UPLOADS:
        return {"files": {UPLOADS[name]: ("a.file", b"x")}, "data": {"url": "http://a.example"}}
    return {"json": BODIES[name]} if name in BODIES else {}


def paths_of(path):
    """The paths to ask for: of both sources, where there are two."""
    for name, value in VALUES.items():
        path = path.replace(name, value)
    if "{type}" in path:
        return [path.replace("{type}", kind) for kind in ("INTERNAL", "EXTERNAL")]
    return [path]


def check(status, role, allowed, what):
    if role in allowed:
        assert status not in (401, 403), f"{role} may {what}, and was answered {status}"
        assert status < 500, f"{what} failed: {status}"
    elif role == NOBODY:
        assert status == 401, f"nobody logged in: {what} was answered {status}"
    else:
        assert status == 403, f"{role} may not {what}, and was answered {status}"


@pytest.mark.feature("US-03")
@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))
async def test_an_operation_is_for_the_roles_that_may_and_no_other(callers, method, path):
    for role in sorted(ANYONE):
        for place in paths_of(path):
            answer = await callers[role].request(method, PREFIX + place, **content_of(method, path))
            check(answer.status_code, role, OPERATIONS[method, path], f"{method} {place}")


@pytest.mark.feature("US-03")
@pytest.mark.parametrize("kind", REQUEST_TYPES)
async def test_officers_ask_for_themselves_and_the_services_for_servers(callers, kind):
    for origin, role in (
        (origin, role) for origin in ("CENTER", "SECURITY_SERVER") for role in ANYONE
    ):
        body = {
            "type": f"{kind}_REQUEST",
            "origin": origin,
            "security_server_id": "DEV:GOV:none:none",
            "client_id": "DEV:GOV:none:other",
            "server_address": "ss.example.org",
            "authentication_certificate": "AAAA",
        }
        impersonates = origin == "SECURITY_SERVER"
        allowed = {each for each in REQUEST_TYPES[kind].split() if (each == "MGMT") is impersonates}
        answer = await callers[role].post(f"{PREFIX}/management-requests", json=body)
        check(answer.status_code, role, allowed, f"add {kind} for {origin}")


@pytest.mark.feature("US-05")
async def test_no_operation_is_missing_from_the_table(callers):
    answer = await callers[NOBODY].get(f"{PREFIX}/openapi.yaml")
    described = {
        (method.upper(), _shape(path.removeprefix(PREFIX)))
        for path, operations in yaml.load(answer.text, yaml.CSafeLoader)["paths"].items()
        for method in operations
        if path.removeprefix(PREFIX) not in BY_PEOPLE
    }
    known = {(method, _shape(path)) for method, path in OPERATIONS}
    assert described == known | {("POST", "/management-requests")}
    assert len(known) == 101 + 5


def _shape(path):
    return re.sub(r"\{[^}]*\}", "{}", path)
