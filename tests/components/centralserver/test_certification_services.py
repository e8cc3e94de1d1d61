import asyncio
from dataclasses import replace

import pytest

from components.centralserver.trust_builders import ACME, BASIC, address_of, file_of, settings_of
from pki_builder import TestCa
from sild.components.centralserver.certification_services import CertificationServices
from sild.components.centralserver.trust_errors import (
    CertificationServiceNotFound,
    IntermediateCaNotFound,
    InvalidCertificateFile,
    InvalidUrl,
    OcspResponderNotFound,
    UnknownProfile,
)
from sild.components.centralserver.trust_reading import read_trust
from sild.components.centralserver.trust_values import CertificateFile, ServiceChanges, TrustAddress
from sild.model.refusals import NotFound
from sild.protocol.globalconf.shared_parameters import (
    AcmeServer,
    CaEntry,
    CertificationService,
    CostType,
    CsrFormat,
    OcspResponderEntry,
)

pytestmark = pytest.mark.anyio

ROOT = TestCa.create("Root")
MIDDLE = TestCa.create("Middle", parent=ROOT)
SIGNER = ROOT.issue_ocsp_signer().certificate
NOBODY = CertificateFile("ca.pem", b"no certificate")


@pytest.fixture
def services(database):
    return CertificationServices(database)


async def add(services, ca=ROOT, **settings):
    return await services.add(file_of(ca.certificate), settings_of(**settings))


async def published(database):
    async with database.reading() as connection:
        return (await read_trust(connection))[0]


async def test_a_service_has_the_name_and_certificate_that_were_approved(services):
    added = await add(services, authentication_only=True, csr_format=CsrFormat.PEM)
    assert (added.name, added.certificate) == ("Root", ROOT.certificate)
    assert added.settings == settings_of(authentication_only=True, csr_format=CsrFormat.PEM)
    assert await services.get(added.id) == added
    assert await services.all() == (added,)


async def test_services_are_listed_in_the_order_of_their_approval(services):
    added = [await add(services, ca) for ca in (ROOT, MIDDLE, ROOT)]
    assert await services.all() == tuple(added)


async def test_a_service_of_no_certificate_is_refused(services):
    with pytest.raises(InvalidCertificateFile):
        await services.add(NOBODY, settings_of())
    assert await services.all() == ()


async def test_a_service_of_an_unknown_profile_is_refused(services):
    with pytest.raises(UnknownProfile):
        await add(services, profile="missing.class")
    assert await services.all() == ()


async def test_what_is_not_changed_stays(services):
    added = await add(services, acme_directory_url="http://ca.test", acme_signing_profile="1")
    changed = await services.change(added.id, ServiceChanges(profile=ACME))
    assert changed == replace(added, settings=replace(added.settings, profile=ACME))
    assert await services.get(added.id) == changed


async def test_a_blank_takes_acme_away(services, database):
    added = await add(services, acme_directory_url="http://ca.test", acme_ip_addresses="192.0.2.1")
    await services.change(added.id, ServiceChanges(acme_directory_url="", acme_ip_addresses=""))
    assert (await services.get(added.id)).settings == settings_of()
    (service,) = await published(database)
    assert service.acme is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (ServiceChanges(profile=""), UnknownProfile),
        (ServiceChanges(profile="missing.class"), UnknownProfile),
        (ServiceChanges(acme_directory_url="ca.test"), InvalidUrl),
    ],
)
async def test_a_change_that_cannot_be_published_changes_nothing(services, changes, error):
    added = await add(services)
    with pytest.raises(error):
        await services.change(added.id, changes)
    assert await services.get(added.id) == added


async def test_two_changes_at_once_are_both_there(services):
    added = await add(services)
    changes = (
        ServiceChanges(profile=ACME),
        ServiceChanges(authentication_only=True),
        ServiceChanges(csr_format=CsrFormat.PEM),
        ServiceChanges(acme_signing_profile="1"),
    )
    await asyncio.gather(*(services.change(added.id, change) for change in changes))
    assert (await services.get(added.id)).settings == settings_of(
        profile=ACME,
        authentication_only=True,
        csr_format=CsrFormat.PEM,
        acme_signing_profile="1",
    )


async def test_a_service_goes_with_all_that_belongs_to_it(services, database):
    kept, gone = await add(services), await add(services, MIDDLE)
    for service in (kept, gone):
        intermediate = await services.add_intermediate(service.id, file_of(MIDDLE.certificate))
        responder = await services.add_responder(service.id, address_of())
        below = await services.add_intermediate_responder(intermediate.id, address_of())
    before = await published(database)
    await services.remove(gone.id)
    assert await published(database) == before[:1]
    with pytest.raises(CertificationServiceNotFound):
        await services.get(gone.id)
    with pytest.raises(IntermediateCaNotFound):
        await services.get_intermediate(intermediate.id)
    for each in (responder, below):
        with pytest.raises(OcspResponderNotFound):
            await services.get_responder(each.id)


async def test_an_id_is_never_given_twice(services):
    first = await add(services)
    await services.remove(first.id)
    assert (await add(services)).id > first.id


async def test_intermediate_cas_come_and_go(services):
    service = await add(services)
    added = [
        await services.add_intermediate(service.id, file_of(MIDDLE.certificate)) for _ in range(2)
    ]
    assert added[0].certificate == MIDDLE.certificate
    assert await services.intermediates(service.id) == tuple(added)
    assert await services.get_intermediate(added[0].id) == added[0]
    await services.remove_intermediate(added[0].id)
    assert await services.intermediates(service.id) == (added[1],)


async def test_an_intermediate_ca_of_no_certificate_is_refused(services):
    service = await add(services)
    with pytest.raises(InvalidCertificateFile):
        await services.add_intermediate(service.id, NOBODY)


