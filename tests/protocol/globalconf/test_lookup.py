import time
from dataclasses import replace
from datetime import timedelta

import pytest

from pki_builder import NOON, TestCa
from protocol.globalconf.publisher import sample_private, sample_shared
from sild.protocol.errors import (
    GlobalConfOutdated,
    MalformedGlobalConf,
    UnknownCertificationAuthority,
)
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import (
    ConfigurationSource,
    GlobalGroup,
    Member,
    SecurityServer,
    Subsystem,
    read_shared_parameters,
)
from sild.protocol.globalconf.shared_parameters_writer import write_shared_parameters
from sild.protocol.globalconf.trusted import InstanceConf
from sild.protocol.ids import ClientId, GlobalGroupId, SecurityServerId

M1, M2 = ClientId("DEV", "GOV", "M1"), ClientId("DEV", "COM", "M2")
S1, S2 = M1.subsystem("S1"), M2.subsystem("S2")
SS1, SS2 = SecurityServerId(M1, "SS1"), SecurityServerId(M2, "SS2")
SHARED = sample_shared()
LATER = NOON + timedelta(minutes=10)


def conf_of(shared=SHARED, *, version=6, expires=LATER, private=None, extensions=None):
    return InstanceConf(
        shared.instance, version, expires, {}, shared, private, extensions or Extensions()
    )


def global_conf(shared=SHARED, *others, **choices):
    instances = {shared.instance: conf_of(shared, **choices)}
    return GlobalConf(instances | {other.instance: other for other in others}, shared.instance)


def partner(expires=LATER, version=6, **changes):
    return conf_of(sample_shared("EE", **changes), expires=expires, version=version)


def test_members_and_subsystems_have_names():
    conf = global_conf()
    assert conf.find_member_name(M1) == conf.find_member_name(S1) == "First"
    assert conf.find_subsystem_name(S1) == "Sub 1"
    assert conf.find_subsystem_name(S2) is None
    assert conf.find_member_name(ClientId("DEV", "GOV", "M9")) is None
    assert conf.find_member_name(ClientId("XX", "GOV", "M1")) is None
    assert set(conf.members) == {M1, S1, M2, S2, M2.subsystem("S3")}
    assert set(conf.members_of("DEV")) == set(conf.members)
    assert conf.members_of("XX") == ()


@pytest.mark.parametrize(
    ("client", "known"),
    [
        (M1, True),
        (S1, True),
        (M1.subsystem("S9"), False),
        (M1.subsystem("s1"), False),
        (ClientId("XX", "GOV", "M1"), False),
    ],
)
def test_a_client_is_known_by_all_its_parts(client, known):
    assert global_conf().is_known(client) is known


def test_a_client_has_the_servers_where_it_is_owner_or_client():
    conf = global_conf()
    assert {server.id for server in conf.servers_of(S1)} == {SS1, SS2}
    assert [server.id for server in conf.servers_of(S2)] == [SS2]
    assert [server.address for server in conf.servers_of(M1)] == ["ss1.test"]
    assert conf.servers_of(M1.subsystem("S9")) == ()
    assert conf.servers_of(ClientId("XX", "GOV", "M1")) == ()


def test_a_client_is_registered_on_its_servers_only():
    conf = global_conf()
    assert conf.is_registered(M1, SS1)
    assert conf.is_registered(S1, SS2)
    assert not conf.is_registered(M1, SS2)
    assert not conf.is_registered(S2, SS1)
    assert not conf.is_registered(M1, SecurityServerId(M1, "SS9"))
    assert conf.clients_of(SS1) == {M1, S1}


def test_a_server_is_found_by_its_identifier():
    conf = global_conf()
    assert conf.server(SS2).address == "ss2.test"
    assert conf.server(SecurityServerId(M1, "SS2")) is None
    assert conf.server(SecurityServerId(ClientId("XX", "GOV", "M1"), "SS1")) is None
    assert {server.id for server in conf.servers} == {SS1, SS2}


