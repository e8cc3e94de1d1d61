from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.globalconf.publisher import sample_private, signing_key
from sild.protocol.errors import MalformedGlobalConf
from sild.protocol.globalconf.anchor import Anchor, Source
from sild.protocol.globalconf.private_parameters import (
    read_private_parameters,
    write_private_parameters,
)

PARTNER = Anchor("EE", (Source("http://ee/externalconf", (signing_key().certificate.der,)),))
PRIVATE = sample_private(anchors=(PARTNER,))


@pytest.mark.parametrize("version", [2, 3, 4, 5, 6])
def test_what_is_written_is_read_back_in_every_version(version):
    assert read_private_parameters(write_private_parameters(PRIVATE, version), version) == PRIVATE


def test_the_certificate_of_the_registration_service_may_be_left_out():
    private = replace(PRIVATE, management=replace(PRIVATE.management, certificate=None))
    assert read_private_parameters(write_private_parameters(private), 6) == private


def test_version_2_knows_no_later_extensions():
    document = write_private_parameters(PRIVATE).replace(
        b"</timeStampingIntervalSeconds>", b"</timeStampingIntervalSeconds><more/>"
    )
    assert read_private_parameters(document, 3) == PRIVATE
    with pytest.raises(MalformedGlobalConf):
        read_private_parameters(document, 2)


def test_a_partner_with_a_bad_certificate_does_not_spoil_the_own_configuration():
    document = write_private_parameters(
        replace(PRIVATE, anchors=(Anchor("EE", (Source("http://ee/externalconf", (b"bar",)),)),))
    )
    assert read_private_parameters(document, 6).anchors[0].instance == "EE"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"<timeStampingIntervalSeconds>60<", b"<timeStampingIntervalSeconds>0<"),
        (b"<timeStampingIntervalSeconds>60<", b"<timeStampingIntervalSeconds>soon<"),
        (b"managementService>", b"other>"),
        (b"<id:memberCode>M1<", b"<id:memberCode><"),
        (b"<authCertRegServiceCert>MII", b"<authCertRegServiceCert>AAA"),
        (b"<xroad:conf", b"<!DOCTYPE conf><xroad:conf"),
    ],
)
def test_a_document_against_the_rules_is_refused(old, new):
    document = write_private_parameters(PRIVATE)
    assert old in document
    with pytest.raises(MalformedGlobalConf):
        read_private_parameters(document.replace(old, new), 6)


def test_a_version_that_is_not_supported_is_refused():
    with pytest.raises(MalformedGlobalConf):
        read_private_parameters(write_private_parameters(PRIVATE), 1)


@pytest.mark.parametrize("version", [1, 7])
def test_no_other_version_is_written(version):
    with pytest.raises(MalformedGlobalConf):
        write_private_parameters(PRIVATE, version)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(MalformedGlobalConf):
        read_private_parameters(data, 6)
