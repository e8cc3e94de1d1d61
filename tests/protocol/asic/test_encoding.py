from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import TestTsa
from sild.protocol.asic.encoding import is_well_formed
from sild.protocol.pki import der

TOKEN = TestTsa.create().token(b"stamped")
GOOD = {
    "a time-stamp token": TOKEN,
    "nothing in a sequence": der.sequence(),
    "numbers": der.sequence(*map(der.integer, (0, 1, -1, 127, 128, -128, -129, 1 << 64))),
    "bits": der.bits(b""),
    "bits in a part of a byte": der.bits(b"\xf0", 4),
    "an identifier": der.identifier("1.2.840.113549.1.7.2"),
    "a length that is not told": b"\x30\x80\x05\x00\x00\x00",
    "what only its reader knows": der.tagged(0x80, b"\xff"),
}
BAD = {
    "nothing": b"",
    "more than one value": der.NULL + der.NULL,
    "a value that is cut": der.sequence(der.NULL)[:-1],
    "a value that is longer than what it stands in": b"\x30\x03\x05\x02\x00",
    "nothing, but longer": b"\x05\x01\x00",
    "no truth": b"\x01\x02\x00\x00",
    "no number": b"\x02\x00",
    "a number with a leading zero": b"\x02\x02\x00\x01",
    "a negative number with more than it needs": b"\x02\x02\xff\x80",
    "an enumerated value with a leading zero": b"\x0a\x02\x00\x01",
    "bits without their count": b"\x03\x00",
    "more unused bits than a byte has": b"\x03\x02\x08\x00",
    "unused bits of no byte": b"\x03\x01\x01",
    "no identifier": b"\x06\x00",
    "an identifier that does not end": b"\x06\x02\x2a\x86",
    "an identifier with a leading zero": b"\x06\x03\x2a\x80\x01",
    "a time without a year": b"\x17\x0dxx0101000000Z",
    "a general time without a year": b"\x18\x0f20x60101000000Z",
    "an unknown type": b"\x0f\x00",
    "values within a number": b"\x22\x02\x05\x00",
    "a sequence that holds no values": b"\x10\x02\x05\x00",
    "too deep": reduce(lambda v, _: der.sequence(v), range(100), b""),
    "too many": der.sequence(*[der.NULL] * 2000),
    "too long": der.octets(bytes(1 << 20)),
}


@pytest.mark.parametrize("value", GOOD.values(), ids=GOOD)
def test_a_well_formed_value_is_taken(value):
    assert is_well_formed(value)
    assert is_well_formed(der.sequence(value))


@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_value_that_is_not_well_formed_is_told(value):
    assert not is_well_formed(value)
    assert not value or not is_well_formed(der.sequence(der.NULL, value) + der.NULL)


@pytest.mark.parametrize("value", [v for k, v in BAD.items() if "no" in k and v], ids=str)
def test_it_is_told_wherever_it_stands(value):
    assert not is_well_formed(der.sequence(der.set_of(der.NULL, der.tagged(0xA0, value))))


@given(st.binary(max_size=100))
def test_any_bytes_are_well_formed_or_not(data):
    assert is_well_formed(data) in (True, False)
