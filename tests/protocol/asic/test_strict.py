"""Strict verification: each byte of a container is evidence, or is on a short list."""

import io
import re
import struct
import zipfile
from dataclasses import replace

import pytest

from evidence_builder import (
    REQUEST,
    Evidence,
    entries_in,
    rezipped,
    stamped,
    stamped_together,
)
from pki_builder import NOON, TestCa
from signing_builder import ATTACHMENT, MESSAGE
from sild.protocol.asic.container import ARCHIVE_COMMENT, read_container, write_container
from sild.protocol.asic.judge import judge_container, judge_strictly
from sild.protocol.asic.strictvalues import NotStrictValue, check_ocsp_response, check_token
from sild.protocol.asic.strictzip import NotStrictZip, read_strict_zip
from sild.protocol.pki import der
from sild.protocol.pki.trust import OcspResponder

ONE = {MESSAGE: REQUEST}
TWO = {MESSAGE: REQUEST, ATTACHMENT: b"the body"}

# The positions in an entry that carry no evidence, each with the reason: there are none.
FREE_POSITIONS = {}

EVIDENCE = Evidence.create()
CHAINED = Evidence.create(depth=1)
RSA = Evidence.create("rsa")
ALONE = EVIDENCE.container(TWO)
TOGETHER = EVIDENCE.container(TWO, stamp=stamped_together, embed=True)

CASES = {
    "a message stamped alone": (EVIDENCE, EVIDENCE.container(ONE)),
    "a message and body, by an intermediate CA": (CHAINED, CHAINED.container(TWO, embed=True)),
    "a message and body, stamped together": (EVIDENCE, TOGETHER),
    "a message, stamped together, RSA": (RSA, RSA.container(ONE, stamp=stamped_together)),
}


def strictly(data, evidence=EVIDENCE):
    return judge_strictly(data, evidence.trusts)


def refusal(data, evidence=EVIDENCE):
    """Why a container that is valid is refused strictly."""
    assert judge_container(data, evidence.trusts).is_valid
    judgement = strictly(data, evidence)
    assert judgement.error.staged_code == "not_strict"
    assert judgement.report is not None
    return judgement.error.message


def flips(data, step, masks):
    for place in range(0, len(data), step):
        for mask in masks(place):
            yield place, data[:place] + bytes((data[place] ^ mask,)) + data[place + 1 :]


def unnoticed(case, masks, step_of):
    """The places of flips that leave the container valid: entry, position."""
    evidence, data = CASES[case]
    entries = entries_in(data)
    assert strictly(rezipped(entries), evidence).is_valid
    for name, content in entries.items():
        for place, flipped in flips(content, step_of(name), masks):
            if strictly(rezipped(entries | {name: flipped}), evidence).is_valid:
                yield name, place


def _one_bit(place):
    return (1 << place % 8,)


@pytest.mark.parametrize("case", CASES)
def test_every_flip_in_an_entry_is_noticed(case):
    """A sample of them: all are tried by the long form below."""

    def step_of(name):
        return 61 if name == "META-INF/signatures.xml" else 7

    assert {*unnoticed(case, _one_bit, step_of)} == {*FREE_POSITIONS}


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", CASES)
def test_every_flip_of_every_bit_of_every_entry_is_noticed(case):
    def every_bit(_place):
        return [1 << bit for bit in range(8)]

    assert {*unnoticed(case, every_bit, lambda _name: 1)} == {*FREE_POSITIONS}


@pytest.mark.parametrize("data", [ALONE, TOGETHER])
def test_every_flip_in_the_zip_file_itself_is_noticed(data):
    """But for those by which a compressed stream says the very same bytes in another way."""
    entries = entries_in(data)
    for place, flipped in flips(data, 3, _one_bit):
        if strictly(flipped).is_valid:
            assert entries_in(flipped) == entries, place


@pytest.mark.parametrize("case", CASES)
def test_what_a_server_writes_is_strict(case):
    evidence, data = CASES[case]
    judgement = strictly(data, evidence)
    assert judgement.error is None
    assert [step.number for step in judgement.steps] == [*range(1, 11)]
    assert all(step.held for step in judgement.steps)


