import pytest

from sild.components.proxy.receive import Received
from sild.protocol.errors import PeerFault
from sild.protocol.transport.events import FaultPart


def test_a_fault_that_is_raised_is_held_by_nothing_that_its_traceback_shows():
    """Else the message, the request and all their bytes wait for the garbage collector."""
    received = Received(is_soap=False, fault=FaultPart(PeerFault("Server.a", "b"), b"<x/>"))
    with pytest.raises(PeerFault, match="b"):
        raise received.take_fault()
    assert received.fault is None
