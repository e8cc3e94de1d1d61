"""Which certificates of information systems are taken, and when."""

from datetime import timedelta

import pytest

from pki_builder import TestCa
from sild.components.proxy.callers import check_caller
from sild.model.services import Client, ClientStatus, ConnectionType
from sild.protocol.errors import SslAuthenticationFailed
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.transport import Peer

SHOWN = TestCa.create().certificate.der
ID = ClientId("DEV", "GOV", "1", "portal")
CLIENT = Client(ID, ClientStatus.REGISTERED, ConnectionType.SSLAUTH, (SHOWN,))
PEER = Peer(("127.0.0.1", 1), SHOWN, (SHOWN,), "TLSv1.3")
FROM, UNTIL = read_certificate(SHOWN).not_before, read_certificate(SHOWN).not_after
MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize("valid_at", [None, FROM, UNTIL])
def test_a_registered_certificate_is_taken_while_it_is_valid_or_nobody_asks(valid_at):
    check_caller(CLIENT, PEER, None, valid_at)


@pytest.mark.parametrize("valid_at", [FROM - MOMENT, UNTIL + MOMENT])
def test_a_registered_certificate_that_is_not_valid_is_refused_where_that_is_asked(valid_at):
    with pytest.raises(SslAuthenticationFailed):
        check_caller(CLIENT, PEER, None, valid_at)