# Each rule


def test_attachments_that_are_not_verified_are_refused():
    entries = entries_in(ALONE)
    del entries["attachment1"]
    assert "not in the container" in refusal(rezipped(entries))
    assert "not the one" in refusal(rezipped(entries | {"attachment1": b"cut"}))


@pytest.mark.parametrize("name", ["note.txt", "META-INF/note.xml", "META-INF/", "attachmentX"])
def test_another_entry_is_refused(name):
    assert "its parts make" in refusal(rezipped(entries_in(ALONE) | {name: b""}))


@pytest.mark.parametrize("name", ["mimetype", "META-INF/manifest.xml", "META-INF/ASiCManifest.xml"])
def test_a_manifest_or_mimetype_that_does_not_fit_is_refused(name):
    entries = entries_in(TOGETHER)
    spoilt = re.sub(rb"[hv]", lambda found: found[0].upper(), entries[name], count=1)
    assert name in refusal(rezipped(entries | {name: spoilt}))
    entries.pop(name)
    if name != "mimetype":
        assert "its parts make" in refusal(rezipped(entries))


def test_a_manifest_may_list_its_entries_in_another_order():
    """That of the reference has none."""
    entries = entries_in(TOGETHER)
    head, tail = entries["META-INF/manifest.xml"].split(b"\n", 2), b"</manifest:manifest>\n"
    lines = head[2].removesuffix(tail).splitlines(keepends=True)
    turned = b"\n".join((*head[:2], b"".join(reversed(lines)) + tail))
    assert strictly(rezipped(entries | {"META-INF/manifest.xml": turned})).is_valid


def test_entries_in_another_order_are_refused():
    entries = dict(reversed(entries_in(ALONE).items()))
    assert "its parts make" in refusal(rezipped(entries))


def test_a_hash_chain_that_nothing_refers_to_is_refused():
    entries = entries_in(EVIDENCE.container(ONE))
    chained = read_container(ALONE)
    container = replace(
        read_container(rezipped(entries)),
        hash_chain=chained.hash_chain,
        hash_chain_result=chained.hash_chain_result,
    )
    assert "does not refer" in refusal(write_container(container, NOON))


def test_a_second_time_stamp_is_refused():
    container = read_container(ALONE)
    value = strictly(ALONE).report.document.value
    container = replace(container, timestamp=EVIDENCE.tsa.token(value))
    assert "one in its signature" in refusal(write_container(container, NOON))


def with_signature(old, new):
    entries = entries_in(ALONE)
    signature = entries["META-INF/signatures.xml"]
    changed = signature.replace(old, new, 1)
    assert changed != signature
    return rezipped(entries | {"META-INF/signatures.xml": changed})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"<ds:KeyInfo>", b"<ds:KeyInfo >", "plainly"),
        (b"<ds:KeyInfo>", b'<ds:KeyInfo Id="x">', "Ids"),
        (b"<xades:SignatureTimeStamp>", b'<xades:SignatureTimeStamp Id="x">', "attributes"),
        (b"<xades:EncapsulatedTimeStamp>", b'<xades:EncapsulatedTimeStamp Id="x">', "attributes"),
        (
            b"<xades:RevocationValues>",
            (
                b"<xades:CertificateValues><xades:EncapsulatedX509Certificate>AAAA"
                b"</xades:EncapsulatedX509Certificate></xades:CertificateValues>"
                b"<xades:RevocationValues>"
            ),
            "certificates to which nothing refers",
        ),
        (
            b"</xades:OCSPValues>",
            (
                b"</xades:OCSPValues><xades:OtherValues><xades:OtherValue>x</xades:OtherValue>"
                b"</xades:OtherValues>"
            ),
            "OtherValues",
        ),
        (b"<xades:RevocationValues", b"<xades:Extra/><xades:RevocationValues", "no peer"),
    ],
)
def test_a_signature_with_more_than_is_signed_is_refused(old, new, message):
    assert re.search(message, refusal(with_signature(old, new)))


