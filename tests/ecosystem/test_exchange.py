"""REST messages through two running security servers, as information systems see them."""

import hashlib
import http.client
import json
import re
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from urllib.parse import urlsplit

import httpx
import pytest

from ecosystem.held import SERVICE
from ecosystem.letters import Pen, path_to
from ecosystem.plan import (
    COUNTER,
    EVERYBODY,
    HAND,
    HEALTH_SERVER,
    HELD_SERVER,
    KIOSK,
    LICENCES,
    NOBODY,
    PORTAL,
    REGISTER,
    SHOP,
    UNREGISTERED,
)
from sild.devnet.exercises import blob
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.globalconf.shared_parameters import GlobalGroup
from sild.protocol.rest.message import read_rest_request, read_rest_response, request_hash
from sild.protocol.signature.verify import SignedParts, verify_signature
from sild.runtime.clock import SystemClock
from sild.runtime.http_server import Response

ERROR = "X-Road-Error"
HELD = SERVICE.service_code
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
digest = DigestAlgorithm.SHA512.digest


@pytest.fixture
def call(devnet, http):
    """Call the health server's service through the police server; gives the answer."""

    def send(service, rest="", verb="GET", *, client=PORTAL, provider=REGISTER, **more):
        headers = [("X-Road-Client", client.short), *more.pop("headers", ())]
        url = devnet.police.http_url + path_to(service, rest, provider)
        return http.request(verb, url, headers=headers, **more)

    return send


@pytest.fixture
def asked(devnet):
    """What the provider's information system was asked since the test began."""
    count = len(devnet.recorder.asked)
    return lambda: devnet.recorder.since(count)


