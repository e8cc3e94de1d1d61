"""Read and write HashChainResult and HashChain documents (PR-SIGDOC, hashchain.xsd).

They are written in the form that peers write; a document in that form is read by pattern, any
other by the schema, to the same value.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sild.protocol.algorithms import DigestAlgorithm, UnsupportedAlgorithm
from sild.protocol.errors import InvalidXml, MalformedHashChain
from sild.protocol.safexml import (
    Element,
    Schema,
    XmlLimits,
    children,
    find_child,
    get_child,
    has_name,
    local_name,
    read_xml,
    text_of,
)
from sild.protocol.signature.base64text import (
    NotBase64,
    decode_base64,
    decode_unbroken,
    encode_base64,
)
from sild.protocol.signature.plainxml import is_plain

# Digests that still withstand collisions; a chain may not weaken what is signed.
STRONG_DIGESTS = frozenset({DigestAlgorithm.SHA256, DigestAlgorithm.SHA384, DigestAlgorithm.SHA512})

_CHAIN = "{http://cyber.ee/hashchain}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_LIMITS = XmlLimits(size=1_000_000, depth=10, tags=30_000, attributes=30_000)


@dataclass(frozen=True, slots=True)
class PartDigest:
    """A digest beside the algorithm that made it."""

    algorithm: DigestAlgorithm
    value: bytes


@dataclass(frozen=True, slots=True)
class HashValue:
    """A node of the tree that is given as it is."""

    digest: PartDigest


@dataclass(frozen=True, slots=True)
class StepRef:
    """A node of the tree that another step gives."""

    uri: str
    algorithm: DigestAlgorithm


@dataclass(frozen=True, slots=True)
class DataRef:
    """A part, with the digest that the chain states for it."""

    uri: str
    digest: PartDigest


@dataclass(frozen=True, slots=True)
class HashChain:
    """The steps of a hash chain document by their names."""

    steps: Mapping[str, tuple[HashValue | StepRef | DataRef, ...]]
    is_settled: bool = True
    """Whether no byte could be another without another meaning; see `plainxml`."""


@dataclass(frozen=True, slots=True)
class HashChainResult:
    """Where a chain begins, and the digest that it must lead to."""

    uri: str
    digest: PartDigest


_HEAD = b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_XMLNS = b'xmlns="http://www.w3.org/2000/09/xmldsig#" xmlns:ns2="http://cyber.ee/hashchain"'
_RESULT = (
    _HEAD + b'<ns2:HashChainResult URI="%b" ' + _XMLNS + b">\n"
    b'    <DigestMethod Algorithm="%b"/>\n'
    b"    <DigestValue>%b</DigestValue>\n"
    b"</ns2:HashChainResult>\n"
)
_CHAIN_HEAD = (
    _HEAD + b"<ns2:HashChain " + _XMLNS + b'>\n    <ns2:DefaultDigestMethod Algorithm="%b"/>\n'
)
_CHAIN_TAIL = b"</ns2:HashChain>\n"
_STEP = b'    <ns2:HashStep id="STEP%d">\n%b    </ns2:HashStep>\n'
_STEP_REF = b'        <ns2:StepRef URI="#STEP%d"/>\n'
_HASH_VALUE = (
    b"        <ns2:HashValue>\n"
    b"            <DigestValue>%b</DigestValue>\n"
    b"        </ns2:HashValue>\n"
)
_DATA_REF = (
    b'        <ns2:DataRef URI="%b">\n'
    b"            <DigestValue>%b</DigestValue>\n"
    b"        </ns2:DataRef>\n"
)
_PLAIN_URI = re.compile(r"/[A-Za-z0-9][A-Za-z0-9/._-]{0,200}(?:#STEP0)?")


def write_result(uri: str, digest: PartDigest) -> bytes:
    """The HashChainResult of a chain that begins at the URI."""
    algorithm = digest.algorithm.uri.encode("ascii")
    return _RESULT % (_plain(uri), algorithm, encode_base64(digest.value))


def write_chain(
    algorithm: DigestAlgorithm,
    siblings: Sequence[tuple[bool, bytes]],
    parts: Sequence[tuple[str, bytes]],
) -> bytes:
    """The HashChain from the top, past the siblings (standing left or not), to the parts."""
    data_refs = [_DATA_REF % (_plain(uri), encode_base64(digest)) for uri, digest in parts]
    steps = []
    for number, (stands_left, digest) in enumerate(siblings):
        sibling = _HASH_VALUE % encode_base64(digest)
        is_last = number == len(siblings) - 1 and len(parts) == 1
        way = data_refs[0] if is_last else _STEP_REF % (number + 1)
        steps.append(_STEP % (number, sibling + way if stands_left else way + sibling))
    if len(parts) > 1:
        steps.append(_STEP % (len(siblings), b"".join(data_refs)))
    head = _CHAIN_HEAD % algorithm.uri.encode("ascii")
    return b"".join((head, *steps, _CHAIN_TAIL))


def _plain(uri: str) -> bytes:
    if not _PLAIN_URI.fullmatch(uri):
        raise MalformedHashChain(f"{uri!r} cannot be the name of a part")
    return uri.encode("ascii")


def _as_pattern(template: bytes, *fields: bytes) -> bytes:
    """The template as a regular expression, with these in place of its holes."""
    literals = re.split(rb"%[bd]", template)
    pattern = re.escape(literals[0])
    for field, literal in zip(fields, literals[1:], strict=True):
        pattern += field + re.escape(literal)
    return pattern


_PART_FIELD = rb"(/[A-Za-z0-9][A-Za-z0-9/._-]{0,200})"
_STEP_FIELD = rb"(/[A-Za-z0-9][A-Za-z0-9/._-]{0,200}#STEP[0-9]{1,3})"
_ALGORITHM_FIELD = rb"([a-z0-9:/.#-]{1,100})"
_DIGEST_FIELD = rb"([A-Za-z0-9+/]{1,100}={0,2})"
_VALUE_PATTERN = b"|".join(
    (
        _as_pattern(_HASH_VALUE, _DIGEST_FIELD),
        _as_pattern(_STEP_REF, rb"([0-9]{1,3})"),
        _as_pattern(_DATA_REF, _PART_FIELD, _DIGEST_FIELD),
    )
)
_VALUE = re.compile(_VALUE_PATTERN)
_ONE_STEP = re.compile(
    _as_pattern(_STEP, rb"([0-9]{1,3})", b"((?:" + _VALUE_PATTERN.replace(b"(", b"(?:") + b")+)")
)
_ONE_CHAIN_HEAD = re.compile(_as_pattern(_CHAIN_HEAD, _ALGORITHM_FIELD))
_ONE_RESULT = re.compile(_as_pattern(_RESULT, _STEP_FIELD, _ALGORITHM_FIELD, _DIGEST_FIELD))


def read_result(data: bytes) -> HashChainResult:
    """The value of a HashChainResult document; raises MalformedHashChain."""
    return _match_result(data) or _parse_result(data)


def _match_result(data: bytes) -> HashChainResult | None:
    match = _ONE_RESULT.fullmatch(data)
    if match is None:
        return None
    uri, algorithm, value = match.groups()
    try:
        digest = _digest(_strong(algorithm.decode("ascii")), decode_unbroken(value))
    except (MalformedHashChain, NotBase64):
        return None
    return HashChainResult(uri.decode("ascii"), digest)


def _parse_result(data: bytes) -> HashChainResult:
    try:
        root = _read(data, "HashChainResult")
        algorithm = _algorithm(get_child(root, _DS + "DigestMethod"))
        return HashChainResult(root.get("URI", ""), _digest_value(root, algorithm))
    except (InvalidXml, NotBase64) as error:
        raise MalformedHashChain(f"the hash chain result cannot be read: {error}") from None


def read_chain(data: bytes) -> HashChain:
    """The value of a HashChain document; raises MalformedHashChain."""
    return _match_chain(data) or _parse_chain(data)


def _match_chain(data: bytes) -> HashChain | None:
    """The value of a chain in the written form, or None for any other form."""
    if len(data) > _LIMITS.size:
        return None
    head = _ONE_CHAIN_HEAD.match(data)
    if head is None:
        return None
    steps = {}
    position = head.end()
    try:
        algorithm = _strong(head[1].decode("ascii"))
        size = algorithm.size
        while (step := _ONE_STEP.match(data, position)) is not None:
            number, body = step.groups()
            name = f"STEP{number.decode('ascii')}"
            if name in steps:
                return None
            steps[name] = tuple(
                [_matched_value(found, algorithm, size) for found in _VALUE.findall(body)]
            )
            position = step.end()
    except (MalformedHashChain, NotBase64):
        return None
    return HashChain(steps) if data[position:] == _CHAIN_TAIL and steps else None


def _matched_value(
    found: tuple[bytes, bytes, bytes, bytes], algorithm: DigestAlgorithm, size: int
) -> HashValue | StepRef | DataRef:
    hash_value, step, uri, data_value = found
    if step:
        return StepRef(f"#STEP{step.decode('ascii')}", algorithm)
    value = decode_unbroken(hash_value or data_value)
    if len(value) != size:
        raise MalformedHashChain(f"a {algorithm.text} digest of {len(value)} bytes")
    digest = PartDigest(algorithm, value)
    return DataRef(uri.decode("ascii"), digest) if uri else HashValue(digest)


def _parse_chain(data: bytes) -> HashChain:
    try:
        root = _read(data, "HashChain")
        default = find_child(root, _CHAIN + "DefaultDigestMethod")
        algorithm = None if default is None else _algorithm(default)
        steps: dict[str, tuple[HashValue | StepRef | DataRef, ...]] = {}
        for step in children(root, _CHAIN + "HashStep"):
            # A step without a name cannot be referred to.
            name = step.get("id", "").strip()
            if name in steps:
                raise MalformedHashChain(f"the hash chain has two steps {name!r}")
            steps[name] = tuple(_value(value, algorithm) for value in children(step))
    except (InvalidXml, NotBase64) as error:
        raise MalformedHashChain(f"the hash chain cannot be read: {error}") from None
    return HashChain(steps, is_settled=is_plain(data))


def _read(data: bytes, name: str) -> Element:
    root = read_xml(data, _LIMITS)
    Schema.load("hashchain.xsd").check(root)
    if not has_name(root, _CHAIN + name):
        raise MalformedHashChain(f"a {local_name(root)} stands where a {name} belongs")
    return root


def _value(element: Element, default: DigestAlgorithm | None) -> HashValue | StepRef | DataRef:
    method = find_child(element, _DS + "DigestMethod")
    algorithm = default if method is None else _algorithm(method)
    if algorithm is None:
        raise MalformedHashChain(f"no digest method is stated for a {local_name(element)}")
    # No peer writes transforms; they would let a chain say what of a part is signed.
    if find_child(element, _DS + "Transforms") is not None:
        raise MalformedHashChain("transforms in a hash chain are not accepted")
    uri = element.get("URI", "").strip()
    match local_name(element):
        case "HashValue":
            return HashValue(_digest_value(element, algorithm))
        case "StepRef":
            return StepRef(uri, algorithm)
        case _:
            return DataRef(uri, _digest_value(element, algorithm))


def _digest_value(parent: Element, algorithm: DigestAlgorithm) -> PartDigest:
    return _digest(algorithm, decode_base64(text_of(get_child(parent, _DS + "DigestValue"))))


def _algorithm(method: Element) -> DigestAlgorithm:
    return _strong(method.get("Algorithm", "").strip())


def _strong(uri: str) -> DigestAlgorithm:
    try:
        algorithm = DigestAlgorithm.from_uri(uri)
    except UnsupportedAlgorithm as error:
        raise MalformedHashChain(str(error)) from None
    if algorithm not in STRONG_DIGESTS:
        raise MalformedHashChain(f"{algorithm.text} is too weak for a hash chain")
    return algorithm


def _digest(algorithm: DigestAlgorithm, value: bytes) -> PartDigest:
    if len(value) != algorithm.size:
        raise MalformedHashChain(f"a {algorithm.text} digest of {len(value)} bytes")
    return PartDigest(algorithm, value)