def test_a_hash_chain_that_is_not_written_plainly_is_refused():
    entries = entries_in(TOGETHER)
    for name in ("sig-hashchain.xml", "ts-hashchain.xml"):
        spaced = entries[name].replace(b'"/>', b'" />', 1)
        assert "plainly" in refusal(rezipped(entries | {name: spaced}))


def test_a_hash_chain_with_a_step_to_which_nothing_leads_is_refused():
    entries = entries_in(TOGETHER)
    chain = entries["ts-hashchain.xml"]
    step = re.search(rb"    <ns2:HashStep.*</ns2:HashStep>\n", chain, re.DOTALL)[0]
    spare = re.sub(rb"STEP\d", b"STEP9", step)
    more = chain.replace(step, step + spare)
    assert "nothing leads" in refusal(rezipped(entries | {"ts-hashchain.xml": more}))


def test_a_misnamed_issuer_of_a_further_certificate_is_refused():
    data = CHAINED.container(ONE)
    entries = entries_in(data)
    signature = entries["META-INF/signatures.xml"]
    place = signature.rindex(b"<ds:X509IssuerName>CN=Test CA")
    spoilt = signature[:place] + signature[place:].replace(b"CN=Test", b"CN=Tost", 1)
    data = rezipped(entries | {"META-INF/signatures.xml": spoilt})
    assert "misnames" in refusal(data, CHAINED)


def test_the_responses_and_the_token_in_a_container_are_looked_at():
    stranger = TestCa.create("Stranger", kind="rsa").certificate
    signer = EVIDENCE.signer
    response = response_with(signer.identity.ocsp, stranger)
    signer = replace(signer, identity=replace(signer.identity, ocsp=response))
    assert "nobody vouches" in refusal(Evidence(signer, EVIDENCE.tsa).container(ONE))
    (signed,) = EVIDENCE.signer.sign(ONE)
    container = stamped_together(signed, ONE, tsa=EVIDENCE.tsa, embed=True)
    token = brought(container.timestamp, stranger.der)
    assert "nobody vouches" in refusal(write_container(replace(container, timestamp=token), NOON))


# The zip file


@pytest.mark.parametrize(
    "data",
    [
        b"",
        rezipped({}, b""),
        rezipped(entries_in(ALONE), b""),
        rezipped(entries_in(ALONE), b"mimetype=application/vnd.etsi.asic-e+ZIP"),
        ALONE + b"\0",
        b"\0" + ALONE,
        ALONE.replace(b"PK\x05\x06\0\0", b"PK\x05\x06\1\0"),
    ],
)
def test_a_file_with_more_around_its_entries_is_refused(data):
    with pytest.raises(NotStrictZip):
        read_strict_zip(data, ARCHIVE_COMMENT)


def header(**changes):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = ARCHIVE_COMMENT
        entry = zipfile.ZipInfo("a")
        entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
        for name, value in changes.items():
            setattr(entry, name, value)
        archive.writestr(entry, b"content")
        entry.external_attr = changes.get("external_attr", 0)
        entry.extra = changes.get("extra", b"")
    return out.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"compress_type": zipfile.ZIP_STORED},
        {"create_system": 3},
        {"external_attr": 1 << 16},
        {"comment": b"said beside"},
        {"extra": struct.pack("<2sH4s", b"XX", 4, b"more")},
        {"internal_attr": 1},
        {"create_version": 45},
    ],
)
def test_a_header_that_no_server_writes_is_refused(changes):
    assert read_strict_zip(header(), ARCHIVE_COMMENT)[0].data == b"content"
    with pytest.raises(NotStrictZip):
        read_strict_zip(header(**changes), ARCHIVE_COMMENT)


