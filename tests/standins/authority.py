"""A test CA as administrators meet one: a form that signs requests, a responder, a time-stamper.

POST /testca/sign   multipart: type (auth or sign) and certreq (PEM or DER); gives PEM
POST /              an OCSP request
on another port: POST /  a time-stamp request
"""

import re
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from sild.devnet.authorities import Authorities, AuthoritiesSettings
from sild.devnet.certification import CaSettings, CertificateUse
from sild.devnet.serving import read_body, serve_app
from sild.runtime.clock import SystemClock

LIMIT = 64 * 1024
PROFILE = "ee.ria.xroad.common.certificateprofile.impl.FiVRKCertificateProfileInfoProvider"
USES = {"auth": CertificateUse.AUTHENTICATION, "sign": CertificateUse.SIGNING}


class TestAuthority:
    """The CA, served; `sign_at`, `ocsp_url` and `tsa_url` say where."""

    __test__ = False

    def __init__(self, instance="DEV"):
        settings = AuthoritiesSettings(CaSettings(instance), profile=PROFILE)
        self.authorities = Authorities(settings, SystemClock())
        self._served = []

    async def serve(self, host, port=0, tsa_port=0):
        """Answer on two ports of a host."""
        ca = Starlette(
            routes=[
                Route("/testca/sign", self._sign, methods=["POST"]),
                Route("/", self._ocsp, methods=["POST"]),
            ]
        )
        tsa = Starlette(routes=[Route("/", self._stamp, methods=["POST"])])
        first, second = await serve_app(ca, host, port), await serve_app(tsa, host, tsa_port)
        self._served = [first, second]
        self.ocsp_url, self.tsa_url = first.url, second.url
        self.sign_at = f"{first.url}/testca/sign"
        return self

    async def close(self):
        """Answer no more."""
        for served in self._served:
            await served.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    def certificates(self):
        """By name, in DER: of the CA, its responder and its time-stamper."""
        root = self.authorities.ca.root
        (tsa,) = self.authorities.tsas.values()
        return {
            "ca": root.credential.certificate.der,
            "ocsp": root.ocsp_signer.certificate.der,
            "tsa": tsa.signer.certificate.der,
        }

    def write_certificates(self, folder: Path):
        """Put them into a folder as PEM."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, der in self.certificates().items():
            pem = x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM)
            (folder / f"{name}.pem").write_bytes(pem)

    async def _sign(self, request: Request) -> Response:
        parts = form_of(await read_body(request, LIMIT), request.headers["content-type"])
        use = USES.get(parts.get("type", b"").decode().strip())
        if use is None:
            return PlainTextResponse("type is auth or sign", 400)
        try:
            wanted = parts["certreq"].strip()
            csr = x509.load_pem_x509_csr(wanted) if wanted.startswith(b"-----") else None
            der = wanted if csr is None else csr.public_bytes(Encoding.DER)
            certificate = self.authorities.ca.sign_request(der, use)
        except (KeyError, ValueError) as error:
            return PlainTextResponse(f"no request can be read: {error}", 400)
        return Response(certificate.x509.public_bytes(Encoding.PEM), media_type="text/plain")

    async def _ocsp(self, request: Request) -> Response:
        answer = self.authorities.ocsp.answer(await read_body(request, LIMIT))
        return Response(answer, media_type="application/ocsp-response")

    async def _stamp(self, request: Request) -> Response:
        (tsa,) = self.authorities.tsas.values()
        answer = tsa.answer(await read_body(request, LIMIT))
        return Response(answer, media_type="application/timestamp-reply")


def form_of(body, content_type):
    """The parts of a form by name; lines may end as on Unix, which some clients do."""
    boundary = re.search(r'boundary="?([^";]+)"?', content_type)[1].encode()
    parts = {}
    for piece in body.split(b"--" + boundary)[1:-1]:
        head, _, content = piece.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
        name = re.search(rb'name="([^"]*)"', head)
        if name:
            parts[name[1].decode()] = content.removesuffix(b"\n")
    return parts
