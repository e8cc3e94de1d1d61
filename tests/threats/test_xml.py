"""XRDDEV-3268 and 3269: no document with a document type, and none that takes long to read.

Each kind of XML document that crosses a boundary is read unspoilt first, so that what is refused
is refused for the spoiling. OCSP and time-stamps travel in DER: there is no XML in them.
"""

import re
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import pytest

from protocol.globalconf.publisher import (
    FETCHINTERVAL,
    MONITORING,
    NEXTUPDATE,
    Publisher,
    sample_private,
)
from protocol.soap.envelopes import TYPE
from protocol.soap.envelopes import message as soap_message
from signing_builder import MESSAGE, PARTS, TestSigner
from sild.protocol.asic.sender import get_sender
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.anchor import read_anchor, write_anchor
from sild.protocol.globalconf.extensions import (
    read_fetch_interval,
    read_monitoring,
    read_next_update,
)
from sild.protocol.globalconf.private_parameters import (
    read_private_parameters,
    write_private_parameters,
)
from sild.protocol.globalconf.shared_parameters import read_shared_parameters
from sild.protocol.signature.chaindocuments import read_chain, read_result
from sild.protocol.signature.signaturexml import parse_container_signature
from sild.protocol.signature.verify import read_signature
from sild.protocol.soap.fault import find_fault, read_fault, write_fault
from sild.protocol.soap.message import read_soap
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import read_whole

SIGNED, _ = TestSigner.create().sign(PARTS, {MESSAGE: b"another"})
PUBLISHER = Publisher()


@dataclass(frozen=True)
class Kind:
    """A kind of document: one that is read, who reads it, and how it is known to have been."""

    document: bytes
    read: Any


def transported_fault(data):
    return read_whole(Direction.RESPONSE, "text/xml", data, None)


KINDS = {
    "SOAP message": Kind(soap_message(), lambda data: read_soap(data, TYPE)),
    "SOAP message in a container": Kind(soap_message(), get_sender),
    "fault": Kind(write_fault("a.b", "c", "d"), read_fault),
    "fault as a whole answer": Kind(write_fault("a.b", "c", "d"), transported_fault),
    "what may be a fault": Kind(write_fault("a.b", "c", "d"), find_fault),
    "signature": Kind(SIGNED.signature, read_signature),
    "signature in a container": Kind(SIGNED.signature, parse_container_signature),
    "hash chain": Kind(SIGNED.hash_chain, read_chain),
    "hash chain result": Kind(SIGNED.hash_chain_result, read_result),
    "anchor": Kind(write_anchor(PUBLISHER.anchor()), read_anchor),
    "shared parameters": Kind(
        PUBLISHER.contents()["SHARED-PARAMETERS"], lambda data: read_shared_parameters(data, 6)
    ),
    "private parameters": Kind(
        write_private_parameters(sample_private()), lambda data: read_private_parameters(data, 6)
    ),
    "monitoring parameters": Kind(MONITORING, read_monitoring),
    "fetch interval": Kind(FETCHINTERVAL, read_fetch_interval),
    "next update": Kind(NEXTUPDATE, read_next_update),
}
ROOT = re.compile(rb"<(?=[A-Za-z])")


@pytest.fixture(params=KINDS.values(), ids=KINDS)
def kind(request):
    request.param.read(request.param.document)
    return request.param


def before_root(document, what):
    return ROOT.sub(lambda _: what + b"<", document, count=1)


def in_text(document, what):
    """The document with something in front of the first text that stands in it."""
    return re.sub(rb">([A-Za-z0-9]{1,8})", lambda m: b">" + what + m[1], document, count=1)


LAUGHS = b"".join(
    b'<!ENTITY l%d "%b">' % (n, b"ha" if n == 0 else b"&l%d;" % (n - 1) * 10) for n in range(10)
)
ENTITIES = {
    "none": (b"", b""),
    "an empty subset": (b"[]", b""),
    "an entity": (b'[<!ENTITY e "">]', b"&e;"),
    "a file": (b'[<!ENTITY e SYSTEM "file:///etc/passwd">]', b"&e;"),
    "an address": (b'[<!ENTITY e SYSTEM "http://127.0.0.1:9/">]', b"&e;"),
    "a DTD elsewhere": (b'SYSTEM "file:///etc/passwd"', b""),
    "a parameter entity": (b'[<!ENTITY % p SYSTEM "file:///etc/passwd"> %p;]', b""),
    "a billion laughs": (b"[" + LAUGHS + b"]", b"&l9;"),
    "a long entity many times": (b'[<!ENTITY e "' + b"x" * 50_000 + b'">]', b"&e;" * 5_000),
    "an attribute by default": (b'[<!ATTLIST a Id ID "x">]', b""),
}


@pytest.mark.parametrize(("subset", "used"), ENTITIES.values(), ids=ENTITIES)
def test_xrddev_3268_3269_a_document_type_is_refused(kind, subset, used):
    spoilt = before_root(kind.document, b"<!DOCTYPE a " + subset + b">")
    with pytest.raises(ProtocolError, match="document type declaration is not allowed"):
        kind.read(in_text(spoilt, used))


