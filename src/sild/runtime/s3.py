"""Requests to S3-compatible object stores, signed by AWS Signature Version 4."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import quote

_ALGORITHM = "AWS4-HMAC-SHA256"
_SERVICE = "s3"
_ENDS = "aws4_request"


@dataclass(frozen=True, slots=True)
class S3Credentials:
    """Who asks: an access key, its secret, and a session's token where there is one."""

    access_key: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class S3Request:
    """What is asked of a store: the method, its host as the URL has it, and the path, not encoded.

    The digest is the SHA-256 of the whole body, which the store compares with what arrives.
    """

    method: str
    host: str
    path: str
    digest: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def encoded_path(self) -> str:
        """The path as it stands in the URL and is signed."""
        return quote(self.path, safe="/-_.~")


def sign_request(
    request: S3Request, credentials: S3Credentials, region: str, now: datetime
) -> dict[str, str]:
    """All headers of a request, its signature among them; `now` is in UTC."""
    headers = {name.lower(): " ".join(value.split()) for name, value in request.headers.items()}
    headers |= {
        "host": request.host,
        "x-amz-content-sha256": request.digest.hex(),
        "x-amz-date": f"{now:%Y%m%dT%H%M%SZ}",
    }
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    signed = ";".join(sorted(headers))
    canonical = "\n".join(
        (
            request.method,
            request.encoded_path,
            "",
            *(f"{name}:{headers[name]}" for name in sorted(headers)),
            "",
            signed,
            request.digest.hex(),
        )
    )
    scope = f"{now:%Y%m%d}/{region}/{_SERVICE}/{_ENDS}"
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    to_sign = "\n".join((_ALGORITHM, headers["x-amz-date"], scope, digest))
    key = f"AWS4{credentials.secret}".encode()
    for part in scope.split("/"):
        key = _keyed(key, part)
    signature = _keyed(key, to_sign).hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope},"
        f"SignedHeaders={signed},Signature={signature}"
    )
    return headers


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
