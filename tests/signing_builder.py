"""Signed messages for tests, and the other ways of writing their documents that peers may have.

signer = TestSigner.create()
[signed] = signer.sign({"/message.xml": b"hello"})
signed.signature, signed.hash_chain_result, signed.hash_chain
"""

import base64
import hashlib
import re
from dataclasses import dataclass

from pki_builder import MEMBER, NOON, Issued, TestCa, TestTsa
from sild.protocol.algorithms import SignatureAlgorithm, ecdsa_raw_from_der
from sild.protocol.pki.trust import Trust
from sild.protocol.safexml import canonical, read_xml
from sild.protocol.signature.batch import SignatureBatch
from sild.protocol.signature.hashchain import Leaf
from sild.protocol.signature.verify import SignedParts
from sild.protocol.signature.xades import SigningIdentity

MESSAGE, ATTACHMENT = "/message.xml", "/attachment1"
PARTS = {MESSAGE: b"the message", ATTACHMENT: b"the attachment"}


def digests_of(parts):
    """The SHA-512 of each part by name."""
    return {name: hashlib.sha512(data).digest() for name, data in parts.items()}


def leaf_of(parts):
    """The leaf of a message with these parts."""
    return Leaf(tuple(digests_of(parts).items()))


@dataclass(frozen=True)
class TestSigner:
    """A member's signing key, what it says of itself, and who trusts it."""

    __test__ = False

    ca: TestCa
    key: Issued
    identity: SigningIdentity
    trust: Trust

    @classmethod
    def create(
        cls, kind="ec", *, depth=0, member=MEMBER, ca=None, name="Test CA", ocsp=None, **wish
    ):
        """A signer whose CA is `depth` intermediates below the approved one."""
        top = ca = ca or TestCa.create(name, kind=kind)
        chain = []
        for level in range(depth):
            below = TestCa.create(f"Intermediate {level}", kind=kind, parent=ca)
            chain.insert(0, (below.certificate, ca.ocsp(below.certificate)))
            ca = below
        key = ca.issue_sign(member, kind=kind, **wish)
        identity = SigningIdentity(
            key.certificate,
            ocsp or ca.ocsp(key.certificate),
            tuple(chain),
            SignatureAlgorithm.for_key(key.certificate.public_key),
        )
        intermediates = [ca] if depth else []
        tsas = [TestTsa.create(ca=TestCa.create("TSA CA"))]
        return cls(ca, key, identity, top.trust(intermediates=intermediates, tsas=tsas))

    def sign(self, *messages, now=NOON):
        """The documents of messages that are signed together, each given as its parts."""
        batch = SignatureBatch([leaf_of(parts) for parts in messages], self.identity, now)
        return batch.finish(self.key.sign(batch.to_sign))

    def document(self, now=NOON):
        """The signature document over a lone message."""
        return self.sign({MESSAGE: PARTS[MESSAGE]}, now=now)[0].signature

    def resign(self, document):
        """The document with digest of the properties and value made anew, after a change in it.

        It uses the parser for the canonical forms, and leaves all else as it is.
        """
        root = read_xml(document)
        signature = root[0] if root.tag.endswith("XAdESSignatures") else root
        properties = signature.find(".//{*}SignedProperties")
        digest = base64.b64encode(hashlib.sha512(canonical(properties)).digest())
        document = re.sub(
            rb'(URI="#signed-properties">.*?<ds:DigestValue>)[^<]*', rb"\g<1>" + digest, document
        )
        root = read_xml(document)
        signature = root[0] if root.tag.endswith("XAdESSignatures") else root
        value = self.key.sign(canonical(signature[0]))
        if "ECDSA" in self.identity.algorithm.name:
            value = ecdsa_raw_from_der(value, self.key.key.key_size // 8)
        return re.sub(
            rb'(<ds:SignatureValue Id="signature-value">)[^<]*',
            rb"\g<1>" + base64.b64encode(value),
            document,
        )


def signed_parts(parts, signed):
    """What arrives of a message."""
    return SignedParts(signed.hash_chain_result, signed.hash_chain, digests_of(parts))


def as_reference_writes(document):
    """Our document with the line breaks of the reference: behind tags, and in wrapped base64."""
    parts = re.split(rb"(?<=<ds:Object>)|(?=</ds:Object>)", document)
    head, properties, tail = parts

    def wrapped(match):
        text = match[2]
        lines = [text[start : start + 76] for start in range(0, len(text), 76)]
        return match[1] + b"&#13;\n".join(lines) + match[3]

    head = re.sub(rb"(<ds:DigestValue>)([^<]*)(</)", wrapped, head)
    head = re.sub(rb"(<ds:X509Certificate>)([^<]*)(</)", wrapped, head)
    head = re.sub(
        rb"(<ds:(?:SignatureValue Id=\"signature-value\"|X509Certificate)>)", rb"\1\n", head
    )
    head = re.sub(rb"(</ds:(?:SignatureValue|X509Certificate)>)", rb"\n\1", head)
    head = re.sub(
        rb"(/>|</ds:[A-Za-z0-9]+>|<ds:(?:Signature Id=\"signature\"|SignedInfo|KeyInfo|X509Data|Reference [^>]*)>)",
        rb"\1\n",
        head,
    )
    return head + properties + tail.replace(b"</ds:Object>", b"</ds:Object>\n")
