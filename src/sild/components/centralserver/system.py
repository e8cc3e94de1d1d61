"""The system parameters of an instance and of its nodes, named as the reference names them.

Operators may change them in the database (CI-07), so what is read is checked.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Address
from typing import Protocol

from sqlalchemy import Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from sild.components.centralserver.system_errors import (
    InvalidAddress,
    InvalidInstance,
    NotInitialized,
    ParameterUnusable,
)
from sild.components.centralserver.system_tables import PARAMETER
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.globalconf.private_parameters import ManagementService
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import Certificate
from sild.runtime.database import Database

FIRST_NODE = "node_0"
_ALL_NODES = ""
_ADDRESS_IN_URL = "%{centralServerAddress}"
_PORT_IN_URL = "%{registrationPort}"
_HTTP, _HTTPS = 80, 443
_LONGEST_ADDRESS = 253
_LONGEST_IDENTIFIER = 255
# Neither an underscore nor, as the reference has it, a colon: there are no IPv6 addresses here.
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_SEPARATORS = frozenset(":;/\\%")
_SECONDS = re.compile(r"[1-9][0-9]{0,8}")


class Parameter(Enum):
    """The parameters by their keys in the table."""

    INSTANCE = "instanceIdentifier"
    ADDRESS = "centralServerAddress"
    PROVIDER_CLASS = "managementServiceProviderClass"
    PROVIDER_CODE = "managementServiceProviderCode"
    PROVIDER_SUBSYSTEM = "managementServiceProviderSubsystem"
    AUTH_CERT_REG_URL = "authCertRegUrl"
    CONF_EXPIRE = "confExpireIntervalSeconds"
    OCSP_FRESHNESS = "ocspFreshnessSeconds"
    TIMESTAMPING = "timeStampingIntervalSeconds"
    SIGN_DIGEST = "confSignDigestAlgoId"
    HASH = "confHashAlgoUri"
    CERTIFICATE_HASH = "confSignCertHashAlgoUri"
    OWNERS_GROUP = "securityServerOwnersGroup"


_PARAMETER_KEY = ("key", "ha_node_name")
_OF_A_NODE = frozenset({Parameter.ADDRESS})

DEFAULTS: Mapping[Parameter, str] = {
    Parameter.AUTH_CERT_REG_URL: f"https://{_ADDRESS_IN_URL}:{_PORT_IN_URL}/managementservice/",
    Parameter.CONF_EXPIRE: "600",
    Parameter.OCSP_FRESHNESS: "3600",
    Parameter.TIMESTAMPING: "60",
    Parameter.SIGN_DIGEST: "SHA-512",
    Parameter.HASH: DigestAlgorithm.SHA512.uri,
    Parameter.CERTIFICATE_HASH: DigestAlgorithm.SHA512.uri,
    Parameter.OWNERS_GROUP: "security-server-owners",
}
"""What holds where the table says nothing."""


@dataclass(frozen=True, slots=True)
class PublicPorts:
    """The ports that others are told of, the same on every node.

    One that is 0 is not served: for HTTP a web server stands in, on the usual port.
    """

    registration: int = 4001
    management: int = 4002
    configuration_http: int = _HTTP
    configuration_https: int = _HTTPS

    def place(self, address: str, scheme: str = "http") -> str:
        """Where configuration is served at this address: with the port, unless it is the usual."""
        if scheme == "https":
            port, usual = self.configuration_https, _HTTPS
        else:
            port, usual = self.configuration_http, _HTTP
        return address if port in {usual, 0} else f"{address}:{port}"


@dataclass(frozen=True, slots=True)
class Node:
    """Which node of a cluster this is; the only one, where no cluster is configured."""

    name: str = FIRST_NODE
    is_ha: bool = False
    ports: PublicPorts = PublicPorts()


@dataclass(frozen=True, slots=True)
class SystemParameters:
    """The parameters as one node sees them; blank text is what was not set yet.

    `addresses` has the address of each node by its name, this one's included.
    """

    instance: str
    address: str
    addresses: Mapping[str, str]
    provider: ClientId | None
    auth_cert_reg_url: str
    conf_expire_seconds: int
    ocsp_freshness_seconds: int
    timestamping_interval_seconds: int
    sign_digest: DigestAlgorithm
    hash_digest: DigestAlgorithm
    certificate_digest: DigestAlgorithm
    owners_group: str
    ports: PublicPorts

    @property
    def is_set(self) -> bool:
        """Whether the instance and this node have been given names."""
        return bool(self.instance and self.address)

    @property
    def wsdl_address(self) -> str:
        """Where management services are described; blank without an address."""
        return self.address and f"http://{self.ports.place(self.address)}/managementservices.wsdl"

    @property
    def services_address(self) -> str:
        """Where the management service listens to its Security Server; blank without an address."""
        host = f"{self.address}:{self.ports.management}"
        return self.address and f"https://{host}/managementservice/manage/"

    def management(self, certificate: Certificate | None) -> ManagementService | None:
        """What private parameters say of management services; None while nobody provides them.

        `certificate` is the one of this node's registration service.
        """
        if self.provider is None:
            return None
        return ManagementService(self.auth_cert_reg_url, certificate, self.provider)


def default_of(parameter: Parameter, node: Node) -> str:
    """What holds on a node where the table says nothing."""
    return DEFAULTS.get(parameter, "").replace(_PORT_IN_URL, str(node.ports.registration))


async def read_parameters(connection: AsyncConnection, node: Node) -> SystemParameters:
    """The parameters as this node sees them; raises ParameterUnusable."""
    rows = (await connection.execute(select(PARAMETER).order_by(PARAMETER.c.id))).all()
    shared = {row.key: row.value for row in rows if row.ha_node_name == _ALL_NODES}
    addresses = {row.ha_node_name: row.value for row in rows if row.key == Parameter.ADDRESS.value}
    address = addresses.get(node.name, "")
    values = {each: shared.get(each.value) or default_of(each, node) for each in Parameter}
    return SystemParameters(
        instance=values[Parameter.INSTANCE],
        address=address,
        addresses=addresses,
        provider=_provider(values),
        auth_cert_reg_url=values[Parameter.AUTH_CERT_REG_URL].replace(_ADDRESS_IN_URL, address),
        conf_expire_seconds=_seconds(values, Parameter.CONF_EXPIRE),
        ocsp_freshness_seconds=_seconds(values, Parameter.OCSP_FRESHNESS),
        timestamping_interval_seconds=_seconds(values, Parameter.TIMESTAMPING),
        sign_digest=_digest(values, Parameter.SIGN_DIGEST),
        hash_digest=_digest(values, Parameter.HASH),
        certificate_digest=_digest(values, Parameter.CERTIFICATE_HASH),
        owners_group=values[Parameter.OWNERS_GROUP],
        ports=node.ports,
    )


async def set_parameter(
    connection: AsyncConnection, node: Node, parameter: Parameter, value: str
) -> None:
    """Give a parameter its value, for this node alone where it is a node's own."""
    row = _parameter_row(node, parameter, value)
    await put_row(connection, PARAMETER, row, _PARAMETER_KEY)


