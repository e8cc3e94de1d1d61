from dataclasses import replace

import pytest

from scripted.declarations import declaration_of
from sild.devnet.declared import authorities_settings, request_fields
from sild.devnet.errors import DevnetError
from sild.devnet.faults import Broken, FaultyOcsp, OcspFault
from sild.devnet.providers import PHOTO_PATH
from sild.devnet.topology import (
    DEMO,
    HEALTH,
    HEALTH_REGISTER,
    HEALTH_SERVER,
    LAPSED,
    LAPSED_SHOP,
    OPERATOR,
    POLICE,
    POLICE_PORTAL,
    POLICE_REGISTER,
    POLICE_SERVER,
    REGISTRARS,
    TAX_REGISTER,
    TAX_SERVER,
    CertificateProfile,
    Grant,
    PlannedMember,
    PlannedServer,
    PlannedService,
    PlannedSubsystem,
)
from sild.model.access import AccessRules, Call
from sild.model.services import AccessRight, Endpoint, LocalGroup, ServiceType
from sild.model.tokens import KeyAlgorithm, KeyUsage
from sild.protocol.errors import AccessDenied
from sild.protocol.ids import ClientId, GlobalGroupId, LocalGroupId, SecurityServerId, ServiceId

URLS = {name: f"http://127.0.0.1/{name}" for name in ("police", "health-insurance", "tax-board")}


@pytest.fixture(scope="module")
def access():
    """The access decisions of the whole demo."""
    services = list(DEMO.services)
    endpoints = {Endpoint(each.provider, each.service_code) for each, _ in services}
    rights = {
        AccessRight(
            Endpoint(each.provider, each.service_code, grant.method, grant.path), grant.subject
        )
        for each, service in services
        for grant in service.grants
    }
    groups = [
        LocalGroup(subsystem.id, group.code, frozenset(group.members))
        for subsystem in DEMO.subsystems
        for group in subsystem.groups
    ]
    endpoints |= {right.endpoint for right in rights}
    return AccessRules(tuple(endpoints), tuple(rights), tuple(groups))


@pytest.mark.parametrize(
    ("caller", "provider", "service", "allowed"),
    [
        (POLICE_PORTAL, HEALTH_REGISTER, "insurance", True),
        (POLICE_PORTAL, TAX_REGISTER, "income", True),
        (POLICE_PORTAL, HEALTH_REGISTER, "exercises", True),
        (TAX_REGISTER, HEALTH_REGISTER, "insurance", True),
        (TAX_REGISTER, POLICE_REGISTER, "licences", True),
        (LAPSED_SHOP, HEALTH_REGISTER, "insurance", True),
        (HEALTH_REGISTER, TAX_REGISTER, "income", False),
        (HEALTH_REGISTER, TAX_REGISTER, "debt", False),
        (POLICE_PORTAL, TAX_REGISTER, "debt", False),
        (LAPSED_SHOP, TAX_REGISTER, "income", False),
    ],
)
def test_the_demo_grants_what_its_story_needs(access, caller, provider, service, allowed):
    groups = frozenset(group.id for group in DEMO.groups if caller in group.members)
    call = Call(ServiceId(provider, service), "GET", "/99001010011")
    if allowed:
        access.check_access(caller, groups, call)
    else:
        with pytest.raises(AccessDenied):
            access.check_access(caller, groups, call)


def test_every_server_has_an_address_of_its_own():
    assert len(set(DEMO.addresses)) == len(DEMO.servers) + 1 == 4
    assert all(address.startswith("127.0.0.") for address in DEMO.addresses)


def test_the_member_whose_certificate_is_revoked_signs_on_a_server():
    assert DEMO.broken.revoked_signing == (LAPSED,)
    (server,) = DEMO.servers_of(LAPSED_SHOP)
    assert server.signers == (POLICE, LAPSED)
    assert DEMO.get_server(server.id) is server


def test_the_demo_signs_with_both_kinds_of_keys():
    assert {server.signing_key for server in DEMO.servers} == {
        KeyAlgorithm.EC_P256,
        KeyAlgorithm.RSA_2048,
    }


def test_what_is_not_in_the_topology_is_not_found():
    for get, absent in (
        (DEMO.get_member, ClientId("DEV", "GOV", "none")),
        (DEMO.get_subsystem, HEALTH.subsystem("none")),
        (DEMO.get_server, SecurityServerId(HEALTH, "none")),
    ):
        with pytest.raises(DevnetError, match="not in the topology"):
            get(absent)


def with_service(service):
    own = replace(DEMO.get_subsystem(TAX_REGISTER), services=(service,))
    members = tuple(
        replace(member, subsystems=(own,)) if member.id == TAX_REGISTER.member else member
        for member in DEMO.members
    )
    return {"members": members}


