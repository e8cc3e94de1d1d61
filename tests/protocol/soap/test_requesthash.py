"""The hash of a request goes into a response, and nothing else of it changes."""

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.soap.envelopes import CLIENT, NAMESPACES, SERVICE, TYPE, XROAD, envelope, fields
from sild.protocol.errors import InvalidSoap
from sild.protocol.soap.message import check_request_hash, read_soap, with_request_hash
from sild.protocol.soap.requesthash import HeaderPlaces, write_request_hash

DIGEST = hashlib.sha512(b"request").digest()
HASH = b64encode(DIGEST).decode()
ALGORITHM = 'algorithmId="http://www.w3.org/2001/04/xmlenc#sha512"'
NEW = f"<x:requestHash {ALGORITHM}>{HASH}</x:requestHash>"
OLD = (
    "<x:requestHash algorithmId='urn:old'>b<!-- > -->ld<![CDATA[</x:requestHash>]]></x:requestHash>"
)


def hashed(text, content_type=TYPE, codec="utf-8"):
    message = read_soap(text.encode(codec), content_type)
    written = with_request_hash(message, DIGEST)
    read = read_soap(written, content_type)
    check_request_hash(DIGEST, read)
    assert read.body_name == message.body_name
    return written.decode(codec)


def response(**changed):
    return envelope(fields(**changed), "<getResponse><id>5</id></getResponse>")


def test_the_hash_stands_right_behind_the_message_id():
    assert hashed(response()) == response(id=f"<x:id>message-1</x:id>{NEW}")


def test_it_is_indented_as_the_message_id_is():
    for space in ("\n    ", "\r\n\t", " "):
        text = response(id=f"{space}<x:id>1</x:id>")
        assert hashed(text) == response(id=f"{space}<x:id>1</x:id>{space}{NEW}")


def test_an_empty_message_id_has_the_hash_behind_it_too():
    assert hashed(response(id="<x:id />")) == response(id=f"<x:id />{NEW}")


@pytest.mark.parametrize(
    "changed",
    [
        {"id": f"<x:id>1</x:id>{OLD}"},
        {"id": f"<x:id>1</x:id>\n  {OLD}"},
        {"id": "<x:id>1</x:id>", "old": f"\t{OLD}"},
        {"client": f"{OLD}{CLIENT}", "id": "<x:id>1</x:id>"},
        {"id": f"\n{OLD}<x:id>1</x:id>"},
        {"id": "<x:id>1</x:id><x:requestHash/>"},
    ],
)
def test_a_hash_that_the_service_wrote_is_replaced(changed):
    written = hashed(response(**changed))
    assert written == response(
        **{name: text.replace(OLD, "").replace("<x:requestHash/>", "").rstrip() for name, text in changed.items()}
        | {"id": f"{changed['id'].replace(OLD, '').replace('<x:requestHash/>', '').rstrip()}{NEW}".lstrip()}
    )  # fmt: skip
    assert written.count("requestHash") == 2


def test_the_hash_has_the_prefix_and_attributes_of_the_message_id():
    attributes = f" xmlns:q = '{XROAD}'  a=\"x > algorithmId='no' /\" q:b='y'"
    text = response(id=f"<q:id{attributes} algorithmId='mine' >1</q:id >")
    expected = f"<q:requestHash xmlns:q='{XROAD}' a=\"x > algorithmId='no' /\" q:b='y' {ALGORITHM}>{HASH}</q:requestHash>"
    assert hashed(text) == text.replace("</q:id >", f"</q:id >{expected}")
    text = response(id=f'<id xmlns="{XROAD}">1</id>')
    expected = f'<requestHash xmlns="{XROAD}" {ALGORITHM}>{HASH}</requestHash>'
    assert hashed(text) == text.replace("1</id>", f"1</id>{expected}")


TRAPS = [
    "<!-- <x:id>no</x:id> > -->", "<![CDATA[<x:id>no</x:id></s:Header>]]>", "<?x <x:id> ?>",
    "<o xmlns:x='urn:o'><x:id>no</x:id></o>", "<x:other a='>' b=\"'/x:id>\"/>", "<o><x:id/></o>",
    "<o><x:requestHash>no</x:requestHash></o>", "<y:id xmlns:y='urn:y'>no</y:id>", "<id>no</id>",
    "text]]&gt;", "ä€😀",
]  # fmt: skip


@given(st.lists(st.sampled_from(TRAPS), max_size=5), st.lists(st.sampled_from(TRAPS), max_size=5))
def test_only_the_message_id_of_the_header_counts(before, behind):
    start = f"<s:Envelope {NAMESPACES}>" + "".join(before)
    header = "".join(before) + CLIENT + SERVICE + "".join(behind)
    version = "<x:protocolVersion>4.0</x:protocolVersion>"
    end = (
        "".join(behind) + f"<s:Body>{TRAPS[0]}<getResponse>{''.join(before)}</getResponse></s:Body>"
    )
    head, tail = (
        f"{start}<s:Header>{header}<x:id>1</x:id>",
        f"{''.join(before)}{version}</s:Header>{end}</s:Envelope>",
    )
    assert hashed(head + tail) == head + NEW + tail
    assert hashed(head + OLD + tail) == head + NEW + tail
    assert (
        hashed(f"{TRAPS[0]}\n<?a?>{head}{tail}<!-- < -->")
        == f"{TRAPS[0]}\n<?a?>{head}{NEW}{tail}<!-- < -->"
    )


@pytest.mark.parametrize(
    "codec", ["utf-8", "utf-8-sig", "iso-8859-1", "iso-8859-13", "windows-1252", "utf-16", "utf-16-le", "utf-16-be"]
)  # fmt: skip
def test_the_encoding_stays(codec):
    name = codec.removesuffix("-sig")
    declaration = f"<?xml version='1.0' encoding='{name}'?>"
    text = envelope(
        fields(userId="<x:userId>õä</x:userId>"), "<getResponse>ü</getResponse>", declaration
    )
    assert hashed(text, "text/xml", codec) == text.replace("</x:id>", f"</x:id>{NEW}")


def test_bytes_stay_that_are_no_utf_8():
    data = envelope(body="<get>\u2028\x85\xa0\ufeff</get>").encode()
    written = with_request_hash(read_soap(data, TYPE), DIGEST)
    assert written == data.replace(b"</x:id>", b"</x:id>" + NEW.encode())


def test_places_that_are_not_there_are_refused():
    data = envelope().encode()
    for places in (HeaderPlaces(0, 0, None), HeaderPlaces(0, 99, None), HeaderPlaces(1, 0, None), HeaderPlaces(0, 3, 0)):  # fmt: skip
        with pytest.raises(InvalidSoap):
            write_request_hash(data, places, DIGEST)


def test_a_large_response_is_written_in_time_that_grows_with_it():
    body = "<getResponse>" + "<a b='c'>text</a>" * 100_000 + "</getResponse>"
    assert NEW in hashed(envelope(body=body))
