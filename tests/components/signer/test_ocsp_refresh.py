import asyncio
import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from clocks import FrozenClock
from components.signer.builders import global_conf
from pki_builder import NOON, TestCa
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.ocsp_refresh import (
    OcspRefresher,
    knowledge_of,
    responders_in_order,
)
from sild.components.signer.settings import OcspSettings
from sild.model.costs import Strategy
from sild.model.tokens import OcspStatus
from sild.protocol.errors import HttpError, NetworkError
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CostType,
    OcspResponderEntry,
)
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import build_ocsp_request

pytestmark = pytest.mark.anyio

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


class Responders:
    """OCSP responders of some CAs: what each address answers, and what it was asked."""

    def __init__(self, clock, *cas):
        self.clock = clock
        self.cas = cas
        self.certificates = []
        self.asked = []
        self.broken = {}
        self.how = {}

    async def fetch_ocsp(self, url, request):
        self.asked.append((url, request))
        for certificate in self.certificates:
            for ca in self.cas:
                if build_ocsp_request(certificate, ca.certificate) == request:
                    return self.answer(url, ca, certificate)
        raise NetworkError("nobody asked for")

    def answer(self, url, ca, certificate):
        broken = self.broken.get(url) or self.broken.get(certificate)
        if isinstance(broken, bytes):
            return broken
        if broken is not None:
            raise broken
        how = {"this_update": self.clock.now().replace(microsecond=0)}
        return ca.ocsp(certificate, **(how | self.how.get(certificate, {})))


@pytest.fixture
def clock():
    clock = FrozenClock()
    clock.turn_to(NOON)
    return clock


@pytest.fixture(scope="module")
def ca():
    return TestCa.create()


@pytest.fixture
def leaf(ca):
    return ca.issue_sign().certificate


@pytest.fixture
def responders(clock, ca, leaf):
    responders = Responders(clock, ca)
    responders.certificates.append(leaf)
    return responders


@pytest.fixture
def cache(tmp_path):
    return OcspCache(tmp_path / "ocsp")


@pytest.fixture
def refresher(cache, responders, clock):
    return OcspRefresher(cache, responders, clock, OcspSettings())


def status(conf, certificate, cache, clock):
    return knowledge_of(certificate, conf.trust("DEV"), cache, clock.now()).status


async def test_a_response_is_verified_and_kept_on_disk(
    refresher, ca, leaf, clock, tmp_path, responders
):
    conf = global_conf(ca)
    done = await refresher.refresh([leaf], conf)
    assert [outcome.status for outcome in done.outcomes] == [OcspStatus.GOOD]
    assert [url for url, _ in responders.asked] == ["http://ocsp.test/"]
    assert [path.name for path in (tmp_path / "ocsp").iterdir()] == [f"{leaf.sha1.hex()}.ocsp"]
    again = OcspCache(tmp_path / "ocsp")
    assert status(conf, leaf, again, clock) is OcspStatus.GOOD


async def test_what_became_of_each_answer_is_noted(cache, responders, clock, ca, leaf):
    first, second, third = "http://silent.test/", "http://wrong.test/", "http://good.test/"
    responders.broken = {first: NetworkError("away"), second: b"no response"}
    noted = []
    refresher = OcspRefresher(
        cache,
        responders,
        clock,
        OcspSettings(),
        lambda url, error: noted.append((url, error is None)),
    )
    await refresher.ask_now(leaf, global_conf(ca, urls=(first, second, third)))
    assert noted == [(first, False), (second, False), (third, True)]


async def test_a_response_is_asked_for_anew_when_the_interval_is_over(
    refresher, ca, leaf, clock, responders
):
    conf = global_conf(ca, interval=1200)
    done = await refresher.refresh([leaf], conf)
    assert abs(done.next_at - clock.now() - timedelta(seconds=1200)) < SECOND
    clock.turn(timedelta(seconds=1190))
    await refresher.refresh([leaf], conf)
    assert len(responders.asked) == 1
    clock.turn(timedelta(seconds=11))
    await refresher.refresh([leaf], conf)
    assert len(responders.asked) == 2


