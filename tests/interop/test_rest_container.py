"""The REST message part in a container that the reference implementation made."""

import hashlib
import re
from base64 import b64decode
from io import BytesIO
from zipfile import ZipFile

import pytest

from sild.protocol.ids import ClientId, ServiceId
from sild.protocol.rest.message import (
    build_rest_request,
    build_rest_response,
    check_response_belongs,
    read_rest_response,
)


@pytest.fixture(scope="module")
def container(vectors):
    data = (vectors / "asic" / "valid-non-batch-rest.asice").read_bytes()
    with ZipFile(BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_part_says_what_it_should(container):
    part = container["message.xml"]
    response = read_rest_response(part)
    assert response.part == part
    assert (response.status, response.reason) == (200, "OK")
    assert response.client == ClientId("DEV", "COM", "4422", "TestClient")
    provider = ClientId("DEV", "COM", "1234", "TestService")
    assert response.service == ServiceId(provider, "mock1")
    assert response.message_id == "DEV-d75ea6fd-d24b-48ec-a320-53675c40fb86"
    assert response.request_id == "78b890f3-b1eb-45b2-a512-beec5d7ead23"
    assert len(b64decode(response.request_hash)) == 64
    assert response.headers[:3] == (
        (b"Content-Type", b"application/json"),
        (b"mock-response", b"true"),
        (b"Matched-Stub-Id", b"ef2dae0e-5673-46f1-80f9-f07177c7ce6a"),
    )


def test_the_digests_of_part_and_body_are_signed(container):
    signed = re.findall(
        rb'URI="/([a-z0-9.]+)".*?DigestValue>([^<]+)<',
        container["META-INF/signatures.xml"],
        re.DOTALL,
    )
    assert {name.decode(): b64decode(value) for name, value in signed} == {
        name: hashlib.sha512(container[name]).digest() for name in ("message.xml", "attachment1")
    }


def test_the_same_answer_is_built_byte_for_byte(container):
    part = container["message.xml"]
    read = read_rest_response(part)
    request = build_rest_request(
        b"GET",
        b"/r1/DEV/COM/1234/TestService/mock1",
        [(b"X-Road-Client", b"DEV/COM/4422/TestClient"), (b"X-Road-Id", read.message_id.encode())],
        read.request_id,
        "DEV",
        lambda: "unused",
    )
    answered = [(b"Server", b"any"), *read.headers[:3], (b"Transfer-Encoding", b"chunked")]
    response = build_rest_response(request, 200, b"OK", answered, read.request_hash)
    assert response.part == part
    assert response == read
    check_response_belongs(request, read, read.request_hash)
