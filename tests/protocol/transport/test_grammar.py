"""The grammar of transport messages: properties of its tables, then what they refuse."""

import pytest

from sild.protocol.errors import InvalidContentType, InvalidMessage
from sild.protocol.transport.grammar import (
    ACCEPTED,
    SENT,
    TYPES_OF_PART,
    Direction,
    Part,
    check_sent,
    next_part,
)

OCSP, XML, RESULT = "application/ocsp-response", "text/xml", "application/hash-chain-result"
CHAIN, SIGNATURE = "application/hash-chain", "signature/bdoc-1.0/ts"
BODY, ATTACHMENTS = "application/x-road-rest-body", "multipart/mixed"
REST = {
    Direction.REQUEST: "application/x-road-rest-request",
    Direction.RESPONSE: "application/x-road-rest-response",
}
REQUEST, RESPONSE = Direction.REQUEST, Direction.RESPONSE


@pytest.mark.parametrize("direction", Direction)
def test_a_content_type_never_means_two_things_in_one_place(direction):
    for allowed in ACCEPTED[direction].values():
        types = [name for part in allowed - {Part.END} for name in TYPES_OF_PART[direction][part]]
        assert len(types) == len(set(types))


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("table", [SENT, ACCEPTED])
def test_every_place_leads_to_the_end(table, direction):
    grammar, reaches = table[direction], {Part.END}
    while grown := {part for part, after in grammar.items() if after & reaches} - reaches:
        reaches |= grown
    assert reaches >= set(grammar)


@pytest.mark.parametrize("direction", Direction)
def test_what_is_sent_is_accepted(direction):
    for part, after in SENT[direction].items():
        as_read = {Part.SOAP if part is Part.START and p is Part.FAULT else p for p in after}
        assert as_read <= ACCEPTED[direction][part]


@pytest.mark.parametrize("direction", Direction)
def test_parts_come_in_their_order(direction):
    rest = REST[direction]
    ocsp = [OCSP, OCSP] if direction is REQUEST else []
    for types in (
        [*ocsp, rest, SIGNATURE],
        [*ocsp, rest, BODY, SIGNATURE],
        [*ocsp, rest, BODY, RESULT, CHAIN, SIGNATURE],
        [*ocsp, rest, RESULT, CHAIN, SIGNATURE],
        [*ocsp, rest, RESULT, SIGNATURE],
        [*ocsp, XML, SIGNATURE],
        [*ocsp, XML, ATTACHMENTS, RESULT, CHAIN, SIGNATURE],
        [*ocsp, XML, ATTACHMENTS, SIGNATURE],
        [*ocsp, "application/xop+xml", RESULT, CHAIN, SIGNATURE],
    ):
        part = Part.START
        for media_type in types:
            part = next_part(direction, part, media_type)
        assert part is Part.SIGNATURE


def test_a_request_without_ocsp_responses_is_read_but_not_sent():
    assert next_part(REQUEST, Part.START, REST[REQUEST]) is Part.REST_HEADER
    with pytest.raises(InvalidMessage):
        check_sent(REQUEST, Part.START, Part.REST_HEADER)


def test_a_hash_chain_result_without_its_chain_is_read_but_not_sent():
    assert next_part(RESPONSE, Part.HASH_CHAIN_RESULT, SIGNATURE) is Part.SIGNATURE
    with pytest.raises(InvalidMessage):
        check_sent(RESPONSE, Part.HASH_CHAIN_RESULT, Part.SIGNATURE)


@pytest.mark.parametrize(
    "after",
    [
        Part.SOAP,
        Part.ATTACHMENTS,
        Part.REST_HEADER,
        Part.REST_BODY,
        Part.HASH_CHAIN_RESULT,
        Part.HASH_CHAIN,
    ],
)
def test_a_fault_may_stand_instead_of_a_signature_in_a_response_only(after):
    assert next_part(RESPONSE, after, XML) is Part.FAULT
    with pytest.raises(InvalidContentType):
        next_part(REQUEST, after, XML)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize(
    ("after", "media_type"),
    [
        (Part.START, SIGNATURE),
        (Part.START, BODY),
        (Part.START, "text/plain"),
        (Part.REST_HEADER, OCSP),
        (Part.REST_HEADER, CHAIN),
        (Part.START, ATTACHMENTS),
        (Part.REST_HEADER, ATTACHMENTS),
        (Part.REST_BODY, ATTACHMENTS),
        (Part.SOAP, "multipart/related"),
        (Part.SOAP, BODY),
        (Part.ATTACHMENTS, ATTACHMENTS),
        (Part.ATTACHMENTS, BODY),
        (Part.HASH_CHAIN_RESULT, ATTACHMENTS),
        (Part.REST_BODY, BODY),
        (Part.HASH_CHAIN, RESULT),
        (Part.HASH_CHAIN, "foo/bar"),
    ],
)
def test_a_part_out_of_place_is_refused(direction, after, media_type):
    with pytest.raises(InvalidContentType):
        next_part(direction, after, media_type)


def test_the_header_part_of_the_other_direction_is_refused():
    with pytest.raises(InvalidContentType):
        next_part(REQUEST, Part.OCSP, REST[RESPONSE])
    with pytest.raises(InvalidContentType):
        next_part(RESPONSE, Part.START, REST[REQUEST])


def test_ocsp_responses_are_for_requests():
    with pytest.raises(InvalidContentType):
        next_part(RESPONSE, Part.START, OCSP)


@pytest.mark.parametrize("direction", Direction)
@pytest.mark.parametrize("media_type", [SIGNATURE, XML, OCSP, "text/plain"])
def test_nothing_follows_the_signature(direction, media_type):
    with pytest.raises(InvalidMessage):
        next_part(direction, Part.SIGNATURE, media_type)


def test_nothing_follows_a_fault():
    with pytest.raises(InvalidMessage):
        next_part(RESPONSE, Part.FAULT, SIGNATURE)
