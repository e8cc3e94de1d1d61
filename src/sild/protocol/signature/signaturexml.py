"""Read signature documents of any lawful form (XML signature, XAdES 1.3.2) through the parser.

Everything is taken from the one place where the profile has it, never by looking for an Id, so
what is verified is what is used. A document with comments, with an Id twice or with more than one
element in such a place is refused.
"""

from dataclasses import replace

from sild.protocol.errors import InvalidXml, MalformedSignature
from sild.protocol.safexml import (
    Element,
    Schema,
    XmlLimits,
    canonical,
    child_text,
    children,
    find_child,
    get_child,
    has_name,
    local_name,
    read_xml,
    text_of,
)
from sild.protocol.signature.base64text import NotBase64, decode_base64
from sild.protocol.signature.document import (
    Reading,
    SignatureDocument,
    StatedDigest,
    to_document,
)
from sild.protocol.signature.plainxml import is_plain

_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_XADES = "{http://uri.etsi.org/01903/v1.3.2#}"
_ROOTS = frozenset(
    {
        "{http://uri.etsi.org/02918/v1.2.1#}XAdESSignatures",
        "{http://uri.etsi.org/02918/v1.1.1#}XAdESSignatures",
    }
)
_SIGNED_PROPERTIES_TYPE = "http://uri.etsi.org/01903#SignedProperties"
_INCLUSIVE = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
# Comments are refused, so that the forms with and without them are the same.
_IS_EXCLUSIVE = {
    _INCLUSIVE: False,
    f"{_INCLUSIVE}#WithComments": False,
    _EXCLUSIVE: True,
    f"{_EXCLUSIVE}WithComments": True,
}
MOST_BYTES = 1_000_000
_LIMITS = XmlLimits(size=MOST_BYTES, depth=40, tags=10_000, attributes=20_000, namespaces=100)


def parse_message_signature(data: bytes) -> SignatureDocument:
    """The signature that came with a message; it must fit the schema of XAdES 1.3.2.

    Raises InvalidXml, MalformedSignature.
    """
    root = read_xml(data, _LIMITS)
    if root.tag not in _ROOTS:
        raise MalformedSignature(f"a {local_name(root)} stands where XAdESSignatures belong")
    signature = _only_child(root)
    Schema.load("xades-schema.xsd").check(signature, MalformedSignature)
    document = _read(root, signature)
    settled = is_plain(data) and data.endswith(b">") and _are_unsigned_ids_told(signature)
    return replace(document, is_settled=settled)


def parse_container_signature(data: bytes) -> SignatureDocument:
    """The signature in an ASiC-E container, where no schema is asked for.

    XAdES of other versions stands there, as do time-stamps. Raises InvalidXml, MalformedSignature.
    """
    root = read_xml(data, _LIMITS)
    return _read(root, root if has_name(root, _DS + "Signature") else _only_child(root))


def _only_child(root: Element) -> Element:
    """The signature, which is the first and only node in the root, as peers demand."""
    nodes = list(root)
    if len(nodes) != 1 or not has_name(nodes[0], _DS + "Signature") or root.text:
        raise MalformedSignature(f"{local_name(root)} holds not just one signature")
    return nodes[0]


def _read(root: Element, signature: Element) -> SignatureDocument:
    try:
        _check_nothing_is_hidden(root)
        return to_document(_reading(signature))
    except (InvalidXml, NotBase64) as error:
        raise MalformedSignature(f"the signature cannot be read: {error}") from None


def _check_nothing_is_hidden(root: Element) -> None:
    ids = set()
    for node in root.iter():
        # Comments and processing instructions have functions for tags.
        if not isinstance(node.tag, str):
            raise MalformedSignature("the signature holds a comment or processing instruction")
        identifier = node.get("Id")
        if identifier is None:
            continue
        if identifier in ids:
            raise MalformedSignature(f"two elements of the signature have the Id {identifier!r}")
        ids.add(identifier)


