"""Distinguished names as people type them, in the forms that Java's X500Principal takes."""

import re

from cryptography import x509
from cryptography.x509.oid import NameOID

from sild.components.tlsidentity.errors import InvalidDistinguishedName

_LONGEST = 255
# Beyond the keywords of RFC 4514.
_KEYWORDS = {
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
    "SURNAME": NameOID.SURNAME,
    "GIVENNAME": NameOID.GIVEN_NAME,
    "INITIALS": NameOID.INITIALS,
    "GENERATION": NameOID.GENERATION_QUALIFIER,
    "EMAILADDRESS": NameOID.EMAIL_ADDRESS,
    "DNQ": NameOID.DN_QUALIFIER,
    "DNQUALIFIER": NameOID.DN_QUALIFIER,
    "T": NameOID.TITLE,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "STREET": NameOID.STREET_ADDRESS,
}
_ATTRIBUTE = re.compile(
    r"""\s* (?P<type> [A-Za-z][A-Za-z0-9-]* | \d+ (?:\.\d+)+ ) \s* = \s*
        (?: "(?P<quoted> (?: \\. | [^"\\] )*)"
          | (?P<plain> (?: \\. | [^,;+"\\] )*?) )
        \s* (?P<end> [,;+] | $)""",
    re.VERBOSE | re.DOTALL,
)


def read_distinguished_name(text: str) -> x509.Name:
    """The name that a text such as `C=FI, CN=cs.example.org` gives, its last part first."""
    if len(text) > _LONGEST:
        raise InvalidDistinguishedName(f"a distinguished name has at most {_LONGEST} characters")
    position, written = 0, ""
    while True:
        found = _ATTRIBUTE.match(text, position)
        if found is None:
            raise _invalid(text)
        separator = found["end"].replace(";", ",")
        written += f"{found['type'].upper()}={_value(found)}{separator}"
        position = found.end()
        if not separator:
            break
    try:
        return x509.Name.from_rfc4514_string(written, _KEYWORDS)
    except (ValueError, IndexError) as error:
        raise _invalid(text) from error


def _value(found: re.Match[str]) -> str:
    if (quoted := found["quoted"]) is None:
        return found["plain"]
    # What quotation marks protect, backslashes do in RFC 4514.
    return re.sub(r'(\\.)|([,;+<>"=#])', lambda part: part[1] or f"\\{part[2]}", quoted)


def _invalid(text: str) -> InvalidDistinguishedName:
    return InvalidDistinguishedName(f"{text!r} is no distinguished name")