async def put_missing_parameter(
    connection: AsyncConnection, node: Node, parameter: Parameter, value: str
) -> None:
    """Give a parameter its value unless it has one; of two who race, one does."""
    row = _parameter_row(node, parameter, value)
    missing = _insert(connection, PARAMETER, row)
    await connection.execute(missing.on_conflict_do_nothing(index_elements=_PARAMETER_KEY))


async def put_row(
    connection: AsyncConnection, table: Table, row: Mapping[str, object], key: tuple[str, ...]
) -> None:
    """Add a row or, where its unique key is there already, change that row; nodes may race."""
    changed = {name: value for name, value in row.items() if name not in key}
    put = _insert(connection, table, row)
    await connection.execute(put.on_conflict_do_update(index_elements=key, set_=changed))


def _parameter_row(node: Node, parameter: Parameter, value: str) -> Mapping[str, str]:
    name = node.name if parameter in _OF_A_NODE else _ALL_NODES
    return {"key": parameter.value, "ha_node_name": name, "value": value}


def _insert(
    connection: AsyncConnection, table: Table, row: Mapping[str, object]
) -> postgresql.Insert | sqlite.Insert:
    if connection.dialect.name == "postgresql":
        return postgresql.insert(table).values(row)
    return sqlite.insert(table).values(row)


