"""The form in which signature documents are written, by us and by 7.x peers.

The writer fills it in and the pattern looks for it: what stands here is said once for both.
"""

import re

PROLOGUE = b'<?xml version="1.0" encoding="UTF-8" standalone="no"?>'
# In the order of canonical XML, so that they can go into the first element of what is signed.
NAMESPACES = (
    b'xmlns:asic="http://uri.etsi.org/02918/v1.2.1#"'
    b' xmlns:ds="http://www.w3.org/2000/09/xmldsig#"'
    b' xmlns:xades="http://uri.etsi.org/01903/v1.3.2#"'
    b' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
SIGNED_PROPERTIES_TYPE = b"http://uri.etsi.org/01903#SignedProperties"
SHA512 = b'<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha512"/>'
POLICY = (
    b"<xades:SignaturePolicyIdentifier><xades:SignaturePolicyId><xades:SigPolicyId>"
    b'<xades:Identifier Qualifier="OIDAsURN">urn:oid:1.3.6.1.4.1.3516.16.2</xades:Identifier>'
    b"<xades:Description>Profile for High Performance Digital Signatures (version 1.2)"
    b"</xades:Description></xades:SigPolicyId><xades:SigPolicyHash>" + SHA512 + b"<ds:DigestValue>"
    b"BuO0EDNfkxSVlUbxCzmQPzX1AUF1/xx9ytWHk3/6SAOePxQiniEfDYk+90QeYb3lWpV3Izhuz9fKaYyE+lTcXw=="
    b"</ds:DigestValue></xades:SigPolicyHash><xades:SigPolicyQualifiers>"
    b"<xades:SigPolicyQualifier><xades:SPURI>https://repo.cyber.ee/dsig-profile-1.2.pdf"
    b"</xades:SPURI></xades:SigPolicyQualifier></xades:SigPolicyQualifiers>"
    b"</xades:SignaturePolicyId></xades:SignaturePolicyIdentifier>"
)

_EMPTY_ELEMENT = re.compile(rb'<(ds:[A-Za-z]+)( Algorithm="[^"]*")/>')


def canonical_text(text: bytes) -> bytes:
    """The canonical form (C14N 1.0, in its document) of an element that is in this form."""
    start = len(text.partition(b">")[0].partition(b" ")[0])
    body = _EMPTY_ELEMENT.sub(rb"<\1\2></\1>", text[start:]).replace(b"&#13;", b"&#xD;")
    return b"%b %b%b" % (text[:start], NAMESPACES, body)