def test_bytes_before_an_entry_or_the_directory_are_refused():
    out = io.BytesIO(b"more")
    out.seek(4)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = ARCHIVE_COMMENT
        entry = zipfile.ZipInfo("a")
        entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
        archive.writestr(entry, b"content")
        entry.external_attr = 0
    with pytest.raises(NotStrictZip, match="bytes before a"):
        read_strict_zip(out.getvalue(), ARCHIVE_COMMENT)
    data = header()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06") + 16
    moved = (
        data[:start] + b"more" + data[start:end] + struct.pack("<I", start + 4) + data[end + 4 :]
    )
    with pytest.raises(NotStrictZip, match="before its directory"):
        read_strict_zip(moved, ARCHIVE_COMMENT)


def test_a_local_header_that_says_otherwise_is_refused():
    data = header()
    with pytest.raises(NotStrictZip, match="one thing and another"):
        read_strict_zip(data.replace(b"a", b"b", 1), ARCHIVE_COMMENT)


@pytest.mark.parametrize("stamp", [stamped, stamped_together])
def test_files_with_descriptors_are_read_as_java_writes_them(stamp):
    class Unseekable(io.RawIOBase):
        def __init__(self):
            self.data = b""

        def writable(self):
            return True

        def write(self, piece):
            self.data += bytes(piece)
            return len(piece)

    out = Unseekable()
    with zipfile.ZipFile(out, "w") as archive:
        archive.comment = ARCHIVE_COMMENT
        for name, content in entries_in(EVIDENCE.container(TWO, stamp=stamp)).items():
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, 0
            archive.writestr(entry, content)
            entry.external_attr = 0
    assert b"PK\x07\x08" in out.data
    assert strictly(out.data).is_valid
    spoilt = out.data.replace(b"PK\x07\x08", b"PK\x07\x09", 1)
    assert not strictly(spoilt).is_valid


# Tokens and responses


def test_a_token_may_bring_the_issuer_of_its_authority():
    ca = TestCa.create("TSA CA")
    token = EVIDENCE.tsa.token(b"data", embed=True)
    check_token(token, EVIDENCE.tsa.signer.certificate)
    assert brought(token, ca.certificate.der) != token
    check_token(brought(token, ca.certificate.der), EVIDENCE.tsa.signer.certificate)


def brought(token, *certificates):
    """The token with more certificates in it."""
    kind, explicit = der.parts_of(token)
    version, digests, content, held, signers = der.parts_of(der.contents_of(explicit))
    held = der.tagged(0xA0, der.contents_of(held), *certificates)
    signed = der.sequence(version, digests, content, held, signers)
    return der.sequence(kind, der.tagged(0xA0, signed))


def test_a_token_that_brings_a_stranger_s_certificate_is_refused():
    stranger = TestCa.create("Stranger", kind="rsa")
    own = EVIDENCE.tsa.signer.certificate
    for certificate in (stranger.certificate, stranger.issue_ocsp_signer().certificate):
        token = brought(EVIDENCE.tsa.token(b"data", embed=True), certificate.der)
        with pytest.raises(NotStrictValue, match="nobody vouches"):
            check_token(token, own)


def test_a_certificate_that_is_not_by_the_issuer_at_hand_is_refused():
    ca = TestCa.create("TSA CA")
    place = len(ca.certificate.der) - 1
    spoilt = ca.certificate.der[:place] + bytes((ca.certificate.der[place] ^ 1,))
    token = brought(EVIDENCE.tsa.token(b"data", embed=True), spoilt)
    with pytest.raises(NotStrictValue, match="is not by TSA CA"):
        check_token(token, EVIDENCE.tsa.signer.certificate)


def test_a_token_without_its_authority_s_certificate_among_others_is_refused():
    token = EVIDENCE.tsa.token(b"data", embed=True)
    with pytest.raises(NotStrictValue, match="not its authority's"):
        check_token(token, TestCa.create("other").issue_ocsp_signer().certificate)


def test_a_token_not_in_der_is_refused():
    tsa = EVIDENCE.tsa.signer.certificate
    token = EVIDENCE.tsa.token(b"data")
    check_token(token, tsa)
    size = struct.unpack(">H", token[2:4])[0]
    longer = b"\x30\x83" + (size).to_bytes(3, "big") + token[4:]
    for spoilt in (longer, token[:-1], token + b"\0", b"", b"\x30\0"):
        with pytest.raises(NotStrictValue):
            check_token(spoilt, tsa)


