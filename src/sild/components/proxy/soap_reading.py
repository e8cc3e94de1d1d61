"""Read SOAP parts without making others wait for a long one."""

import asyncio

from sild.protocol.soap.message import SoapMessage, read_soap
from sild.protocol.soap.parts import SoapPart

_QUICK = 256 * 1024


async def read_soap_part(part: SoapPart) -> SoapMessage:
    """The message that a SOAP part holds; a long one is read beside the loop.

    Raises what `read_soap` does.
    """
    if len(part.raw) <= _QUICK:
        return read_soap(part.raw, part.content_type)
    return await asyncio.to_thread(read_soap, part.raw, part.content_type)
