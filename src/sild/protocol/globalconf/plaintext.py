"""The configuration's documents as text, element after element: no tree of ten thousands is made.

Element names are ours; what stands between them comes from outside and is escaped.
"""

import base64
import re

from sild.protocol.errors import InvalidXml
from sild.protocol.globalconf.document import XROAD
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import NAMESPACE as IDENTIFIERS
from sild.protocol.safexml import NOT_XML

_START = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    f'<xroad:conf xmlns:id="{IDENTIFIERS}" xmlns:xroad="{XROAD}">'
)
_END = "</xroad:conf>"
_SPECIAL = re.compile("[&<>\r]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})


class Text:
    """A document under way; `document` gives it."""

    def __init__(self) -> None:
        self._pieces = [_START]

    def document(self) -> bytes:
        """The whole document."""
        return "".join((*self._pieces, _END)).encode("utf-8")

    def open(self, start_tag: str) -> None:
        """Begin an element; the tag comes without its brackets, with its attributes."""
        self._pieces.append(f"<{start_tag}>")

    def close(self, name: str) -> None:
        """End an element."""
        self._pieces.append(f"</{name}>")

    def add(self, name: str, text: str | None) -> None:
        """An element that holds text; none where there is no text.

        Raises InvalidXml for text that XML cannot hold.
        """
        if text is not None:
            self._pieces.append(f"<{name}>{_escaped(name, text)}</{name}>")

    def add_base64(self, name: str, content: bytes) -> None:
        """An element that holds bytes in base64."""
        self._pieces.append(f"<{name}>{base64.b64encode(content).decode('ascii')}</{name}>")

    def add_client(self, name: str, client: ClientId) -> None:
        """An element that names a member or subsystem."""
        kind = "SUBSYSTEM" if client.is_subsystem else "MEMBER"
        self.open(f'{name} id:objectType="{kind}"')
        self.add("id:xRoadInstance", client.instance)
        self.add("id:memberClass", client.member_class)
        self.add("id:memberCode", client.member_code)
        self.add("id:subsystemCode", client.subsystem_code)
        self.close(name)


def _escaped(name: str, text: str) -> str:
    if NOT_XML.search(text):
        raise InvalidXml(f"{name} holds a character that XML does not allow")
    return text.translate(_ESCAPES) if _SPECIAL.search(text) else text
