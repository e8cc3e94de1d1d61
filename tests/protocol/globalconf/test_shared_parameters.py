import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import TestCa
from protocol.globalconf.publisher import sample_shared, signing_key
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.shared_parameters import (
    AcmeServer,
    CaEntry,
    CertificationService,
    ConfigurationSource,
    CostType,
    CsrFormat,
    GlobalGroup,
    Member,
    OcspResponderEntry,
    SecurityServer,
    Subsystem,
    TimestampingService,
    read_shared_parameters,
)
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

CA = TestCa.create("Full CA")
BELOW = TestCa.create("Below", parent=CA)
M1 = ClientId("DEV", "GOV", "M1")
SOURCE = ConfigurationSource("cs", (signing_key().certificate,), (signing_key().certificate,))
SMALL = sample_shared(sources=(SOURCE,))
FULL = replace(
    SMALL,
    sources=(SOURCE, ConfigurationSource("cs2")),
    certification_services=(
        CertificationService(
            name="Full",
            profile="ee.ria.Profile",
            top=CaEntry(
                CA.certificate,
                (
                    OcspResponderEntry("http://a/", CA.certificate, CostType.PAID),
                    OcspResponderEntry("http://b/", None, CostType.UNDEFINED),
                ),
            ),
            intermediates=(CaEntry(BELOW.certificate),),
            authentication_only=True,
            csr_format=CsrFormat.DER,
            acme=AcmeServer("http://acme/", "10.0.0.1,10.0.0.2", "5", "6"),
        ),
        CertificationService("Spare", "p", CaEntry(BELOW.certificate), acme=AcmeServer("http://x")),
    ),
    timestamping_services=(TimestampingService("T", "http://tsa/", CA.certificate, CostType.FREE),),
    servers=(
        *SMALL.servers,
        SecurityServer(SecurityServerId(M1, "SS3"), maintenance=""),
        SecurityServer(
            SecurityServerId(M1, "SS4"),
            "x",
            (b"1", b"2"),
            (ClientId("DEV", "COM", "M2"), ClientId("DEV", "COM", "M2", "S2")),
            maintenance="Back at <8>",
        ),
    ),
    groups=(
        *SMALL.groups,
        GlobalGroup(GlobalGroupId("DEV", "empty"), "Nobody"),
        GlobalGroup(GlobalGroupId("DEV", "mixed"), "", (ClientId("EE", "COM", "9", "far"), M1)),
    ),
    ocsp_freshness_seconds=1,
)


# Version 2 knows certificates by another hash; the model says the same hashes in all of them.
SAME = {digest: digest for server in FULL.servers for digest in server.auth_cert_hashes}


def of_version(version):
    """A document that fits the version's schema."""
    return write_shared_parameters(SMALL, version, SAME).decode()


@pytest.mark.parametrize("shared", [SMALL, FULL])
def test_what_is_written_is_read_back(shared):
    assert read_shared_parameters(write_shared_parameters(shared), 6) == shared


def as_said_in(version, shared):
    """What remains of the model where it is told in a version."""
    cas, servers = shared.certification_services, shared.servers
    members, tsas, sources = shared.members, shared.timestamping_services, shared.sources
    if version < 6:
        tsas = tuple(replace(tsa, cost=None) for tsa in tsas)
        cas = tuple(replace(ca, csr_format=None, top=free_of_costs(ca.top)) for ca in cas)
    if version < 5:
        members = tuple(
            replace(each, subsystems=tuple(replace(s, name=None) for s in each.subsystems))
            for each in members
        )
        servers = tuple(
            replace(
                each,
                maintenance=None,
                clients=each.clients
                if each.maintenance is None
                else tuple(c for c in each.clients if not c.is_subsystem),
            )
            for each in servers
        )
    if version < 4:
        cas = tuple(
            replace(ca, acme=ca.acme and AcmeServer(ca.acme.directory_url, ca.acme.ip_addresses))
            for ca in cas
        )
    if version < 3:
        sources, cas = (), tuple(replace(ca, acme=None) for ca in cas)
    return replace(
        shared,
        sources=sources,
        certification_services=cas,
        timestamping_services=tsas,
        members=members,
        servers=servers,
    )


