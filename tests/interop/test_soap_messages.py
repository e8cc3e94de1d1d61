"""SOAP messages of the reference implementation's own proxy suite, and what each must give."""

import csv
import hashlib
import io
import re
import zipfile

import pytest

from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import InconsistentResponse, PeerFault, ProtocolError
from sild.protocol.soap.message import (
    check_consistency,
    check_request_hash,
    read_soap,
    with_request_hash,
)
from sild.protocol.soap.package import PackageReader, PackageWriter, read_package
from sild.protocol.soap.parts import AttachmentEnd, SoapPart
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import read_whole

XML = "text/xml; charset=UTF-8"
RELATED = "multipart/related; charset=UTF-8; boundary=jetty771207119h3h10dty"


def queries(vectors, name):
    return (vectors / "soap/queries" / name).read_bytes()


def cases(vectors):
    text = (vectors / "soap/CASES.tsv").read_text()
    return list(csv.DictReader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE))


def read(data, content_type):
    """The message and the events of its package, whole and streamed."""
    events = read_package(content_type, data)
    reader = PackageReader(content_type)
    streamed = [event for byte in data for event in reader.feed(bytes([byte]))]
    streamed += reader.finish()
    for kind in (SoapPart, AttachmentEnd):
        assert [e for e in events if isinstance(e, kind)] == [e for e in streamed if isinstance(e, kind)]  # fmt: skip
    return read_soap(events[0].raw, events[0].content_type), events


def code_of(data, content_type):
    try:
        read(data, content_type)
    except PeerFault as fault:
        return f'"{fault.fault}"'
    except ProtocolError as error:
        return error.code
    return "read"


# What is refused later than by reading, or is another server's doing.
LATER = {"invalid_http_method", "invalid_soap_action"}


def expected_of_request(case):
    expected = case["expected"]
    if not expected.startswith("client.") or expected.removeprefix("client.") in LATER:
        return "read"
    return {"client.code": '"CODE"'}.get(expected, expected.removeprefix("client."))


def test_each_request_of_the_suite_is_read_or_refused_as_listed(vectors):
    seen = set()
    for case in cases(vectors):
        name, content_type = case["request file"], case["request Content-Type"].removesuffix(" (default)")  # fmt: skip
        if name == "-" or content_type.startswith("multipart/mixed"):
            continue
        data = queries(vectors, name)
        if case["case"] == "Utf8BomNormalSubsystem":
            data = b"\xef\xbb\xbf" + data
        assert code_of(data, content_type) == expected_of_request(case), case
        seen.add((name, content_type))
    assert len(seen) > 15


def answers(vectors):
    """Each case with a service's answer, as file and content type."""
    for case in cases(vectors):
        found = re.fullmatch(r"([\w.-]+\.\w+)(?: \((.*)\))?", case["service answer (Content-Type)"])
        if found and case["request file"] != "-":
            yield case, queries(vectors, found[1]), found[2] or XML


def expected_of_answer(expected):
    if expected.startswith('"'):
        return expected
    if "service_failed." in expected and "unknown_host" not in expected and "ssl" not in expected:
        return expected.rpartition(".")[2]
    return "read"


def test_each_answer_of_the_suite_is_read_or_refused_as_listed(vectors):
    seen = 0
    for case, data, content_type in answers(vectors):
        if case["case"].startswith(("ServerProxyInvalid", "ServerProxyFaulty", "UnsignedMessage", "ServerClientInc", "InvalidContentTypeFromServerProxy")):  # fmt: skip
            continue  # these come from a security server, or are refused later
        expected = expected_of_answer(case["expected"])
        if case["case"] == "EmptyMultipartResponse":
            assert expected == "invalid_message"  # in a request: nothing that answers anything
            expected = "missing_soap"
        assert code_of(data, content_type) == expected, case
        seen += 1
    assert seen > 40


