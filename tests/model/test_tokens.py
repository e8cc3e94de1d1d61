import pytest

from sild.model.services import InvalidMove
from sild.model.tokens import (
    CERTIFICATE_APPEARS,
    CERTIFICATE_MOVES,
    CERTIFICATE_VANISHES,
    DELETABLE_CERTIFICATES,
    CertificateEvent,
    CertificateStatus,
    certificate_after,
    next_certificate_status,
)


def test_a_certificate_becomes_registered_when_it_appears_in_the_global_configuration():
    for status in (
        CertificateStatus.SAVED,
        CertificateStatus.REGISTRATION_IN_PROGRESS,
        CertificateStatus.GLOBAL_ERROR,
    ):
        assert next_certificate_status(status, in_global_conf=True) is CertificateStatus.REGISTERED


def test_a_certificate_that_is_being_deleted_does_not_come_back():
    deleting = CertificateStatus.DELETION_IN_PROGRESS
    assert next_certificate_status(deleting, in_global_conf=True) is deleting


def test_a_registered_certificate_that_vanishes_is_in_global_error():
    registered = CertificateStatus.REGISTERED
    assert (
        next_certificate_status(registered, in_global_conf=False) is CertificateStatus.GLOBAL_ERROR
    )


def test_a_saved_certificate_is_not_unregistered():
    with pytest.raises(InvalidMove, match="saved"):
        certificate_after(CertificateStatus.SAVED, CertificateEvent.UNREGISTER)


def test_every_certificate_can_be_got_rid_of():
    reaches = set(DELETABLE_CERTIFICATES)
    moves = [(old, new) for (old, _), new in CERTIFICATE_MOVES.items()]
    moves += [*CERTIFICATE_APPEARS.items(), *CERTIFICATE_VANISHES.items()]
    while grown := {old for old, new in moves if new in reaches} - reaches:
        reaches |= grown
    assert reaches == set(CertificateStatus)
