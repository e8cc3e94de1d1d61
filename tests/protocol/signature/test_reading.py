"""Signature documents in the forms that peers write, in forms that none may, and read two ways."""

import base64
import hashlib
import re
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import NOON
from signing_builder import MESSAGE, PARTS, TestSigner, as_reference_writes, digests_of
from sild.protocol.algorithms import ecdsa_raw_from_der
from sild.protocol.errors import InvalidReference, InvalidXml, MalformedSignature, ProtocolError
from sild.protocol.safexml import canonical, read_xml, write_xml
from sild.protocol.signature.signaturepattern import match_message_signature
from sild.protocol.signature.signaturexml import (
    parse_container_signature,
    parse_message_signature,
)
from sild.protocol.signature.verify import read_signature, verify_value

SIGNER = TestSigner.create()
RSA = TestSigner.create("rsa", depth=2)
PLAIN = SIGNER.document()
CHAINED = SIGNER.sign(PARTS)[0].signature
LONG = RSA.document()
THEIRS = RSA.resign(as_reference_writes(LONG))
OURS = [PLAIN, CHAINED, LONG, THEIRS]


@pytest.mark.parametrize("document", OURS)
def test_the_usual_forms_are_read_by_pattern_to_what_the_parser_reads(document):
    found = match_message_signature(document)
    assert found is not None
    assert found == parse_message_signature(document) == parse_container_signature(document)
    verify_value(found)


def test_a_document_says_what_was_signed_by_whom_and_when():
    document = read_signature(LONG)
    assert document.references[MESSAGE].value == digests_of(PARTS)[MESSAGE]
    assert document.certificate == RSA.key.certificate
    assert document.signing_time == NOON
    assert [c for c, _ in RSA.identity.chain] == list(document.extra_certificates)
    assert document.ocsp == (RSA.identity.ocsp, *(ocsp for _, ocsp in RSA.identity.chain))
    assert not document.is_chained
    assert read_signature(CHAINED).is_chained


@pytest.mark.parametrize(
    "issuer", ["Väestö", "a & b < c > d", 'quoted "name"', "日本", "tab\there"]
)
def test_issuer_names_of_any_script_are_read_by_both(issuer):
    document = TestSigner.create(name=issuer).document()
    assert parse_message_signature(document) == (
        match_message_signature(document) or read_signature(document)
    )
    verify_value(read_signature(document))


# Other lawful forms, which only the parser reads

PREFIXES = (
    b'<ec:InclusiveNamespaces xmlns:ec="http://www.w3.org/2001/10/xml-exc-c14n#" PrefixList="a"/>'
)
EXCLUSIVE = b"http://www.w3.org/2001/10/xml-exc-c14n#"
INCLUSIVE = b"http://www.w3.org/TR/2001/REC-xml-c14n-20010315"


def transformed(document, algorithm=EXCLUSIVE, more=b""):
    transform = b'<ds:Transform Algorithm="' + algorithm + b'">' + more + b"</ds:Transform>"
    return document.replace(
        b'URI="#signed-properties">',
        b'URI="#signed-properties"><ds:Transforms>' + transform + b"</ds:Transforms>",
    )


def resigned_exclusively(document):
    """The document signed anew with exclusive canonicalisation of both elements."""
    document = transformed(document.replace(INCLUSIVE, EXCLUSIVE))
    properties = canonical(read_xml(document).find(".//{*}SignedProperties"), exclusive=True)
    digest = base64.b64encode(hashlib.sha512(properties).digest())
    document = re.sub(
        rb'(#signed-properties">.*?<ds:DigestValue>)[^<]*', rb"\g<1>" + digest, document
    )
    info = canonical(read_xml(document).find(".//{*}SignedInfo"), exclusive=True)
    value = base64.b64encode(ecdsa_raw_from_der(SIGNER.key.sign(info), 32))
    return re.sub(rb'("signature-value">)[^<]*', rb"\g<1>" + value, document)


def test_exclusive_canonicalisation_is_honoured_where_it_is_stated():
    document = resigned_exclusively(PLAIN)
    assert match_message_signature(document) is None
    verify_value(read_signature(document))
    with pytest.raises(ProtocolError):
        verify_value(read_signature(document.replace(EXCLUSIVE, INCLUSIVE)))