def test_a_normal_response_goes_on_with_the_hash_of_its_request(vectors):
    seen = 0
    for case, data, content_type in answers(vectors):
        if case["expected"] != "normal response":
            continue
        request_type = case["request Content-Type"].removesuffix(" (default)")
        request, _ = read(queries(vectors, case["request file"]), request_type)
        response, _ = read(data, content_type)
        check_consistency(request, response)
        digest = hashlib.sha512(request.raw).digest()
        hashed = read_soap(with_request_hash(response, digest), response.content_type)
        check_request_hash(digest, hashed)
        assert re.sub(rb"\s*<\w+:requestHash.*</\w+:requestHash>", b"", hashed.raw) == response.raw
        seen += 1
    assert seen >= 15


def test_a_response_of_another_request_is_inconsistent(vectors):
    request, _ = read(queries(vectors, "xml.query"), XML)
    response, _ = read(queries(vectors, "getstate.query"), XML)
    with pytest.raises(InconsistentResponse):
        check_consistency(request, response)


def test_a_message_as_a_whole_answer_of_a_server_is_no_fault(vectors):
    content_type = 'text/xml; charset="UTF-8"; boundary=foobar'
    for name, code in (("getstate.query", "invalid_message"), ("empty.query", "invalid_soap")):
        with pytest.raises(ProtocolError) as raised:
            read_whole(Direction.RESPONSE, content_type, queries(vectors, name), None)
        assert raised.value.code == code


@pytest.mark.parametrize(
    ("direction", "name", "boundary", "code"),
    [
        (Direction.RESPONSE, "no-signature.query", "jetty42534330h7vzfqv2", "missing_signature"),
        (Direction.REQUEST, "no-signature.query", "jetty42534330h7vzfqv2", "missing_signature"),
        (Direction.REQUEST, "attachm.query", "jetty771207119h3h10dty", "missing_signature"),
        (Direction.RESPONSE, "attachm-error.query", "jetty771207119h3h10dty", "invalid_content_type"),
        (Direction.REQUEST, "no-soap.query", "jetty771207119h3h10dty", "invalid_soap"),
    ],
)  # fmt: skip
def test_faulty_transport_messages_are_refused(vectors, direction, name, boundary, code):
    content_type = f"multipart/mixed; charset=UTF-8; boundary={boundary}"
    data = queries(vectors, name)
    with pytest.raises(ProtocolError) as raised:
        judge(read_whole(direction, content_type, data, DigestAlgorithm.SHA512))
    assert raised.value.code == code


def judge(message):
    """In the order of a provider: the message itself is read before parts are missed."""
    if message.soap is not None:
        read_soap(message.soap.raw, message.soap.content_type)
    message.get_soap()


def test_every_message_with_attachments_is_written_back_as_it_was(vectors):
    for name in ("attachm.query", "attachments.query", "attachments.answer", "mimesoap.query", "mimesoap.answer"):  # fmt: skip
        data = queries(vectors, name)
        message, events = read(data, RELATED)
        writer = PackageWriter(RELATED, message.encoding)
        written = b"".join([*map(writer.write, events), writer.close()])
        assert read(written, RELATED)[1] == events
        as_it_was = written.replace(b"\r\n", b"\n").replace(b"content-type:", b"Content-Type:")
        assert as_it_was.strip() == data.strip()


def test_older_protocols_are_refused(vectors):
    data = (vectors / "soap/v5DoclitWithVersion.request").read_bytes()
    assert code_of(data, XML) == "missing_header_field"


def test_other_messages_of_the_reference_can_be_read(vectors):
    names = [
        *sorted((vectors / "metaservice").glob("*.query")),
        vectors / "messagelog/simple.query",
        vectors / "soap/xroadDoclit2.request",
        vectors / "soap/queries/response-with-requestId.answer",
        vectors / "soap/queries/simplesoap.xml",
    ]
    assert len(names) > 6
    for path in names:
        found, _ = read(path.read_bytes(), XML)
        assert found.body_name.startswith(found.header.service.service_code)


@pytest.mark.parametrize(
    ("name", "is_response"),
    [
        ("valid-signed-message", False),
        ("valid-batch-ts", False),
        ("valid-signed-hashchain", False),
        ("valid-signed-message-with-attachments", True),
    ],
)
def test_signed_messages_can_be_read(vectors, name, is_response):
    with zipfile.ZipFile(vectors / f"asic/{name}.asice") as container:
        found, _ = read(container.read("message.xml"), XML)
    assert found.is_response is is_response
    assert (found.header.request_hash is not None) is is_response