async def test_a_response_is_asked_for_before_it_goes_stale(refresher, ca, leaf, clock, responders):
    conf = global_conf(ca, interval=100_000, freshness=3600)
    done = await refresher.refresh([leaf], conf)
    assert abs(done.next_at - clock.now() - timedelta(seconds=3300)) < 2 * SECOND
    responders.how[leaf] = {"next_update": NOON + 100 * MINUTE}
    conf = global_conf(ca, interval=1200, freshness=60)
    clock.turn(timedelta(seconds=3301))
    done = await refresher.refresh([leaf], conf)
    assert abs(done.next_at - clock.now() - timedelta(seconds=30)) < 2 * SECOND


async def test_a_failure_is_retried_after_a_minute(refresher, ca, leaf, clock, responders):
    conf = global_conf(ca)
    responders.broken[leaf] = NetworkError("no route")
    done = await refresher.refresh([leaf], conf)
    (outcome,) = done.outcomes
    assert outcome.status is OcspStatus.MISSING
    assert "no route" in outcome.error
    assert abs(done.next_at - clock.now() - MINUTE) < SECOND
    responders.broken.clear()
    clock.turn(61 * SECOND)
    done = await refresher.refresh([leaf], conf)
    assert done.outcomes[0].status is OcspStatus.GOOD


async def test_a_failure_keeps_what_was_known_until_it_goes_stale(
    refresher, cache, ca, leaf, clock, responders
):
    conf = global_conf(ca)
    await refresher.refresh([leaf], conf)
    responders.broken[leaf] = NetworkError("no route")
    clock.turn(30 * MINUTE)
    done = await refresher.refresh([leaf], conf)
    assert done.outcomes[0].status is OcspStatus.GOOD
    assert done.outcomes[0].error
    clock.turn(31 * MINUTE)
    assert status(conf, leaf, cache, clock) is OcspStatus.STALE


async def test_the_failure_of_one_does_not_stop_the_others(
    refresher, cache, ca, leaf, clock, responders
):
    others = [ca.issue_sign(number=number).certificate for number in (5, 6)]
    responders.certificates += others
    responders.broken[leaf] = ZeroDivisionError("a defect of somebody's")
    responders.broken[others[0]] = b"nonsense"
    conf = global_conf(ca)
    done = await refresher.refresh([leaf, *others], conf)
    assert [outcome.status for outcome in done.outcomes] == [
        OcspStatus.MISSING,
        OcspStatus.MISSING,
        OcspStatus.GOOD,
    ]


async def test_the_next_responder_is_asked_when_one_is_silent(
    refresher, ca, leaf, clock, responders
):
    conf = global_conf(ca, urls=("http://first.test/", "http://second.test/"))
    responders.broken["http://first.test/"] = HttpError("it answered 503")
    done = await refresher.refresh([leaf], conf)
    assert done.outcomes[0].status is OcspStatus.GOOD
    assert [url for url, _ in responders.asked] == ["http://first.test/", "http://second.test/"]


async def test_the_responder_in_the_certificate_is_asked_last(refresher, ca, clock, responders):
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(
                x509.AuthorityInformationAccessOID.OCSP,
                x509.UniformResourceIdentifier("http://aia.test/"),
            )
        ]
    )
    leaf = ca.issue_sign(extensions=((access, False),)).certificate
    responders.certificates.append(leaf)
    responders.broken["http://ocsp.test/"] = NetworkError("silent")
    done = await refresher.refresh([leaf], global_conf(ca))
    assert done.outcomes[0].status is OcspStatus.GOOD
    assert [url for url, _ in responders.asked] == ["http://ocsp.test/", "http://aia.test/"]


@pytest.mark.parametrize("known", [OcspStatus.REVOKED, OcspStatus.UNKNOWN])
async def test_bad_news_are_kept_as_knowledge(refresher, cache, ca, leaf, responders, known):
    responders.how[leaf] = {"status": known.value}
    conf = global_conf(ca)
    done = await refresher.refresh([leaf], conf)
    assert done.outcomes[0].status is known
    assert status(conf, leaf, cache, responders.clock) is known


