"""HTTP headers between security servers."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ClientProxyVersionNotSupported, Malformed, ProtocolError
from sild.protocol.transport.headers import (
    PROTOCOL_LEVEL,
    check_proxy_version,
    read_hash_algorithm,
    write_response_headers,
    write_rest_request_headers,
    write_soap_request_headers,
    write_soap_response_headers,
)


def test_a_rest_request_has_these_headers():
    assert write_rest_request_headers(
        "multipart/mixed; boundary=x", "id-1", b"application/json"
    ) == [
        (b"x-hash-algorithm", b"SHA-512"),
        (b"x-proxy-version", b"7.8.0"),
        (b"x-original-content-type", b"application/json"),
        (b"x-road-message-type", b"REST"),
        (b"x-road-request-id", b"id-1"),
        (b"content-type", b"multipart/mixed; boundary=x"),
    ]


def test_a_client_without_a_content_type_gives_an_empty_one():
    assert (b"x-original-content-type", b"") in write_rest_request_headers("a/b", "id")


def test_a_soap_request_has_these_headers():
    content_type = b"multipart/related; boundary=b"
    assert write_soap_request_headers(
        "multipart/mixed; boundary=x", "id-1", content_type, b'""'
    ) == [
        (b"x-hash-algorithm", b"SHA-512"),
        (b"x-proxy-version", b"7.8.0"),
        (b"x-original-content-type", content_type),
        (b"x-original-soapaction", b'""'),
        (b"x-road-request-id", b"id-1"),
        (b"content-type", b"multipart/mixed; boundary=x"),
    ]


def test_a_soap_action_that_was_not_sent_does_not_travel_and_an_empty_one_does():
    sent = write_soap_request_headers("a/b", "id", b"text/xml", b"")
    assert (b"x-original-soapaction", b"") in sent
    unsent = write_soap_request_headers("a/b", "id", b"text/xml", None)
    assert [field for field in sent if field[0] != b"x-original-soapaction"] == unsent


def test_a_soap_response_names_the_content_type_of_the_service():
    assert write_soap_response_headers("a/b", b"text/xml") == [
        (b"x-hash-algorithm", b"SHA-512"),
        (b"content-type", b"a/b"),
        (b"x-original-content-type", b"text/xml"),
    ]


def test_response_headers_are_in_lower_case():
    assert write_response_headers("a/b") == [
        (b"x-hash-algorithm", b"SHA-512"),
        (b"content-type", b"a/b"),
    ]


@pytest.mark.parametrize(
    ("value", "algorithm"),
    [
        (b"SHA-512", DigestAlgorithm.SHA512),
        (b"sha-512", DigestAlgorithm.SHA512),
        (b"Sha-384", DigestAlgorithm.SHA384),
        (b"SHA-256", DigestAlgorithm.SHA256),
    ],
)
def test_hash_algorithms_are_named_in_any_case(value, algorithm):
    assert read_hash_algorithm(value) is algorithm


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"SHA512",
        b"MD5",
        b"SHA-1",
        b"SHA-224",
        DigestAlgorithm.SHA512.uri.encode(),
        b"\xff",
        b" SHA-512",
    ],
)
def test_other_hash_algorithms_are_refused(value):
    with pytest.raises(Malformed):
        read_hash_algorithm(value)


def test_a_missing_hash_algorithm_is_an_internal_error():
    with pytest.raises(Malformed) as raised:
        read_hash_algorithm(None)
    assert raised.value.fault_code("server.serverproxy") == "server.serverproxy.internal_error"


@pytest.mark.parametrize(
    "value",
    [
        b"7.6.0",
        b"7.6.1",
        b"7.10.0",
        b"8.0.0-beta",
        b"7.8.1-SNAPSHOT-20250101abc",
        b"7.6.0+build.1",
        PROTOCOL_LEVEL.encode(),
    ],
)
def test_versions_from_the_minimum_on_pass(value):
    check_proxy_version(value, "7.6.0")


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"unknown",
        b"7.5.9",
        b"7.6.0-SNAPSHOT",
        b"7.6",
        b"7",
        b"v7.8.0",
        b"7.08.0",
        b"7.8.0 ",
        b"7.8.0-",
        b"99999999999.0.0",
        b"7.8.0-" + b"a" * 200,
        b"\xff",
    ],
)
def test_older_versions_and_what_is_none_are_refused(value):
    with pytest.raises(ClientProxyVersionNotSupported):
        check_proxy_version(value, "7.6.0")
    check_proxy_version(value, None)


def test_versions_are_compared_as_semantic_versions():
    rising = ["1.0.0-0", "1.0.0-9", "1.0.0-10", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta"]
    rising += [
        "1.0.0-beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "1.10.0",
    ]
    for index, minimum in enumerate(rising):
        for position, value in enumerate(rising):
            if position >= index:
                check_proxy_version(value.encode(), minimum)
            else:
                with pytest.raises(ClientProxyVersionNotSupported):
                    check_proxy_version(value.encode(), minimum)


def test_a_minimum_that_is_no_version_lets_nobody_in():
    with pytest.raises(ClientProxyVersionNotSupported):
        check_proxy_version(b"7.8.0", "newest")


@given(st.binary(max_size=30))
def test_any_bytes_pass_or_are_refused(value):
    for check in (read_hash_algorithm, lambda value: check_proxy_version(value, "7.6.0")):
        with contextlib.suppress(ProtocolError):
            check(value)
