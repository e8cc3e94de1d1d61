import pytest

from sild.runtime.addresses import AllowedAddresses, network_of

ALLOWED = AllowedAddresses(("127.0.0.0/8", " ::1 ", "192.0.2.7", "2001:db8::/32"))


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.9.9.9", "::1", "192.0.2.7", "2001:db8:1::1", "::ffff:127.0.0.1"]
)
def test_what_is_listed_may(address):
    assert address in ALLOWED


@pytest.mark.parametrize(
    "address", ["128.0.0.1", "192.0.2.8", "::2", "", "localhost", "fe80::1%eth0"]
)
def test_what_is_not_listed_may_not(address):
    assert address not in ALLOWED


def test_everybody_may_where_all_networks_are_listed():
    everybody = AllowedAddresses(("0.0.0.0/0", "::/0"))
    assert "192.0.2.1" in everybody
    assert "2001:db8::1" in everybody


def test_a_network_of_ipv6_is_one():
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") == "2001:db8::/64"
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("socket") == "socket"