@pytest.mark.parametrize("how", ["impostor", "other certificate", "too old", "of the future"])
async def test_an_answer_that_proves_nothing_is_not_kept(
    refresher, cache, ca, leaf, responders, how
):
    impostor = TestCa.create("Impostor")
    other = ca.issue_sign(number=7).certificate
    now = responders.clock.now().replace(microsecond=0)
    responders.broken[leaf] = {
        "impostor": ca.ocsp(leaf, this_update=now, signer=impostor.as_responder),
        "other certificate": ca.ocsp(other, this_update=now),
        "too old": ca.ocsp(leaf, this_update=now - 61 * MINUTE),
        "of the future": ca.ocsp(leaf, this_update=now + 5 * MINUTE),
    }[how]
    conf = global_conf(ca)
    done = await refresher.refresh([leaf], conf)
    assert done.outcomes[0].error
    assert cache.find(leaf) is None


async def test_an_old_answer_does_not_undo_a_revocation(
    refresher, cache, ca, leaf, clock, responders
):
    conf = global_conf(ca)
    responders.how[leaf] = {"status": "revoked"}
    await refresher.refresh([leaf], conf)
    responders.how[leaf] = {"this_update": NOON - MINUTE}
    clock.turn(21 * MINUTE)
    await refresher.refresh([leaf], conf)
    assert status(conf, leaf, cache, clock) is OcspStatus.REVOKED


async def test_intermediates_are_asked_about_too_and_the_top_is_not(tmp_path, cache, ca, clock):
    middle = TestCa.create("Middle CA", parent=ca)
    leaf = middle.issue_sign().certificate
    responders = Responders(clock, ca, middle)
    responders.certificates += [leaf, middle.certificate]
    refresher = OcspRefresher(cache, responders, clock, OcspSettings())
    done = await refresher.refresh([leaf], global_conf(ca, (middle,)))
    assert {outcome.certificate for outcome in done.outcomes} == {leaf, middle.certificate}
    assert {outcome.status for outcome in done.outcomes} == {OcspStatus.GOOD}


async def test_a_self_signed_certificate_is_not_asked_about(refresher, ca, responders):
    await refresher.refresh([ca.certificate], global_conf(ca))
    assert responders.asked == []


async def test_what_is_wanted_no_longer_is_forgotten(refresher, cache, ca, leaf, tmp_path):
    conf = global_conf(ca)
    await refresher.refresh([leaf], conf)
    await refresher.refresh([], conf)
    assert cache.find(leaf) is None
    assert list((tmp_path / "ocsp").iterdir()) == []


async def test_a_response_that_was_tampered_with_on_disk_counts_for_nothing(
    refresher, cache, ca, leaf, clock, tmp_path
):
    conf = global_conf(ca)
    await refresher.refresh([leaf], conf)
    path = tmp_path / "ocsp" / f"{leaf.sha1.hex()}.ocsp"
    path.write_bytes(ca.ocsp(leaf, this_update=NOON, signer=TestCa.create("X").as_responder))
    assert status(conf, leaf, OcspCache(tmp_path / "ocsp"), clock) is OcspStatus.MISSING
    path.write_bytes(b"nonsense")
    assert status(conf, leaf, OcspCache(tmp_path / "ocsp"), clock) is OcspStatus.MISSING


async def test_a_file_too_large_is_passed_over(tmp_path, ca, leaf, caplog):
    directory = tmp_path / "ocsp"
    OcspCache(directory)
    (directory / f"{leaf.sha1.hex()}.ocsp").write_bytes(bytes(200_000))
    (directory / "README").write_bytes(b"")
    assert OcspCache(directory).find(leaf) is None
    assert "passed over" in caplog.text


async def test_a_certificate_can_be_asked_about_at_once(refresher, ca, leaf, responders):
    conf = global_conf(ca)
    await refresher.refresh([leaf], conf)
    knowledge = await refresher.ask_now(read_certificate(leaf.der), conf)
    assert knowledge.status is OcspStatus.GOOD
    assert len(responders.asked) == 2


