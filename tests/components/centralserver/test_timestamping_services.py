from dataclasses import replace

import pytest

from components.centralserver.trust_builders import address_of, file_of
from pki_builder import TestTsa
from sild.components.centralserver.timestamping_services import TimestampingServices
from sild.components.centralserver.trust_errors import (
    InvalidCertificateFile,
    InvalidUrl,
    TimestampingServiceNotFound,
)
from sild.components.centralserver.trust_reading import read_trust
from sild.components.centralserver.trust_values import CertificateFile, TrustAddress
from sild.protocol.globalconf.shared_parameters import CostType, TimestampingService

pytestmark = pytest.mark.anyio

TSA = TestTsa.create("First").signer.certificate
OTHER = TestTsa.create("Second").signer.certificate
URL = "http://tsa.test:8899"


@pytest.fixture
def services(database):
    return TimestampingServices(database)


async def add(services, certificate=TSA, url=URL, cost=CostType.FREE):
    return await services.add(file_of(certificate), url, cost)


async def test_a_service_is_named_by_its_certificate(services, database):
    added = [await add(services), await add(services, OTHER, cost=CostType.PAID)]
    expected = (
        TimestampingService("First", URL, TSA, CostType.FREE),
        TimestampingService("Second", URL, OTHER, CostType.PAID),
    )
    assert tuple(each.service for each in added) == expected
    assert await services.all() == tuple(added)
    assert await services.get(added[1].id) == added[1]
    async with database.reading() as connection:
        assert (await read_trust(connection))[1] == expected


async def test_what_is_not_changed_stays_and_the_name_always(services):
    added = await add(services)
    changed = await services.change(added.id, TrustAddress("https://new.test", CostType.PAID))
    assert changed.service == replace(added.service, url="https://new.test", cost=CostType.PAID)
    changed = await services.change(added.id, TrustAddress(certificate=file_of(OTHER)))
    assert changed.service == TimestampingService("First", "https://new.test", OTHER, CostType.PAID)
    assert await services.get(added.id) == changed


async def test_a_withdrawn_service_is_gone(services):
    added = await add(services)
    assert await services.remove(added.id) == added
    assert await services.all() == ()


async def test_what_cannot_be_published_is_refused(services):
    for url in ("", "tsa.test"):
        with pytest.raises(InvalidUrl):
            await add(services, url=url)
    with pytest.raises(InvalidCertificateFile):
        await services.add(CertificateFile("tsa.pem", b"none"), URL, CostType.FREE)
    assert await services.all() == ()


async def test_a_change_that_cannot_be_published_changes_nothing(services):
    added = await add(services)
    with pytest.raises(InvalidUrl):
        await services.change(added.id, address_of("tsa.test"))
    nobody = CertificateFile("tsa.pem", b"none")
    with pytest.raises(InvalidCertificateFile):
        await services.change(added.id, TrustAddress("http://new.test", None, nobody))
    assert await services.all() == (added,)


@pytest.mark.parametrize("number", [0, -1, 99, 2**31])
async def test_what_is_not_there_is_not_found(services, number):
    acts = (
        services.get(number),
        services.change(number, TrustAddress()),
        services.remove(number),
    )
    for act in acts:
        with pytest.raises(TimestampingServiceNotFound) as caught:
            await act
        assert caught.value.code == "timestamping_authority_not_found"
