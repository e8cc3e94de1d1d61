"""Tests of connections that an administrator starts: what is wrong, and what to do about it."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sild.components.diagnostics.advice import advice_on
from sild.components.diagnostics.ports import (
    Configuration,
    OwnProxy,
    Registering,
    Tokens,
    Tried,
)
from sild.components.diagnostics.proxy_calls import ask_for_methods
from sild.components.diagnostics.reaching import explained, with_port
from sild.components.diagnostics.settings import DiagnosticsSettings
from sild.components.diagnostics.values import (
    DownloadFinding,
    Finding,
    ProviderQuestion,
    Trouble,
    trouble_of,
)
from sild.model.tokens import CertificateEntry, CertificateStatus, KeyUsage, Token
from sild.protocol.errors import (
    GlobalConfDownloadFailed,
    GlobalConfUnanswered,
    IncorrectCertificate,
    ProtocolError,
)
from sild.protocol.pki.certificate import read_certificate
from sild.runtime.clock import Clock
from sild.runtime.rpc import RpcError

_TO_REGISTER = frozenset({CertificateStatus.SAVED})
_KNOWN = frozenset({CertificateStatus.REGISTERED, CertificateStatus.REGISTRATION_IN_PROGRESS})
_WRONG_ANSWER = "global_conf_get_version_failed"
_NETWORK = "network_error"
_SIGNER_AWAY = "signer_unavailable"


@dataclass(frozen=True, slots=True)
class ConnectionTests:
    """The tests; each takes a while, and changes nothing."""

    configuration: Configuration
    registering: Registering
    proxy: OwnProxy
    keys: Tokens
    clock: Clock
    settings: DiagnosticsSettings

    async def global_conf(self) -> tuple[DownloadFinding, ...]:
        """Download from every source by itself, over HTTP and HTTPS (DG-05).

        Raises GlobalConfError where there is no anchor to begin with.
        """
        tried = await self.configuration.try_sources()
        return tuple(await asyncio.gather(*map(_download_finding, _each_once(tried))))

    async def registration(self) -> Finding:
        """Reach the registration service, and look whether there is something to register (DG-06).

        Whether the certificate is still valid is not asked.
        """
        missing, unreached = await asyncio.gather(
            self._certificate_trouble(), self._registration_trouble()
        )
        if unreached is None or missing is None:
            return Finding(unreached or missing)
        also = {missing.code: missing.details}
        return Finding(Trouble(unreached.code, unreached.details, also))

    async def provider(self, question: ProviderQuestion) -> Finding:
        """Ask for the methods of a provider at a security server (DG-07, DG-08)."""
        seconds = self.settings.connection_test_seconds
        try:
            async with asyncio.timeout(seconds):
                target = self.proxy.own_proxy()
                await ask_for_methods(target, question, self.clock.uuid(), seconds)
        except ProtocolError as error:
            return Finding(trouble_of(error))
        except TimeoutError:
            return Finding(self._silence())
        return Finding()

    async def _registration_trouble(self) -> Trouble | None:
        try:
            async with asyncio.timeout(self.settings.connection_test_seconds):
                await self.registering.try_out()
        except ProtocolError as error:
            return trouble_of(error)
        except TimeoutError:
            return self._silence()
        return None

    async def _certificate_trouble(self) -> Trouble | None:
        try:
            tokens = await self.keys.tokens()
        except RpcError as error:
            return Trouble(_SIGNER_AWAY, (f"the signer does not answer: {error}",))
        found = _certificates(tokens, _TO_REGISTER) or _certificates(tokens, _KNOWN)
        if not found:
            code = "certificate_not_found"
            return Trouble(code, ("No auth cert found", advice_on(code)))
        if not any(map(_is_for_authentication, found)):
            code = "sign_certificate_not_supported"
            return Trouble(code, ("not an auth cert", advice_on(code)))
        return None

    def _silence(self) -> Trouble:
        seconds = self.settings.connection_test_seconds
        return Trouble("io_error", (f"no answer in {seconds:g} seconds", advice_on("io_error")))


def _each_once(tried: Sequence[Tried]) -> Iterable[Tried]:
    return {with_port(each.url): each for each in tried}.values()


async def _download_finding(tried: Tried) -> DownloadFinding:
    url, error = with_port(tried.url), tried.error
    if error is None:
        return DownloadFinding(url, Finding())
    if isinstance(error, GlobalConfUnanswered):
        error = await explained(error, url)
    trouble = trouble_of(error)
    if isinstance(error, GlobalConfDownloadFailed):
        code = _NETWORK if isinstance(error, GlobalConfUnanswered) else _WRONG_ANSWER
        trouble = Trouble(code, (error.message, advice_on(code)))
    return DownloadFinding(url, Finding(trouble))


def _certificates(
    tokens: Iterable[Token], statuses: frozenset[CertificateStatus]
) -> list[CertificateEntry]:
    return [
        entry
        for token in tokens
        for key in token.keys
        if key.usage is KeyUsage.AUTHENTICATION
        for entry in key.certificates
        if entry.saved and entry.status in statuses
    ]


def _is_for_authentication(entry: CertificateEntry) -> bool:
    try:
        return read_certificate(entry.certificate).is_authentication
    except IncorrectCertificate:
        return False
