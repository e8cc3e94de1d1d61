"""The signatures that AWS publishes as examples, and what a signature covers."""

import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sild.runtime.s3 import S3Credentials, S3Request, sign_request

# The examples of the S3 API reference, "Authenticating Requests: Using the Authorization Header".
CREDENTIALS = S3Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
NOW = datetime(2013, 5, 24, tzinfo=UTC)
HOST = "examplebucket.s3.amazonaws.com"
PUT = S3Request(
    "PUT",
    HOST,
    "/test$file.text",
    hashlib.sha256(b"Welcome to Amazon S3.").digest(),
    {"Date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
)
GET = S3Request("GET", HOST, "/test.txt", hashlib.sha256(b"").digest(), {"Range": "bytes=0-9"})


def signature(request, credentials=CREDENTIALS, region="us-east-1", now=NOW):
    headers = sign_request(request, credentials, region, now)
    return headers["authorization"].partition("Signature=")[2]


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (PUT, "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
        (GET, "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
    ],
    ids=["PUT", "GET"],
)
def test_the_signature_is_the_published_one(request_, expected):
    assert signature(request_) == expected


def test_the_header_says_who_signed_what():
    assert sign_request(PUT, CREDENTIALS, "us-east-1", NOW)["authorization"].startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class,Signature="
    )


@pytest.mark.parametrize(
    "change",
    [{"method": "GET"}, {"host": "other"}, {"path": "/other"}, {"digest": bytes(32)}],
    ids=lambda change: next(iter(change)),
)
def test_a_signature_covers_all_of_a_request(change):
    assert signature(replace(PUT, **change)) != signature(PUT)


def test_a_token_of_a_session_is_sent_and_signed_and_no_secret_is_shown():
    session = replace(CREDENTIALS, token="of the session")
    headers = sign_request(PUT, session, "us-east-1", NOW)
    assert headers["x-amz-security-token"] == "of the session"
    assert "x-amz-security-token" in headers["authorization"]
    assert signature(PUT, session) != signature(PUT)
    assert session.secret not in repr(session)
    assert session.token not in repr(session)


def test_a_path_is_encoded_once():
    request = replace(PUT, path="/bucket/a b+c/ä~x.zip")
    assert request.encoded_path == "/bucket/a%20b%2Bc/%C3%A4~x.zip"
