from datetime import timedelta

import pytest

from components.centralserver.source_builders import INTERNAL, Central
from components.centralserver.trust_builders import file_of, settings_of
from pki_builder import TestCa
from protocol.globalconf.publisher import NEXTUPDATE
from sild.components.centralserver.certification_services import CertificationServices
from sild.components.centralserver.current_configuration import CurrentConfiguration
from sild.components.centralserver.xml_uploads import XmlFile
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.ids import ClientId
from sild.protocol.pki.trust import OcspPolicy

pytestmark = pytest.mark.anyio

CA = TestCa.create("Approved")


@pytest.fixture
async def central(database, tmp_path):
    """One that has published, before anybody was approved."""
    central = await Central(database, tmp_path / "public").initialize()
    await central.add_keys()
    await central.publisher.publish()
    return central


async def ecosystem_of(central):
    return await CurrentConfiguration(central.parts).ecosystem()


async def test_who_is_approved_is_trusted_at_once_and_no_longer_than_that(central):
    assert (await ecosystem_of(central)).trust.cas == ()
    services = CertificationServices(central.database)
    service = await services.add(file_of(CA.certificate), settings_of(authentication_only=True))
    trust = (await ecosystem_of(central)).trust
    assert (trust.instance, trust.all_ca_certificates) == ("DEV", (CA.certificate,))
    assert not trust.may_issue_signing(CA.certificate)
    await services.remove(service.id)
    assert (await ecosystem_of(central)).trust.cas == ()


async def test_responses_are_judged_by_the_policy_of_the_instance(central):
    assert (await ecosystem_of(central)).trust.ocsp == OcspPolicy()
    await central.set(OCSP_FRESHNESS="120")
    await central.parts.upload(INTERNAL, "NEXTUPDATE", XmlFile("part.xml", NEXTUPDATE))
    assert (await ecosystem_of(central)).trust.ocsp == OcspPolicy(120, verify_next_update=False)


async def test_the_provider_of_the_management_services_is_told(central):
    provider = ClientId("DEV", "GOV", "M1", "MANAGEMENT")
    assert (await ecosystem_of(central)).management_services == provider


async def test_nothing_is_judged_once_what_was_published_has_expired(central):
    await central.set(CONF_EXPIRE="7200")
    central.clock.turn(timedelta(hours=1))
    await ecosystem_of(central)
    central.clock.turn(timedelta(hours=1, seconds=1))
    with pytest.raises(GlobalConfOutdated, match="expired"):
        await ecosystem_of(central)
    await central.publisher.publish()
    await ecosystem_of(central)


async def test_nothing_is_judged_before_anything_is_published(database, tmp_path):
    central = await Central(database, tmp_path / "public").initialize()
    with pytest.raises(GlobalConfOutdated, match="no global configuration"):
        await ecosystem_of(central)
