"""Private parameters: what an instance tells its own security servers only."""

from dataclasses import dataclass

from sild.protocol.errors import InvalidXml, MalformedGlobalConf
from sild.protocol.globalconf.anchor import Anchor, add_anchor, read_anchor_element
from sild.protocol.globalconf.document import (
    add_base64,
    certificate_of,
    integer_of,
    new_document,
    read_document,
    refusing,
    write_document,
)
from sild.protocol.ids import ClientId
from sild.protocol.idsxml import read_client_id, write_identifier
from sild.protocol.pki.certificate import Certificate
from sild.protocol.safexml import child_text, children, find_child, get_child, sub_element

# Versions 3 to 6 share one schema.
_SCHEMAS = {
    2: "globalconf/v2/private-parameters.xsd",
    **dict.fromkeys((3, 4, 5, 6), "globalconf/v3/private-parameters.xsd"),
}
_LATEST_VERSION = 6


@dataclass(frozen=True, slots=True)
class ManagementService:
    """Where management requests go, and the TLS certificate of the registration service there."""

    address: str
    certificate: Certificate | None
    provider: ClientId


@dataclass(frozen=True, slots=True)
class PrivateParameters:
    """The private parameters of one instance; anchors lead to other instances."""

    instance: str
    management: ManagementService
    timestamping_interval_seconds: int
    anchors: tuple[Anchor, ...] = ()


def read_private_parameters(data: bytes, version: int) -> PrivateParameters:
    """The private parameters in a document of this version; raises MalformedGlobalConf."""
    with refusing(MalformedGlobalConf, "the private parameters"):
        if version not in _SCHEMAS:
            raise InvalidXml(f"version {version} is not supported")
        root = read_document(data, "conf", _SCHEMAS[version])
        management = get_child(root, "managementService")
        certificate = find_child(management, "authCertRegServiceCert")
        return PrivateParameters(
            instance=child_text(root, "instanceIdentifier"),
            management=ManagementService(
                address=child_text(management, "authCertRegServiceAddress"),
                certificate=None if certificate is None else certificate_of(certificate),
                provider=read_client_id(
                    get_child(management, "managementRequestServiceProviderId")
                ),
            ),
            timestamping_interval_seconds=integer_of(root, "timeStampingIntervalSeconds"),
            anchors=tuple(
                read_anchor_element(anchor) for anchor in children(root, "configurationAnchor")
            ),
        )


def write_private_parameters(
    parameters: PrivateParameters, version: int = _LATEST_VERSION
) -> bytes:
    """The private parameters as a document of a version; raises MalformedGlobalConf.

    All versions say the same.
    """
    with refusing(MalformedGlobalConf, "the private parameters"):
        if version not in _SCHEMAS:
            raise InvalidXml(f"version {version} is not supported")
        root = new_document("conf")
        sub_element(root, "instanceIdentifier", parameters.instance)
        for anchor in parameters.anchors:
            add_anchor(sub_element(root, "configurationAnchor"), anchor)
        management = sub_element(root, "managementService")
        sub_element(management, "authCertRegServiceAddress", parameters.management.address)
        if (certificate := parameters.management.certificate) is not None:
            add_base64(management, "authCertRegServiceCert", certificate.der)
        write_identifier(
            management, "managementRequestServiceProviderId", parameters.management.provider
        )
        interval = str(parameters.timestamping_interval_seconds)
        sub_element(root, "timeStampingIntervalSeconds", interval)
        return write_document(root, _SCHEMAS[version])
