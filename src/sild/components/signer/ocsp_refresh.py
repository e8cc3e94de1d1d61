"""Fetches OCSP responses about our certificates before the ones that are held go stale.

It runs in the control process: what speaks to the internet holds no keys. A response is verified
before it is kept; "revoked" and "unknown" are knowledge and are kept as well.
"""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from sild.components.signer.chain import get_issuer, intermediates_of
from sild.components.signer.ocsp_cache import OcspCache
from sild.components.signer.ports import Note, OcspFetcher
from sild.components.signer.settings import OcspSettings
from sild.model.costs import Strategy, prioritized
from sild.model.tokens import OcspKnowledge, OcspStatus
from sild.protocol.errors import (
    CertValidation,
    IncorrectValidationInfo,
    NetworkError,
    ProtocolError,
    TrustError,
)
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.pki.certificate import Certificate
from sild.protocol.pki.ocsp import (
    OcspResponse,
    build_ocsp_request,
    read_ocsp_response,
    stale_at,
    verify_ocsp,
)
from sild.protocol.pki.trust import ApprovedCaCert, Trust
from sild.runtime.clock import Clock

_LOG = logging.getLogger(__name__)
# The version of the shared parameters that says what responders cost.
_COSTS_SINCE = 6
_SHORTEST_WAIT = timedelta(seconds=5)
_MISSING = OcspKnowledge(OcspStatus.MISSING)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of asking about one certificate: `error` says why nobody answered."""

    certificate: Certificate
    status: OcspStatus
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One round: what was asked, and when the next round is due."""

    outcomes: tuple[Outcome, ...]
    next_at: datetime


class OcspRefresher:
    """Knows when each certificate is to be asked about again."""

    def __init__(
        self,
        cache: OcspCache,
        fetcher: OcspFetcher,
        clock: Clock,
        settings: OcspSettings,
        note: Note = lambda _url, _error: None,
    ) -> None:
        self._cache = cache
        self._fetcher = fetcher
        self._clock = clock
        self._settings = settings
        self._note = note
        self._due: dict[Certificate, datetime] = {}
        # A response and when it is due again are kept as one, and forgotten as one: of what has
        # just been asked about, a round that began before must not leave only the second.
        self._keeping = asyncio.Lock()

    async def refresh(self, certificates: Iterable[Certificate], conf: GlobalConf) -> Refreshed:
        """Ask about those of the certificates, and of their intermediates, that are due.

        A certificate about which nobody answers does not keep the others waiting for their turn.
        """
        trust, now = conf.trust(conf.instance), self._clock.now()
        wanted = _with_intermediates(certificates, trust)
        async with self._keeping:
            self._due = {each: at for each, at in self._due.items() if each in wanted}
            await asyncio.to_thread(self._cache.forget_all_but, wanted)
        due = [each for each in wanted if self._due.get(each, now) <= now]
        limit = asyncio.Semaphore(self._settings.ocsp_parallel)

        async def ask(certificate: Certificate) -> Outcome:
            async with limit:
                return await self._ask(certificate, conf)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(certificate)) for certificate in due]
        retry = now + timedelta(seconds=self._settings.ocsp_retry_delay)
        return Refreshed(
            tuple(task.result() for task in tasks), min(self._due.values(), default=retry)
        )

    def known(self, certificate: Certificate, conf: GlobalConf) -> OcspKnowledge:
        """What the response that is held says of a certificate now."""
        return knowledge_of(certificate, conf.trust(conf.instance), self._cache, self._clock.now())

    @property
    def strategy(self) -> Strategy:
        """How the cost of responders decides about their turn."""
        return self._settings.ocsp_prioritization_strategy

    async def ask_now(self, certificate: Certificate, conf: GlobalConf) -> OcspKnowledge:
        """What responders say of a certificate now; raises ProtocolError if nobody does."""
        return await self._fetch(certificate, conf)

    async def _ask(self, certificate: Certificate, conf: GlobalConf) -> Outcome:
        try:
            knowledge = await self.ask_now(certificate, conf)
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are asked about
            _LOG.warning("no OCSP response about %s: %s", certificate.name, error)
            now = self._clock.now()
            self._due[certificate] = now + timedelta(seconds=self._settings.ocsp_retry_delay)
            held = knowledge_of(certificate, conf.trust(conf.instance), self._cache, now)
            return Outcome(certificate, held.status, str(error) or type(error).__name__)
        return Outcome(certificate, knowledge.status)

    async def _fetch(self, certificate: Certificate, conf: GlobalConf) -> OcspKnowledge:
        trust = conf.trust(conf.instance)
        issuer = get_issuer(certificate, trust)
        request = build_ocsp_request(certificate, issuer.certificate)
        urls = responders_in_order(
            certificate, issuer, conf, self._settings.ocsp_prioritization_strategy
        )
        refusals = []
        for url in urls:
            try:
                answer = await self._fetcher.fetch_ocsp(url, request)
                knowledge = await self._keep(certificate, issuer.certificate, conf, answer)
            except ProtocolError as error:
                self._note(url, error)
                refusals.append(f"{url}: {error.message}")
            else:
                self._note(url, None)
                return knowledge
        raise NetworkError("; ".join(refusals) or "no responder is known")

    async def _keep(
        self, certificate: Certificate, issuer: Certificate, conf: GlobalConf, answer: bytes
    ) -> OcspKnowledge:
        response = read_ocsp_response(answer)
        trust, now = conf.trust(conf.instance), self._clock.now()
        knowledge = judge(response, certificate, issuer, trust, now)
        async with self._keeping:
            held = knowledge_of(certificate, trust, self._cache, now)
            if _is_newer(held, response):
                # Somebody on the way could bring an old answer, from before a revocation.
                knowledge = held
            else:
                await asyncio.to_thread(self._cache.keep, certificate, answer)
            self._due[certificate] = self._next_time(knowledge, conf)
        return knowledge

    def _next_time(self, knowledge: OcspKnowledge, conf: GlobalConf) -> datetime:
        now = self._clock.now()
        wait = timedelta(seconds=conf.ocsp_fetch_interval_seconds)
        if knowledge.stale_at is not None:
            left = knowledge.stale_at - now
            margin = timedelta(seconds=self._settings.ocsp_refresh_margin)
            wait = min(wait, max(left - margin, left / 2))
        return now + max(wait, _SHORTEST_WAIT)


