"""What the use cases on the server's own configuration need of the rest of the server."""

from typing import Protocol

from sild.model.tokens import Token
from sild.protocol.globalconf.lookup import GlobalConf


class World(Protocol):
    """The global configuration as it is now."""

    def global_conf(self) -> GlobalConf:
        """What is valid now; raises GlobalConfOutdated where nothing is."""
        ...


class Tokens(Protocol):
    """The signer's tokens; its own client satisfies this."""

    async def tokens(self) -> tuple[Token, ...]:
        """Every token with its keys, requests and certificates, the software token first."""
        ...