def test_an_ocsp_response_that_nobody_at_hand_signed_is_refused():
    trust = EVIDENCE.trusts["DEV"]
    certificate = EVIDENCE.signer.key.certificate
    check_ocsp_response(EVIDENCE.signer.ca.ocsp(certificate), trust)
    for embed in (True, False):
        forged = TestCa.create("Test CA", kind="rsa").ocsp(certificate, embed=embed)
        with pytest.raises(NotStrictValue, match="nobody vouches"):
            check_ocsp_response(forged, trust)
    for spoilt in (b"", b"\x30\0", forged[:-1]):
        with pytest.raises(NotStrictValue):
            check_ocsp_response(spoilt, trust)


def test_an_ocsp_response_may_be_by_a_listed_responder():
    ca = EVIDENCE.signer.ca
    responder = ca.issue_ocsp_signer()
    trust = EVIDENCE.trusts["DEV"]
    top = replace(
        trust.cas[0].top, responders=(OcspResponder("http://ocsp.test/", responder.certificate),)
    )
    trust = replace(trust, cas=(replace(trust.cas[0], top=top),))
    check_ocsp_response(ca.ocsp(EVIDENCE.signer.key.certificate, signer=responder), trust)


def response_with(response, *certificates):
    """The response with more certificates in it."""
    status, explicit = der.parts_of(response)
    kind, octets = der.parts_of(der.contents_of(explicit))
    *signed, held = der.parts_of(der.contents_of(octets))
    known = der.contents_of(der.contents_of(held))
    held = der.tagged(0xA0, der.sequence(known, *(found.der for found in certificates)))
    basic = der.octets(der.sequence(*signed, held))
    return der.sequence(status, der.tagged(0xA0, der.sequence(kind, basic)))


def test_an_ocsp_response_may_not_bring_another_certificate_of_a_known_authority():
    ca = EVIDENCE.signer.ca
    trust = EVIDENCE.trusts["DEV"]
    response = ca.ocsp(EVIDENCE.signer.key.certificate)
    crossed = TestCa.create(ca.name, parent=TestCa.create("Stranger", kind="rsa")).certificate
    check_ocsp_response(response_with(response), trust)
    assert crossed.authority == ca.certificate.authority
    with pytest.raises(NotStrictValue, match="nobody vouches"):
        check_ocsp_response(response_with(response, crossed), trust)


def test_an_ocsp_response_in_another_form_of_the_same_is_refused():
    trust = RSA.trusts["DEV"]
    response = RSA.signer.ca.ocsp(RSA.signer.key.certificate, embed=False)
    check_ocsp_response(response, trust)
    size = struct.unpack(">H", response[2:4])[0]
    with pytest.raises(NotStrictValue, match=r"another way|DER"):
        check_ocsp_response(b"\x30\x83" + size.to_bytes(3, "big") + response[4:], trust)
    rsa_null = bytes.fromhex("2a864886f70d01010b0500")
    place = response.rindex(rsa_null) + len(rsa_null)
    with pytest.raises(NotStrictValue, match=r"parameters|cannot be read"):
        check_ocsp_response(response[: place - 2] + b"\x04" + response[place - 1 :], trust)


@pytest.mark.parametrize("container", [ALONE, TOGETHER], ids=["alone", "together"])
def test_no_byte_can_be_taken_out_of_what_nobody_signs(container):
    entries = entries_in(container)
    assert strictly(container).is_valid
    unnoticed = [
        (name, at)
        for name, content in entries.items()
        if name.endswith("hashchain.xml") or name == "META-INF/signatures.xml"
        for at in range(len(content) if "chain" in name else 200)
        if strictly(rezipped(entries | {name: content[:at] + content[at + 1 :]})).is_valid
    ]
    assert unnoticed == []
