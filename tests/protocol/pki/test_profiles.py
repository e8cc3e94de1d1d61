import pytest

from pki_builder import TestCa, name_of
from sild.protocol.errors import IncorrectCertificate
from sild.protocol.ids import ClientId, SecurityServerId
from sild.protocol.pki.names import name_text
from sild.protocol.pki.profiles import (
    PROFILE_NAMES,
    Applicant,
    dns_name,
    get_profile,
    subject_name,
)

CA = TestCa.create()
OWNER = ClientId("DEV", "GOV", "111")
MEMBER = ClientId("DEV", "COM", "222")
APPLICANT = Applicant(SecurityServerId(OWNER, "SS1"), MEMBER, "Member & Sons")


def profile(name):
    return get_profile(
        f"ee.ria.xroad.common.certificateprofile.impl.{name}CertificateProfileInfoProvider"
    )


def member_of(name, **subject):
    certificate = CA.issue(name_of(**subject)).certificate
    return profile(name).member_of(certificate, "OWN")


@pytest.mark.parametrize(
    ("name", "subject", "member"),
    [
        ("Basic", {"businessCategory": "COM", "serialNumber": "7"}, "OWN/COM/7"),
        ("BasicACME", {"businessCategory": "COM", "serialNumber": "7"}, "OWN/COM/7"),
        ("Ejbca", {"C": "DEV", "O": "COM", "CN": "7"}, "DEV/COM/7"),
        ("FiVRK", {"C": "FI", "O": "x", "serialNumber": "D/SS/COM", "CN": "7"}, "D/COM/7"),
        ("FiVRK", {"C": "FI", "O": "D", "OU": "COM", "CN": "7"}, "D/COM/7"),
        ("FiVRK", {"C": "D", "O": "COM", "CN": "7"}, "D/COM/7"),
        ("Is", {"C": "IS", "O": "D", "OU": "COM", "CN": "7", "serialNumber": "x"}, "D/COM/7"),
        ("Is", {"C": "D", "O": "COM", "CN": "7"}, "D/COM/7"),
        ("Fo", {"C": "FO", "O": "D", "OU": "COM", "CN": "7", "serialNumber": "x"}, "D/COM/7"),
        ("SkKlass3", {"organizationIdentifier": "NTREE-10747013"}, "OWN/COM/10747013"),
        ("SkKlass3", {"organizationIdentifier": "GO:EE-70006317"}, "OWN/GOV/70006317"),
        ("SkKlass3", {"organizationIdentifier": "NP:EE-80000000"}, "OWN/NGO/80000000"),
        ("SkKlass3", {"organizationIdentifier": "NTRLV-123"}, "OWN/NEE/NTRLV-123"),
        ("SkKlass3", {"serialNumber": "10747013"}, "OWN/COM/10747013"),
        ("SkKlass3", {"serialNumber": "60747013"}, "OWN/COM/60747013"),
        ("SkKlass3", {"serialNumber": "70747013"}, "OWN/GOV/70747013"),
        ("SkKlass3", {"serialNumber": "80747013"}, "OWN/NGO/80747013"),
        ("SkKlass3", {"serialNumber": "90747013"}, "OWN/NGO/90747013"),
        ("SkEsteId", {"serialNumber": "47101010033"}, "OWN/PERSON/47101010033"),
    ],
)
def test_a_profile_reads_the_member(name, subject, member):
    assert member_of(name, **subject).short == member


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("Basic", {"serialNumber": "7"}),
        ("Basic", {"businessCategory": "COM"}),
        ("BasicACME", {"businessCategory": "COM"}),
        ("Ejbca", {"O": "COM", "CN": "7"}),
        ("Ejbca", {"C": "DEV", "CN": "7"}),
        ("Ejbca", {"C": "DEV", "O": "COM"}),
        ("Ejbca", {"C": "DEV", "O": " ", "CN": "7"}),
        ("FiVRK", {"C": "SE", "O": "x", "serialNumber": "D/SS/COM", "CN": "7"}),
        ("FiVRK", {"C": "FI", "serialNumber": "D/SS/COM", "CN": "7"}),
        ("FiVRK", {"C": "FI", "O": "x", "serialNumber": "D/COM", "CN": "7"}),
        ("FiVRK", {"C": "FI", "O": "x", "serialNumber": "D/SS/COM/x", "CN": "7"}),
        ("FiVRK", {"C": "FI", "O": "x", "serialNumber": "/SS/COM", "CN": "7"}),
        ("FiVRK", {"C": "FI", "O": "x", "serialNumber": "D/SS/COM"}),
        ("FiVRK", {"C": "SE", "O": "D", "OU": "COM", "CN": "7"}),
        ("Is", {"C": "FO", "O": "D", "OU": "COM", "CN": "7", "serialNumber": "x"}),
        ("Is", {"C": "IS", "O": "D", "OU": "COM", "CN": "7"}),
        ("Is", {"C": "IS", "O": "D", "CN": "7", "serialNumber": "x"}),
        ("Fo", {"C": "IS", "O": "D", "OU": "COM", "CN": "7", "serialNumber": "x"}),
        ("Fo", {"C": "FO", "O": "D", "OU": "COM", "CN": "7"}),
        ("Fo", {"O": "D", "OU": "COM", "CN": "7", "serialNumber": "x"}),
        ("SkKlass3", {"CN": "7"}),
        ("SkKlass3", {"serialNumber": "1234567"}),
        ("SkKlass3", {"serialNumber": "123456789"}),
        ("SkKlass3", {"serialNumber": "01234567"}),
        ("SkKlass3", {"serialNumber": "1234567x"}),
        ("SkKlass3", {"organizationIdentifier": "NTREE-"}),
        ("SkEsteId", {"CN": "7"}),
    ],
)
def test_a_subject_that_a_profile_does_not_know_is_refused(name, subject):
    with pytest.raises(IncorrectCertificate):
        member_of(name, **subject)


