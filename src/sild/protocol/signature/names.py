"""The names that signed documents give to message parts and to one another."""

import re

MESSAGE = "/message.xml"
SIGNATURES = "/META-INF/signatures.xml"
SIG_HASH_CHAIN_RESULT = "/sig-hashchainresult.xml"
SIG_HASH_CHAIN = "/sig-hashchain.xml"
TS_HASH_CHAIN_RESULT = "/ts-hashchainresult.xml"
TS_HASH_CHAIN = "/ts-hashchain.xml"

_ATTACHMENT = re.compile(r"/attachment[1-9][0-9]{0,5}")


def attachment(number: int) -> str:
    """The name of an attachment; they are numbered from 1, in the order of the message."""
    return f"/attachment{number}"


def is_attachment(name: str) -> bool:
    """Whether this is the name of an attachment."""
    return _ATTACHMENT.fullmatch(name) is not None
