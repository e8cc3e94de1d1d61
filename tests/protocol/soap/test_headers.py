"""The header block: what it says, and each rule that refuses one."""

import pytest

from protocol.soap.envelopes import (
    CLIENT,
    MEMBER,
    REPRESENTATION,
    SERVICE,
    TOKEN,
    TYPE,
    fields,
    identifier,
    message,
)
from sild.protocol.errors import (
    DuplicateHeaderField,
    InvalidIdentifier,
    InvalidProtocolVersion,
    InvalidXml,
    MissingHeaderField,
)
from sild.protocol.ids import ClientId, RepresentedParty, SecurityServerId, ServiceId
from sild.protocol.soap.headers import SoapHeader
from sild.protocol.soap.message import read_soap

MINISTRY = ClientId("EE", "GOV", "1")
PORTAL = MINISTRY.subsystem("portal")
GET = ServiceId(ClientId("EE", "GOV", "2", "db"), "get")
SERVER = identifier("securityServer", "SERVER", **MEMBER, serverCode="ss1")


def header(**changed):
    return read_soap(message(fields(**changed)), TYPE).header


def party(inner):
    return f'<r:representedParty xmlns:r="{REPRESENTATION}">{inner}</r:representedParty>'


def test_a_header_says_all_of_this():
    assert header(
        securityServer=SERVER,
        representedParty=party("<r:partyClass>COM</r:partyClass><r:partyCode>9</r:partyCode>"),
        requestHash='<x:requestHash algorithmId="urn:x">aGFzaA==</x:requestHash>',
        token=f'<t:securityToken xmlns:t="{TOKEN}" tokenType="urn:jwt">a.b.c</t:securityToken>',
    ) == SoapHeader(
        client=PORTAL,
        service=GET,
        message_id="message-1",
        protocol_version="4.0",
        user_id="EE1",
        issue="42",
        security_server=SecurityServerId(MINISTRY, "ss1"),
        represented_party=RepresentedParty("COM", "9"),
        request_hash="aGFzaA==",
        has_security_token=True,
    )


def test_what_is_not_said_is_absent():
    said = header(userId=None, issue=None)
    assert said == SoapHeader(PORTAL, GET, "message-1", "4.0")


def test_empty_is_not_absent_and_nothing_is_trimmed():
    said = header(userId="<x:userId/>", issue="<x:issue> \n4 </x:issue>", id="<x:id></x:id>")
    assert (said.user_id, said.issue, said.message_id) == ("", " \n4 ", "")


def test_fields_come_in_any_order_and_among_others():
    other = '<w:Security xmlns:w="urn:w" s:mustUnderstand="1"><x:id>other</x:id></w:Security>'
    shuffled = [
        "<!-- <x:id>comment</x:id> -->", other, "<?x id?>", "<x:unknown/>", "<x:id>1</x:id>",
        "<id>unqualified</id>", SERVICE, "<x:protocolVersion>4.7</x:protocolVersion>", CLIENT,
    ]  # fmt: skip
    said = read_soap(message("\n".join(shuffled)), TYPE).header
    assert said == SoapHeader(PORTAL, GET, "1", "4.7")


def test_comments_cdata_and_references_are_part_of_a_value_as_xml_has_it():
    said = header(
        userId="<x:userId>a<!-- b -->c<![CDATA[<d>]]>&amp;<?e?>&#233;</x:userId>",
        client=CLIENT.replace("portal", "po<!-- ; -->rt<![CDATA[al]]>"),
    )
    assert said.user_id == "ac<d>&é"
    assert said.client == PORTAL


def test_default_namespaces_are_namespaces():
    client = CLIENT.replace("x:client", "client").replace("<id:", "<").replace("</id:", "</")
    client = client.replace("<client ", '<x:client xmlns="http://x-road.eu/xsd/identifiers" ')
    client = client.replace("</client>", "</x:client>")
    user = '<userId xmlns="http://x-road.eu/xsd/xroad.xsd">u</userId>'
    said = header(client=client, userId=user)
    assert (said.client, said.user_id) == (PORTAL, "u")


@pytest.mark.parametrize("kind", ["MEMBER", "SUBSYSTEM"])
def test_a_subsystem_code_makes_a_subsystem_whatever_the_type_says(kind):
    assert header(client=CLIENT.replace("SUBSYSTEM", kind)).client == PORTAL
    assert header(client=identifier("client", kind, **MEMBER)).client == MINISTRY


@pytest.mark.parametrize("version", ["v1", "", " "])
def test_a_service_has_a_version_or_none_and_a_blank_one_is_one(version):
    service = SERVICE.replace("</x:s", f"<id:serviceVersion>{version}</id:serviceVersion></x:s")
    assert header(service=service).service == ServiceId(GET.provider, "get", version)