def _are_unsigned_ids_told(signature: Element) -> bool:
    """Whether every Id outside of what is signed is referred to, or is what it must be."""
    name = signature.get("Id", "")
    references = {node.get("URI") for node in signature.iter()}
    responses = 0
    for node in signature.iter():
        if node.tag == _XADES + "EncapsulatedOCSPValue":
            responses += 1
        identifier = node.get("Id")
        if identifier is None or node is signature or _is_signed(node):
            continue
        known = {
            _DS + "SignatureValue": ("signature-value", f"value-{name}"),
            _XADES + "CompleteCertificateRefs": ("complete-certificate-refs",),
            _XADES + "EncapsulatedOCSPValue": (f"ocsp-response-{responses}",),
        }
        if identifier not in known.get(str(node.tag), ()) and f"#{identifier}" not in references:
            return False
    return True


def _is_signed(node: Element) -> bool:
    signed = {_DS + "SignedInfo", _XADES + "SignedProperties"}
    return node.tag in signed or any(above.tag in signed for above in node.iterancestors())


def _reading(signature: Element) -> Reading:
    signed_info = get_child(signature, _DS + "SignedInfo")
    properties = _qualifying_properties(signature)
    signed = get_child(properties, _XADES + "SignedProperties")
    signed_signature = get_child(signed, _XADES + "SignedSignatureProperties")
    of_properties, references = _split(signed_info, "#" + signed.get("Id", ""))
    unsigned = _unsigned_signature_properties(properties)
    refs, certificates = _extra_certificates(unsigned)
    return Reading(
        signed_info=canonical(signed_info, exclusive=_stated_exclusive(signed_info)),
        signature_algorithm=_algorithm(signed_info, "SignatureMethod"),
        value=_base64(signature, _DS + "SignatureValue"),
        signed_properties=canonical(signed, exclusive=_transformed_exclusive(of_properties)),
        properties_digest=_stated(of_properties),
        references=[_untransformed(reference) for reference in references],
        certificate=_signer_certificate(signature),
        signing_certificate=_signing_certificate(signed_signature),
        signing_time=child_text(signed_signature, _XADES + "SigningTime").strip(" \t\r\n"),
        certificate_refs=refs,
        certificates=certificates,
        ocsp=_ocsp(unsigned),
        timestamps=_timestamps(unsigned),
    )


def _qualifying_properties(signature: Element) -> Element:
    """The properties; nothing else may stand in an Object, nor in a second one."""
    container = get_child(signature, _DS + "Object")
    properties = get_child(container, _XADES + "QualifyingProperties")
    if len(container) != 1:
        raise MalformedSignature("the signature's Object holds more than its properties")
    if properties.get("Target") != "#" + signature.get("Id", ""):
        raise MalformedSignature("the properties in the signature belong to another one")
    return properties


def _split(signed_info: Element, properties_uri: str) -> tuple[Element, list[Element]]:
    """The reference to the signed properties, and those to parts."""
    to_properties: list[Element] = []
    to_parts: list[Element] = []
    for reference in children(signed_info, _DS + "Reference"):
        # A reference of this type elsewhere, or of another type here, would sign other properties.
        is_typed = reference.get("Type") == _SIGNED_PROPERTIES_TYPE
        (to_properties if is_typed else to_parts).append(reference)
    if len(to_properties) != 1 or to_properties[0].get("URI") != properties_uri:
        raise MalformedSignature("the signature does not cover its signed properties")
    return to_properties[0], to_parts


def _stated_exclusive(signed_info: Element) -> bool:
    return _exclusive(get_child(signed_info, _DS + "CanonicalizationMethod"))


def _transformed_exclusive(reference: Element) -> bool:
    transforms = find_child(reference, _DS + "Transforms")
    if transforms is None:
        return False
    if len(transforms) != 1:
        raise MalformedSignature("the signed properties are transformed more than once")
    return _exclusive(get_child(transforms, _DS + "Transform"))


