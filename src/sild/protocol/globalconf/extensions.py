"""The optional parts of a configuration: monitoring, OCSP fetching and OCSP freshness."""

from dataclasses import dataclass

from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.document import integer_of, is_true, read_document, refusing
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import read_client_id
from sild.protocol.safexml import find_child, get_child


@dataclass(frozen=True, slots=True)
class Extensions:
    """What the optional parts say, or what holds without them.

    The monitoring client may ask all security servers for their metrics.
    """

    monitoring_client: ClientId | None = None
    ocsp_fetch_interval_seconds: int = 1200
    verify_next_update: bool = True


def read_monitoring(data: bytes) -> ClientId | None:
    """The monitoring client that a MONITORING part names, if it does."""
    with refusing(MalformedGlobalConf, "the MONITORING part"):
        root = read_document(data, "conf", "monitoring-conf.xsd")
        client = find_child(get_child(root, "monitoringClient"), "monitoringClientId")
        return None if client is None else read_client_id(client)


def read_fetch_interval(data: bytes) -> int:
    """How often a FETCHINTERVAL part wants OCSP responses to be fetched, in seconds."""
    with refusing(MalformedGlobalConf, "the FETCHINTERVAL part"):
        root = read_document(data, "conf", "ocsp-fetchinterval-conf.xsd")
        return integer_of(root, "ocspFetchInterval")


def read_next_update(data: bytes) -> bool:
    """Whether a NEXTUPDATE part wants the nextUpdate of OCSP responses to be verified."""
    with refusing(MalformedGlobalConf, "the NEXTUPDATE part"):
        root = read_document(data, "conf", "ocsp-nextupdate-conf.xsd")
        return is_true(root, "verifyNextUpdate")