def raw(url, verb, target, headers=(), body=None):
    """A request whose target is sent as it stands; gives status, headers and body."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
    try:
        connection.putrequest(verb, target, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", "a")
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


# Methods, bodies, paths


BODILESS = ("GET", "DELETE", "OPTIONS", "HEAD")


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("verb", ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
def test_each_method_is_carried(call, asked, verb):
    body = None if verb in BODILESS else b'{"a": 1}'
    answer = call("open", "/people/7", verb, content=body)
    assert answer.status_code == 200, answer.text
    assert answer.content == (b"" if verb == "HEAD" else b'{"size": %d}' % len(body or b""))
    (request,) = asked()
    assert (request.method, request.target) == (verb.encode(), b"/open/people/7")
    assert request.body == (body or b"")


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("verb", ["GET", "DELETE"])
def test_a_body_that_such_a_method_may_not_have_is_signed_but_not_passed_on(call, asked, verb):
    assert call("open", verb=verb, content=b"unusual").status_code == 200
    assert asked()[0].body == b""


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("size", [0, 1, 1000, 65_536, 65_537, 3_000_000])
def test_bodies_of_any_size_arrive_as_they_were_sent(devnet, call, asked, size):
    async def mirror(request):
        return Response(200, b"OK", [(b"Content-Type", b"image/png")], request.body)

    devnet.recorder.prepare("/open/mirror", mirror)
    body = b"".join(blob(size))
    answer = call("open", "/mirror", "POST", content=body)
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["Content-Type"] == "image/png"
    assert asked()[0].body == body


@pytest.mark.feature("PX-01")
def test_a_body_of_unknown_length_arrives(call, asked):
    pieces = [b"one", b"two" * 50_000, b"three"]
    assert call("open", verb="PUT", content=iter(pieces)).status_code == 200
    (request,) = asked()
    assert request.body == b"".join(pieces)
    assert request.values(b"content-length") == [str(len(request.body)).encode()]


PATHS = {
    "": "",
    "/": "/",
    "/a/": "/a/",
    "//a//b": "//a//b",
    "/a%2Fb": "/a%2Fb",
    "/%C3%A4%20b": "/%C3%A4%20b",
    "/a;v=1,2": "/a;v=1,2",
    "/a:b@c!$&'()*+": "/a:b@c!$&'()*+",
    "?a=b&c=%20d": "?a=b&c=%20d",
    "/a?b=%26&b=2": "/a?b=%26&b=2",
    "/a?": "/a?",
    "/a?b?c": "/a?b?c",
    "/a?x=[1]": "/a?x=[1]",
}


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("rest", PATHS)
def test_path_and_query_arrive_as_they_were_sent(devnet, asked, rest):
    target = path_to("open", rest)
    status, _, body = raw(devnet.police.http_url, "GET", target, [("X-Road-Client", PORTAL.short)])
    if status == 200:
        assert asked()[0].target == b"/open" + PATHS[rest].encode()
    else:
        assert (json.loads(body)["type"], asked()) == ("server.serverproxy.access_denied", [])
        assert "%20" in rest


BAD_TARGETS = {
    "no service": ("/r1/TEST/GOV/70000002/register", "internal_error"),
    "no subsystem": ("/r1/TEST/GOV/70000002", "internal_error"),
    "a wrong escape": ("/r1/TEST/GOV/70000002/register/open/%zz", "internal_error"),
    "not UTF-8": ("/r1/TEST/GOV/70000002/%ff/open", "internal_error"),
    "a brace": ("/r1/TEST/GOV/70000002/register/open?a={b}", "internal_error"),
    "an unknown provider": (path_to("open", provider=NOBODY), "unknown_member"),
    "a blank part": ("/r1/TEST/GOV//register/open", "internal_error"),
}


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("case", BAD_TARGETS.values(), ids=BAD_TARGETS)
def test_a_target_that_names_no_service_is_refused(devnet, asked, case):
    target, code = case
    headers = [("X-Road-Client", PORTAL.short)]
    status, fields, body = raw(devnet.police.http_url, "GET", target, headers)
    assert (status, fields[ERROR]) == (500, f"server.clientproxy.{code}")
    assert json.loads(body)["type"] == fields[ERROR]
    assert asked() == []


# From one server to the other


@pytest.mark.feature("PX-10")
def test_a_message_goes_to_the_server_of_its_provider(devnet, call, http, asked):
    call("open", "/to-health")
    call(HELD, "/to-held", provider=HAND)
    call("valid", "/to-itself", provider=LICENCES)
    headers = {"X-Road-Client": HAND.short}
    http.get(devnet.held.url + path_to("open", "/from-held"), headers=headers)
    assert [request.target for request in asked()] == [
        b"/open/to-health",
        b"/held/to-held",
        b"/police/to-itself",
        b"/open/from-held",
    ]


@pytest.mark.feature("PX-04")
@pytest.mark.feature("PX-07")
def test_what_travels_is_a_signed_message_with_the_ocsp_response(devnet, call):
    heard = len(devnet.held.ear.heard)
    call(HELD, "/x", "POST", provider=HAND, content=b"{}")
    ((request, body),) = devnet.held.ear.heard[heard:]
    assert request.method == b"POST"
    assert request.header(b"x-hash-algorithm") == b"SHA-512"
    assert request.header(b"x-road-message-type") == b"REST"
    assert request.header(b"x-proxy-version").startswith(b"7.")
    assert UUID.fullmatch(request.header(b"x-road-request-id").decode())
    kinds = re.findall(rb"\r?\ncontent-type: ([^\r]*)", body)
    assert kinds == [
        b"application/ocsp-response",
        b"application/x-road-rest-request",
        b"application/x-road-rest-body",
        b"application/hash-chain-result",
        b"application/hash-chain",
        b"signature/bdoc-1.0/ts",
    ]


@pytest.mark.feature("PX-05")
def test_both_servers_show_their_certificates(devnet, call):
    """What they show is what is registered: another would not have been answered."""
    heard = len(devnet.held.ear.heard)
    assert call(HELD, provider=HAND).status_code == 200
    request, _ = devnet.held.ear.heard[heard]
    conf = devnet.held.views.current.conf
    shown = DigestAlgorithm.SHA256.digest(request.peer.chain[0])
    assert conf.find_server_by_auth_hash(shown).id.server_code == "police-1"
    assert request.peer.tls_version in ("TLSv1.2", "TLSv1.3")
    with socket_to(devnet.health) as tls:
        shown = DigestAlgorithm.SHA256.digest(tls.getpeercert(binary_form=True))
    assert conf.find_server_by_auth_hash(shown).id == HEALTH_SERVER


def socket_to(server):
    """A TLS connection to a server's port for other servers, without a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    sock = socket.create_connection((server.plan.address, server.ports.server), timeout=60)
    return context.wrap_socket(sock)


