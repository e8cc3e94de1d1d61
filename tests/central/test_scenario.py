"""An instance is made as existing clients make one: form login, cookies, and what they wait for.

The requests are those of the Central Server's half of the public setup scenario, told anew.
"""

import json
import re
from dataclasses import dataclass, field

import httpx
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_der_x509_certificate

from central.nodes import Client, make_authorities, node_at, running, topology_at, until_true
from ecosystem.processes import until
from sild.protocol.globalconf.anchor import read_anchor
from sild.protocol.globalconf.shared_parameters import CostType
from sild.runtime.fetch import Fetcher

ADDRESS = "127.0.71.1"
API = "/api/v1"
LOGIN = {"username": "devnet", "password": "Devnet-password-0001"}
PIN = "Secret1234"
PROFILE = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
CLASSES = {
    "COM": "Commercial",
    "GOV": "Governmental organisations",
    "ORG": "Non-profit organisations",
}


@dataclass
class Story:
    """One browser, or what acts like it, and what it was answered."""

    http: httpx.AsyncClient
    node: object
    authorities: object
    answers: dict = field(default_factory=dict)

    async def ask(self, method, path, body=None, **content):
        """Ask in the session, with its token in the header; keep the answer."""
        headers = {"X-XSRF-TOKEN": self.http.cookies.get("XSRF-TOKEN", "")}
        if body is not None:
            content["json"] = body
        answer = await self.http.request(method, API + path, headers=headers, **content)
        self.answers[method, path] = answer
        return answer

    def status(self, method, path):
        """How it was answered the last time."""
        return self.answers[method, path].status_code

    async def see(self, path):
        """What an operation shows."""
        answer = await self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def upload(certificate, **fields):
    """A form with a certificate as people have it, in PEM."""
    pem = load_der_x509_certificate(certificate.der).public_bytes(Encoding.PEM)
    return {"files": {"certificate": ("ca.pem", pem)}, "data": fields}


async def tell(story):
    """What an administrator does, from first to last."""
    http, ask, authorities = story.http, story.ask, story.authorities
    story.answers["page"] = await http.get("/")
    story.answers["login"] = await http.post("/login", data=LOGIN)
    await ask("POST", "/initialization", {
        "software_token_pin": PIN,
        "instance_identifier": "DEV",
        "central_server_address": ADDRESS,
    })  # fmt: skip
    for code, description in CLASSES.items():
        await ask("POST", "/member-classes", {"code": code, "description": description})
    await ask("PUT", "/tokens/0/login", {"password": PIN})
    for kind in ("INTERNAL", "EXTERNAL"):
        # A number where the contract says text.
        key = {"key_label": f"{kind} signing key", "token_id": 0}
        await ask("POST", f"/configuration-sources/{kind}/signing-keys", key)
    for code, name in (("1234", "Test member"), ("4321", "Test client")):
        member = {"member_class": "COM", "member_code": code}
        await ask("POST", "/members", {"member_id": member, "member_name": name})
    management = {"member_class": "COM", "member_code": "1234", "subsystem_code": "MANAGEMENT"}
    await ask("POST", "/subsystems", {"subsystem_id": management})
    provider = {"service_provider_id": "DEV:COM:1234:MANAGEMENT"}
    await ask("PATCH", "/management-services-configuration", provider)
    root = authorities.ca.root
    made = await ask("POST", "/certification-services", **upload(
        root.credential.certificate,
        certificate_profile_info=PROFILE,
        tls_auth="false",
        default_csr_format="DER",
        acme_server_directory_url="http://ca.example:8887",
    ))  # fmt: skip
    ocsp = upload(root.ocsp_signer.certificate, url="http://ca.example:8888", cost_type="FREE")
    place = f"/certification-services/{made.json()['id']}/ocsp-responders"
    story.answers["responder"] = await ask("POST", place, **ocsp)
    (tsa,) = authorities.timestamping_services()
    fields = {"url": "http://ca.example:8899", "cost_type": "FREE"}
    await ask("POST", "/timestamping-services", **upload(tsa.certificate, **fields))
    await ask("GET", "/configuration-sources/INTERNAL/anchor/download")


