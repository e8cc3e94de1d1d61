"""A test CA with its OCSP responder and time-stampers over HTTP, FOR DEVELOPMENT ONLY.

Trust nothing that is signed by these: the keys lie unprotected, and whoever asks is served. The
names in all their certificates, and a warning in the log, say so too.

    authorities = Authorities(AuthoritiesSettings("DEV"), SystemClock(), state_directory)
    served = await authorities.serve("127.0.0.1")
    certificate = authorities.ca.sign_request(csr, CertificateUse.SIGNING)
    authorities.ca.revoke(certificate.serial)
    authorities.ocsp.misbehave(other.serial, OcspFault.STALE)
    authorities.tsas["tsa"].silent = True
"""

import asyncio
import base64
import binascii
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sild.devnet.certificates import WARNING
from sild.devnet.certification import CaLevel, CaSettings, CertificationAuthority
from sild.devnet.credentials import CredentialStore
from sild.devnet.errors import DevnetError
from sild.devnet.ocsp_responder import OcspResponder
from sild.devnet.serving import (
    BodyTooLarge,
    Served,
    read_body,
    serve_app,
    wait_for_departure,
)
from sild.devnet.timestamping import TimestampingAuthority
from sild.protocol.globalconf.shared_parameters import (
    CaEntry,
    CertificationService,
    CostType,
    OcspResponderEntry,
    TimestampingService,
)
from sild.protocol.pki.profiles import get_profile
from sild.runtime.clock import Clock

_REQUEST_LIMIT = 64 * 1024
_OCSP_RESPONSE = "application/ocsp-response"
_TIMESTAMP_REPLY = "application/timestamp-reply"
_PROFILE = "ee.ria.xroad.common.certificateprofile.impl.BasicCertificateProfileInfoProvider"
_TAKEN = frozenset({"ca", "ocsp", "root", "root-ocsp"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AuthoritiesSettings:
    """Which authorities there are, and what they are like.

    `profile` is the reference's class name, `tsas` are the paths of time-stampers, `silence` is
    how long a client that waits for a silent one is kept.
    """

    ca: CaSettings = field(default_factory=CaSettings)
    profile: str = _PROFILE
    tsas: tuple[str, ...] = ("tsa",)
    next_update: timedelta | None = timedelta(hours=1)
    silence: timedelta = timedelta(seconds=60)


class Authorities:
    """The CA, its OCSP responder and the time-stampers of one instance.

    Without a state directory all keys are new. Raises DevnetError where what the directory holds
    cannot be used.
    """

    def __init__(
        self, settings: AuthoritiesSettings, clock: Clock, state: Path | None = None
    ) -> None:
        get_profile(settings.profile)
        _check_names(settings.tsas)
        self._settings = settings
        self.ca = CertificationAuthority(settings.ca, clock, CredentialStore(state))
        self.ocsp = OcspResponder(self.ca, clock, settings.next_update)
        usage = ExtendedKeyUsageOID.TIME_STAMPING
        self.tsas = {
            name: TimestampingAuthority(self.ca.issue_service(name, f"Test {name}", usage), clock)
            for name in settings.tsas
        }
        self.url = ""
        self.app = Starlette(routes=self._routes())
        _log.warning("The CA of %s is for %s", settings.ca.instance, WARNING)

    async def serve(self, host: str = "127.0.0.1", port: int = 0) -> Served:
        """Answer over HTTP; from then on the authorities know their addresses."""
        served = await serve_app(self.app, host, port)
        self.url = served.url
        return served

    def certification_service(self) -> CertificationService:
        """The CA as a global configuration approves it."""
        intermediate = self.ca.intermediate
        return CertificationService(
            name=f"{self._settings.ca.instance} test CA ({WARNING})",
            profile=self._settings.profile,
            top=self._ca_entry(self.ca.root),
            intermediates=() if intermediate is None else (self._ca_entry(intermediate),),
        )

    def timestamping_services(self) -> tuple[TimestampingService, ...]:
        """The time-stampers as a global configuration approves them."""
        return tuple(
            TimestampingService(
                name=f"{self._settings.ca.instance} test {name} ({WARNING})",
                url=self._address(name),
                certificate=tsa.signer.certificate,
                cost=CostType.FREE,
            )
            for name, tsa in self.tsas.items()
        )

    def _ca_entry(self, level: CaLevel) -> CaEntry:
        signer = level.ocsp_signer.certificate
        responder = OcspResponderEntry(self._address("ocsp"), signer, CostType.FREE)
        return CaEntry(level.credential.certificate, (responder,))

    def _address(self, path: str) -> str:
        if not self.url:
            raise DevnetError("the authorities have no address yet: serve them first")
        return f"{self.url}/{path}"

    def _routes(self) -> list[Route]:
        stampers = [
            Route(f"/{name}", self._stamping(tsa), methods=["POST"])
            for name, tsa in self.tsas.items()
        ]
        return [
            Route("/ca", self._download_root, methods=["GET"]),
            Route("/ca/intermediate", self._download_intermediate, methods=["GET"]),
            Route("/ocsp", self._ocsp_post, methods=["POST"]),
            Route("/ocsp/{encoded:path}", self._ocsp_get, methods=["GET"]),
            *stampers,
        ]

    async def _download_root(self, request: Request) -> Response:
        return _certificate(self.ca.root, request)

    async def _download_intermediate(self, request: Request) -> Response:
        if self.ca.intermediate is None:
            return PlainTextResponse("there is no intermediate CA", 404)
        return _certificate(self.ca.intermediate, request)

    async def _ocsp_post(self, request: Request) -> Response:
        return await self._answer_body(request, self.ocsp.answer, _OCSP_RESPONSE)

    async def _ocsp_get(self, request: Request) -> Response:
        """RFC 6960, A.1: the request in base64, percent-encoded, as the rest of the path."""
        encoded = request.path_params["encoded"]
        try:
            asked = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            asked = b""
        return await self._say(request, self.ocsp.answer(asked), _OCSP_RESPONSE)

    def _stamping(self, tsa: TimestampingAuthority) -> Callable[[Request], object]:
        async def stamp(request: Request) -> Response:
            return await self._answer_body(request, tsa.answer, _TIMESTAMP_REPLY)

        return stamp

    async def _answer_body(
        self, request: Request, answer: Callable[[bytes], bytes | None], media_type: str
    ) -> Response:
        try:
            body = await read_body(request, _REQUEST_LIMIT)
        except BodyTooLarge as error:
            return PlainTextResponse(str(error), 413)
        return await self._say(request, answer(body), media_type)

    async def _say(self, request: Request, said: bytes | None, media_type: str) -> Response:
        if said is not None:
            return Response(said, media_type=media_type)
        try:
            async with asyncio.timeout(self._settings.silence.total_seconds()):
                await wait_for_departure(request)
        except TimeoutError:
            pass
        return PlainTextResponse("silent, as was asked for", 503)


def _check_names(names: tuple[str, ...]) -> None:
    """Names of time-stampers are paths, names of files, and stand in certificates."""
    for name in names:
        if not re.fullmatch(r"[a-z0-9-]{1,10}", name) or name in _TAKEN:
            raise DevnetError(f"a time-stamper cannot be called {name!r}")


def _certificate(level: CaLevel, request: Request) -> Response:
    certificate = level.credential.certificate
    if "pem" in request.query_params:
        text = certificate.x509.public_bytes(Encoding.PEM)
        return Response(text, media_type="application/x-pem-file")
    return Response(certificate.der, media_type="application/pkix-cert")