async def test_the_certificate_of_the_service_itself_is_no_intermediate_ca(services):
    service = await add(services)
    for number in range(1, 4):
        with pytest.raises(IntermediateCaNotFound):
            await services.get_intermediate(number)
        with pytest.raises(IntermediateCaNotFound):
            await services.remove_intermediate(number)
    assert await services.intermediates(service.id) == ()
    assert (await services.get(service.id)).certificate == ROOT.certificate


async def test_responders_belong_to_one_ca(services):
    service = await add(services)
    intermediate = await services.add_intermediate(service.id, file_of(MIDDLE.certificate))
    top = await services.add_responder(service.id, address_of("http://top.test", CostType.PAID))
    below = await services.add_intermediate_responder(
        intermediate.id, address_of("http://below.test", certificate=SIGNER)
    )
    assert top.entry == OcspResponderEntry("http://top.test", None, CostType.PAID)
    assert below.entry == OcspResponderEntry("http://below.test", SIGNER, CostType.FREE)
    assert await services.responders(service.id) == (top,)
    assert await services.intermediate_responders(intermediate.id) == (below,)
    assert await services.get_responder(below.id) == below
    with pytest.raises(OcspResponderNotFound):
        await services.remove_intermediate_responder(intermediate.id, top.id)
    await services.remove_intermediate_responder(intermediate.id, below.id)
    assert await services.intermediate_responders(intermediate.id) == ()
    await services.remove_responder(top.id)
    assert await services.responders(service.id) == ()


async def test_a_responder_without_an_address_is_refused(services):
    service = await add(services)
    intermediate = await services.add_intermediate(service.id, file_of(MIDDLE.certificate))
    for address in (TrustAddress(), address_of("ocsp.test")):
        with pytest.raises(InvalidUrl):
            await services.add_responder(service.id, address)
        with pytest.raises(InvalidUrl):
            await services.add_intermediate_responder(intermediate.id, address)


async def test_a_responder_of_no_certificate_is_refused(services):
    service = await add(services)
    with pytest.raises(InvalidCertificateFile):
        await services.add_responder(service.id, TrustAddress("http://a.test", None, NOBODY))


async def test_what_is_not_changed_of_a_responder_stays(services):
    service = await add(services)
    added = await services.add_responder(service.id, address_of(certificate=SIGNER))
    changed = await services.change_responder(added.id, TrustAddress(url="http://new.test"))
    assert changed.entry == replace(added.entry, url="http://new.test")
    changed = await services.change_responder(added.id, TrustAddress(cost=CostType.PAID))
    assert changed.entry == replace(added.entry, url="http://new.test", cost=CostType.PAID)
    changed = await services.change_responder(
        added.id, TrustAddress(certificate=file_of(ROOT.certificate))
    )
    assert changed.entry.certificate == ROOT.certificate
    assert await services.get_responder(added.id) == changed


async def test_a_change_of_a_responder_that_cannot_be_published_changes_nothing(services):
    service = await add(services)
    added = await services.add_responder(service.id, address_of())
    with pytest.raises(InvalidUrl):
        await services.change_responder(added.id, TrustAddress(url=""))
    with pytest.raises(InvalidCertificateFile):
        await services.change_responder(added.id, TrustAddress("http://new.test", None, NOBODY))
    assert await services.responders(service.id) == (added,)


@pytest.mark.parametrize("number", [0, -1, 99, 2**31, 2**70])
async def test_what_is_not_there_is_not_found(services, number):
    acts = {
        CertificationServiceNotFound: (
            services.get(number),
            services.change(number, ServiceChanges()),
            services.remove(number),
            services.intermediates(number),
            services.add_intermediate(number, file_of(MIDDLE.certificate)),
            services.responders(number),
            services.add_responder(number, address_of()),
        ),
        IntermediateCaNotFound: (
            services.get_intermediate(number),
            services.remove_intermediate(number),
            services.intermediate_responders(number),
            services.add_intermediate_responder(number, address_of()),
            services.remove_intermediate_responder(number, 1),
        ),
        OcspResponderNotFound: (
            services.get_responder(number),
            services.change_responder(number, TrustAddress()),
            services.remove_responder(number),
        ),
    }
    for error, awaitables in acts.items():
        assert issubclass(error, NotFound)
        for act in awaitables:
            with pytest.raises(error):
                await act


async def test_everything_is_published(services, database):
    service = await add(
        services,
        authentication_only=True,
        csr_format=CsrFormat.PEM,
        acme_directory_url="http://ca.test",
        acme_authentication_profile="auth",
    )
    plain = await add(services, MIDDLE)
    intermediate = await services.add_intermediate(service.id, file_of(MIDDLE.certificate))
    await services.add_responder(service.id, address_of("http://one.test", CostType.PAID))
    await services.add_responder(service.id, address_of("http://two.test", certificate=SIGNER))
    await services.add_intermediate_responder(intermediate.id, address_of("http://three.test"))
    assert await published(database) == (
        CertificationService(
            name="Root",
            profile=BASIC,
            top=CaEntry(
                ROOT.certificate,
                (
                    OcspResponderEntry("http://one.test", None, CostType.PAID),
                    OcspResponderEntry("http://two.test", SIGNER, CostType.FREE),
                ),
            ),
            intermediates=(
                CaEntry(
                    MIDDLE.certificate,
                    (OcspResponderEntry("http://three.test", None, CostType.FREE),),
                ),
            ),
            authentication_only=True,
            csr_format=CsrFormat.PEM,
            acme=AcmeServer("http://ca.test", None, "auth", None),
        ),
        CertificationService(
            name=plain.name,
            profile=BASIC,
            top=CaEntry(MIDDLE.certificate),
            csr_format=CsrFormat.DER,
        ),
    )
