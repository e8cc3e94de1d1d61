"""Global configurations as use cases on the server's own configuration see them."""

from datetime import UTC, datetime

from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import (
    GlobalGroup,
    Member,
    MemberClass,
    SecurityServer,
    SharedParameters,
    Subsystem,
)
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

FIRST = ClientId("DEV", "GOV", "M1")
SECOND = ClientId("DEV", "COM", "M2")
STRANGER = ClientId("EE", "NGO", "X1")
EXPIRES = datetime(2036, 1, 1, tzinfo=UTC)

LOCAL = SharedParameters(
    instance="DEV",
    members=(
        Member(FIRST, "First", "", (Subsystem(FIRST.subsystem("registry"), "Register"),)),
        Member(
            SECOND,
            "Second Ltd",
            "",
            (Subsystem(SECOND.subsystem("portal"), "Portal"), Subsystem(SECOND.subsystem("app"))),
        ),
    ),
    servers=(SecurityServer(SecurityServerId(FIRST, "SS1"), "ss1.test"),),
    groups=(GlobalGroup(GlobalGroupId("DEV", "all"), "Everybody"),),
    member_classes=(MemberClass("GOV", "Government"), MemberClass("COM", "Companies")),
)
FEDERATED = SharedParameters(
    instance="EE",
    members=(Member(STRANGER, "Stranger", "", (Subsystem(STRANGER.subsystem("portal")),)),),
    servers=(SecurityServer(SecurityServerId(STRANGER, "SS9"), "ss9.test"),),
    groups=(GlobalGroup(GlobalGroupId("EE", "hospitals"), "Hospitals"),),
    member_classes=(MemberClass("NGO", "Others"), MemberClass("GOV", "Government")),
)


def conf_of(*shared):
    """A configuration of these instances, the first the local one."""
    instances = {
        each.instance: InstanceConf(each.instance, 6, EXPIRES, {}, each, None, Extensions())
        for each in shared
    }
    return GlobalConf(instances, shared[0].instance)


class FixedWorld:
    """The same global configuration always, or none."""

    def __init__(self, *shared):
        self.conf = conf_of(*(shared or (LOCAL, FEDERATED)))

    def global_conf(self):
        if self.conf is None:
            raise GlobalConfOutdated("there is no valid global configuration")
        return self.conf