def free_of_costs(ca):
    return replace(ca, responders=tuple(replace(each, cost=None) for each in ca.responders))


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("shared", [SMALL, FULL])
def test_a_version_says_all_that_it_can_say(version, shared):
    document = write_shared_parameters(shared, version, SAME)
    assert read_shared_parameters(document, version) == as_said_in(version, shared)


def test_version_2_has_the_sha1_of_certificates():
    short = {digest: digest[:20] for digest in SAME}
    shared = read_shared_parameters(write_shared_parameters(SMALL, 2, short), 2)
    assert shared.servers[0].auth_cert_hashes == (b"\1" * 20,)
    shared = read_shared_parameters(write_shared_parameters(SMALL, 3, short), 3)
    assert shared.servers[0].auth_cert_hashes == (b"\1" * 32,)


def test_version_2_is_not_written_without_the_sha1_of_every_certificate():
    with pytest.raises(MalformedGlobalConf, match="SHA-1"):
        write_shared_parameters(SMALL, 2)


@pytest.mark.parametrize("version", [1, 7])
def test_no_other_version_is_written(version):
    with pytest.raises(MalformedGlobalConf):
        write_shared_parameters(SMALL, version)


@pytest.mark.parametrize("version", [2, 3, 4])
def test_before_maintenance_can_be_said_nobody_is_led_to_a_server_in_maintenance(version):
    member, subsystem = SMALL.members[1].id, SMALL.members[0].subsystems[0].id
    broken = replace(SMALL.servers[0], maintenance="Today", clients=(member, subsystem))
    shared = replace(SMALL, servers=(broken,))
    written = read_shared_parameters(write_shared_parameters(shared, version, SAME), version)
    assert written.servers[0].clients == (member,)
    written = read_shared_parameters(write_shared_parameters(shared, 5, SAME), 5)
    assert written.servers[0].clients == (member, subsystem)


def test_text_is_told_as_it_is():
    name = "A & B <Ltd> ]]> \"quoted\" 'so'\r\n\tÄ \U0001f600"
    shared = replace(SMALL, members=(replace(SMALL.members[0], name=name), SMALL.members[1]))
    assert read_shared_parameters(write_shared_parameters(shared), 6).members[0].name == name


texts = st.text(
    st.characters(blacklist_categories=["Cs", "Cc", "Cn", "Zs", "Zl", "Zp"], min_codepoint=33),
    min_size=1,
    max_size=8,
)


@given(st.lists(st.tuples(texts, texts, texts), max_size=4, unique_by=lambda t: t[:2]))
def test_members_of_any_name_are_read_back(members):
    listed = tuple(
        Member(client := ClientId("DEV", a, b), c, "", (Subsystem(client.subsystem(c), b),))
        for a, b, c in members
    )
    shared = replace(SMALL, members=(*SMALL.members, *listed))
    assert read_shared_parameters(write_shared_parameters(shared), 6) == shared


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_every_version_is_read_to_one_model(version):
    shared = read_shared_parameters(of_version(version).encode(), version)
    assert [member.id for member in shared.members] == [member.id for member in SMALL.members]
    assert shared.servers == SMALL.servers
    assert shared.certification_services == SMALL.certification_services
    assert bool(shared.sources) is (version > 2)
    assert shared.members[0].subsystems[0].name == ("Sub 1" if version > 4 else None)


@pytest.mark.parametrize(
    ("version", "old", "new"),
    [
        (2, "<approvedCA>", "<source><address>cs</address></source><approvedCA>"),
        (2, "</globalSettings>", "</globalSettings><more/>"),
        (
            2,
            "</approvedCA>",
            "<acmeServer><directoryURL>x</directoryURL></acmeServer></approvedCA>",
        ),
        (
            3,
            "</approvedCA>",
            "<acmeServer><directoryURL>x</directoryURL><signingCertificateProfileId>5</signingCertificateProfileId></acmeServer></approvedCA>",
        ),
        (4, "</subsystemCode>", "</subsystemCode><subsystemName>x</subsystemName>"),
        (4, "</securityServer>", "<inMaintenanceMode/></securityServer>"),
        (5, "</approvedTSA>", "<costType>FREE</costType></approvedTSA>"),
        (
            5,
            "</certificateProfileInfo>",
            "</certificateProfileInfo><defaultCsrFormat>PEM</defaultCsrFormat>",
        ),
        (6, "</approvedTSA>", "<costType>CHEAP</costType></approvedTSA>"),
    ],
)
def test_what_a_version_cannot_say_is_refused_in_it(version, old, new):
    document = of_version(version)
    read_shared_parameters(document.encode(), version)
    with pytest.raises(MalformedGlobalConf):
        read_shared_parameters(document.replace(old, new, 1).encode(), version)


