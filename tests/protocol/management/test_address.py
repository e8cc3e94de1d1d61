import pytest

from sild.protocol.errors import InvalidRequest
from sild.protocol.management.address import check_address

LONG = ".".join(["a" * 60] * 4)


@pytest.mark.parametrize(
    "address",
    [
        "ss1",
        "ss1.example.org",
        "SS1.Example.org.",
        "10.0.0.1",
        "2001:db8::1",
        "turvaserver.õhk.ee",
        "xroad-lxd-ss1.lxd",
        "my_server.local",
        "1.example",
        LONG,
    ],
)
def test_names_and_addresses_of_hosts_are_addresses(address):
    check_address(address)


@pytest.mark.parametrize(
    "address",
    [
        None,
        "",
        " ",
        ".",
        "a..b",
        "-a.org",
        "a-.org",
        "_a.org",
        "a b.org",
        "https://a.org",
        "a.org:443",
        "a.org/x",
        "10.0.0.256",
        "fe80::1%eth0",
        "a.1",
        "a" * 64 + ".org",
        LONG + ".aaaaaaaaaaaa",
        "a\nb.org",
        "a.org\n",
        "\u200b.org",
        "x" * 300,
    ],
)
def test_everything_else_is_none(address):
    with pytest.raises(InvalidRequest):
        check_address(address)