@pytest.fixture(scope="module")
async def story(tmp_path_factory, anyio_backend):
    """The story, told; the keys of the internal source are RSA, which is the default."""
    # The story opens the token: the server must not do so by itself before.
    settings = {
        "center": {"internal-key-algorithm": "RSA"},
        "signer": {"autologin-retry-interval": 3600.0},
    }
    node = node_at(tmp_path_factory.mktemp("scenario"), ADDRESS, settings, generation=60.0)
    async with running(node), node.http() as http:
        told = Story(http, node, make_authorities(topology_at(ADDRESS)))
        await tell(told)
        published = node.layout.published / "V6" / "internalconf"
        await until(published.exists, 180, "the configuration is published")
        yield told


@pytest.mark.feature("US-06")
def test_a_form_opens_a_session_with_two_cookies(story):
    assert story.answers["page"].status_code == 200
    login = story.answers["login"]
    assert login.status_code == 200
    cookies = {
        header.partition("=")[0]: header.lower() for header in login.headers.get_list("set-cookie")
    }
    assert set(cookies) == {"JSESSIONID", "XSRF-TOKEN"}
    assert all("secure" in each and "samesite=strict" in each for each in cookies.values())
    assert "httponly" in cookies["JSESSIONID"]
    assert "httponly" not in cookies["XSRF-TOKEN"]


@pytest.mark.feature("CI-01")
async def test_the_instance_is_initialised_with_the_status_that_existing_clients_wait_for(story):
    assert story.status("POST", "/initialization") == 200
    assert await story.see("/initialization/status") == {
        "instance_identifier": "DEV",
        "central_server_address": ADDRESS,
        "software_token_init_status": "INITIALIZED",
    }
    again = {
        "software_token_pin": PIN,
        "instance_identifier": "DEV",
        "central_server_address": ADDRESS,
    }
    refused = await story.ask("POST", "/initialization", again)
    assert (refused.status_code, refused.json()["error"]["code"]) == (
        409,
        "init_already_initialized",
    )


@pytest.mark.feature("CI-02")
async def test_member_classes_are_added(story):
    assert story.status("POST", "/member-classes") == 201
    found = await story.see("/member-classes")
    assert {each["code"]: each["description"] for each in found} == CLASSES


@pytest.mark.feature("CM-01")
async def test_members_are_added_and_found_by_a_page(story):
    assert story.status("POST", "/members") == 201
    assert story.answers["POST", "/members"].json()["client_id"]["encoded_id"] == "DEV:COM:4321"
    # As the user interface of existing servers asks, with a slash at the end.
    page = await story.see("/clients/?client_type=MEMBER&sort=member_name&limit=10&offset=0&q=test")
    assert [each["member_name"] for each in page["clients"]] == ["Test client", "Test member"]
    assert page["paging_metadata"] == {"total_items": 2, "items": 2, "limit": 10, "offset": 0}
    assert (await story.see("/members/DEV:COM:1234"))["member_name"] == "Test member"


@pytest.mark.feature("CM-06")
async def test_a_subsystem_is_added(story):
    assert story.status("POST", "/subsystems") == 201
    (subsystem,) = await story.see("/members/DEV:COM:1234/subsystems")
    assert subsystem["subsystem_id"]["subsystem_code"] == "MANAGEMENT"


@pytest.mark.feature("CI-04")
async def test_the_provider_of_management_services_is_appointed(story):
    path = "/management-services-configuration"
    assert story.status("PATCH", path) == 200
    configuration = await story.see(path)
    assert configuration["service_provider_id"] == "SUBSYSTEM:DEV:COM:1234:MANAGEMENT"
    assert configuration["service_provider_name"] == "Test member"
    assert configuration["security_server_owners_global_group_code"] == "security-server-owners"


@pytest.mark.feature("CC-03")
async def test_signing_keys_are_made_on_the_token_that_is_open(story):
    assert story.status("PUT", "/tokens/0/login") == 200
    for kind, algorithm in (("INTERNAL", "RSA"), ("EXTERNAL", "EC")):
        path = f"/configuration-sources/{kind}/signing-keys"
        assert story.status("POST", path) == 200
        key = story.answers["POST", path].json()
        assert (key["active"], key["source_type"], key["key_algorithm"]) == (True, kind, algorithm)
    (token,) = await story.see("/tokens")
    assert token["logged_in"]
    assert len(token["configuration_signing_keys"]) == 2


