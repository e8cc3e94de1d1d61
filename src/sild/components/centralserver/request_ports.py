"""What management requests need of the rest of the Central Server."""

from typing import Protocol

from sild.protocol.management.verify import Ecosystem


class CurrentEcosystem(Protocol):
    """The instance as its global configuration has it now."""

    async def ecosystem(self) -> Ecosystem:
        """Whom the instance trusts; raises GlobalConfOutdated where nothing valid is published."""
        ...