# In the evidence each of these could be changed for the other, with nobody to see it.
UNSETTLED = {
    "a space before the end of a tag": (b"<ds:X509Data>", b"<ds:X509Data >"),
    "a tab between attributes": (b' Id="signature-value"', b'\tId="signature-value"'),
    "another quotation mark": (b'"signature-value"', b"'signature-value'"),
    "space between tags": (b"<ds:X509Data>", b" <ds:X509Data>"),
    "a space in base64": (b"</ds:SignatureValue>", b" </ds:SignatureValue>"),
    "a carriage return": (b"</ds:SignatureValue>", b"\r</ds:SignatureValue>"),
    "an Id that nothing tells": (b'"signature-value"', b'"another-value"'),
    "another number": (b'"ocsp-response-1"', b'"ocsp-response-2"'),
    "a line break at the end": (b"</asic:XAdESSignatures>", b"</asic:XAdESSignatures>\n"),
    "another declaration": (b'standalone="no"', b"standalone='no'"),
}


@pytest.mark.parametrize("change", UNSETTLED.values(), ids=UNSETTLED)
def test_what_no_signature_protects_must_be_written_in_one_way(change):
    document = PLAIN.replace(*change)
    assert document != PLAIN
    assert match_message_signature(document) is None
    with pytest.raises(MalformedSignature, match="plainly"):
        verify_value(read_signature(document))


def test_indentation_is_lawful():
    document = PLAIN.replace(b"<ds:X509Data>", b"\n  <ds:X509Data>")
    assert match_message_signature(document) is None
    verify_value(read_signature(document))


def test_a_document_without_a_declaration_is_lawful():
    document = PLAIN.partition(b"?>")[2]
    verify_value(read_signature(document))


def test_a_container_may_hold_a_bare_signature_with_other_properties():
    bare = re.sub(
        rb"^.*?<ds:Signature ",
        b'<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
        b' xmlns:xades="http://uri.etsi.org/01903/v1.3.2#" ',
        PLAIN,
    ).replace(b"</asic:XAdESSignatures>", b"")
    bare = bare.replace(b"SigningCertificate>", b"SigningCertificateV2>")
    bare = SIGNER.resign(bare)
    verify_value(parse_container_signature(bare))
    with pytest.raises(MalformedSignature):
        read_signature(bare)


def test_the_second_version_of_the_signing_certificate_is_refused_in_messages():
    document = SIGNER.resign(PLAIN.replace(b"SigningCertificate>", b"SigningCertificateV2>"))
    verify_value(parse_container_signature(document))
    with pytest.raises(MalformedSignature, match="schema"):
        read_signature(document)


# What is refused

OBJECT = re.search(rb"<ds:Object>.*</ds:Object>", PLAIN)[0]
PROPERTIES = re.search(rb"<xades:SignedProperties.*</xades:SignedProperties>", PLAIN)[0]
SIGNED_INFO = re.search(rb"<ds:SignedInfo>.*</ds:SignedInfo>", PLAIN)[0]
SIGNATURE = re.search(rb"<ds:Signature .*</ds:Signature>", PLAIN)[0]
REFERENCES = re.findall(rb"<ds:Reference.*?</ds:Reference>", PLAIN)
CERT = re.search(rb"<ds:X509Certificate>.*?</ds:X509Certificate>", PLAIN)[0]
OCSP = re.search(rb"<xades:EncapsulatedOCSPValue .*</xades:EncapsulatedOCSPValue>", PLAIN)[0]
DIGEST_METHOD = b'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>'