@pytest.mark.feature("PX-06")
@pytest.mark.feature("TS-01")
def test_a_server_gives_the_ocsp_responses_of_its_certificates(devnet, http):
    """They were fetched from the CA's responder before, and are kept."""
    (response,) = devnet.police_ocsp()
    with socket_to(devnet.police) as tls:
        certificate = tls.getpeercert(binary_form=True)
    url = f"http://{devnet.police.plan.address}:{devnet.police.ports.ocsp}/"
    sha1 = hashlib.sha1(certificate, usedforsecurity=False).hexdigest()
    sha256 = hashlib.sha256(certificate).hexdigest()
    for query in (f"?cert={sha1}", f"?cert_hash={sha256}", f"?cert={sha1}&cert_hash={sha256}"):
        answer = http.get(url + query)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("multipart/related;")
        assert answer.content.count(response) == 1
    assert http.get(f"{url}?cert={sha1}&cert={'0' * 40}").status_code == 500
    assert http.get(url).status_code == 500
    assert http.head(url).status_code == 200
    assert any(each.read_bytes() == response for each in devnet.police.layout.ocsp_cache.iterdir())


@pytest.mark.feature("PX-07")
@pytest.mark.feature("PX-08")
@pytest.mark.parametrize("body", [None, b'{"a": 1}'], ids=["plain", "with body"])
def test_request_and_response_are_signed_by_their_members(devnet, call, body):
    """The log of the provider's server proves both."""
    devnet.held.log.saved.clear()
    verb = "GET" if body is None else "POST"
    assert call(HELD, "/x", verb, provider=HAND, content=body).status_code == 200
    asking, answering = devnet.held.log.saved
    trust = devnet.held.views.current.conf.trust(PORTAL.instance)
    now = SystemClock().now()
    for logged, signer in ((asking, PORTAL), (answering, HAND)):
        record = logged.record
        digests = {"/message.xml": digest(record.message)}
        if logged.body is not None:
            digests["/attachment1"] = digest(logged.body)
        parts = SignedParts(record.hash_chain_result, record.hash_chain, digests)
        proof = verify_signature(record.signature, parts, signer, trust, now).signer
        assert proof.member == signer.member
        assert record.owner == HAND
    assert asking.body == body


@pytest.mark.feature("PX-09")
def test_messages_that_wait_for_the_key_share_a_signature(devnet, call):
    devnet.held.log.saved.clear()
    count = 40
    barrier = threading.Barrier(20)

    def one(number):
        barrier.wait(60)
        return call(HELD, f"/{number}", provider=HAND).status_code

    with ThreadPoolExecutor(20) as pool:
        assert set(pool.map(one, range(count))) == {200}
    requests = [each.record for each in devnet.held.log.saved if not each.record.is_response]
    assert len(requests) == count
    signatures = {record.signature for record in requests}
    assert len(signatures) < count
    shared = [each for each in requests if each.hash_chain is not None]
    assert len(shared) >= 2
    assert len({each.hash_chain for each in shared}) == len(shared)


@pytest.mark.feature("PX-14")
def test_the_answer_says_which_request_it_answers(devnet, call):
    for verb, body in (("GET", None), ("POST", b"{}")):
        devnet.held.log.saved.clear()
        answer = call(HELD, "/x", verb, provider=HAND, content=body)
        asking, answering = devnet.held.log.saved
        body_digest = None if body is None else digest(body)
        expected = request_hash(digest(asking.record.message), body_digest)
        assert answer.headers["x-road-request-hash"] == expected
        assert read_rest_response(answering.record.message).request_hash == expected


@pytest.mark.feature("PX-15")
def test_one_exchange_has_one_request_id_and_one_message_id(devnet, call, asked):
    devnet.held.log.saved.clear()
    sent = [("X-Road-Id", "mine-1"), ("X-Road-Request-Id", "not mine to say")]
    answer = call(HELD, "/x", provider=HAND, headers=sent)
    request_id = answer.headers["x-road-request-id"]
    assert UUID.fullmatch(request_id)
    assert answer.headers["x-road-id"] == "mine-1"
    for logged in devnet.held.log.saved:
        assert (logged.record.query_id, logged.record.request_id) == ("mine-1", request_id)
    (request,) = asked()
    assert request.values(b"x-road-id") == [b"mine-1"]
    assert request.values(b"x-road-request-id") == [request_id.encode()]
    again = call(HELD, "/x", provider=HAND)
    assert again.headers["x-road-request-id"] != request_id
    instance, _, uuid = again.headers["x-road-id"].partition("-")
    assert instance == PORTAL.instance
    assert UUID.fullmatch(uuid)