@pytest.mark.feature("CT-01")
async def test_the_certification_service_is_approved(story):
    assert story.status("POST", "/certification-services") == 201
    made = story.answers["POST", "/certification-services"].json()
    assert made["default_csr_format"] == "DER"
    (service,) = await story.see("/certification-services")
    assert service["id"] == made["id"]


@pytest.mark.feature("CT-03")
async def test_its_ocsp_responder_is_added(story):
    assert story.answers["responder"].status_code == 201
    made = story.answers["POST", "/certification-services"].json()
    (responder,) = await story.see(f"/certification-services/{made['id']}/ocsp-responders")
    assert (responder["url"], responder["cost_type"]) == ("http://ca.example:8888", "FREE")


@pytest.mark.feature("CT-05")
async def test_the_timestamping_service_is_approved(story):
    assert story.status("POST", "/timestamping-services") == 201
    (service,) = await story.see("/timestamping-services")
    assert service["url"] == "http://ca.example:8899"


@pytest.mark.feature("CC-04")
async def test_the_anchor_leads_a_client_to_all_of_it(story, tmp_path):
    path = "/configuration-sources/INTERNAL/anchor/download"
    assert story.status("GET", path) == 200
    answer = story.answers["GET", path]
    name = r'attachment; ?filename="?configuration_anchor_DEV_internal_UTC_[0-9_-]+\.xml"?'
    assert re.match(name, answer.headers["content-disposition"])
    anchor = read_anchor(answer.content)
    shown = await story.see("/configuration-sources/INTERNAL/anchor")
    assert shown["anchor"]["hash"].replace(":", "") == anchor.display_hash.replace(":", "")
    assert {source.url for source in anchor.sources} == {story.node.configuration_url}
    async with Fetcher() as fetcher:
        client = Client(tmp_path / "client", answer.content, fetcher)

        async def has_the_last_of_it():
            await client.refresh()
            return client.shared().timestamping_services

        await until_true(has_the_last_of_it, "all of it is published")
    shared = client.shared()
    assert client.members() == {"1234", "4321"}
    assert {each.code for each in shared.member_classes} == set(CLASSES)
    (service,) = shared.certification_services
    assert service.profile == PROFILE
    assert [each.url for each in service.top.responders] == ["http://ca.example:8888"]
    (timestamping,) = shared.timestamping_services
    assert (timestamping.url, timestamping.cost) == ("http://ca.example:8899", CostType.FREE)
    provider = client.conf().management_service.provider
    assert provider.encoded == "DEV:COM:1234:MANAGEMENT"


@pytest.mark.feature("US-06")
async def test_a_session_ends_with_its_logout_and_changes_nothing_without_its_token(story):
    async with story.node.http() as http:
        await http.post("/login", data=LOGIN)
        body = {"code": "NEW", "description": "New"}
        assert (await http.post(f"{API}/member-classes", json=body)).status_code == 403
        token = {"X-XSRF-TOKEN": http.cookies["XSRF-TOKEN"]}
        other = {"X-XSRF-TOKEN": "0" * len(token["X-XSRF-TOKEN"])}
        refused = await http.post(f"{API}/member-classes", json=body, headers=other)
        assert refused.status_code == 403
        assert (await http.get(f"{API}/notifications/session-status")).json() == {"valid": True}
        held = dict(http.cookies)
        assert (await http.post("/logout", headers=token)).status_code == 200
        assert not http.cookies
        http.cookies.update(held)
        assert (await http.get(f"{API}/member-classes")).status_code == 401
    assert "NEW" not in {each["code"] for each in await story.see("/member-classes")}


@pytest.mark.feature("AU-01")
async def test_every_change_stands_in_the_audit_log(story):
    text = story.node.layout.audit_log.read_text()
    lines = [json.loads(line[line.index("{") :]) for line in text.splitlines()]
    events = [line["event"] for line in lines if line.get("user") == LOGIN["username"]]
    for event, count in {
        "Log in user": 1,
        "Initialize central server": 1,
        "Add member class": len(CLASSES),
        "Add member": 2,
        "Add subsystem": 1,
        "Add timestamping service": 1,
    }.items():
        assert events.count(event) >= count, event
    assert PIN not in text