@pytest.mark.parametrize("maintenance", [None, "", "Back at 8"])
def test_a_server_says_whether_it_is_in_maintenance(maintenance):
    servers = (replace(SHARED.servers[0], maintenance=maintenance),)
    assert global_conf(replace(SHARED, servers=servers)).server(SS1).in_maintenance == maintenance


def with_auth_hash(digest, shared=SHARED):
    servers = (replace(shared.servers[0], auth_cert_hashes=(digest,)), *shared.servers[1:])
    return replace(shared, servers=servers)


def test_an_authentication_certificate_names_its_server():
    certificate = TestCa.create().issue_auth().certificate
    conf = global_conf(with_auth_hash(certificate.sha256))
    assert conf.find_server_by_auth_hash(certificate.sha256).id == SS1
    assert conf.find_server_by_auth_certificate(certificate).id == SS1
    assert conf.is_auth_certificate_of(certificate, S1)
    assert conf.is_auth_certificate_of(certificate, M1)
    assert not conf.is_auth_certificate_of(certificate, S2)
    assert global_conf().find_server_by_auth_certificate(certificate) is None


def test_version_2_knows_authentication_certificates_by_sha_1():
    certificate = TestCa.create().issue_auth().certificate
    conf = global_conf(with_auth_hash(certificate.sha1), version=2)
    assert conf.find_server_by_auth_certificate(certificate).id == SS1
    assert conf.is_auth_certificate_of(certificate, S1)
    assert conf.find_server_by_auth_hash(certificate.sha256) is None


@pytest.mark.parametrize("version", [3, 4, 5, 6])
def test_later_versions_never_match_sha_1(version):
    certificate = TestCa.create().issue_auth().certificate
    conf = global_conf(with_auth_hash(certificate.sha1), version=version)
    assert conf.find_server_by_auth_certificate(certificate) is None
    assert conf.find_server_by_auth_hash(certificate.sha1) is None
    assert not conf.is_auth_certificate_of(certificate, S1)


def test_each_instance_has_the_digest_of_its_own_version():
    certificate = TestCa.create().issue_auth().certificate
    old = conf_of(with_auth_hash(certificate.sha1, sample_shared("EE")), version=2)
    found = global_conf(SHARED, old).find_server_by_auth_certificate(certificate)
    assert found.id.owner.instance == "EE"


def test_global_groups_are_of_any_instance():
    group = GlobalGroup(GlobalGroupId("EE", "friends"), "Friends", (S1, M1))
    conf = global_conf(SHARED, partner(groups=(group,)))
    owners, friends = GlobalGroupId("DEV", "security-server-owners"), group.id
    assert conf.global_groups_of(M1) == {owners, friends}
    assert conf.global_groups_of(S1) == {friends}
    assert conf.global_groups_of(M2) == {owners}
    assert conf.global_groups_of(S2) == frozenset()


def test_each_instance_trusts_its_own_authorities_by_the_local_policy():
    shared = replace(SHARED, ocsp_freshness_seconds=77)
    extensions = Extensions(verify_next_update=False)
    conf = global_conf(shared, partner(ocsp_freshness_seconds=5), extensions=extensions)
    local, other = conf.trust("DEV"), conf.trust("EE")
    assert local.instance == "DEV"
    assert other.instance == "EE"
    assert local.all_ca_certificates != other.all_ca_certificates
    for trust in (local, other):
        assert trust.ocsp.freshness_seconds == 77
        assert trust.ocsp.verify_next_update is False
    service = SHARED.certification_services[0]
    (ca,) = local.cas
    assert (ca.name, ca.profile, ca.authentication_only) == (service.name, service.profile, False)
    assert local.ocsp_signers_for(ca.top.certificate) == {service.top.responders[0].certificate}
    assert local.tsas[0].certificate == SHARED.timestamping_services[0].certificate
    assert set(conf.trusts) == {"DEV", "EE"}


