"""The REST header part: what PR-REST and the reference's bytes say, line by line."""

import contextlib
import hashlib
from base64 import b64encode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sild.protocol.errors import (
    InconsistentResponse,
    InvalidClientIdentifier,
    InvalidIdentifier,
    InvalidRest,
    ProtocolError,
)
from sild.protocol.ids import ClientId, SecurityServerId, ServiceId, encode_segments
from sild.protocol.rest.headers import DROPPED
from sild.protocol.rest.message import (
    RepresentedParty,
    Verb,
    build_rest_request,
    build_rest_response,
    check_response_belongs,
    read_rest_request,
    read_rest_response,
    request_hash,
)

REQUEST_ID = "78b890f3-b1eb-45b2-a512-beec5d7ead23"
PATH = b"/r1/DEV/COM/1234/TestService/mock1"
CLIENT = (b"X-Road-Client", b"DEV/COM/4422/TestClient")
IDS = b"x-road-id:DEV-1\r\nx-road-request-id:r-1\r\n"
HASH = b64encode(bytes(64)).decode()


def build(target=PATH, headers=(CLIENT,), verb=b"GET", instance="DEV"):
    return build_rest_request(verb, target, headers, REQUEST_ID, instance, lambda: "uuid")


def part(target=PATH, headers=b"X-Road-Client:DEV/COM/4422/TestClient\r\n" + IDS, verb=b"GET"):
    return verb + b"\r\n" + target + b"\r\n" + headers


def respond(headers=(), reason=b"OK", status=200, request=None):
    return build_rest_response(request or build(), status, reason, headers, HASH)


def test_a_request_has_exactly_these_bytes():
    request = build(
        PATH + b"/pets/1%2F2?a=%20&b",
        [
            (b"Host", b"localhost"),
            (b"Accept", b"*/*"),
            CLIENT,
            (b"X-Road-UserId", b"EE1"),
            (b"accept", b"a:b"),
            (b"Content-Length", b"3"),
            (b"Empty", b""),
        ],
        b"POST",
    )
    assert request.part == (
        b"POST\r\n"
        b"/r1/DEV/COM/1234/TestService/mock1/pets/1%2F2?a=%20&b\r\n"
        b"Accept:*/*\r\n"
        b"X-Road-Client:DEV/COM/4422/TestClient\r\n"
        b"X-Road-UserId:EE1\r\n"
        b"accept:a:b\r\n"
        b"Empty:\r\n"
        b"x-road-request-id:78b890f3-b1eb-45b2-a512-beec5d7ead23\r\n"
        b"x-road-id:DEV-uuid\r\n"
    )
    assert request.verb is Verb.POST
    assert request.client == ClientId("DEV", "COM", "4422", "TestClient")
    assert request.service == ServiceId(ClientId("DEV", "COM", "1234", "TestService"), "mock1")
    assert request.service_path == "/pets/1%2F2"
    assert request.query == "a=%20&b"
    assert (request.message_id, request.request_id) == ("DEV-uuid", REQUEST_ID)
    assert request.find_header(b"x-road-userid") == b"EE1"
    assert request.find_header(b"accept") == b"*/*"
    assert request.find_header(b"x-road-issue") is None
    assert read_rest_request(request.part) == request


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_headers_of_the_connection_are_dropped_whatever_their_case(name):
    assert len(DROPPED) == 13
    sent = [(name.title(), b"x"), (name.upper(), b"x"), CLIENT]
    assert build(headers=sent) == build()
    assert respond([(name.title(), b"x"), (b"A", b"b")]) == respond([(b"A", b"b")])


@pytest.mark.parametrize("name", sorted(DROPPED))
def test_a_part_that_holds_such_a_header_is_refused(name):
    for case in (name, name.title()):
        with pytest.raises(InvalidRest):
            read_rest_request(part(headers=CLIENT_LINE + case + b":x\r\n" + IDS))
        with pytest.raises(InvalidRest):
            read_rest_response(respond().part + case + b":x\r\n")


CLIENT_LINE = b"X-Road-Client:DEV/COM/4422/TestClient\r\n"


def test_the_clients_request_id_and_request_hash_are_dropped():
    sent = [(b"X-Road-Request-Id", b"1"), (b"X-ROAD-REQUEST-HASH", b"2"), CLIENT]
    assert build(headers=sent) == build()


