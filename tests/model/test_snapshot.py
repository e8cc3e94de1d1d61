from sild.model.messages import MessageRecord
from sild.model.services import (
    AccessRight,
    Client,
    ClientStatus,
    ConnectionType,
    Endpoint,
    LocalGroup,
    Service,
    ServiceType,
)
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot, SigningCertificate
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId
from sild.runtime.packing import decode, encode

MEMBER = ClientId("EE", "GOV", "1")
PROVIDER = MEMBER.subsystem("registry")


def test_a_snapshot_travels_between_processes_as_it_is():
    endpoint = Endpoint(PROVIDER, "people")
    snapshot = ServerSnapshot(
        generation=7,
        server=SecurityServerId(MEMBER, "s1"),
        clients=(Client(PROVIDER, ClientStatus.REGISTERED, ConnectionType.NOSSL, (b"der",)),),
        services=(
            Service(ServiceId(PROVIDER, "people"), ServiceType.REST, "http://x", 5, False, "off"),
        ),
        endpoints=(endpoint,),
        rights=(
            AccessRight(endpoint, MEMBER),
            AccessRight(endpoint, GlobalGroupId("EE", "all")),
            AccessRight(endpoint, LocalGroupId("friends")),
        ),
        groups=(LocalGroup(PROVIDER, "friends", frozenset({MEMBER, PROVIDER})),),
        signing=(SigningCertificate(MEMBER, "A1", b"c", (b"i",), (b"o", b"p"), True),),
        authentication=AuthenticationCertificate("B2", b"c", (), (b"o",)),
    )
    assert decode(ServerSnapshot, encode(snapshot)) == snapshot


def test_a_message_record_travels_between_processes_as_it_is():
    record = MessageRecord("q", PROVIDER, True, 1, b"m", b"s", b"r", b"c", b"", "id")
    assert decode(MessageRecord, encode(record)) == record
