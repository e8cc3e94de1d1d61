"""What descriptions of services say."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DescribedService:
    """An operation that a WSDL offers, and where; one without an address cannot be called."""

    code: str
    version: str | None
    url: str | None
    title: str | None

    @property
    def full_code(self) -> str:
        """The code with the version, if there is one."""
        return f"{self.code}.{self.version}" if self.version else self.code


@dataclass(frozen=True, slots=True)
class DescribedOperation:
    """A method and path of an OpenAPI description, path parameters as `*`."""

    method: str
    path: str


@dataclass(frozen=True, slots=True)
class DescribedApi:
    """What an OpenAPI description offers, and where; warnings say how it is not as it should be."""

    base_url: str
    operations: tuple[DescribedOperation, ...]
    warnings: tuple[str, ...] = ()