@pytest.mark.parametrize(
    "change",
    [
        {"members": (*DEMO.members, DEMO.members[0])},
        {"members": (*DEMO.members, PlannedMember(ClientId("EE", "GOV", "1"), "x"))},
        {"members": (*DEMO.members, PlannedMember(ClientId("DEV", "NGO", "1"), "x"))},
        {"members": (*DEMO.members, PlannedMember(ClientId("DEV", "GOV", "1"), "x", (PlannedSubsystem(HEALTH, "y"),)))},
        {"members": DEMO.members[:-1]},
        {"servers": (*DEMO.servers, PlannedServer(SecurityServerId(HEALTH, "2"), "127.0.0.11"))},
        {"servers": (*DEMO.servers, PlannedServer(HEALTH_SERVER, "127.0.0.19"))},
        {"servers": (PlannedServer(SecurityServerId(ClientId("DEV", "GOV", "1"), "1"), "127.0.0.19"),)},
        {"management": HEALTH.subsystem("none")},
        {"central_address": "127.0.0.11"},
        {"groups": (replace(DEMO.groups[0], members=(HEALTH.subsystem("none"),)),)},
        {"groups": ()},
        {"tsas": ("tsa", "tsa")},
        {"broken": Broken(revoked_signing=(HEALTH_REGISTER,))},
        {"broken": Broken(revoked_authentication=(SecurityServerId(HEALTH, "none"),))},
        {"broken": Broken(ocsp=(FaultyOcsp(SecurityServerId(HEALTH, "none"), OcspFault.STALE),))},
        {"broken": Broken(silent_tsas=("tsa9",))},
        with_service(PlannedService("x", "army")),
        with_service(PlannedService("x", "police", grants=(Grant(REGISTRARS),))),
        with_service(PlannedService("x", "police", grants=(Grant(LocalGroupId("none")),))),
        with_service(PlannedService("x", "police", grants=(Grant(GlobalGroupId("DEV", "none")),))),
        with_service(PlannedService("x", "police", grants=(Grant(HEALTH.subsystem("none")),))),
    ],
)  # fmt: skip
def test_parts_that_do_not_fit_together_are_refused(change):
    with pytest.raises(DevnetError):
        replace(DEMO, **change)


def test_what_can_be_broken_is_accepted():
    broken = Broken(
        revoked_authentication=(TAX_SERVER,),
        ocsp=(FaultyOcsp(HEALTH, OcspFault.SILENT), FaultyOcsp(TAX_SERVER, OcspFault.STALE)),
        silent_tsas=("tsa2",),
    )
    assert replace(DEMO, broken=broken, tsas=("tsa", "tsa2")).broken is broken


def test_a_server_is_declared_with_its_services_rights_and_groups():
    declared = declaration_of(DEMO, DEMO.get_server(HEALTH_SERVER), URLS)
    assert declared.server == HEALTH_SERVER
    (client,) = declared.clients
    assert client.id == HEALTH_REGISTER
    insurance, exercises = client.services
    assert insurance.url == "http://127.0.0.1/health-insurance/insurance"
    assert exercises.url == "http://127.0.0.1/health-insurance"
    assert {right.subject for right in insurance.rights} == {POLICE_PORTAL, REGISTRARS, LAPSED_SHOP}
    assert client.groups[0].members == (TAX_REGISTER,)


def test_a_service_that_speaks_soap_is_declared_with_its_version():
    declared = declaration_of(DEMO, DEMO.get_server(POLICE_SERVER), URLS)
    services = [each for client in declared.clients for each in client.services]
    by_soap = [each for each in services if each.type is ServiceType.WSDL]
    assert [(each.code, each.version) for each in by_soap] == [("licencePhoto", "v1")]
    assert by_soap[0].url == f"http://127.0.0.1/police{PHOTO_PATH}"


def test_a_client_that_offers_nothing_is_declared_too():
    declared = declaration_of(DEMO, DEMO.get_server(POLICE_SERVER), URLS)
    assert [client.id for client in declared.clients] == [
        POLICE_PORTAL,
        POLICE_REGISTER,
        LAPSED_SHOP,
    ]
    member = replace(DEMO.get_server(POLICE_SERVER), clients=(OPERATOR,))
    assert declaration_of(DEMO, member, URLS).clients[0].services == ()


def test_the_authorities_are_those_of_the_topology():
    wanted = replace(
        DEMO, profile=CertificateProfile.FI, has_intermediate_ca=True, tsas=("tsa", "tsa2")
    )
    settings = authorities_settings(wanted)
    assert settings.profile == CertificateProfile.FI.value
    assert settings.ca.has_intermediate
    assert settings.tsas == ("tsa", "tsa2")


def test_open_fields_of_requests_are_filled_by_profile():
    server = DEMO.get_server(TAX_SERVER)
    assert request_fields(DEMO, server, KeyUsage.SIGNING) == {"C": "EE"}
    assert request_fields(DEMO, server, KeyUsage.AUTHENTICATION) == {
        "C": "EE",
        "CN": "tax-1.devnet.example",
    }