def test_an_instance_that_is_not_known_is_not_trusted():
    conf = global_conf()
    assert conf.find_trust("EE") is None
    with pytest.raises(UnknownCertificationAuthority) as refused:
        conf.trust("EE")
    assert refused.value.code == "internal_error"


def test_the_private_parameters_are_those_of_the_local_instance():
    private = sample_private()
    extensions = Extensions(M1, 500)
    conf = global_conf(private=private, extensions=extensions)
    assert conf.management_service == private.management
    assert conf.timestamping_interval_seconds == 60
    assert conf.monitoring_client == M1
    assert conf.ocsp_fetch_interval_seconds == 500
    with pytest.raises(MalformedGlobalConf):
        _ = global_conf().private


def test_the_approved_services_are_listed_with_what_only_people_need():
    conf = global_conf()
    assert conf.certification_services == SHARED.certification_services
    assert conf.timestamping_services == SHARED.timestamping_services


def test_it_is_valid_to_the_very_moment_of_its_expiry():
    global_conf().check_valid(LATER)


def test_it_is_refused_after_its_expiry():
    with pytest.raises(GlobalConfOutdated) as refused:
        global_conf().check_valid(LATER + timedelta(microseconds=1))
    assert refused.value.code == "global_conf_outdated"


def test_an_expired_federated_instance_is_dropped_and_the_local_one_never():
    conf = global_conf(SHARED, partner(expires=NOON))
    assert conf.without_expired(NOON - timedelta(seconds=1)) is conf
    dropped = conf.without_expired(NOON)
    assert set(dropped.instances) == {"DEV"}
    assert dropped.find_trust("EE") is None
    assert dropped.is_known(M1)
    assert set(dropped.without_expired(LATER + timedelta(days=1)).instances) == {"DEV"}


def test_without_its_own_instance_there_is_no_configuration():
    with pytest.raises(MalformedGlobalConf):
        GlobalConf({}, "DEV")


def test_the_tables_of_unchanged_shared_parameters_are_taken_over():
    conf = global_conf()
    later = conf_of(expires=LATER + timedelta(minutes=1))
    renewed = GlobalConf({"DEV": later}, "DEV", conf)
    assert renewed.valid_until == later.expires
    assert renewed.find_unchanged_tables(later) is conf.find_unchanged_tables(later)
    changed = conf_of(replace(SHARED))
    assert conf.find_unchanged_tables(changed) is None
    assert conf.find_unchanged_tables(conf_of(version=5)) is None


def large_shared(members=3000, servers=1500):
    """A large country: each member has two subsystems, each server four clients."""
    listed = []
    for number in range(members):
        member = ClientId("DEV", "COM", f"{number:08d}")
        subsystems = tuple(Subsystem(member.subsystem(f"sub{n}"), "A name") for n in range(2))
        listed.append(Member(member, f"Member {number}", "Commerce", subsystems))
    run = tuple(
        SecurityServer(
            SecurityServerId(listed[number].id, "SS"),
            f"ss{number}.test",
            (number.to_bytes(32),),
            tuple(
                subsystem.id
                for member in (listed[number], listed[-1 - number])
                for subsystem in member.subsystems
            ),
        )
        for number in range(servers)
    )
    group = GlobalGroup(GlobalGroupId("DEV", "all"), "All", tuple(m.id for m in listed))
    return replace(SHARED, members=tuple(listed), servers=run, groups=(group,))


def test_a_large_country_is_looked_up_at_once():
    shared = replace(large_shared(), sources=(ConfigurationSource("cs"),))
    document = write_shared_parameters(shared)
    start = time.process_time()
    read = read_shared_parameters(document, 6)
    conf = global_conf(read)
    # Well under a second on an idle machine; the limit only notices another order of growth.
    assert time.process_time() - start < 4
    assert read == shared
    client = shared.members[7].subsystems[0].id
    start = time.process_time()
    for _ in range(10_000):
        conf.servers_of(client)
        conf.find_server_by_auth_hash(b"\1" * 32)
        conf.global_groups_of(client)
    assert time.process_time() - start < 1