def test_the_clients_own_message_id_is_kept_where_it_stands():
    request = build(headers=[(b"X-Road-Id", b"my-id"), CLIENT])
    assert request.message_id == "my-id"
    assert request.part.endswith(
        b"TestClient\r\nx-road-request-id:" + REQUEST_ID.encode() + b"\r\n"
    )
    assert b"X-Road-Id:my-id\r\n" in request.part


def test_an_empty_message_id_is_refused_before_anything_is_done():
    with pytest.raises(InvalidRest):
        build(headers=[(b"X-Road-Id", b""), CLIENT])
    with pytest.raises(InvalidRest):
        build(headers=[(b"X-Road-Id", b"a"), (b"x-road-id", b" "), CLIENT])
    assert read_rest_request(part(headers=CLIENT_LINE + b"X-Road-Id:\r\n")).message_id == ""


def test_of_repeated_x_road_headers_the_last_wins():
    other = (b"x-road-client", b"DEV/GOV/1")
    request = build(headers=[CLIENT, (b"X-Road-Id", b"1"), other, (b"x-road-id", b"2")])
    assert request.client == ClientId("DEV", "GOV", "1")
    assert request.message_id == "2"
    assert request.part.count(b"lient:") == 2


def test_a_broken_identifier_is_refused_even_where_another_follows():
    with pytest.raises(InvalidIdentifier):
        build(headers=[(b"X-Road-Client", b"DEV"), CLIENT])


def test_values_are_not_trimmed_in_a_part():
    with pytest.raises(InvalidIdentifier):
        read_rest_request(part(headers=b"X-Road-Client: DEV/COM/4422/TestClient\r\n" + IDS))
    request = read_rest_request(part(headers=CLIENT_LINE + IDS + b"A: b \r\n"))
    assert request.headers[-1] == (b"A", b" b ")


def test_white_space_around_http_values_does_not_travel():
    assert build(headers=[(b"A", b" b\t"), CLIENT]) == build(headers=[(b"A", b"b"), CLIENT])


def test_the_request_id_is_found_in_lower_case_only():
    headers = CLIENT_LINE + b"x-road-id:1\r\nX-Road-Request-Id:2\r\n"
    assert read_rest_request(part(headers=headers)).request_id is None
    assert read_rest_request(part(headers=headers + b"x-road-request-id:3\r\n")).request_id == "3"


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n", b"\r"])
def test_line_ends_are_those_that_peers_take(line_end):
    read = read_rest_request(part().replace(b"\r\n", line_end))
    assert read.headers == read_rest_request(part()).headers
    assert read_rest_request(part().removesuffix(b"\r\n")).headers == read.headers


@pytest.mark.parametrize("verb", [verb.value for verb in Verb])
def test_all_verbs_pass_and_three_of_them_with_a_body(verb):
    request = build(verb=verb.encode())
    assert read_rest_request(request.part).verb == verb
    assert request.verb.passes_body == (verb in {"POST", "PUT", "PATCH"})


@pytest.mark.parametrize("verb", [b"get", b"", b"CONNECT", b"GET ", b"GET HTTP/1.1"])
def test_other_verbs_are_refused(verb):
    with pytest.raises(InvalidRest):
        build(verb=verb)
    with pytest.raises(InvalidRest):
        read_rest_request(part(verb=verb))


@pytest.mark.parametrize(
    "target",
    [
        b"",
        b"/",
        b"*",
        b"r1/DEV/COM/1234/TestService/mock1",
        b"/r2/DEV/COM/1234/TestService/mock1",
        b"/R1/DEV/COM/1234/TestService/mock1",
        b"/r01/DEV/COM/1234/TestService/mock1",
        b"/r1/DEV/COM/1234/mock1",
        b"http://localhost/r1/DEV/COM/1234/TestService/mock1",
        b"//localhost/r1/DEV/COM/1234/TestService/mock1",
        PATH + b"#fragment",
        PATH + b"?a|b",
        PATH + b"?a{b}",
        PATH + b'?a"b',
        PATH + b"?a^b",
        PATH + b"?a b",
        PATH + b"?a\\b",
        PATH + b"?a<b>",
        PATH + b"?%",
        PATH + b"?%2",
        PATH + b"/%zz",
        PATH + b"/[",
        PATH + b"/a b",
        PATH + b"/a\x00",
        PATH + b"/\xff",
        PATH + "/\xa0".encode(),
        PATH + "/\x85".encode(),
    ],
)
def test_targets_that_a_peer_would_not_take_are_refused(target):
    with pytest.raises(InvalidRest):
        build(target)
    with pytest.raises(InvalidRest):
        read_rest_request(part(target))