def test_a_represented_party_needs_no_class():
    said = header(representedParty=party("<r:partyCode>9</r:partyCode>"))
    assert said.represented_party == RepresentedParty(None, "9")
    with pytest.raises(MissingHeaderField):
        header(representedParty=party("<r:partyClass>COM</r:partyClass>"))


@pytest.mark.parametrize("name", ["client", "service", "id", "protocolVersion"])
def test_a_mandatory_field_that_is_missing_is_named(name):
    with pytest.raises(MissingHeaderField, match=rf"no {name}\Z"):
        header(**{name: None})


def test_of_several_missing_fields_the_first_is_named_as_peers_do():
    for missing in (["protocolVersion", "client", "id", "service"],):
        for count in range(4):
            with pytest.raises(MissingHeaderField, match=rf"no {missing[count]}\Z"):
                header(**dict.fromkeys(missing[count:]))


@pytest.mark.parametrize(
    "field",
    [
        CLIENT, SERVICE, "<x:userId/>", "<x:id/>", "<x:issue/>", "<x:requestHash/>", SERVER,
        "<x:protocolVersion>4.0</x:protocolVersion>", party("<r:partyCode>9</r:partyCode>"),
    ],
)  # fmt: skip
def test_a_field_may_be_said_once(field):
    with pytest.raises(DuplicateHeaderField) as raised:
        read_soap(message(fields() + field + field), TYPE)
    assert raised.value.code == "duplicate_header_field"


@pytest.mark.parametrize(
    ("name", "field", "part"),
    [
        ("client", CLIENT, "<id:memberCode>1</id:memberCode>"),
        ("service", SERVICE, "<id:serviceCode>get</id:serviceCode>"),
        ("securityServer", SERVER, "<id:serverCode>ss1</id:serverCode>"),
        (
            "representedParty",
            party("<r:partyCode>9</r:partyCode>"),
            "<r:partyCode>9</r:partyCode>",
        ),
    ],
)
def test_a_part_of_a_field_may_be_said_once(name, field, part):
    assert part in field
    with pytest.raises(DuplicateHeaderField):
        header(**{name: field.replace(part, part + part)})


@pytest.mark.parametrize("version", ["", "4", "3.5", "xxx", " 4.0", "40", "5.4.0"])
def test_other_major_versions_of_the_protocol_are_refused(version):
    with pytest.raises(InvalidProtocolVersion) as raised:
        header(protocolVersion=f"<x:protocolVersion>{version}</x:protocolVersion>")
    assert raised.value.code == "invalid_protocol_version"


@pytest.mark.parametrize("kind", ["SERVICE", "SERVER", "GLOBALGROUP", "LOCALGROUP", "", "member"])
def test_an_object_type_that_is_none_or_of_another_field_is_refused(kind):
    with pytest.raises(InvalidXml) as raised:
        header(client=CLIENT.replace("SUBSYSTEM", kind))
    assert raised.value.code == "invalid_xml"
    if kind != "SERVICE":
        with pytest.raises(InvalidXml):
            header(service=SERVICE.replace('"SERVICE"', f'"{kind}"'))
    if kind != "SERVER":
        with pytest.raises(InvalidXml):
            header(securityServer=SERVER.replace('"SERVER"', f'"{kind}"'))


def test_an_object_type_must_be_in_its_namespace():
    for field in ("", 'objectType="SUBSYSTEM"', 'x:objectType="SUBSYSTEM"'):
        with pytest.raises(InvalidXml):
            header(client=CLIENT.replace('id:objectType="SUBSYSTEM"', field))


@pytest.mark.parametrize(
    ("name", "field"), [("client", CLIENT), ("service", SERVICE), ("securityServer", SERVER)]
)
@pytest.mark.parametrize("blank", ["", " ", "\n", None])
def test_a_part_that_is_missing_or_blank_is_refused_as_peers_answer_it(name, field, blank):
    for part in ("xRoadInstance", "memberClass", "memberCode", "subsystemCode", "serviceCode", "serverCode"):  # fmt: skip
        start, found, rest = field.partition(f"<id:{part}>")
        if not found or (blank is None and part == "subsystemCode"):
            continue
        _, end, rest = rest.partition(f"</id:{part}>")
        changed = "" if blank is None else f"{found}{blank}{end}"
        with pytest.raises(InvalidIdentifier) as raised:
            header(**{name: start + changed + rest})
        assert raised.value.code == "internal_error"


def test_elements_where_text_belongs_are_refused():
    include = '<i:Include xmlns:i="http://www.w3.org/2004/08/xop/include" href="cid:a"/>'
    for name, field in {
        "userId": f"<x:userId>{include}</x:userId>",
        "client": CLIENT.replace("portal", f"portal{include}"),
    }.items():
        with pytest.raises(InvalidXml):
            header(**{name: field})