BROKEN = {
    "no XML": (b"", InvalidXml),
    "cut short": (PLAIN[:-1], InvalidXml),
    "something behind": (PLAIN + b"<a/>", InvalidXml),
    "document type": (PLAIN.replace(b"?>", b'?><!DOCTYPE a [<!ENTITY b "c">]>', 1), InvalidXml),
    "huge": (PLAIN + b" " * 1_000_000, InvalidXml),
    "another root": (PLAIN.replace(b"XAdESSignatures", b"Signatures"), MalformedSignature),
    "another root namespace": (PLAIN.replace(b"02918/v1.2.1", b"02918/v1.3.1"), MalformedSignature),
    "no signature": (PLAIN.replace(SIGNATURE, b""), MalformedSignature),
    "two signatures": (PLAIN.replace(SIGNATURE, SIGNATURE * 2), MalformedSignature),
    "text before the signature": (PLAIN.replace(SIGNATURE, b"\n" + SIGNATURE), MalformedSignature),
    "two signed infos": (PLAIN.replace(SIGNED_INFO, SIGNED_INFO * 2), MalformedSignature),
    "two objects": (PLAIN.replace(OBJECT, OBJECT * 2), MalformedSignature),
    "an object more": (PLAIN.replace(OBJECT, b"<ds:Object/>" + OBJECT), MalformedSignature),
    "more in the object": (PLAIN.replace(b"<ds:Object>", b"<ds:Object><a/>"), MalformedSignature),
    "no object": (PLAIN.replace(OBJECT, b""), MalformedSignature),
    "two signed properties": (PLAIN.replace(PROPERTIES, PROPERTIES * 2), MalformedSignature),
    "an Id twice": (
        PLAIN.replace(b'Id="ocsp-response-1"', b'Id="signed-properties"'),
        MalformedSignature,
    ),
    "a comment": (PLAIN.replace(b"text/xml", b"text<!-- -->/xml"), MalformedSignature),
    "an instruction": (PLAIN.replace(b"text/xml", b"text<?a b?>/xml"), MalformedSignature),
    "another target": (
        PLAIN.replace(b'Target="#signature"', b'Target="#other"'),
        MalformedSignature,
    ),
    "no certificate": (PLAIN.replace(CERT, b""), MalformedSignature),
    "two certificates": (PLAIN.replace(CERT, CERT * 2), MalformedSignature),
    "a certificate that is none": (
        re.sub(rb"(<ds:X509Certificate>)[^<]*", rb"\1AAAA", PLAIN),
        MalformedSignature,
    ),
    "no OCSP response": (PLAIN.replace(OCSP, b""), MalformedSignature),
    "properties not signed": (PLAIN.replace(REFERENCES[1], b""), MalformedSignature),
    "properties signed twice": (
        PLAIN.replace(REFERENCES[1], REFERENCES[1] * 2),
        MalformedSignature,
    ),
    "properties of no type": (
        PLAIN.replace(b' Type="http://uri.etsi.org/01903#SignedProperties"', b""),
        MalformedSignature,
    ),
    "other properties signed": (
        PLAIN.replace(b'URI="#signed-properties"', b'URI="#signature-value"'),
        MalformedSignature,
    ),
    "no message signed": (PLAIN.replace(REFERENCES[0], b""), MalformedSignature),
    "a message signed twice": (
        PLAIN.replace(
            REFERENCES[0], REFERENCES[0].replace(b'Id="signature-reference-0" ', b"") * 2
        ),
        InvalidReference,
    ),
    "a file signed": (PLAIN.replace(b"/message.xml", b"file:///etc/passwd"), InvalidReference),
    "an empty reference": (PLAIN.replace(b'URI="/message.xml"', b'URI=""'), InvalidReference),
    "no reference": (PLAIN.replace(b'URI="/message.xml"', b""), InvalidReference),
    "an attachment alone": (PLAIN.replace(b"/message.xml", b"/attachment1"), MalformedSignature),
    "an attachment without a number": (
        PLAIN.replace(b"/message.xml", b"/attachment"),
        InvalidReference,
    ),
    "a chain and a part": (
        PLAIN.replace(
            REFERENCES[0],
            REFERENCES[0]
            + REFERENCES[0]
            .replace(b"/message.xml", b"/sig-hashchainresult.xml")
            .replace(b"reference-0", b"reference-2"),
        ),
        InvalidReference,
    ),
    "SHA-1 digests": (
        PLAIN.replace(b"2001/04/xmlenc#sha512", b"2000/09/xmldsig#sha1"),
        MalformedSignature,
    ),
    "a SHA-1 signature": (PLAIN.replace(b"#ecdsa-sha512", b"#ecdsa-sha1"), MalformedSignature),
    "an unknown signature": (PLAIN.replace(b"#ecdsa-sha512", b"#hmac-sha512"), MalformedSignature),
    "SHA-1 digests of the right length": (
        re.sub(rb"(<ds:DigestValue>)[^<]*", rb"\1" + base64.b64encode(bytes(20)), PLAIN).replace(
            b"2001/04/xmlenc#sha512", b"2000/09/xmldsig#sha1"
        ),
        MalformedSignature,
    ),
    "a digest cut short": (
        re.sub(rb"(<ds:DigestValue>)[^<]*", rb"\1AAAA", PLAIN, count=1),
        MalformedSignature,
    ),
    "a key named beside its certificate": (
        PLAIN.replace(b"</ds:X509Data>", b"</ds:X509Data><ds:KeyName>a</ds:KeyName>"),
        MalformedSignature,
    ),
    "a subject beside its certificate": (
        PLAIN.replace(CERT, CERT + b"<ds:X509SubjectName>CN=a</ds:X509SubjectName>"),
        MalformedSignature,
    ),
    "a parameter of the signature": (
        PLAIN.replace(
            b'ecdsa-sha512"/>',
            b'ecdsa-sha512"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>',
        ),
        MalformedSignature,
    ),
    "very many certificates": (
        re.sub(rb"(<xades:CertRefs>)(<xades:Cert .*?</xades:Cert>)", rb"\1" + rb"\2" * 100, LONG),
        MalformedSignature,
    ),
    "an unknown digest": (PLAIN.replace(b"xmlenc#sha512", b"xmlenc#sha513"), MalformedSignature),
    "canonicalisation 1.1": (
        PLAIN.replace(INCLUSIVE, b"http://www.w3.org/2006/12/xml-c14n11"),
        MalformedSignature,
    ),
    "prefixes to include": (
        PLAIN.replace(
            b'2001/REC-xml-c14n-20010315"/>',
            b'2001/REC-xml-c14n-20010315">' + PREFIXES + b"</ds:CanonicalizationMethod>",
        ),
        MalformedSignature,
    ),
    "an XPath transform": (
        transformed(
            PLAIN, b"http://www.w3.org/TR/1999/REC-xpath-19991116", b"<ds:XPath>1</ds:XPath>"
        ),
        MalformedSignature,
    ),
    "an XSLT transform": (
        transformed(PLAIN, b"http://www.w3.org/TR/1999/REC-xslt-19991116"),
        MalformedSignature,
    ),
    "a transform of a part": (
        PLAIN.replace(
            b'URI="/message.xml">',
            b'URI="/message.xml"><ds:Transforms><ds:Transform Algorithm="'
            + INCLUSIVE
            + b'"/></ds:Transforms>',
        ),
        MalformedSignature,
    ),
    "text among elements": (
        PLAIN.replace(b"<ds:X509Data>", b"<ds:X509Data>text"),
        MalformedSignature,
    ),
    "base64 of other letters": (
        re.sub(rb"(<ds:SignatureValue[^>]*>)", rb"\1*", PLAIN),
        MalformedSignature,
    ),
    "base64 without padding": (
        re.sub(
            rb"=+(</xades:EncapsulatedOCSPValue>)",
            rb"\1",
            re.sub(rb"=+(</ds:DigestValue>)", rb"\1", PLAIN),
        ),
        MalformedSignature,
    ),
    "a time without a zone": (PLAIN.replace(b"00.000Z", b"00.000"), MalformedSignature),
    "a time that is none": (PLAIN.replace(b"T12:00:00", b"T12:60:00"), MalformedSignature),
    "a month too many": (PLAIN.replace(b"2026-01", b"2026-13"), MalformedSignature),
    "no signing certificate": (
        re.sub(rb"<xades:SigningCertificate>.*</xades:SigningCertificate>", b"", PLAIN),
        MalformedSignature,
    ),
    "an extra certificate that is not there": (
        LONG.replace(b"#encapsulated-cert-2", b"#encapsulated-cert-3"),
        MalformedSignature,
    ),
    "extra certificates changed about": (
        LONG.replace(b"#encapsulated-cert-2", b"#x")
        .replace(b"#encapsulated-cert-1", b"#encapsulated-cert-2")
        .replace(b"#x", b"#encapsulated-cert-1"),
        MalformedSignature,
    ),
    "a repeated Id of extra certificates": (
        LONG.replace(b'Id="encapsulated-cert-2"', b'Id="encapsulated-cert-1"'),
        MalformedSignature,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_document_of_no_lawful_form_is_refused(name):
    document, error = BROKEN[name]
    assert document not in OURS
    with pytest.raises(error):
        read_signature(document)
    assert match_message_signature(document) is None


LAXER_IN_CONTAINERS = {
    # The schema alone objects to these; what they change is not used.
    "text before the signature",
    "another root",
    "another root namespace",
    "text among elements",
}


@pytest.mark.parametrize("name", [n for n in BROKEN if n not in LAXER_IN_CONTAINERS])
def test_a_container_is_no_laxer_where_it_matters(name):
    document, _ = BROKEN[name]
    with pytest.raises((InvalidXml, MalformedSignature)):
        verify_value(parse_container_signature(document))


def test_properties_that_are_signed_must_be_those_that_are_used():
    """Signature wrapping: the signed properties move aside, forged ones stand in their place."""
    forged = PROPERTIES.replace(b"2026-01-15", b"2016-01-15")
    for document in (
        PLAIN.replace(PROPERTIES, forged.replace(b"signed-properties", b"other")).replace(
            b"</ds:Object>", b"</ds:Object><ds:Object>" + PROPERTIES + b"</ds:Object>"
        ),
        PLAIN.replace(PROPERTIES, forged).replace(
            b"<xades:UnsignedSignatureProperties>",
            b"<xades:UnsignedSignatureProperties>" + PROPERTIES,
        ),
    ):
        for read in (read_signature, parse_container_signature):
            with pytest.raises(MalformedSignature):
                read(document)


CONTAINERS_ALONE = {
    "an unknown transform": transformed(PLAIN).replace(
        b"</ds:Transforms>", b"<a/></ds:Transforms>"
    ),
    "prefixes to include": transformed(PLAIN, more=PREFIXES),
    "two versions of the signing certificate": re.sub(
        rb"(<xades:SigningCertificate)(>.*</xades:SigningCertificate)>", rb"\1\2>\1V2\2V2>", PLAIN
    ),
}


@pytest.mark.parametrize("name", CONTAINERS_ALONE)
def test_what_the_schema_refuses_in_messages_is_refused_in_containers_too(name):
    with pytest.raises(MalformedSignature):
        parse_container_signature(CONTAINERS_ALONE[name])


# Two readers, one verdict


def judged(document):
    try:
        return parse_message_signature(document)
    except ProtocolError as error:
        return type(error)


def check_agreement(document):
    found = match_message_signature(document)
    assert found is None or found == judged(document)
    return found is not None


BITS = [
    b" ", b"\n", b"\r", b"\r\n", b"\t", b"=", b"A", b"/", b"1", b"&", b"&#13;", b"&#13;\n", b"&#10;", b"&#x41;",
    b"&amp;", b"&lt;", b"<!-- -->", b"<![CDATA[A]]>", b"<?a?>", b'"', b"'", b">", b"/>", b"\x00", b"\x80", b"\xc3\xa4",
    b"\xef\xbf\xbf", b"\xef\xbb\xbf", b"\xed\xa0\x80", b' Id="signature"', b' xmlns="a"', b"Z", b"-", b"+",
]  # fmt: skip
PLACES = {
    index: [m.start() for m in re.finditer(rb"(?<=>)|(?=<)|\n|(?<=\")", document)]
    for index, document in enumerate(OURS)
}


@given(st.data())
def test_the_pattern_agrees_with_the_parser_on_changed_bytes(data):
    index = data.draw(st.integers(0, len(OURS) - 1))
    document = bytearray(OURS[index])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.one_of(st.integers(0, len(document)), st.sampled_from(PLACES[index])))
        cut = data.draw(st.integers(0, 2))
        document[at : at + cut] = data.draw(st.one_of(st.sampled_from(BITS), st.binary(max_size=3)))
    check_agreement(bytes(document))


@given(st.data())
def test_the_pattern_agrees_with_the_parser_on_changed_structure(data):
    root = read_xml(OURS[data.draw(st.integers(0, len(OURS) - 1))])
    for _ in range(data.draw(st.integers(1, 2))):
        nodes = list(root[0].iter()) if len(root) else [read_xml(PLAIN)[0]]
        node = nodes[data.draw(st.integers(0, len(nodes) - 1))]
        other = nodes[data.draw(st.integers(0, len(nodes) - 1))]
        CHANGES[data.draw(st.integers(0, len(CHANGES) - 1))](node, other)
    document = write_xml(root, declaration=False)
    check_agreement(b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>' + document)


def _swap_text(node, other):
    node.text, other.text = other.text, node.text


def _swap_attributes(node, other):
    ours, theirs = dict(node.attrib), dict(other.attrib)
    node.attrib.clear()
    other.attrib.clear()
    node.attrib.update(theirs)
    other.attrib.update(ours)


def _double(node, other):
    node.addnext(deepcopy(node))


def _move(node, other):
    if node not in other.iterancestors() and node is not other:
        other.insert(0, node)


def _remove(node, other):
    node.getparent().remove(node)


def _rename(node, other):
    node.tag = other.tag


CHANGES = [_swap_text, _swap_attributes, _double, _move, _remove, _rename]


ISSUER = re.search(rb"<ds:X509IssuerName>([^<]*)", PLAIN)[1]
TEXTS = [
    b"a>b", b"a&#65;b", b"&quot;", b"&amp", b"&", b"a\rb", b"\x00", b"\x0b", b"\x7f", b"\xc2\x85", b"]]>",
    b"\xc3", b"\xed\xa0\x80", b"\xef\xbf\xbe", b"\xef\xbf\xbf", b"\xf0\x9f\x98\x80", b"\xf4\x90\x80\x80",
    b"&#xD;", b"\t", b"", b"%",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_the_pattern_agrees_on_texts(text):
    check_agreement(PLAIN.replace(ISSUER, text))
    check_agreement(LONG.replace(ISSUER, text))


NEAR_MISSES = {
    "two responses of one Id": LONG.replace(b"ocsp-response-2", b"ocsp-response-1"),
    "two certificates of one Id": LONG.replace(
        b'Id="encapsulated-cert-2', b'Id="encapsulated-cert-1'
    ),
    "more than the limit": PLAIN.replace(b"MII", b"MII" + b"A" * 1_000_000),
    "more levels than the limit": PLAIN.replace(b"<ds:Object>", b"<ds:Object>" + b"<a>" * 50),
    "a very long response": re.sub(
        rb"(<xades:EncapsulatedOCSPValue [^>]*>)", rb"\1" + b"AAAA" * 300_000, PLAIN
    ),
    "very many responses": re.sub(
        rb"<xades:EncapsulatedOCSPValue .*?</xades:EncapsulatedOCSPValue>",
        b"".join(
            b'<xades:EncapsulatedOCSPValue Id="ocsp-response-%d">AAAA'
            b"</xades:EncapsulatedOCSPValue>" % number
            for number in range(101)
        ),
        PLAIN,
    ),
    "a zone of its own": PLAIN.replace(b"12:00:00.000Z", b"12:00:00-15:00"),
    "the first year": PLAIN.replace(b"2026-01", b"0000-01"),
    "the end of the day": PLAIN.replace(b"T12:00:00.000Z", b"T24:00:00.000Z"),
    "a leap second": PLAIN.replace(b"12:00:00.000Z", b"23:59:60.000Z"),
    "a long serial number": re.sub(rb"(SerialNumber>)[0-9]*", rb"\g<1>" + b"9" * 60, PLAIN),
    "no serial number": re.sub(rb"(SerialNumber>)[0-9]*", rb"\1", PLAIN),
    "bits that no byte takes up": re.sub(rb"[AQgw]==(</ds:DigestValue>)", rb"B==\1", PLAIN),
}


@pytest.mark.parametrize("name", NEAR_MISSES)
def test_the_pattern_agrees_on_near_misses(name):
    assert NEAR_MISSES[name] not in OURS
    check_agreement(NEAR_MISSES[name])


def test_the_pattern_agrees_on_every_bit_at_every_place():
    """Not by chance: each of the bits at each boundary of a document."""
    document = SIGNER.document()
    accepted = sum(
        check_agreement(document[:place] + bit + document[place:])
        for place in PLACES[0]
        for bit in (b"\n", b"&#13;\n", b" ", b"A", b"1", b"\xc3\xa4")
    )
    assert accepted > 20


@given(st.binary(max_size=300))
def test_any_bytes_are_a_document_or_refused(data):
    judged(data)
    judged(PLAIN[:500] + data)


@given(st.data())
def test_no_change_of_a_byte_within_what_is_signed_goes_unseen(data):
    start, end = re.search(rb"<ds:SignedInfo>.*</ds:SignedInfo>", LONG).span()
    if data.draw(st.booleans()):
        start, end = re.search(rb"<xades:SignedProperties.*</xades:SignedProperties>", LONG).span()
    at = data.draw(st.integers(start, end - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != LONG[at]))
    try:
        document = read_signature(LONG[:at] + bytes([byte]) + LONG[at + 1 :])
        verify_value(document)
    except ProtocolError:
        return
    # Nothing but space inside of a tag, or another quotation mark, is lost in canonical form.
    assert chr(LONG[at]) in " \n" or chr(byte) in "'\" \n\t\r"