# Headers


@pytest.mark.feature("PX-16")
def test_the_callers_headers_arrive_in_order_and_those_of_the_connection_do_not(devnet, asked):
    headers = [
        ("X-Road-Client", PORTAL.short),
        ("X-Twice", "1"),
        ("x-mixed-Case", "a  b"),
        ("X-Twice", "2"),
        ("X-Latin", b"\xe4\xf6"),
        ("Authorization", "Bearer abc"),
        ("Cookie", "a=b"),
        ("Accept-Language", "et"),
        ("X-Empty", ""),
        ("User-Agent", "system/1"),
        ("Connection", "close"),
        ("TE", "trailers"),
        ("Proxy-Authorization", "secret"),
        ("x-road-request-hash", "forged"),
    ]
    status, _, _ = raw(devnet.police.http_url, "GET", path_to("open"), headers)
    assert status == 200
    (request,) = asked()
    passed = [
        (name, value)
        for name, value in request.headers
        if name.lower() not in (b"host", b"content-length") and not name.startswith(b"x-road")
    ]
    assert passed == [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in headers[:9]
    ]
    assert request.values(b"host") == [devnet.recorder.url.removeprefix("http://").encode()]
    assert request.values(b"x-road-request-hash") == []


@pytest.mark.feature("PX-16")
def test_the_services_headers_arrive_and_those_of_its_connection_do_not(devnet, call):
    sent = [
        (b"Content-Type", b"text/csv"),
        (b"Set-Cookie", b"a=1"),
        (b"Set-Cookie", b"b=2"),
        (b"Server", b"secret/1"),
        (b"X-Own", b"yes"),
        (b"Keep-Alive", b"timeout=5"),
        (b"x-road-request-id", b"forged"),
        (b"X-Road-Client", b"forged"),
        (b"Access-Control-Allow-Origin", b"*"),
    ]
    devnet.recorder.prepare("/open/headers", Response(200, b"Fine", sent, b"1,2"))
    answer = call("open", "/headers")
    assert (answer.status_code, answer.text) == (200, "1,2")
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers.get_list("Set-Cookie") == ["a=1", "b=2"]
    assert answer.headers["X-Own"] == "yes"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Server" not in answer.headers
    assert answer.headers["X-Road-Client"] == PORTAL.short
    assert answer.headers["x-road-service"] == f"{REGISTER.short}/open"
    assert UUID.fullmatch(answer.headers["x-road-request-id"])


@pytest.mark.feature("PX-17")
def test_user_and_issue_are_signed_and_arrive(devnet, call, asked):
    devnet.held.log.saved.clear()
    sent = [("X-Road-UserId", "EE38001085718"), ("X-Road-Issue", "case 12/2026")]
    call(HELD, provider=HAND, headers=sent)
    (request,) = asked()
    assert request.values(b"x-road-userid") == [b"EE38001085718"]
    assert request.values(b"x-road-issue") == [b"case 12/2026"]
    message = read_rest_request(devnet.held.log.saved[0].record.message)
    assert message.find_header(b"x-road-userid") == b"EE38001085718"
    assert message.find_header(b"x-road-issue") == b"case 12/2026"


# Answers


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("status", [200, 201, 202, 206, 400, 401, 404, 409, 418, 500, 503])
def test_the_services_status_and_body_are_passed_on(devnet, call, status):
    answer = Response(status, b"As It Is", [(b"Content-Type", b"application/problem+json")], b"{}")
    devnet.recorder.prepare(f"/open/{status}", answer)
    said = call("open", f"/{status}")
    assert (said.status_code, said.reason_phrase, said.content) == (status, "As It Is", b"{}")
    assert said.headers["Content-Type"] == "application/problem+json"
    assert ERROR not in said.headers


@pytest.mark.feature("PX-01")
@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_is_passed_on(devnet, call, status):
    devnet.recorder.prepare(f"/open/{status}", Response(status, b"", [(b"ETag", b'"1"')]))
    said = call("open", f"/{status}")
    assert (said.status_code, said.content, said.headers["ETag"]) == (status, b"", '"1"')


