"""A time-stamping authority (RFC 3161) for development only."""

from datetime import datetime
from typing import Any

from asn1crypto import algos, cms, core, tsp, x509

from sild.devnet.credentials import Credential
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.pki import der
from sild.runtime.clock import Clock

# Under the number that IANA gave to examples.
_POLICY = "1.3.6.1.4.1.32473.1.1"
_IMPRINTS = {"sha256": 32, "sha384": 48, "sha512": 64}
_SERIAL_BYTES = 8
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class TimestampingAuthority:
    """Stamps what it is asked to, with the clock's time; `silent` can be set."""

    def __init__(self, signer: Credential, clock: Clock) -> None:
        self.signer = signer
        self.silent = False
        self._clock = clock

    def answer(self, request: bytes) -> bytes | None:
        """The answer in DER, a refusal among them; `None` stands for silence."""
        if self.silent:
            return None
        try:
            asked = tsp.TimeStampReq.load(request, strict=True)
            refused = _find_refusal(asked.native)
        except _READ_ERRORS:
            return _refusal("bad_data_format")
        return self._granted(asked) if refused is None else _refusal(refused)

    def _granted(self, asked: Any) -> bytes:
        stamp = {
            "version": "v1",
            "policy": _POLICY,
            "message_imprint": asked["message_imprint"],
            "serial_number": self._serial(),
            "gen_time": self._moment(),
            "accuracy": {"seconds": 1},
        }
        if asked["nonce"].native is not None:
            stamp["nonce"] = asked["nonce"]
        token = self._token(tsp.TSTInfo(stamp).dump(), embed=bool(asked["cert_req"].native))
        answer = {"status": {"status": "granted"}, "time_stamp_token": token}
        return bytes(tsp.TimeStampResp(answer).dump())

    def _serial(self) -> int:
        return int.from_bytes(self._clock.random_bytes(_SERIAL_BYTES), "big") | 1

    def _moment(self) -> datetime:
        return self._clock.now().replace(microsecond=0)

    def _token(self, content: bytes, *, embed: bool) -> Any:
        own = x509.Certificate.load(self.signer.certificate.der)
        attributes = _attributes(content, own)
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                "issuer_and_serial_number",
                {"issuer": own.issuer, "serial_number": own.serial_number},
            ),
            "digest_algorithm": {"algorithm": "sha512"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": f"sha512_{self.signer.asn1_family}"},
            "signature": self.signer.sign(attributes.dump(), DigestAlgorithm.SHA512),
        }
        signed = {
            "version": "v3",
            "digest_algorithms": [algos.DigestAlgorithm({"algorithm": "sha512"})],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(content),
            },
            "signer_infos": [cms.SignerInfo(signer)],
        }
        if embed:
            signed["certificates"] = [own]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})


def _find_refusal(asked: Any) -> str | None:
    """Why a request is not granted, if so; lazily parsed parts that cannot be read raise here."""
    imprint = asked["message_imprint"]
    size = _IMPRINTS.get(imprint["hash_algorithm"]["algorithm"])
    if size is None:
        return "bad_alg"
    if len(imprint["hashed_message"]) != size:
        return "bad_data_format"
    if asked["req_policy"] not in (None, _POLICY):
        return "unaccepted_policy"
    return "unaccepted_extensions" if asked["extensions"] else None


def _attributes(content: bytes, own: Any) -> Any:
    hashed = DigestAlgorithm.SHA512
    named = {
        "hash_algorithm": {"algorithm": "sha512"},
        "cert_hash": hashed.digest(own.dump()),
        "issuer_serial": {
            "issuer": [x509.GeneralName("directory_name", own.issuer)],
            "serial_number": own.serial_number,
        },
    }
    certificate = tsp.SigningCertificateV2({"certs": [named]})
    return cms.CMSAttributes(
        [
            cms.CMSAttribute({"type": "content_type", "values": ["tst_info"]}),
            cms.CMSAttribute({"type": "message_digest", "values": [hashed.digest(content)]}),
            cms.CMSAttribute({"type": "signing_certificate_v2", "values": [certificate]}),
        ]
    )


def _refusal(reason: str) -> bytes:
    # The library's own form of an answer cannot be without a token.
    status = tsp.PKIStatusInfo({"status": "rejection", "fail_info": {reason}})
    return der.sequence(status.dump())
