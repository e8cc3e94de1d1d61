"""Worlds with clients, servers and names, and tokens that sign for members."""

from dataclasses import replace

from components.serverconf.builders import CALLER, OWNER, SERVER
from components.serverconf.worlds import EXPIRES, LOCAL
from sild.model.tokens import (
    CertificateEntry,
    CertificateStatus,
    Key,
    KeyAlgorithm,
    KeyUsage,
    RequestEntry,
    Token,
    TokenStatus,
)
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.private_parameters import ManagementService, PrivateParameters
from sild.protocol.globalconf.shared_parameters import SecurityServer, Subsystem
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.ids import SecurityServerId

OTHER_SERVER = SecurityServerId(CALLER.member, "SS2")
MANAGEMENT = OWNER.subsystem("management")


def conf_with(*clients, elsewhere=(), names=None, version=6):
    """A global configuration with these clients on the server, and those on another."""
    names = names or {}

    def named(member):
        subsystems = (
            Subsystem(each.id, names.get(each.id, each.name)) for each in member.subsystems
        )
        return replace(member, subsystems=tuple(subsystems))

    shared = replace(
        LOCAL,
        members=tuple(map(named, LOCAL.members)),
        servers=(
            SecurityServer(SERVER, "ss1.test", (), tuple(clients)),
            SecurityServer(OTHER_SERVER, "ss2.test", (), tuple(elsewhere)),
        ),
    )
    private = PrivateParameters("DEV", ManagementService("https://cs.test", None, MANAGEMENT), 60)
    instance = InstanceConf("DEV", version, EXPIRES, {}, shared, private, Extensions())
    return GlobalConf({"DEV": instance}, "DEV")


def certificate(member, content=b"certificate", status=CertificateStatus.REGISTERED):
    """A signing certificate that no one reads."""
    return CertificateEntry(content.hex(), content, status, True, member)


def key(name, *entries, usage=KeyUsage.SIGNING):
    """A key with these certificates and requests."""
    return Key(
        name,
        name,
        usage,
        KeyAlgorithm.RSA_2048,
        b"",
        tuple(each for each in entries if isinstance(each, CertificateEntry)),
        tuple(each for each in entries if isinstance(each, RequestEntry)),
    )


def token(*keys):
    """The software token with these keys."""
    return Token("0", "softToken-0", TokenStatus.OK, True, tuple(keys))
