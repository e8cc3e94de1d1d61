import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.serverconf.described import ADDRESS, operation, wsdl
from sild.components.serverconf.described import DescribedService
from sild.components.serverconf.service_errors import InvalidWsdl
from sild.components.serverconf.wsdl_reading import read_wsdl
from sild.protocol.management.wsdl import write_wsdl

SOAP12 = "http://schemas.xmlsoap.org/wsdl/soap12/"


def refused(data):
    with pytest.raises(InvalidWsdl) as caught:
        read_wsdl(data)
    assert caught.value.metadata == (caught.value.message,)
    return caught.value.message


def test_operations_are_services_with_version_address_and_title():
    found = read_wsdl(wsdl("getData", ("getData", "v1"), ("other", " v2 ")))
    assert found == (
        DescribedService("getData", None, ADDRESS, "The getData"),
        DescribedService("getData", "v1", ADDRESS, "The getData"),
        DescribedService("other", "v2", ADDRESS, "The other"),
    )


def test_soap_12_over_http_is_read_too():
    assert [each.code for each in read_wsdl(wsdl("a", soap=SOAP12))] == ["a"]


def test_what_is_not_soap_over_http_offers_nothing():
    data = wsdl("a")
    assert read_wsdl(data.replace(b"soap/http", b"soap/smtp")) == ()
    assert read_wsdl(data.replace(b"wsdl/soap/", b"wsdl/http/")) == ()


def test_a_binding_of_another_document_offers_nothing():
    data = wsdl("a").replace(b'binding="t:binding"', b'xmlns:o="urn:o" binding="o:binding"')
    assert read_wsdl(data) == ()


def test_of_two_ports_the_last_says_the_address():
    second = b'<port name="q" binding="t:binding"><s:address location="https://b/"/></port>'
    found = read_wsdl(wsdl("a").replace(b"</service>", second + b"</service>"))
    assert [each.url for each in found] == ["https://b/"]


def test_a_port_without_an_address_gives_none():
    data = wsdl("a").replace(b"s:address", b"s:elsewhere")
    assert read_wsdl(data)[0].url is None


def test_the_services_of_a_central_server_are_read():
    found = read_wsdl(write_wsdl("https://cs.test:4002/managementservice/manage/"))
    assert len(found) == 10
    assert {each.url for each in found} == {"https://cs.test:4002/managementservice/manage/"}
    assert "clientReg" in {each.full_code for each in found}


def test_what_is_no_wsdl_is_refused():
    assert "not well-formed" in refused(b"FooBar!")
    assert "not WSDL definitions" in refused(b"<a/>")
    assert "not WSDL definitions" in refused(b"<definitions/>")


def test_an_entity_is_never_looked_up():
    xxe = b'<!DOCTYPE d [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + wsdl("a").partition(b"?>")[2]
    assert "document type" in refused(xxe)


def test_a_port_type_with_the_same_operation_twice_is_refused():
    first = operation("a")[0].encode()
    assert "Duplicate operation with name=a" in refused(wsdl("a").replace(first, first * 2))


def test_two_operations_of_the_same_full_code_are_refused():
    assert "name=a.b" in refused(wsdl("a.b", ("a", "b")))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'<operation name="a"><s:', b"<operation><s:"),
        (b'<binding name="binding"', b"<binding"),
        (b'binding="t:binding"', b""),
        (b'binding="t:binding"', b'binding="u:binding"'),
    ],
)
def test_names_that_are_missing_or_not_declared_are_refused(old, new):
    data = wsdl("a")
    assert old in data
    refused(data.replace(old, new))


@given(st.data())
def test_any_bytes_give_services_or_are_refused(data):
    whole = wsdl("a", ("b", "v1"))
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, len(whole)))
    with contextlib.suppress(InvalidWsdl):
        read_wsdl(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])
