"""The error model: every error has its row, and both dialects of codes are understood."""

import runpy
from pathlib import Path

import pytest

import sild.components.messagelog.errors
import sild.components.serverconf.errors
import sild.components.signer.errors
import sild.model.services  # noqa: F401 - these define errors of their own
from sild.protocol import errors
from sild.protocol.faults import TABLE, Side, http_status, message_of, told_of, understood


def all_errors(start=errors.ProtocolError):
    """Every class of the tree."""
    yield start
    for each in start.__subclasses__():
        yield from all_errors(each)


@pytest.mark.parametrize("error", sorted(set(all_errors()), key=lambda each: each.__name__))
def test_every_error_tells_what_to_do_next(error):
    told = told_of(error)
    assert told.advice.endswith(".")
    assert told.advice[0].isupper()


def test_what_the_message_path_refuses_has_more_than_the_general_advice():
    general = TABLE[errors.ProtocolError]
    own = {each for each in all_errors() if each.__module__ == errors.__name__}
    without = {each.__name__ for each in own if told_of(each) is general}
    # A fault of the other side is passed on with its own words.
    assert without == {"ProtocolError", "PeerFault"}


def test_a_message_says_what_happened_and_then_what_to_do():
    error = errors.AccessDenied("a/b may not call c")
    advice = "Ask the provider for the right to make this call with this client."
    assert message_of(error) == f"A/b may not call c. {advice}"
    assert message_of(errors.AccessDenied("No.")) == f"No. {advice}"


def test_an_error_may_be_blamed_on_another_part_than_the_one_that_tells_it():
    with pytest.raises(errors.InvalidSoap) as caught, errors.blaming("client"):
        raise errors.InvalidSoap("no")
    assert caught.value.fault_code("server.clientproxy") == "client.invalid_soap"
    with pytest.raises(errors.PeerFault) as posted, errors.blaming("client"):
        raise errors.PeerFault("CODE", "no")
    assert posted.value.fault_code("server.clientproxy") == "client.code"


DIALECTS = {
    "Server.ClientProxy.SslAuthenticationFailed": "server.clientproxy.ssl_authentication_failed",
    "Server.ServerProxy.ServiceFailed.IOError": "server.serverproxy.service_failed.io_error",
    "Server.ServerProxy.AccessDenied": "server.serverproxy.access_denied",
    "Server.ClientProxy.OutdatedGlobalConf": "server.clientproxy.global_conf_outdated",
    "Server.ServerProxy.ClientProxyVersionNotSupported": (
        "server.serverproxy.client_proxy_version_not_supported"
    ),
    "Client.InvalidSoapAction": "client.invalid_soap_action",
    "Signer.HSMNonOperational": "signer.hsm_non_operational",
    "server.serverproxy.access_denied": "server.serverproxy.access_denied",
    "CODE": "CODE",
    "soap:Server.Own": "soap:Server.Own",
    "": "",
}


@pytest.mark.parametrize("code", DIALECTS)
def test_codes_of_both_dialects_are_understood(code):
    assert understood(code) == DIALECTS[code]


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("server.clientproxy.network_error", 500),
        ("server.serverproxy.access_denied", 500),
        ("Server.ServerProxy.AccessDenied", 500),
        ("client.invalid_request", 400),
        ("Client.InvalidRequest", 400),
        ("server", 400),
        ("", 400),
    ],
)
def test_only_codes_of_a_server_are_its_failure(code, status):
    assert http_status(code) == status


def test_the_status_of_a_side_is_that_of_its_codes():
    for side in Side:
        assert http_status(f"{side.value}.internal_error") == side.http_status


def test_the_page_of_errors_says_what_the_table_says():
    root = Path(__file__).parents[2]
    written = runpy.run_path(str(root / "tools" / "errors_page.py"))["page"]()
    assert (root / "docs" / "errors.md").read_text(encoding="utf-8") == written