def test_a_target_that_breaks_its_line_is_refused():
    for line_end in (b"\r\n", b"\n", b"\r"):
        with pytest.raises(InvalidRest):
            build(PATH + line_end + b"X: y")


@pytest.mark.parametrize(
    ("rest", "service_path", "query"),
    [
        (b"", "", None),
        (b"/", "/", None),
        (b"//", "//", None),
        (b"?", "", ""),
        (b"/a/b//c", "/a/b//c", None),
        (b"/a%2Fb/..;x=1", "/a%2Fb/..;x=1", None),
        (b"/-._~!$&'()*+,;=:@", "/-._~!$&'()*+,;=:@", None),
        (b"?a[]=1?2/3", "", "a[]=1?2/3"),
        ("/ä?ö".encode(), "/ä", "ö"),
    ],
)
def test_path_and_query_stay_as_they_came(rest, service_path, query):
    request = build(PATH + rest)
    assert (request.service_path, request.query) == (service_path, query)
    assert request.part.split(b"\r\n")[1] == PATH + rest
    assert read_rest_request(request.part) == request


@pytest.mark.parametrize(
    ("address", "rest", "url"),
    [
        ("http://s", b"", "http://s"),
        ("http://s/", b"", "http://s/"),
        ("http://s/api", b"/pets", "http://s/api/pets"),
        ("http://s/api/", b"/pets", "http://s/api/pets"),
        ("http://s/api/", b"//pets", "http://s/api//pets"),
        ("http://s/api", b"/a%2Fb?x=%20&y", "http://s/api/a%2Fb?x=%20&y"),
        ("http://s/api", b"?", "http://s/api?"),
        ("http://s/api", "/ä?ö".encode(), "http://s/api/%C3%A4?%C3%B6"),
    ],
)
def test_the_service_is_called_at_its_address_the_rest_of_the_path_and_the_query(
    address, rest, url
):
    assert build(PATH + rest).url_at(address) == url


def test_identifiers_are_percent_decoded():
    request = build(
        b"/r1/D%45V/COM/12%2F34/%C3%B5/a%20b:c@d", [(b"X-Road-Client", b"DEV/%C3%95/1")]
    )
    assert request.service == ServiceId(ClientId("DEV", "COM", "12/34", "õ"), "a b:c@d")
    assert request.client == ClientId("DEV", "Õ", "1")
    response = respond(request=request)
    assert b"x-road-client:DEV/%C3%95/1\r\n" in response.part
    assert b"x-road-service:DEV/COM/12%2F34/%C3%B5/a%20b:c@d\r\n" in response.part
    assert read_rest_response(response.part) == response


@pytest.mark.parametrize(
    "target",
    [
        b"/r1/DEV/COM/1234//mock1",
        b"/r1/DEV/COM/1234/TestService/",
        b"/r1/DEV/COM/1234/TestService//pets",
        b"/r1/DEV/COM/1234/TestService/%20",
        b"/r1/DEV/COM/1234/TestService/%FF",
        "/r1/DEV/COM/1234/TestService/õ".encode(),
        b"/r1/DEV/COM/1234/TestService/" + b"a" * 256,
        b"/r1/DEV/COM/1234/TestService/" + b"a" * 100_000,
    ],
)
def test_blank_or_ill_encoded_segments_are_refused(target):
    with pytest.raises(InvalidIdentifier):
        build(target)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"DEV/COM",
        b"DEV/COM/1/2/3",
        b"DEV/COM//x",
        b"DEV/COM/1/ ",
        b"DEV/COM/1 ",
        b"DEV/COM/\xc3\xb5",
    ],
)
def test_a_client_has_three_or_four_segments(value):
    with pytest.raises(InvalidIdentifier):
        read_rest_request(part(headers=b"x-road-client:" + value + b"\r\n" + IDS))


def test_a_request_without_a_client_is_refused():
    with pytest.raises(InvalidClientIdentifier):
        build(headers=[])
    with pytest.raises(InvalidClientIdentifier):
        read_rest_request(part(headers=IDS))


def test_a_part_without_a_message_id_is_refused():
    with pytest.raises(InvalidRest):
        read_rest_request(part(headers=CLIENT_LINE))


