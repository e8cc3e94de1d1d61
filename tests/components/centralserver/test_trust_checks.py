import pytest
from hypothesis import given
from hypothesis import strategies as st

from pki_builder import TestCa, name_of
from sild.components.centralserver.trust_checks import check_settings, check_url, get_name
from sild.components.centralserver.trust_errors import (
    InvalidCertificateFile,
    InvalidIpAddress,
    InvalidText,
    InvalidUrl,
    UnknownProfile,
)
from sild.components.centralserver.trust_values import ServiceSettings
from sild.protocol.globalconf.shared_parameters import CsrFormat
from sild.protocol.pki.profiles import PROFILE_NAMES


def settings(**fields):
    return ServiceSettings(**({"profile": PROFILE_NAMES[0], "csr_format": CsrFormat.DER} | fields))


@pytest.mark.parametrize(
    "url",
    [
        "http://ca",
        "https://ca.example.org:8887/acme/directory?x=1",
        "http://192.0.2.1:8888",
        "http://põld.ee/ocsp",
        "http://" + "a" * 63 + ".test/",
    ],
)
def test_an_address_of_a_host_is_accepted(url):
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ca.test",
        "ftp://ca.test",
        "HTTP://ca.test",
        "https:/ca.test",
        "https://",
        "http:///path",
        "http://ca_host.test",
        "http://-ca.test",
        "http://ca-.test",
        "http://ca..test",
        "http://ca.test:0/",
        "http://ca.test:65536/",
        "http://ca.test:port/",
        "http://[::1]/",
        "http://[::1/",
        "http://user@ca.test/",
        "http://ca.test/#part",
        "http://ca.test/a b",
        "http://ca.test/\n",
        "http://ca.test/\u200b",
        "http://" + "a" * 64 + ".test/",
        "http://" + ".".join(["abcdefghi"] * 26) + "/",
        "http://ca.test/" + "a" * 241,
    ],
)
def test_what_is_no_address_of_a_host_is_refused(url):
    with pytest.raises(InvalidUrl) as caught:
        check_url(url)
    assert caught.value.code == "invalid_url"


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    for url in (text, f"http://{text}", f"https://a.test/{text}"):
        try:
            check_url(url)
        except InvalidUrl:
            continue


@pytest.mark.parametrize("profile", PROFILE_NAMES)
def test_each_known_profile_is_accepted(profile):
    check_settings(settings(profile=profile))


@pytest.mark.parametrize(
    "profile", ["", "missing.class", f" {PROFILE_NAMES[0]}", "java.lang.Object"]
)
def test_a_profile_that_nobody_knows_is_refused(profile):
    with pytest.raises(UnknownProfile) as caught:
        check_settings(settings(profile=profile))
    assert caught.value.code == "certificate_profile_info_class_not_found"
    assert caught.value.metadata == (profile,)


def test_the_settings_of_acme_are_accepted():
    check_settings(
        settings(
            acme_directory_url="https://ca.test/acme",
            acme_ip_addresses="192.0.2.1, 2001:db8::1",
            acme_authentication_profile="1",
            acme_signing_profile="sign",
        )
    )


def test_an_acme_directory_that_is_no_address_is_refused():
    with pytest.raises(InvalidUrl):
        check_settings(settings(acme_directory_url="ca.test"))


@pytest.mark.parametrize(
    "text", ["192.0.2", "192.0.2.256", "ca.test", "192.0.2.1,", ",", "1;2", " "]
)
def test_a_list_of_anything_but_ip_addresses_is_refused(text):
    with pytest.raises(InvalidIpAddress) as caught:
        check_settings(settings(acme_ip_addresses=text))
    assert caught.value.code == "invalid_ip_address"


@pytest.mark.parametrize("text", ["a" * 256, "a\0", "a\nb", "\ud800"])
@pytest.mark.parametrize(
    "field", ["acme_ip_addresses", "acme_authentication_profile", "acme_signing_profile"]
)
def test_a_text_that_cannot_be_published_is_refused(field, text):
    with pytest.raises(InvalidText):
        check_settings(settings(**{field: text}))


def test_a_service_is_named_by_the_common_name():
    assert get_name(TestCa.create("Root, of all").certificate) == "Root, of all"


@pytest.mark.parametrize("fields", [{"O": "Nameless"}, {"CN": "a\0b"}, {"CN": "a\u202eb"}])
def test_a_certificate_without_a_name_to_publish_is_refused(fields):
    with pytest.raises(InvalidCertificateFile):
        get_name(TestCa.create().issue(name_of(**fields)).certificate)
