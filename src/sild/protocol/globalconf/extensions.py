"""The optional parts of a configuration: monitoring, OCSP fetching and OCSP freshness."""

from dataclasses import dataclass

from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.document import (
    integer_of,
    is_true,
    new_document,
    read_document,
    refusing,
    write_document,
)
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import read_client_id, write_identifier
from sild.protocol.safexml import find_child, get_child, sub_element

_MONITORING = "monitoring-conf.xsd"
_FETCH_INTERVAL = "ocsp-fetchinterval-conf.xsd"
_NEXT_UPDATE = "ocsp-nextupdate-conf.xsd"


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
        root = read_document(data, "conf", _MONITORING)
        client = find_child(get_child(root, "monitoringClient"), "monitoringClientId")
        return None if client is None else read_client_id(client)


def read_fetch_interval(data: bytes) -> int:
    """How often a FETCHINTERVAL part wants OCSP responses to be fetched, in seconds."""
    with refusing(MalformedGlobalConf, "the FETCHINTERVAL part"):
        root = read_document(data, "conf", _FETCH_INTERVAL)
        return integer_of(root, "ocspFetchInterval")


def read_next_update(data: bytes) -> bool:
    """Whether a NEXTUPDATE part wants the nextUpdate of OCSP responses to be verified."""
    with refusing(MalformedGlobalConf, "the NEXTUPDATE part"):
        root = read_document(data, "conf", _NEXT_UPDATE)
        return is_true(root, "verifyNextUpdate")


def write_monitoring(client: ClientId | None) -> bytes:
    """A MONITORING part that names the monitoring client, or nobody."""
    with refusing(MalformedGlobalConf, "the MONITORING part"):
        root = new_document("conf")
        holder = sub_element(root, "monitoringClient")
        if client is not None:
            write_identifier(holder, "monitoringClientId", client)
        return write_document(root, _MONITORING)


def write_fetch_interval(seconds: int) -> bytes:
    """A FETCHINTERVAL part: how often OCSP responses are to be fetched."""
    document = _write_value("FETCHINTERVAL", "ocspFetchInterval", str(seconds), _FETCH_INTERVAL)
    # The schema allows any integer, readers do not.
    read_fetch_interval(document)
    return document


def write_next_update(verify: bool) -> bytes:
    """A NEXTUPDATE part: whether the nextUpdate of OCSP responses is to be verified."""
    text = "true" if verify else "false"
    return _write_value("NEXTUPDATE", "verifyNextUpdate", text, _NEXT_UPDATE)


def _write_value(part: str, name: str, text: str, schema: str) -> bytes:
    with refusing(MalformedGlobalConf, f"the {part} part"):
        root = new_document("conf")
        sub_element(root, name, text)
        return write_document(root, schema)