def test_a_security_server_has_four_segments():
    name = b"X-Road-Security-Server"
    request = build(headers=[CLIENT, (name, b"DEV/COM/1234/ss%201")])
    assert request.security_server == SecurityServerId(ClientId("DEV", "COM", "1234"), "ss 1")
    assert build().security_server is None
    for value in (b"", b"DEV/COM/1234", b"DEV/COM/1234/ss/1"):
        with pytest.raises(InvalidIdentifier):
            build(headers=[CLIENT, (name, value)])


@pytest.mark.parametrize(
    ("value", "party"),
    [
        (b"123", RepresentedParty(None, "123")),
        (b"COM/123", RepresentedParty("COM", "123")),
        (b"COM/123/", RepresentedParty("COM", "123")),
        (b"/123", RepresentedParty("", "123")),
        (b"", RepresentedParty(None, "")),
        (b"/", None),
    ],
)
def test_a_represented_party_has_one_or_two_segments(value, party):
    headers = CLIENT_LINE + IDS + b"X-Road-Represented-Party:" + value + b"\r\n"
    assert read_rest_request(part(headers=headers)).represented_party == party


def test_a_represented_party_has_no_more_segments():
    with pytest.raises(InvalidIdentifier):
        build(headers=[CLIENT, (b"X-Road-Represented-Party", b"a/b/c")])


INJECTIONS = [
    (b"A", b"b\r\nHost: x"),
    (b"A", b"b\nHost: x"),
    (b"A", b"b\rHost: x"),
    (b"A", b"\x00"),
    (b"A", b"\x1f"),
    (b"A", b"\x7f"),
    (b"A\r\nB", b"c"),
    (b"A:B", b"c"),
    (b"A ", b"c"),
    (b"Transfer-Encoding ", b"chunked"),
    (b"", b"c"),
    (b"\xc3\xa4", b"c"),
    (b"A\x00", b"c"),
]


@pytest.mark.parametrize(("name", "value"), INJECTIONS)
def test_headers_that_could_become_others_are_refused(name, value):
    with pytest.raises(InvalidRest):
        build(headers=[CLIENT, (name, value)])
    with pytest.raises(InvalidRest):
        respond([(name, value)])


@pytest.mark.parametrize(
    "line", [b"A\x00:b", b"A :b", b":b", b"A:\x01", b"A:\x7f", b"A", b"", b"\xc3\xa4:b", b"A:\xff"]
)
def test_header_lines_that_are_none_are_refused(line):
    with pytest.raises(InvalidRest):
        read_rest_request(part(headers=CLIENT_LINE + line + b"\r\n" + IDS))
    with pytest.raises(InvalidRest):
        read_rest_response(b"200\r\nOK\r\n" + line + respond().part[7:])


def test_too_many_headers_are_refused():
    with pytest.raises(InvalidRest):
        read_rest_request(part(headers=CLIENT_LINE + IDS + b"a:b\r\n" * 1000))


def test_an_instance_that_breaks_a_line_is_refused():
    with pytest.raises(InvalidRest):
        build(instance="DEV\r\nX: y")


def test_header_bytes_travel_as_utf_8_and_come_out_as_they_went_in():
    sent = [CLIENT, (b"A", b"\xe4"), (b"B", "õ".encode())]
    request = build(headers=sent)
    assert b"A:\xc3\xa4\r\nB:\xc3\x83\xc2\xb5\r\n" in request.part
    assert request.headers[1:3] == tuple(sent[1:])
    assert read_rest_request(request.part).headers[1:3] == tuple(sent[1:])
    response = respond([(b"A", b"\xe4")], b"\xe4")
    assert response.part.startswith(b"200\r\n\xc3\xa4\r\nA:\xc3\xa4\r\n")
    assert read_rest_response(response.part) == response
    assert response.headers[0] == (b"A", b"\xe4")


def test_characters_that_http_has_not_are_replaced_as_peers_do():
    request = read_rest_request(part(headers=CLIENT_LINE + IDS + "A:a€\r\n".encode()))
    assert request.headers[-1] == (b"A", b"a?")


def test_message_ids_keep_characters_that_http_has_not():
    request = build(instance="УКР")
    assert request.message_id == "УКР-uuid"
    assert "x-road-id:УКР-uuid\r\n".encode() in request.part
    response = respond(request=read_rest_request(request.part))
    assert read_rest_response(response.part).message_id == "УКР-uuid"