def test_extensions_of_later_versions_are_passed_over():
    document = of_version(6).replace("</globalSettings>", "</globalSettings><more x='1'>y</more>")
    assert read_shared_parameters(document.encode(), 6) == SMALL


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<owner>id0</owner>", "<owner>id9</owner>"),
        ("<owner>id0</owner>", "<owner>id1</owner>"),
        ("<client>id1</client>", "<client>id77</client>"),
        ('subsystem id="id1"', 'subsystem id="id0"'),
        ("<memberCode>M1<", "<memberCode> <"),
        ("<serverCode>SS1<", "<serverCode><"),
        (">3600<", ">0<"),
        (">3600<", ">-1<"),
        (">3600<", ">" + "9" * 5000 + "<"),
        (">3600<", "> <"),
        ("<cert>MII", "<cert>AAA"),
        ("<cert>MII", "<cert>M"),
        ("<authCertHash>AQ", "<authCertHash>A"),
        ("<xroad:conf", "<!DOCTYPE conf><xroad:conf"),
        ("xroad:conf", "xroad:other"),
        ('objectType="MEMBER"', 'objectType="SERVER"'),
        ("<id:memberCode>M1</id:memberCode>", "<id:memberCode></id:memberCode>"),
    ],
)
def test_a_document_against_the_rules_is_refused(old, new):
    document = of_version(6)
    assert old in document
    with pytest.raises(MalformedGlobalConf):
        read_shared_parameters(document.replace(old, new).encode(), 6)


def test_a_group_member_that_is_ambiguous_stands_for_nobody():
    document = of_version(6)
    subsystem = "<id:memberCode>M1</id:memberCode><id:subsystemCode>S1</id:subsystemCode>"
    ambiguous = document.replace("<id:memberCode>M1</id:memberCode>", subsystem)
    assert ambiguous != document
    (group,) = read_shared_parameters(ambiguous.encode(), 6).groups
    assert group.members == SMALL.groups[0].members[1:]


def test_a_version_that_is_not_supported_is_refused():
    with pytest.raises(MalformedGlobalConf):
        read_shared_parameters(of_version(6).encode(), 7)


def test_certificates_are_published_as_der_and_as_pem():
    document = write_shared_parameters(SMALL)
    certificate = SMALL.certification_services[0].top.certificate
    der = base64.b64encode(certificate.der)
    lines = b"\n".join(der[start : start + 64] for start in range(0, len(der), 64))
    pem = b"-----BEGIN CERTIFICATE-----\n" + lines + b"\n-----END CERTIFICATE-----\n"
    assert der in document
    assert read_shared_parameters(document.replace(der, base64.b64encode(pem)), 6) == SMALL


@pytest.mark.parametrize(
    "shared",
    [
        replace(SMALL, sources=()),
        replace(SMALL, instance="OTHER"),
        replace(SMALL, members=SMALL.members * 2),
        replace(SMALL, members=()),
        replace(SMALL, groups=(GlobalGroup(GlobalGroupId("EE", "x"), ""),)),
        replace(SMALL, members=(*SMALL.members, Member(ClientId("DEV", "GOV", "M\x00"), "x"))),
        replace(
            SMALL,
            members=(replace(SMALL.members[0], subsystems=SMALL.members[1].subsystems),),
        ),
    ],
)
def test_what_nobody_could_read_is_not_written(shared):
    with pytest.raises(MalformedGlobalConf):
        write_shared_parameters(shared)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(MalformedGlobalConf):
        read_shared_parameters(data, 6)