def check_address(address: str) -> None:
    """Raise InvalidAddress for what is neither a host name nor an IP address."""
    if not _is_address(address):
        raise InvalidAddress(f"{address[:300]!r} is no host name or IP address")


def check_instance(instance: str) -> None:
    """Raise InvalidInstance for what cannot identify an instance.

    Which other characters there may be is a setting of the API.
    """
    has_separators = not _SEPARATORS.isdisjoint(instance) or not instance.isprintable()
    if has_separators or instance.isspace() or not 0 < len(instance) <= _LONGEST_IDENTIFIER:
        raise InvalidInstance(f"{instance[:300]!r} is no instance identifier")


class Anchors(Protocol):
    """What a change of address changes beside it: the sources of the configuration."""

    async def recreate_anchors(self, connection: AsyncConnection) -> None:
        """Make the anchors of the sources that have signing keys anew, in this transaction."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """What the Central Server is, and where."""

    database: Database
    node: Node
    anchors: Anchors
    version: str

    async def parameters(self) -> SystemParameters:
        """The parameters as they stand."""
        async with self.database.reading() as connection:
            return await read_parameters(connection, self.node)

    async def get_instance(self, connection: AsyncConnection) -> str:
        """How this instance is called; raises NotInitialized."""
        parameters = await read_parameters(connection, self.node)
        if not parameters.instance:
            raise NotInitialized("the Central Server is not initialised: it has no instance yet")
        return parameters.instance

    async def identity(self) -> str:
        """Which server a backup is of: the instance, in a cluster with the node; blank at first."""
        parameters = await self.parameters()
        if parameters.instance and self.node.is_ha:
            return f"{parameters.instance}/{self.node.name}"
        return parameters.instance

    async def change_address(self, address: str) -> SystemParameters:
        """Give this node another address; the anchors follow in the same transaction (CI-03)."""
        check_address(address)
        async with self.database.transaction() as connection:
            await set_parameter(connection, self.node, Parameter.ADDRESS, address)
            await self.anchors.recreate_anchors(connection)
            return await read_parameters(connection, self.node)


def _provider(values: Mapping[Parameter, str]) -> ClientId | None:
    member = (values[Parameter.PROVIDER_CLASS], values[Parameter.PROVIDER_CODE])
    if not all(member):
        return None
    try:
        return ClientId(
            values[Parameter.INSTANCE], *member, values[Parameter.PROVIDER_SUBSYSTEM] or None
        )
    except ProtocolError as error:
        raise ParameterUnusable(
            f"the provider of the management services cannot be named: {error.message}"
        ) from None


def _seconds(values: Mapping[Parameter, str], parameter: Parameter) -> int:
    text = values[parameter].strip()
    if not _SECONDS.fullmatch(text):
        raise _unusable(parameter, "is no number of seconds")
    return int(text)


def _digest(values: Mapping[Parameter, str], parameter: Parameter) -> DigestAlgorithm:
    text = values[parameter].strip()
    try:
        found = DigestAlgorithm.from_uri(text) if ":" in text else DigestAlgorithm.from_text(text)
    except ProtocolError:
        raise _unusable(parameter, "names no digest algorithm") from None
    if found is DigestAlgorithm.SHA1:
        raise _unusable(parameter, "is SHA-1, which no longer protects anything")
    return found


def _unusable(parameter: Parameter, why: str) -> ParameterUnusable:
    name = parameter.value
    return ParameterUnusable(f"the system parameter {name} {why}", name)


def _is_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except ValueError:
        labels = text.removesuffix(".").split(".")
        return (
            len(text) <= _LONGEST_ADDRESS
            and all(_LABEL.fullmatch(label) for label in labels)
            and not labels[-1][0].isdigit()
        )
    return True