def test_a_response_has_exactly_these_bytes():
    response = respond(
        [
            (b"Content-Type", b"application/json"),
            (b"X-Road-Id", b"1"),
            (b"x-road-request-hash", b"2"),
            (b"X-Road-Client", b"3"),
            (b"X-ROAD-REQUEST-ID", b"4"),
            (b"X-Road-Service", b"DEV/COM/5/6/7"),
            (b"X-Road-Error", b"mine"),
            (b"Server", b"nginx"),
            (b"Set-Cookie", b"a"),
            (b"Set-Cookie", b"b"),
        ],
        b"Not Here",
        404,
    )
    assert response.part == (
        b"404\r\n"
        b"Not Here\r\n"
        b"Content-Type:application/json\r\n"
        b"X-Road-Service:DEV/COM/5/6/7\r\n"
        b"X-Road-Error:mine\r\n"
        b"Set-Cookie:a\r\n"
        b"Set-Cookie:b\r\n"
        b"x-road-id:DEV-uuid\r\n"
        b"x-road-client:DEV/COM/4422/TestClient\r\n"
        b"x-road-service:DEV/COM/1234/TestService/mock1\r\n"
        b"x-road-request-id:78b890f3-b1eb-45b2-a512-beec5d7ead23\r\n"
        b"x-road-request-hash:" + HASH.encode() + b"\r\n"
    )
    assert response.service == build().service
    assert read_rest_response(response.part) == response


def test_the_reason_may_be_empty_but_its_line_not_missing():
    response = respond(reason=b"")
    assert response.part.startswith(b"200\r\n\r\nx-road-id:")
    assert read_rest_response(response.part).reason == ""
    with pytest.raises(InvalidRest):
        read_rest_response(response.part.replace(b"200\r\n\r\n", b"200\r\n"))
    with pytest.raises(InvalidRest):
        read_rest_response(b"200\r\n")


@pytest.mark.parametrize("status", [b"", b"20", b"2000", b"+200", b"100", b"OK", b"200 OK"])
def test_a_status_is_a_final_one_of_three_digits(status):
    with pytest.raises(InvalidRest):
        read_rest_response(respond().part.replace(b"200", status, 1))


@pytest.mark.parametrize("status", [100, 199, 1000, -1])
def test_a_response_with_another_status_is_not_made(status):
    with pytest.raises(InvalidRest):
        respond(status=status)


@pytest.mark.parametrize("reason", [b"a\r\nb", b"a\nb", b"\x00"])
def test_a_reason_is_one_line(reason):
    with pytest.raises(InvalidRest):
        respond(reason=reason)


@pytest.mark.parametrize("name", [b"x-road-id", b"x-road-request-hash"])
@pytest.mark.parametrize("replacement", [b"x-other:", b""])
def test_a_response_without_an_id_or_hash_is_refused(name, replacement):
    lines = [line for line in respond().part.split(b"\r\n") if not line.startswith(name + b":")]
    with pytest.raises(InvalidRest):
        read_rest_response(b"\r\n".join(lines))
    with pytest.raises(InvalidRest):
        read_rest_response(b"\r\n".join(lines) + name + b":\r\n")


def test_a_response_hash_that_is_no_base64_is_refused():
    with pytest.raises(InvalidRest):
        read_rest_response(respond().part.replace(HASH.encode(), b"A"))
    with pytest.raises(InvalidRest):
        read_rest_response(respond().part.replace(HASH.encode(), "ä".encode()))


@pytest.mark.parametrize(
    "value", [b"DEV/COM/1234/mock1", b"DEV/COM/1234/TestService/mock1/v1", b"DEV/COM/1234//mock1"]
)
def test_the_service_of_a_response_has_five_segments(value):
    with pytest.raises(InvalidIdentifier):
        read_rest_response(respond().part + b"X-Road-Service:" + value + b"\r\n")


def test_a_response_need_not_name_client_service_and_request_id():
    read = read_rest_response(b"200\r\nOK\r\nX-Road-Id:1\r\nX-Road-Request-Hash:AAAA\r\n")
    assert (read.client, read.service, read.request_id) == (None, None, None)
    assert read.request_hash == "AAAA"