@pytest.mark.feature("PX-16")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_passed_on_and_not_followed(devnet, call, asked, status):
    where = [(b"Location", b"https://elsewhere.example/x")]
    devnet.recorder.prepare(f"/open/{status}", Response(status, b"Moved", where))
    said = call("open", f"/{status}")
    assert (said.status_code, said.headers["Location"]) == (status, "https://elsewhere.example/x")
    assert len(asked()) == 1


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "application/json"),
        ("application/json", "application/json"),
        ("text/xml", "text/xml"),
        ("application/xml", "application/xml"),
        ("text/*;q=0.1, application/json", "text/xml"),
        ("image/png", "application/json"),
    ],
)
def test_errors_have_one_form_in_json_or_xml(call, accept, kind):
    headers = [] if accept is None else [("Accept", accept)]
    said = call("closed", headers=headers)
    code = "server.serverproxy.access_denied"
    assert (said.status_code, said.headers[ERROR]) == (500, code)
    assert said.headers["Content-Type"].startswith(kind)
    if "json" in kind:
        error = said.json()
        assert error.keys() == {"type", "message", "detail"}
        assert error["type"] == code
        assert UUID.fullmatch(error["detail"])
    else:
        pattern = rf"<error><type>{code}</type><message>[^<]+</message><detail>{UUID.pattern}"
        assert re.search(pattern, said.text)


ERRORS = {
    "nobody answers": ("dead", "server.serverproxy.network_error"),
    "too slow": ("quick", "server.serverproxy.io_error"),
    "unknown service": ("nothing", "server.serverproxy.unknown_service"),
}


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_what_fails_at_the_provider_is_told_by_its_code(devnet, call, case):
    service, code = case
    clock = SystemClock()

    async def slowly(request):
        await clock.sleep(3)
        return Response(200)

    devnet.recorder.prepare("/quick", slowly)
    said = call(service)
    assert (said.status_code, said.headers[ERROR], said.json()["type"]) == (500, code, code)


@pytest.mark.feature("PX-20")
def test_an_error_of_the_service_that_looks_like_ours_is_passed_on(devnet, call):
    answer = Response(404, b"No", [(b"X-Road-Error", b"own"), (b"Content-Type", b"a/b")], b"own")
    devnet.recorder.prepare("/open/own", answer)
    said = call("open", "/own")
    assert (said.status_code, said.headers[ERROR], said.text) == (404, "own", "own")


# Who may


@pytest.mark.feature("PX-13")
def test_rights_are_of_subsystems_and_of_local_and_global_groups(devnet, call, http):
    def status(service, client, url=devnet.police.http_url):
        headers = {"X-Road-Client": client.short}
        return http.get(url + path_to(service), headers=headers).status_code

    https = devnet.police.https_url
    with httpx.Client(verify=False, trust_env=False, timeout=60) as secure:
        headers = {"X-Road-Client": COUNTER.short}
        assert secure.get(https + path_to("friendly"), headers=headers).status_code == 200
        assert secure.get(https + path_to("own"), headers=headers).status_code == 500
        assert secure.get(https + path_to("open"), headers=headers).status_code == 200
    assert status("own", PORTAL) == 200
    assert status("friendly", PORTAL) == 500
    assert status("open", PORTAL) == 200
    assert status("open", HAND, devnet.held.url) == 200
    assert status("own", HAND, devnet.held.url) == 500
    assert status("closed", PORTAL) == 500


@pytest.mark.feature("PX-13")
def test_who_leaves_a_global_group_loses_its_rights(devnet, call):
    registry = devnet.ecosystem.registry
    members = tuple(each for each in registry.groups[0].members if each != PORTAL)
    group = GlobalGroup(EVERYBODY, "All but one", members)
    try:
        devnet.run(devnet.publish(replace(registry, groups=(group,))))
        said = call("open")
        assert said.headers[ERROR] == "server.serverproxy.access_denied"
    finally:
        devnet.run(devnet.publish(registry))
    assert call("open").status_code == 200


