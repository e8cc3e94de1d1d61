"""The parts of multipart messages, taken apart without the code that is tested."""

import re

_BOUNDARY = re.compile(r"boundary=\"?([^\";]+)")
_REQUEST_HASH = re.compile(
    rb"\s*<(?P<prefix>\w+:)?requestHash(?P<attributes>[^>]*)>(?P<value>[^<]*)</(?P=prefix)requestHash>"
)


def boundary_in(content_type):
    """The boundary that a content type names."""
    return _BOUNDARY.search(content_type)[1]


def parts_of(content_type, body):
    """Each part's headers, by lower-case name, and its bytes; of no multipart, the whole body."""
    if not content_type.startswith("multipart/"):
        return [({"content-type": content_type}, body)]
    delimiter = b"\n--" + boundary_in(content_type).encode()
    pieces = (b"\n" + body).split(delimiter)
    assert pieces[-1].startswith(b"--"), "the multipart has no end"
    return [_part(piece.removesuffix(b"\r")) for piece in pieces[1:-1]]


def _part(piece):
    head, content = re.split(rb"\r?\n\r?\n", piece, maxsplit=1)
    lines = [line for line in re.split(rb"\r?\n", head) if line]
    headers = (line.decode("latin-1").partition(":") for line in lines)
    return {name.lower(): value.strip() for name, _, value in headers}, content


def without_request_hash(soap):
    """A response as the service wrote it, and the hash that the provider's server put into it."""
    found = _REQUEST_HASH.search(soap)
    assert found is not None, "the response has no request hash"
    assert b'algorithmId="http://www.w3.org/2001/04/xmlenc#sha512"' in found["attributes"]
    return soap[: found.start()] + soap[found.end() :], found["value"].decode()