async def test_without_any_responder_nobody_is_asked(refresher, ca, leaf):
    with pytest.raises(NetworkError, match="no responder"):
        await refresher.ask_now(leaf, global_conf(ca, urls=()))


class SlowToForget(OcspCache):
    """A cache on a disk that takes its time when something is to be forgotten."""

    def __init__(self, directory):
        super().__init__(directory)
        self.forgetting = threading.Event()
        self.go_on = threading.Event()

    def forget_all_but(self, certificates):
        wanted = list(certificates)
        self.forgetting.set()
        self.go_on.wait(60)
        super().forget_all_but(wanted)


async def test_what_was_asked_while_a_round_forgets_is_asked_again_or_known(
    responders, ca, leaf, clock, tmp_path
):
    conf = global_conf(ca)
    cache = SlowToForget(tmp_path / "ocsp")
    refresher = OcspRefresher(cache, responders, clock, OcspSettings())
    # A round that knows nothing of a certificate that is being imported.
    round_before = asyncio.create_task(refresher.refresh([], conf))
    await asyncio.to_thread(cache.forgetting.wait, 60)
    asking = asyncio.create_task(refresher.ask_now(leaf, conf))
    await asyncio.sleep(0.05)
    cache.go_on.set()
    await asyncio.gather(round_before, asking)
    await refresher.refresh([leaf], conf)
    assert status(conf, leaf, cache, clock) is OcspStatus.GOOD


def priced(ca, version):
    """A global configuration of a version with a responder that costs, and one that does not."""
    conf = global_conf(ca)
    (service,) = conf.certification_services
    entries = (
        OcspResponderEntry("http://paid.test/", ca.certificate, CostType.PAID),
        OcspResponderEntry("http://free.test/", ca.certificate, CostType.FREE),
    )
    service = replace(service, top=CaEntry(ca.certificate, entries))
    own = conf.instances["DEV"]
    shared = replace(own.shared, certification_services=(service,))
    return GlobalConf({"DEV": replace(own, version=version, shared=shared)}, "DEV")


@pytest.mark.parametrize(
    ("version", "strategy", "asked"),
    [
        (6, Strategy.ONLY_FREE, ["http://free.test/"]),
        (6, Strategy.FREE_FIRST, ["http://free.test/", "http://paid.test/"]),
        (5, Strategy.ONLY_FREE, ["http://paid.test/", "http://free.test/"]),
    ],
)
def test_costs_count_where_the_global_configuration_knows_them(ca, leaf, version, strategy, asked):
    conf = priced(ca, version)
    issuer = conf.trust("DEV").find_issuer(leaf)
    assert responders_in_order(leaf, issuer, conf, strategy) == tuple(asked)


def test_what_a_responder_costs_for_another_ca_does_not_count(ca, leaf):
    conf, other = priced(ca, 6), TestCa.create("Other CA")
    own = conf.instances["DEV"]
    (service,) = own.shared.certification_services
    free = (OcspResponderEntry("http://paid.test/", other.certificate, CostType.FREE),)
    services = (service, replace(service, name="Other", top=CaEntry(other.certificate, free)))
    shared = replace(own.shared, certification_services=services)
    conf = GlobalConf({"DEV": replace(own, shared=shared)}, "DEV")
    issuer = conf.trust("DEV").find_issuer(leaf)
    order = responders_in_order(leaf, issuer, conf, Strategy.ONLY_FREE)
    assert order == ("http://free.test/",)


def test_what_a_certificate_names_itself_is_asked_last_whatever_it_costs(ca):
    address = x509.UniformResourceIdentifier("http://named.test/")
    ocsp = x509.oid.AuthorityInformationAccessOID.OCSP
    access = x509.AuthorityInformationAccess([x509.AccessDescription(ocsp, address)])
    named = ca.issue_sign(extensions=((access, False),)).certificate
    conf = priced(ca, 6)
    issuer = conf.trust("DEV").find_issuer(named)
    order = responders_in_order(named, issuer, conf, Strategy.ONLY_PAID)
    assert order == ("http://paid.test/", "http://named.test/")
