"""Answers to OCSP requests (RFC 6960) for the test CA: true ones, and wrong ones on demand."""

import hashlib
from datetime import datetime, timedelta
from typing import Any

from asn1crypto import algos, core, ocsp, x509

from sild.devnet.certification import CaLevel, CertificationAuthority
from sild.devnet.credentials import Credential
from sild.devnet.errors import DevnetError
from sild.devnet.faults import OcspFault
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.pki import der
from sild.runtime.clock import Clock

_STALE_BY = timedelta(days=30)
_MOST_QUESTIONS = 16
_HASHES = frozenset({"sha1", "sha256", "sha384", "sha512"})
_READ_ERRORS = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError)


class OcspResponder:
    """Answers for every level of the CA, each signed by the responder that the level appointed."""

    def __init__(
        self, ca: CertificationAuthority, clock: Clock, next_update: timedelta | None
    ) -> None:
        self._ca = ca
        self._clock = clock
        self._next_update = next_update
        self._faults: dict[int, OcspFault] = {}
        self._impostor: Credential | None = None

    def misbehave(self, serial: int, fault: OcspFault) -> None:
        """Answer wrongly about a certificate from now on; raises DevnetError if it is unknown."""
        if self._ca.find(serial) is None:
            raise DevnetError(f"no certificate with the serial number {serial} was issued here")
        self._faults[serial] = fault

    def behave(self, serial: int) -> None:
        """Answer truly about a certificate again."""
        self._faults.pop(serial, None)

    def answer(self, request: bytes) -> bytes | None:
        """The answer in DER; `None` stands for silence."""
        try:
            asked = _read_questions(request)
        except _READ_ERRORS:
            return _refusal("malformed_request")
        questions, nonce = asked
        level = self._find_level(questions)
        if level is None:
            return _refusal("unauthorized")
        faults = {self._faults.get(_serial(question)) for question in questions}
        if OcspFault.SILENT in faults:
            return None
        now = self._clock.now().replace(microsecond=0)
        responses = [self._answer_one(question, level, now) for question in questions]
        signer = self._impostor_signer() if OcspFault.WRONG_SIGNER in faults else level.ocsp_signer
        return _signed(responses, signer, now, nonce)

    def _impostor_signer(self) -> Credential:
        self._impostor = self._impostor or self._ca.make_impostor("Test OCSP")
        return self._impostor

    def _find_level(self, questions: list[Any]) -> CaLevel | None:
        """The level that issued all that is asked about: one signer answers for one CA."""
        for level in self._ca.levels:
            if all(_is_of(question, level) for question in questions):
                return level
        return None

    def _answer_one(self, question: Any, level: CaLevel, now: datetime) -> dict[str, Any]:
        serial = _serial(question)
        fault = self._faults.get(serial)
        this_update = now - _STALE_BY if fault is OcspFault.STALE else now
        answer = {
            "cert_id": question,
            "cert_status": self._status(serial, level),
            "this_update": this_update,
        }
        if fault is OcspFault.UNKNOWN:
            answer["cert_status"] = _unknown()
        if fault is OcspFault.WRONG_CERTIFICATE:
            answer["cert_id"] = ocsp.CertId(
                {
                    "hash_algorithm": question["hash_algorithm"],
                    "issuer_name_hash": question["issuer_name_hash"],
                    "issuer_key_hash": question["issuer_key_hash"],
                    "serial_number": serial + 1,
                }
            )
        if self._next_update is not None:
            answer["next_update"] = this_update + self._next_update
        return answer

    def _status(self, serial: int, level: CaLevel) -> Any:
        entry = self._ca.find(serial)
        if entry is None or entry.issuer != level.name:
            return _unknown()
        if entry.revoked_at is None:
            return ocsp.CertStatus("good", ocsp.StatusGood("good"))
        revoked = {"revocation_time": entry.revoked_at, "revocation_reason": "key_compromise"}
        return ocsp.CertStatus("revoked", ocsp.RevokedInfo(revoked))


def _unknown() -> Any:
    return ocsp.CertStatus("unknown", ocsp.StatusUnknown("unknown"))


def _read_questions(request: bytes) -> tuple[list[Any], Any]:
    """The certificates asked about, and the request's nonce as an extension of its answer."""
    asked = ocsp.OCSPRequest.load(request, strict=True)["tbs_request"]
    questions = [entry["req_cert"] for entry in asked["request_list"]]
    if not 1 <= len(questions) <= _MOST_QUESTIONS:
        raise ValueError(f"a request about {len(questions)} certificates")
    for question in questions:
        # Lazily parsed: what cannot be read must show here.
        _ = question.native
    extensions = asked["request_extensions"]
    known = extensions if extensions.native is not None else ()
    nonces = [each for each in known if each["extn_id"].native == "nonce"]
    return questions, ocsp.ResponseDataExtension.load(nonces[0].dump()) if nonces else None


def _serial(question: Any) -> int:
    return int(question["serial_number"].native)


def _is_of(question: Any, level: CaLevel) -> bool:
    name = question["hash_algorithm"]["algorithm"].native
    if name not in _HASHES:
        return False
    certificate = level.credential.certificate
    key_bits = der.contents_of(der.parts_of(certificate.public_key_der)[1])[1:]
    hashes: list[bytes] = [
        hashlib.new(name, hashed, usedforsecurity=False).digest()
        for hashed in (certificate.subject_der, key_bits)
    ]
    return hashes == [question["issuer_name_hash"].native, question["issuer_key_hash"].native]


def _signed(
    responses: list[dict[str, Any]], signer: Credential, now: datetime, nonce: Any
) -> bytes:
    said = {
        "responder_id": ocsp.ResponderId("by_key", core.OctetString(signer.certificate.key_sha1)),
        "produced_at": now,
        "responses": responses,
    }
    if nonce is not None:
        said["response_extensions"] = [nonce]
    contents = ocsp.ResponseData(said)
    basic = ocsp.BasicOCSPResponse(
        {
            "tbs_response_data": contents,
            "signature_algorithm": algos.SignedDigestAlgorithm(
                {"algorithm": f"sha256_{signer.asn1_family}"}
            ),
            "signature": signer.sign(contents.dump(), DigestAlgorithm.SHA256),
            "certs": [x509.Certificate.load(signer.certificate.der)],
        }
    )
    answer = {
        "response_status": "successful",
        "response_bytes": {"response_type": "basic_ocsp_response", "response": basic},
    }
    return bytes(ocsp.OCSPResponse(answer).dump())


def _refusal(status: str) -> bytes:
    return bytes(ocsp.OCSPResponse({"response_status": status}).dump())