def test_a_request_without_a_request_id_gets_no_response():
    request = read_rest_request(part(headers=CLIENT_LINE + b"x-road-id:1\r\n"))
    with pytest.raises(InvalidRest):
        respond(request=request)


def sha512(data):
    return hashlib.sha512(data).digest()


def test_the_request_hash_covers_the_part_and_a_body_even_if_that_is_empty():
    digest = sha512(b"part")
    assert request_hash(digest, None) == b64encode(digest).decode()
    for body in (b"", b"body"):
        expected = b64encode(sha512(digest + sha512(body))).decode()
        assert request_hash(digest, sha512(body)) == expected


def test_a_response_belongs_to_its_request():
    request = build()
    check_response_belongs(request, respond(request=request), HASH)


@pytest.mark.parametrize(
    "header",
    [
        b"x-road-client:DEV/COM/4422/Other",
        b"x-road-id:other",
        b"x-road-service:DEV/COM/1234/TestService/other",
        b"x-road-request-id:other",
        b"x-road-request-hash:AAAA",
    ],
)
def test_a_response_that_says_another_request_is_refused(header):
    response = read_rest_response(respond().part + header + b"\r\n")
    with pytest.raises(InconsistentResponse):
        check_response_belongs(build(), response, HASH)


@pytest.mark.parametrize("name", [b"x-road-client", b"x-road-service", b"x-road-request-id"])
def test_a_response_that_does_not_say_its_request_is_refused(name):
    response = read_rest_response(respond().part.replace(name, b"x-other"))
    with pytest.raises(InconsistentResponse):
        check_response_belongs(build(), response, HASH)


def test_where_bodies_are_not_logged_only_x_road_headers_are():
    sent = [(b"Accept", b"*/*"), CLIENT, (b"X-ROAD-Issue", b"\xe4")]
    assert build(PATH + b"/secret?q=1", sent).reduced_part == (
        b"GET\r\n" + PATH + b"\r\n" + CLIENT_LINE + b"X-ROAD-Issue:\xc3\xa4\r\n"
        b"x-road-request-id:78b890f3-b1eb-45b2-a512-beec5d7ead23\r\nx-road-id:DEV-uuid\r\n"
    )
    plain = respond(reason=b"\xe4")
    assert respond([(b"Set-Cookie", b"secret")], b"\xe4").reduced_part == plain.part


TOKENS = st.text("abcXYZ-019", min_size=1, max_size=8).map(str.encode)
VALUES = st.binary(max_size=12).map(lambda v: v.translate(None, bytes(range(32)) + b"\x7f"))
HEADERS = st.lists(st.tuples(TOKENS, VALUES), max_size=6)
CODES = st.text(max_size=6).map(lambda code: code + "x")


@given(HEADERS, st.lists(CODES, min_size=5, max_size=5))
def test_what_is_built_is_read_back(headers, codes):
    client = ClientId(*codes[:4])
    service = ServiceId(ClientId(*codes[1:5]), codes[0])
    target = f"/r1/{encode_segments(service.parts)}/x".encode()
    sent = [*headers, (b"X-Road-Client", encode_segments(client.parts).encode())]
    request = build(target, sent)
    assert (request.client, request.service) == (client, service)
    assert read_rest_request(request.part) == request
    kept = tuple((n, v.strip(b" \t")) for n, v in headers if n.lower() not in DROPPED)
    assert request.headers[: len(kept)] == kept
    response = respond(headers, request=request)
    assert read_rest_response(response.part) == response
    check_response_belongs(request, response, HASH)


@settings(max_examples=max(200, settings.default.max_examples))
@given(
    st.lists(
        st.sampled_from(
            [
                b"GET",
                b"200",
                PATH,
                b"\r\n",
                b"\n",
                b":",
                b"x-road-client",
                b"x-road-id",
                b"x-road-service",
                b"DEV/COM/1",
                b"/",
                b"%41",
                b"%",
                b"\xff",
                "ä".encode(),
                b"x-road-request-hash:AAAA\r\n",
                b" ",
                b"x-road-security-server:",
                b"x-road-represented-party:",
                b"\r\nx-road-id:1\r\n",
                CLIENT_LINE,
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
def test_any_bytes_give_a_message_or_a_protocol_error(data):
    for raw in (data, b"GET\r\n" + PATH + data, b"200\r\nOK\r\n" + data):
        for read in (read_rest_request, read_rest_response):
            with contextlib.suppress(ProtocolError):
                assert read(raw).part == raw