def _exclusive(method: Element) -> bool:
    exclusive = _IS_EXCLUSIVE.get(method.get("Algorithm", ""))
    if exclusive is None or len(method):
        raise MalformedSignature(
            f"canonicalisation by {method.get('Algorithm')!r} or with parameters is not accepted"
        )
    return exclusive


def _untransformed(reference: Element) -> StatedDigest:
    if find_child(reference, _DS + "Transforms") is not None:
        raise MalformedSignature(f"transforms of {reference.get('URI')!r} are not accepted")
    return _stated(reference)


def _stated(parent: Element) -> StatedDigest:
    """The digest that a Reference, CertDigest or Cert holds."""
    return StatedDigest(
        uri=parent.get("URI", ""),
        algorithm=_algorithm(parent, "DigestMethod"),
        value=_base64(parent, _DS + "DigestValue"),
    )


def _algorithm(parent: Element, name: str) -> str:
    method = get_child(parent, _DS + name)
    if len(method):
        raise MalformedSignature(f"parameters of a {name} are not accepted")
    return method.get("Algorithm", "")


def _base64(parent: Element, name: str) -> bytes:
    return decode_base64(child_text(parent, name))


def _signer_certificate(signature: Element) -> bytes:
    key_info = get_child(signature, _DS + "KeyInfo")
    x509 = get_child(key_info, _DS + "X509Data")
    if len(key_info) != 1 or len(x509) != 1:
        raise MalformedSignature("the signature's KeyInfo holds more than one certificate")
    return _base64(x509, _DS + "X509Certificate")


def _signing_certificate(signed: Element) -> StatedDigest:
    first = find_child(signed, _XADES + "SigningCertificate")
    second = find_child(signed, _XADES + "SigningCertificateV2")
    found = second if first is None else first
    if found is None or (first is not None and second is not None):
        raise MalformedSignature("the signed properties name not just one signing certificate")
    return _cert_digest(get_child(found, _XADES + "Cert"))


def _cert_digest(cert: Element) -> StatedDigest:
    stated = _stated(get_child(cert, _XADES + "CertDigest"))
    return StatedDigest(cert.get("URI", ""), stated.algorithm, stated.value)


def _unsigned_signature_properties(properties: Element) -> Element:
    unsigned = get_child(properties, _XADES + "UnsignedProperties")
    return get_child(unsigned, _XADES + "UnsignedSignatureProperties")


def _extra_certificates(unsigned: Element) -> tuple[list[StatedDigest], dict[str, bytes]]:
    complete = find_child(unsigned, _XADES + "CompleteCertificateRefs")
    values = find_child(unsigned, _XADES + "CertificateValues")
    if complete is None:
        return [], {}
    refs = children(get_child(complete, _XADES + "CertRefs"), _XADES + "Cert")
    found: list[Element] = [] if values is None else list(values)
    certificates = {
        value.get("Id", ""): decode_base64(text_of(value))
        for value in found
        if has_name(value, _XADES + "EncapsulatedX509Certificate")
    }
    return [_cert_digest(cert) for cert in refs], certificates


def _ocsp(unsigned: Element) -> tuple[bytes, ...]:
    revocation = get_child(unsigned, _XADES + "RevocationValues")
    values = get_child(revocation, _XADES + "OCSPValues")
    found = children(values, _XADES + "EncapsulatedOCSPValue")
    return tuple(decode_base64(text_of(value)) for value in found)


def _timestamps(unsigned: Element) -> tuple[bytes, ...]:
    found = []
    for timestamp in children(unsigned, _XADES + "SignatureTimeStamp"):
        encapsulated = find_child(timestamp, _XADES + "EncapsulatedTimeStamp")
        # In older containers the token stands in the outer element.
        found.append(decode_base64(text_of(timestamp if encapsulated is None else encapsulated)))
    return tuple(found)