ENDPOINTS = {
    ("GET", "/people/7"): True,
    ("GET", "/people/7?all=1"): True,
    ("GET", "/people/%37"): True,
    ("POST", "/people"): True,
    ("GET", "/tree"): False,
    ("GET", "/tree/a"): True,
    ("DELETE", "/tree/a/b/c"): True,
    ("GET", "/people"): False,
    ("GET", "/people/7/name"): False,
    ("GET", "/people/7/8"): False,
    ("DELETE", "/people/7"): False,
    ("POST", "/people/7"): False,
    ("HEAD", "/people/7"): False,
    ("GET", ""): False,
    ("GET", "/"): False,
    ("GET", "/People/7"): False,
    # None of these may lead out of the pattern, however a server reads it.
    ("GET", "/people/../secret"): False,
    ("GET", "/people/7/../../secret"): False,
    ("GET", "/tree/../secret"): False,
    ("GET", "/tree/a/../../secret"): False,
    ("GET", "/tree/%2e%2e/secret"): False,
    ("GET", "/tree/%2E%2E%2Fsecret"): False,
    ("GET", "/tree/.%2e/secret"): False,
    ("GET", "/tree/..;/secret"): False,
    ("GET", "/tree/..%3b/secret"): False,
    ("GET", "/tree/..%2fsecret"): False,
    ("GET", "/tree/%252e%252e/secret"): False,
    ("GET", "/tree/..%5csecret"): False,
    ("GET", "/tree/a%00b"): False,
    ("GET", "/tree/a%0ab"): False,
    ("GET", "/people/7%2Fname"): False,
    ("GET", "/people/7%3Fname"): True,
    ("GET", "//people/7"): False,
    ("GET", "/./people/7"): False,
    ("GET", "/secret/../people/7"): False,
    ("GET", "/people/..%2f..%2fsecret"): False,
}


@pytest.mark.feature("PX-24")
@pytest.mark.parametrize("case", ENDPOINTS, ids=" ".join)
def test_a_right_to_endpoints_reaches_no_further_than_its_pattern(devnet, asked, case):
    verb, rest = case
    url, target = devnet.police.http_url, path_to("limited", rest)
    status, headers, _ = raw(url, verb, target, [("X-Road-Client", PORTAL.short)])
    if ENDPOINTS[case]:
        assert (status, len(asked())) == (200, 1)
    else:
        assert (status, asked()) == (500, [])
        assert headers[ERROR] in (
            "server.serverproxy.access_denied",
            "server.clientproxy.internal_error",
        )


@pytest.mark.feature("PX-24")
@pytest.mark.parametrize("rest", ["/..", "/../closed", "/a/../../closed", "/a/..%2f..%2fclosed"])
def test_a_right_to_all_of_a_service_does_not_lead_out_of_it(devnet, asked, rest):
    headers = [("X-Road-Client", PORTAL.short)]
    status, fields, _ = raw(devnet.police.http_url, "GET", path_to("open", rest), headers)
    assert (status, fields[ERROR]) == (500, "server.serverproxy.access_denied")
    assert asked() == []


@pytest.mark.feature("PX-24")
def test_an_endpoint_of_another_client_is_no_right(devnet):
    target = path_to("limited", "/people/7/name")
    with httpx.Client(verify=False, trust_env=False, timeout=60) as secure:
        url = devnet.police.https_url + target
        assert secure.get(url, headers={"X-Road-Client": COUNTER.short}).status_code == 200
    status, _, _ = raw(devnet.police.http_url, "GET", target, [("X-Road-Client", PORTAL.short)])
    assert status == 500


# The caller's own security server


CALLERS = {
    "none": ([], "invalid_client_identifier"),
    "empty": ([("X-Road-Client", "")], "internal_error"),
    "too short": ([("X-Road-Client", "TEST/GOV")], "internal_error"),
    "of another server": ([("X-Road-Client", HAND.short)], "unknown_member"),
    "unknown": ([("X-Road-Client", NOBODY.short)], "unknown_member"),
    "not registered": ([("X-Road-Client", UNREGISTERED.short)], "unknown_member"),
    "of another instance": ([("X-Road-Client", f"X{PORTAL.short}")], "unknown_member"),
    "revoked": ([("X-Road-Client", SHOP.short)], "cannot_create_signature"),
    "two, the last counts": (
        [("X-Road-Client", PORTAL.short), ("X-Road-Client", NOBODY.short)],
        "unknown_member",
    ),
    "an empty message id": (
        [("X-Road-Client", PORTAL.short), ("X-Road-Id", "")],
        "internal_error",
    ),
}


@pytest.mark.feature("PX-20")
@pytest.mark.parametrize("case", CALLERS.values(), ids=CALLERS)
def test_who_is_no_client_of_the_server_is_refused_by_it(devnet, asked, case):
    headers, code = case
    status, fields, body = raw(devnet.police.http_url, "GET", path_to("open"), headers)
    assert (status, fields[ERROR]) == (500, f"server.clientproxy.{code}")
    assert json.loads(body)["type"] == fields[ERROR]
    assert asked() == []