@pytest.mark.parametrize("hidden", [b"<!-- -->", b"<?p?>", b"<!-- <a> -->\n<?p > ?>\n"])
def test_xrddev_3268_3269_a_document_type_behind_something_else_is_refused(kind, hidden):
    with pytest.raises(ProtocolError, match="document type declaration is not allowed"):
        kind.read(before_root(kind.document, hidden + b"<!DOCTYPE a>"))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-7", "utf-32"])
def test_xrddev_3268_3269_a_document_type_in_another_encoding_is_refused(kind, encoding):
    text = re.sub(r"^<\?xml.*?\?>", "", kind.document.decode())
    spoilt = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE a [<!ENTITY e "">]>{text}'
    with pytest.raises(ProtocolError):
        kind.read(spoilt.encode(encoding))
    with pytest.raises(ProtocolError):
        kind.read(spoilt.replace(f' encoding="{encoding}"', "").encode(encoding))


def test_xrddev_3268_3269_an_entity_that_nobody_declared_is_refused(kind):
    with pytest.raises(ProtocolError):
        kind.read(in_text(kind.document, b"&unknown;"))


# Documents that are allowed to be long and must not take long


def many(text, count=100_000):
    return b"".join(text.replace(b"#", b"%d" % number) for number in range(count))


def in_root_tag(document, what):
    return re.sub(rb"(<[A-Za-z][^\s/>]*)", lambda m: m[1] + what, document, count=1)


def in_root(document, what):
    head, close, tail = document.rpartition(b"</")
    return head + what + close + tail


SHAPES = {
    "deep": lambda d: in_root(d, b"<a>" * 50_000 + b"</a>" * 50_000),
    "deep behind its end": lambda d: in_root(d, b"<a>" * 50_000),
    "many elements": lambda d: in_root(d, b"<a/>" * 200_000),
    "many comments": lambda d: in_root(d, b"<!---->" * 140_000),
    "many instructions": lambda d: in_root(d, b"<?p?>" * 190_000),
    "many CDATA sections": lambda d: in_root(d, b"<![CDATA[]]>" * 80_000),
    "many attributes": lambda d: in_root_tag(d, many(b' a#=""')),
    "many namespaces": lambda d: in_root_tag(d, many(b' xmlns:n#="urn:#"', 19_000)),
    "many namespaces in use": lambda d: in_root(
        in_root_tag(d, many(b' xmlns:n#="urn:#"', 19_000)), many(b"<n#:a/>", 9_000)
    ),
    "a long attribute": lambda d: in_root_tag(d, b' a="' + b"x" * 900_000 + b'"'),
    "a long name": lambda d: in_root_tag(d, b"x" * 900_000),
    "a long comment": lambda d: in_root(d, b"<!--" + b"x" * 900_000 + b"-->"),
    "a long text": lambda d: in_text(d, b"x" * 900_000),
    "a long text of signs": lambda d: in_text(d, b">" * 900_000),
    "a long blank text": lambda d: in_root(d, b"\n " * 450_000),
    "a long text of references": lambda d: in_text(d, b"&#65;" * 180_000),
    "a long signature value": lambda d: d.replace(b"Value>", b"Value>" + b"A" * 900_000, 1),
}  # fmt: skip
SECONDS = 10
"""Of the processor: whoever else is busy does not count."""


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_xrddev_3268_3269_no_shape_of_a_document_takes_long(kind, shape):
    began = time.thread_time()
    with suppress(ProtocolError):
        kind.read(shape(kind.document))
    assert time.thread_time() - began < SECONDS


def test_xrddev_3269_a_signature_that_declares_many_namespaces_is_refused():
    """Canonicalising would take the square of their number for every element: hours."""
    document = in_root_tag(SIGNED.signature, many(b' xmlns:n#="urn:#"', 200))
    for read in (read_signature, parse_container_signature):
        with pytest.raises(ProtocolError, match="namespaces"):
            read(document)
        with pytest.raises(ProtocolError, match="namespaces"):
            read(document.decode().replace('"UTF-8"', '"UTF-16"').encode("utf-16"))


def test_xrddev_3269_text_of_signs_in_a_signature_is_looked_at_once():
    """Whether a document is written plainly was found out from each of its signs to the end."""
    name = re.compile(rb"(<ds:X509IssuerName>)[^<]*")
    document = name.sub(rb"\1" + b">" * 150_000, SIGNED.signature)
    began = time.thread_time()
    read_signature(document)
    assert time.thread_time() - began < SECONDS


def test_xrddev_3269_what_no_signature_protects_cannot_hide_a_second_one():
    """Wrapping: a signature whose Id another element has, or that stands in another place."""
    document = SIGNED.signature
    signature = re.search(rb"<ds:Signature .*</ds:Signature>", document, re.DOTALL)[0]
    other = replace(SIGNED, signature=signature.replace(b'Id="signature"', b'Id="other"'))
    for spoilt in (
        document.replace(signature, signature + other.signature),
        document.replace(b"<ds:Object>", b"<ds:Object>" + other.signature, 1),
        document.replace(b"</ds:Object>", b'</ds:Object><ds:Object Id="signed-properties"/>', 1),
    ):
        with pytest.raises(ProtocolError):
            read_signature(spoilt)
        with pytest.raises(ProtocolError):
            parse_container_signature(spoilt)