def responders_in_order(
    certificate: Certificate, issuer: ApprovedCaCert, conf: GlobalConf, strategy: Strategy
) -> tuple[str, ...]:
    """Whom to ask about a certificate, the first one first.

    Those that are listed for its issuer come first, in the order that their costs give them where
    the global configuration knows costs; then those that the certificate names itself.
    """
    urls = [responder.url for responder in issuer.responders]
    if conf.version >= _COSTS_SINCE:
        costs = {
            responder.url: responder.cost
            for service in conf.certification_services
            for entry in service.entries
            if entry.certificate == issuer.certificate
            for responder in entry.responders
        }
        urls = prioritized(urls, costs.get, strategy)
    return tuple(dict.fromkeys((*urls, *certificate.ocsp_urls)))


def _is_newer(held: OcspKnowledge, response: OcspResponse) -> bool:
    fresh = held.stale_at is not None
    return fresh and held.this_update is not None and held.this_update > response.this_update


def judge(
    response: OcspResponse,
    certificate: Certificate,
    issuer: Certificate,
    trust: Trust,
    at: datetime,
) -> OcspKnowledge:
    """What a fresh response by an authorised responder says; raises IncorrectValidationInfo."""
    status = OcspStatus.GOOD
    try:
        verify_ocsp(response, certificate, issuer, trust, at)
    except CertValidation:
        status = OcspStatus.SUSPENDED if response.on_hold else OcspStatus(response.status.value)
    stale = stale_at(response, trust.ocsp)
    return OcspKnowledge(status, response.der, response.this_update, stale)


def knowledge_of(
    certificate: Certificate, trust: Trust, cache: OcspCache, at: datetime
) -> OcspKnowledge:
    """What the response that is held says of a certificate at the moment."""
    held = cache.find(certificate)
    issuer = trust.find_issuer(certificate)
    if held is None or issuer is None:
        return _MISSING
    try:
        response = read_ocsp_response(held)
    except TrustError:
        return _MISSING
    try:
        return judge(response, certificate, issuer.certificate, trust, at)
    except IncorrectValidationInfo:
        if stale_at(response, trust.ocsp) >= at:
            return _MISSING
        return OcspKnowledge(OcspStatus.STALE, held, response.this_update)


def _with_intermediates(
    certificates: Iterable[Certificate], trust: Trust
) -> dict[Certificate, None]:
    wanted: dict[Certificate, None] = {}
    for certificate in certificates:
        if certificate.is_self_signed:
            continue
        wanted[certificate] = None
        try:
            wanted.update(dict.fromkeys(intermediates_of(certificate, trust)))
        except TrustError as error:
            _LOG.warning("the issuers of a certificate are unknown: %s", error)
    return wanted