CONNECTIONS = {
    ("NOSSL", "http"): True,
    ("NOSSL", "https"): True,
    ("SSLNOAUTH", "http"): False,
    ("SSLNOAUTH", "https"): True,
    ("SSLNOAUTH", "certificate"): True,
    ("SSLAUTH", "http"): False,
    ("SSLAUTH", "https"): False,
    ("SSLAUTH", "certificate"): True,
    ("SSLAUTH", "another certificate"): False,
}


@pytest.mark.feature("PX-22")
@pytest.mark.feature("IS-01")
@pytest.mark.parametrize("case", CONNECTIONS, ids=" by ".join)
def test_a_client_connects_as_its_connection_type_demands(devnet, asked, tmp_path, case):
    kind, way = case
    client = {"NOSSL": PORTAL, "SSLNOAUTH": COUNTER, "SSLAUTH": KIOSK}[kind]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if "certificate" in way:
        of = devnet.kiosk if way == "certificate" else devnet.papers.signing(KIOSK.member)
        context.load_cert_chain(*devnet.files_of(of, tmp_path))
    url = devnet.police.http_url if way == "http" else devnet.police.https_url
    with httpx.Client(verify=context, trust_env=False, timeout=60) as http:
        said = http.get(url + path_to("open"), headers={"X-Road-Client": client.short})
    if CONNECTIONS[case]:
        assert (said.status_code, len(asked())) == (200, 1)
    else:
        assert said.headers[ERROR] == "server.clientproxy.ssl_authentication_failed"
        assert asked() == []


@pytest.mark.feature("PX-12")
def test_one_security_server_of_the_provider_can_be_asked_for(call, asked):
    def send(server):
        return call("open", headers=[("X-Road-Security-Server", server)])

    assert send(HEALTH_SERVER.short).status_code == 200
    assert len(asked()) == 1
    for other in (HELD_SERVER.short, f"{HEALTH_SERVER.owner.short}/health-2"):
        assert send(other).headers[ERROR] == "server.clientproxy.invalid_security_server"
    assert len(asked()) == 1


@pytest.mark.feature("PX-21")
@pytest.mark.feature("MM-03")
def test_disabled_services_and_servers_in_maintenance_say_why(devnet, call):
    said = call("disabled")
    assert said.headers[ERROR] == "server.serverproxy.service_disabled"
    assert "closed for the summer" in said.json()["message"]
    registry = devnet.ecosystem.registry
    closed = replace(registry.get_server(HEALTH_SERVER), maintenance="new disks until noon")
    try:
        devnet.run(devnet.publish(registry.with_server(closed)))
        said = call("open")
        assert said.headers[ERROR] == "server.clientproxy.maintenance_mode"
        assert "new disks until noon" in said.json()["message"]
    finally:
        devnet.run(devnet.publish(registry))
    assert call("open").status_code == 200


def test_a_soap_answer_to_a_rest_call_never_comes(devnet, asked):
    """Whatever is not below /r1/ is no REST call; nothing of it reaches a service."""
    status, _, body = raw(devnet.police.http_url, "GET", "/r2/" + path_to("open")[4:])
    assert status == 200
    assert b"Fault" in body
    assert asked() == []


def test_a_large_message_that_was_changed_is_refused_before_its_service_is_called(devnet, asked):
    """It is not in memory as a whole when it is verified."""
    pen = Pen(devnet.held)
    body = b"".join(blob(400_000))
    sound = pen.letter(pen.request(path_to("open", "/large"), "POST"), body)
    assert devnet.run(pen.post(sound, devnet.health)).code == ""
    assert [each.body for each in asked()] == [body]
    for number, (kind, data) in enumerate(sound.parts):
        for position in (0, len(data) // 2, len(data) - 1):
            other = bytes((data[position] ^ 1,))
            changed = data[:position] + other + data[position + 1 :]
            parts = (*sound.parts[:number], (kind, changed), *sound.parts[number + 1 :])
            said = devnet.run(pen.post(replace(sound, parts=parts), devnet.health))
            assert said.code.startswith("server.serverproxy."), (kind, position)
    assert len(asked()) == 1
