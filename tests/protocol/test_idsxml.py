import pytest
from hypothesis import given
from hypothesis import strategies as st

from sild.protocol.errors import InvalidClientIdentifier, InvalidIdentifier, InvalidXml
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId
from sild.protocol.idsxml import (
    NAMESPACE,
    read_client_id,
    read_group_id,
    read_header_client_id,
    read_identifier,
    read_security_server_id,
    read_service_id,
    read_subject_id,
    write_identifier,
)
from sild.protocol.safexml import element, read_xml, write_xml

MEMBER = ClientId("EE", "GOV", "1")
PARTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1).filter(
    lambda text: not text.isspace() and "\ufffe" not in text and "\uffff" not in text
)
MEMBERS = st.builds(ClientId, PARTS, PARTS, PARTS)
CLIENTS = st.one_of(MEMBERS, st.builds(ClientId, PARTS, PARTS, PARTS, PARTS))
IDENTIFIERS = st.one_of(
    CLIENTS,
    st.builds(ServiceId, CLIENTS, PARTS, st.none() | PARTS),
    st.builds(SecurityServerId, MEMBERS, PARTS),
    st.builds(GlobalGroupId, PARTS, PARTS),
    st.builds(LocalGroupId, PARTS),
)


def xml(object_type, **parts):
    inner = "".join(f"<id:{name}>{text}</id:{name}>" for name, text in parts.items())
    kind = f' id:objectType="{object_type}"' if object_type else ""
    return read_xml(f'<x xmlns:id="{NAMESPACE}"{kind}>{inner}</x>'.encode())


@given(IDENTIFIERS)
def test_what_is_written_is_read_back(identifier):
    root = element("root", namespaces={"id": NAMESPACE})
    write_identifier(root, "{urn:x}some", identifier)
    read = read_xml(write_xml(root))[0]
    assert read_identifier(read) == identifier


def test_parts_stand_in_the_order_of_the_schema():
    root = element("r", namespaces={"id": NAMESPACE})
    service = ServiceId(MEMBER.subsystem("sub"), "get", "v1")
    written = write_identifier(root, "service", service)
    assert [child.tag.rpartition("}")[2] for child in written] == [
        "xRoadInstance",
        "memberClass",
        "memberCode",
        "subsystemCode",
        "serviceCode",
        "serviceVersion",
    ]
    assert b'<service id:objectType="SERVICE"><id:xRoadInstance>EE<' in write_xml(root)


PARTS_OF_MEMBER = {"xRoadInstance": "EE", "memberClass": "GOV", "memberCode": "1"}


@pytest.mark.parametrize("object_type", [None, "", "member", "CENTRALSERVICE"])
def test_a_missing_or_unknown_object_type_is_refused(object_type):
    with pytest.raises(InvalidXml, match="object type"):
        read_client_id(xml(object_type, **PARTS_OF_MEMBER))


@pytest.mark.parametrize(
    ("read", "object_type"),
    [
        (read_client_id, "SERVICE"),
        (read_service_id, "SUBSYSTEM"),
        (read_security_server_id, "MEMBER"),
        (read_group_id, "SERVER"),
        (read_header_client_id, "GLOBALGROUP"),
        (read_subject_id, "SERVER"),
    ],
)
def test_an_identifier_of_another_type_is_refused(read, object_type):
    parts = PARTS_OF_MEMBER | {"groupCode": "g", "serviceCode": "s", "serverCode": "c"}
    with pytest.raises(InvalidXml):
        read(xml(object_type, **parts))


def test_the_object_type_of_a_client_must_agree_with_its_parts():
    with pytest.raises(InvalidClientIdentifier):
        read_client_id(xml("SUBSYSTEM", **PARTS_OF_MEMBER))
    with pytest.raises(InvalidClientIdentifier):
        read_client_id(xml("MEMBER", **PARTS_OF_MEMBER, subsystemCode="s"))


def test_in_a_message_header_only_the_subsystem_code_decides():
    assert read_header_client_id(xml("SUBSYSTEM", **PARTS_OF_MEMBER)) == MEMBER
    subsystem = xml("MEMBER", **PARTS_OF_MEMBER, subsystemCode="s")
    assert read_header_client_id(subsystem) == MEMBER.subsystem("s")


def test_a_missing_part_is_refused():
    for missing in PARTS_OF_MEMBER:
        parts = {name: text for name, text in PARTS_OF_MEMBER.items() if name != missing}
        with pytest.raises(InvalidXml, match=missing):
            read_client_id(xml("MEMBER", **parts))


def test_a_blank_part_is_refused():
    for blank in PARTS_OF_MEMBER:
        with pytest.raises(InvalidIdentifier):
            read_client_id(xml("MEMBER", **PARTS_OF_MEMBER | {blank: " "}))
    with pytest.raises(InvalidIdentifier):
        read_client_id(xml("SUBSYSTEM", **PARTS_OF_MEMBER, subsystemCode=""))


def test_a_repeated_part_is_refused():
    member = xml("MEMBER", **PARTS_OF_MEMBER)
    member.append(xml("MEMBER", memberCode="2")[0])
    with pytest.raises(InvalidXml, match="more than one memberCode"):
        read_client_id(member)


def test_values_are_not_trimmed():
    assert read_client_id(xml("MEMBER", **PARTS_OF_MEMBER | {"memberCode": " 1 "})).member_code == (
        " 1 "
    )


def test_parts_of_another_namespace_do_not_count():
    data = '<x xmlns:id="{}" id:objectType="LOCALGROUP"><groupCode>g</groupCode></x>'
    with pytest.raises(InvalidXml, match="has no groupCode"):
        read_group_id(read_xml(data.format(NAMESPACE).encode()))


def test_a_blank_service_version_is_not_an_absent_one():
    parts = PARTS_OF_MEMBER | {"serviceCode": "s"}
    assert read_service_id(xml("SERVICE", **parts)).service_version is None
    assert read_service_id(xml("SERVICE", **parts, serviceVersion="")).service_version == ""
