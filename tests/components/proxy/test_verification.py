"""Each question about a signature is asked once, and asked again when its answer may be another."""

from dataclasses import replace
from datetime import timedelta

import pytest

from pki_builder import MEMBER, NOON
from signing_builder import MESSAGE, PARTS, TestSigner, digests_of
from sild.components.proxy.verification import SignedParts, verify_message
from sild.components.proxy.view import View
from sild.protocol.errors import IncorrectValidationInfo, InvalidSignatureValue, ProtocolError
from sild.protocol.ids import ClientId

SIGNER = TestSigner.create()


class Conf:
    """A global configuration that trusts the signer's CA."""

    def trust(self, instance):
        return SIGNER.trust


@pytest.fixture
def view():
    return View(None, Conf(), NOON + timedelta(days=1))


def sent(signer=SIGNER, *messages, now=NOON):
    """What arrives of messages that were signed together."""
    messages = messages or (PARTS,)
    return [
        SignedParts(
            signed.signature, signed.hash_chain_result, signed.hash_chain, digests_of(parts)
        )
        for parts, signed in zip(messages, signer.sign(*messages, now=now), strict=True)
    ]


def test_a_batch_is_judged_once(view):
    for parts in sent(SIGNER, *({MESSAGE: bytes([number])} for number in range(5))):
        verify_message(parts, MEMBER, view, NOON)
    assert (len(view.signatures), len(view.signers)) == (1, 1)


def test_a_signer_is_judged_once_for_all_that_shows_the_same_evidence(view):
    for seconds in range(3):
        (parts,) = sent(now=NOON + timedelta(seconds=seconds))
        verify_message(parts, MEMBER, view, NOON)
    assert (len(view.signatures), len(view.signers)) == (3, 1)


def test_other_evidence_is_judged_anew(view):
    (parts,) = sent()
    verify_message(parts, MEMBER, view, NOON)
    ca, certificate = SIGNER.ca, SIGNER.identity.certificate
    later = replace(
        SIGNER.identity, ocsp=ca.ocsp(certificate, this_update=NOON + timedelta(seconds=1))
    )
    (parts,) = sent(replace(SIGNER, identity=later), now=NOON + timedelta(seconds=2))
    verify_message(parts, MEMBER, view, NOON + timedelta(seconds=2))
    assert len(view.signers) == 2


def test_a_revoked_signer_is_refused_whose_good_evidence_is_remembered(view):
    (parts,) = sent()
    verify_message(parts, MEMBER, view, NOON)
    revoked = SIGNER.ca.ocsp(SIGNER.identity.certificate, status="revoked")
    identity = replace(SIGNER.identity, ocsp=revoked)
    (parts,) = sent(replace(SIGNER, identity=identity))
    with pytest.raises(ProtocolError):
        verify_message(parts, MEMBER, view, NOON)


def test_a_remembered_signer_is_another_members_no_more_than_before(view):
    (parts,) = sent()
    verify_message(parts, MEMBER, view, NOON)
    with pytest.raises(ProtocolError):
        verify_message(parts, ClientId("DEV", "GOV", "OTHER"), view, NOON)


def test_what_is_remembered_of_a_signer_ends_with_the_ocsp_response(view):
    (parts,) = sent()
    verify_message(parts, MEMBER, view, NOON)
    with pytest.raises(IncorrectValidationInfo):
        verify_message(parts, MEMBER, view, NOON + timedelta(hours=3))


def test_parts_are_compared_whatever_is_remembered(view):
    (parts,) = sent()
    verify_message(parts, MEMBER, view, NOON)
    forged = replace(parts, digests=digests_of({**PARTS, MESSAGE: b"another"}))
    with pytest.raises(ProtocolError):
        verify_message(forged, MEMBER, view, NOON)


def test_a_bad_signature_is_not_remembered(view):
    (parts,) = sent()
    value = parts.signature.index(b"SignatureValue") + 40
    changed = b"A" if parts.signature[value : value + 1] != b"A" else b"B"
    broken = replace(
        parts, signature=parts.signature[:value] + changed + parts.signature[value + 1 :]
    )
    for _ in range(2):
        with pytest.raises(InvalidSignatureValue):
            verify_message(broken, MEMBER, view, NOON)
    assert len(view.signatures) == 0
