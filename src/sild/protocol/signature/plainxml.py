"""Documents of live messages must be written plainly, as every serialiser writes them.

XML can say the same in many ways: more white space in a tag, a character as a reference, a space
for a line break in base64. A signature does not see the difference, the log does. So that nobody
on the way can change a byte of the evidence unnoticed, there is one way only.
"""

import re

_DECLARATIONS = (
    rb"(?:<\?xml version="
    rb"""(?:"1\.0" encoding="(?:UTF-8|utf-8)"(?: standalone="(?:yes|no)")?|"""
    rb"""'1\.0' encoding='(?:UTF-8|utf-8)'(?: standalone='(?:yes|no)')?)"""
    rb"\?>\n?)?"
)
_NAME = rb"[A-Za-z_][A-Za-z0-9_.:-]*+"
_ESCAPE = rb"&(?:amp|lt|gt|quot|#13|#xD);"
_ATTRIBUTE = rb" " + _NAME + rb'="(?:[^"<&\x00-\x1f]|' + _ESCAPE + rb')*+"'
_TAG = rb"<(?:/" + _NAME + rb"|" + _NAME + rb"(?:" + _ATTRIBUTE + rb")*+/?)>"
# Between tags stands nothing, or the indentation of the next line, or text.
_TEXT = (
    rb"(?:\n(?: *+|\t*+)(?=<)"
    rb"|(?=[ \n]*+[^\x00-\x20<])(?:[^<&\x00-\x08\x0b-\x1f]|" + _ESCAPE + rb")++)?+"
)  # fmt: skip
_PLAIN = re.compile(_DECLARATIONS + _TAG + rb"(?:" + _TEXT + _TAG + rb")*+\n?")
# From its start tag on: a search from any `>` would begin at each of a text's, and never end.
_BASE64_TEXT = re.compile(
    rb"<(?:[A-Za-z0-9_.-]++:)?(?:DigestValue|SignatureValue|X509Certificate"
    rb"|EncapsulatedX509Certificate|EncapsulatedOCSPValue|EncapsulatedTimeStamp)"
    rb"(?:" + _ATTRIBUTE + rb")*+>([^<]*+)"
)
_LINES = re.compile(rb"(?:[A-Za-z0-9+/=]++|\n|&#(?:13|xD);\n)*+")


def is_plain(data: bytes) -> bool:
    """Whether the document is written in the one plain way."""
    return _PLAIN.fullmatch(data) is not None and all(
        map(_LINES.fullmatch, _BASE64_TEXT.findall(data))
    )