@pytest.mark.parametrize("name", PROFILE_NAMES)
def test_what_a_profile_asks_for_it_reads_back(name):
    found = get_profile(name)
    fields = {f.keyword: f.value or "XX" for f in found.sign_subject(APPLICANT)}
    if not fields:
        assert name.endswith("SkEsteIdCertificateProfileInfoProvider")
        return
    if "SkKlass3" in name:
        fields["SN"] = "10747013"
    fields.pop("subjectAltName", None)
    subject = name_of(**{{"SN": "serialNumber"}.get(k, k): v for k, v in fields.items()})
    certificate = CA.issue(subject).certificate
    member = found.member_of(certificate, "DEV")
    assert member.instance == "DEV"
    assert member.member_class == "COM"
    assert member.member_code == fields.get("SN", "222")


@pytest.mark.parametrize(
    ("name", "auth", "sign"),
    [
        ("Basic", "CN serialNumber C O", "CN O businessCategory C serialNumber"),
        (
            "BasicACME",
            "C O serialNumber CN subjectAltName",
            "C O businessCategory serialNumber CN subjectAltName",
        ),
        ("Ejbca", "C CN", "C O CN"),
        ("FiVRK", "C O serialNumber CN subjectAltName", "C O serialNumber CN subjectAltName"),
        ("Is", "C CN serialNumber", "C O OU CN serialNumber"),
        ("Fo", "C O CN", "C O OU CN serialNumber"),
        ("SkKlass3", "SN CN", "SN CN"),
        ("SkEsteId", "", ""),
    ],
)
def test_the_fields_of_a_subject_stand_in_the_profile_s_order(name, auth, sign):
    found = profile(name)
    assert " ".join(f.keyword for f in found.auth_subject(APPLICANT)) == auth
    assert " ".join(f.keyword for f in found.sign_subject(APPLICANT)) == sign


def values(fields):
    return {f.keyword: (f.value, f.read_only) for f in fields}


def test_fields_are_filled_from_the_server_and_the_member():
    fi = profile("FiVRK")
    assert values(fi.auth_subject(APPLICANT))["serialNumber"] == ("DEV/SS1/GOV", True)
    assert values(fi.sign_subject(APPLICANT))["serialNumber"] == ("DEV/SS1/COM", True)
    assert values(fi.sign_subject(APPLICANT))["CN"] == ("222", True)
    assert values(fi.auth_subject(APPLICANT))["CN"] == ("", False)
    iceland = values(profile("Is").sign_subject(APPLICANT))
    assert iceland["serialNumber"] == ("DEV/GOV/111/SS1", True)
    faroe = values(profile("Fo").sign_subject(APPLICANT))
    assert faroe["serialNumber"] == ("DEV/GOV/111/SS1", False)
    assert values(profile("Fo").auth_subject(APPLICANT))["CN"] == ("DEV/GOV/111/SS1", True)
    basic = values(profile("Basic").sign_subject(APPLICANT))
    assert basic["CN"] == basic["O"] == ("Member & Sons", True)


def test_the_alternative_name_is_a_field_but_no_part_of_the_subject():
    fields = {"CN": "x", "subjectAltName": "ss1.test"}
    assert name_text(subject_name(fields)) == "CN=x"
    assert dns_name(fields) == "ss1.test"
    assert dns_name({"CN": "x", "subjectAltName": ""}) is None
    assert dns_name({"CN": "x"}) is None


def test_an_unknown_profile_is_refused():
    with pytest.raises(IncorrectCertificate, match="unknown"):
        get_profile("org.example.Own")
