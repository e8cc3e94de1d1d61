import base64
import logging
import subprocess
from datetime import timedelta
from urllib.parse import quote

import httpx
import pytest
from asn1crypto import ocsp, tsp
from cryptography.hazmat.primitives.serialization import Encoding

from sild.devnet.authorities import Authorities, AuthoritiesSettings
from sild.devnet.certificates import WARNING
from sild.devnet.certification import CaSettings
from sild.devnet.errors import DevnetError
from sild.devnet.faults import OcspFault
from sild.model.tokens import KeyAlgorithm
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import CertValidation, IncorrectCertificate, IncorrectValidationInfo
from sild.protocol.pki import der
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.csr import CertificateUse
from sild.protocol.pki.ocsp import (
    OcspStatus,
    build_ocsp_request,
    read_ocsp_response,
    verify_ocsp,
)
from sild.protocol.pki.path import verify_path
from sild.protocol.pki.timestamp import (
    build_timestamp_request,
    read_timestamp_response,
    verify_timestamp,
)

OCSP = {"content-type": "application/ocsp-request"}
TSP = {"content-type": "application/timestamp-query"}


@pytest.fixture
def ask(http):
    """Ask the OCSP responder of running authorities about a certificate."""

    async def ask(running, certificate, issuer=None):
        issuer = issuer or running.ca.issuer.credential.certificate
        request = build_ocsp_request(certificate, issuer)
        answer = await http.post(f"{running.url}/ocsp", content=request, headers=OCSP)
        assert answer.headers["content-type"] == "application/ocsp-response"
        return read_ocsp_response(answer.content)

    return ask


@pytest.fixture
def stamp(http):
    """Ask for a time-stamp over data."""

    async def stamp(running, data, path="tsa", **wishes):
        digest = DigestAlgorithm.SHA512
        request = build_timestamp_request(digest.digest(data), digest, **wishes)
        answer = await http.post(f"{running.url}/{path}", content=request, headers=TSP)
        assert answer.headers["content-type"] == "application/timestamp-reply"
        return read_timestamp_response(answer.content)

    return stamp


def verify(running, response, certificate, clock):
    issuer = running.ca.issuer.credential.certificate
    return verify_ocsp(response, certificate, issuer, running.trust(), clock.now())


async def test_the_log_says_that_nothing_is_to_be_trusted(clock, caplog):
    with caplog.at_level(logging.WARNING):
        Authorities(AuthoritiesSettings(), clock)
    assert WARNING in caplog.text


async def test_ca_certificates_can_be_downloaded(run_authorities, http):
    running = await run_authorities(ca=CaSettings(has_intermediate=True))
    root = await http.get(f"{running.url}/ca")
    assert read_certificate(root.content) == running.ca.root.credential.certificate
    below = await http.get(f"{running.url}/ca/intermediate?pem")
    assert read_certificate(below.content) == running.ca.intermediate.credential.certificate


async def test_without_an_intermediate_there_is_none_to_download(running, http):
    assert (await http.get(f"{running.url}/ca/intermediate")).status_code == 404


@pytest.mark.parametrize("key_algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_a_certificate_is_good(run_authorities, ask, clock, key_algorithm):
    running = await run_authorities(ca=CaSettings(key_algorithm=key_algorithm))
    certificate = running.issue()
    response = await ask(running, certificate)
    verified = verify(running, response, certificate, clock)
    assert verified.signer == running.ca.root.ocsp_signer.certificate
    assert response.next_update == response.this_update + timedelta(hours=1)


async def test_an_answer_needs_no_next_update(run_authorities, ask, clock):
    running = await run_authorities(next_update=None)
    certificate = running.issue()
    response = await ask(running, certificate)
    assert response.next_update is None
    verify(running, response, certificate, clock)


async def test_answers_follow_a_turned_clock(running, ask, clock):
    certificate = running.issue()
    for turn in (timedelta(days=40), timedelta(days=-40)):
        clock.turn(turn)
        verify(running, await ask(running, certificate), certificate, clock)


async def test_with_an_intermediate_a_path_verifies(run_authorities, ask, clock):
    running = await run_authorities(ca=CaSettings(has_intermediate=True))
    certificate = running.issue()
    response = await ask(running, certificate)
    path = verify_path(certificate, (), (response,), running.trust(), clock.now())
    assert path.certificates[0] == certificate
    intermediate = running.ca.intermediate.credential.certificate
    root = running.ca.root.credential.certificate
    of_ca = await ask(running, intermediate, root)
    assert of_ca.status is OcspStatus.GOOD
    verify_ocsp(of_ca, intermediate, root, running.trust(), clock.now())


async def test_a_revoked_certificate_is_reported(running, ask, clock):
    certificate = running.issue()
    running.ca.revoke(certificate.serial)
    response = await ask(running, certificate)
    assert response.status is OcspStatus.REVOKED
    with pytest.raises(CertValidation, match="revoked"):
        verify(running, response, certificate, clock)


async def test_a_certificate_that_was_never_issued_is_unknown(running, run_authorities, ask):
    other = await run_authorities()
    issuer = running.ca.issuer.credential.certificate
    response = await ask(running, other.issue(), issuer)
    assert response.status is OcspStatus.UNKNOWN


async def test_a_ca_knows_only_what_it_issued_itself(run_authorities, ask):
    running = await run_authorities(ca=CaSettings(has_intermediate=True))
    certificate = running.issue()
    assert (await ask(running, certificate)).status is OcspStatus.GOOD
    root = running.ca.root.credential.certificate
    assert (await ask(running, certificate, root)).status is OcspStatus.UNKNOWN


async def test_nothing_is_said_of_another_authoritys_certificates(running, run_authorities, ask):
    other = await run_authorities()
    issuer = other.ca.issuer.credential.certificate
    with pytest.raises(IncorrectValidationInfo, match="unauthorized"):
        await ask(running, other.issue(), issuer)


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        (OcspFault.STALE, IncorrectValidationInfo, "too old"),
        (OcspFault.WRONG_CERTIFICATE, IncorrectValidationInfo, "not about"),
        (OcspFault.WRONG_SIGNER, IncorrectValidationInfo, "signature"),
        (OcspFault.UNKNOWN, CertValidation, "unknown"),
    ],
)
async def test_a_responder_misbehaves_about_one_certificate_alone(
    running, ask, clock, fault, error, says
):
    certificate, other = running.issue(), running.issue()
    running.authorities.ocsp.misbehave(certificate.serial, fault)
    with pytest.raises(error, match=says):
        verify(running, await ask(running, certificate), certificate, clock)
    verify(running, await ask(running, other), other, clock)
    running.authorities.ocsp.behave(certificate.serial)
    verify(running, await ask(running, certificate), certificate, clock)


async def test_a_silent_responder_lets_its_client_wait(running, ask, http):
    certificate = running.issue()
    running.authorities.ocsp.misbehave(certificate.serial, OcspFault.SILENT)
    http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        await ask(running, certificate)


async def test_silence_ends_without_an_answer(run_authorities, http):
    running = await run_authorities(silence=timedelta(milliseconds=50))
    running.authorities.tsas["tsa"].silent = True
    answer = await http.post(f"{running.url}/tsa", content=b"", headers=TSP)
    assert answer.status_code == 503


async def test_misbehaviour_about_an_unknown_certificate_is_a_mistake(running):
    with pytest.raises(DevnetError):
        running.authorities.ocsp.misbehave(99, OcspFault.STALE)


async def test_a_request_may_come_as_a_path(running, http, clock):
    certificate = running.issue()
    request = build_ocsp_request(certificate, running.ca.root.credential.certificate)
    encoded = quote(base64.b64encode(request).decode(), safe="")
    answer = await http.get(f"{running.url}/ocsp/{encoded}")
    verify(running, read_ocsp_response(answer.content), certificate, clock)


@pytest.mark.parametrize("request_", [b"", b"nothing", b"\x30\x00", b"\x30\x03\x02\x01\x00"])
async def test_what_is_no_ocsp_request_is_called_malformed(running, http, request_):
    answer = await http.post(f"{running.url}/ocsp", content=request_, headers=OCSP)
    status = ocsp.OCSPResponse.load(answer.content)["response_status"].native
    assert status == "malformed_request"
    encoded = quote(base64.b64encode(request_).decode() or "*", safe="")
    answer = await http.get(f"{running.url}/ocsp/{encoded}")
    assert ocsp.OCSPResponse.load(answer.content)["response_status"].native == status


async def test_a_long_request_is_not_taken(running, http):
    for path in ("ocsp", "tsa"):
        answer = await http.post(f"{running.url}/{path}", content=bytes(100_000))
        assert answer.status_code == 413


@pytest.mark.parametrize("key_algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_a_time_stamp_verifies(run_authorities, stamp, clock, key_algorithm):
    running = await run_authorities(ca=CaSettings(key_algorithm=key_algorithm))
    token = await stamp(running, b"evidence")
    verified = verify_timestamp(token, b"evidence", running.trust().tsas)
    assert abs(verified.gen_time - clock.now()) < timedelta(seconds=5)
    assert token.nonce is None


async def test_a_time_stamp_has_the_nonce_that_was_sent(running, stamp):
    assert (await stamp(running, b"evidence", nonce=77)).nonce == 77


async def test_several_time_stampers_have_paths_of_their_own(run_authorities, stamp):
    running = await run_authorities(tsas=("tsa", "tsa2"))
    first, second = running.trust().tsas
    assert (first.url, second.url) == (f"{running.url}/tsa", f"{running.url}/tsa2")
    token = await stamp(running, b"evidence", "tsa2")
    assert verify_timestamp(token, b"evidence", (first, second)).tsa == second


async def test_a_time_stamp_follows_a_turned_clock(running, stamp, clock):
    clock.turn(timedelta(days=30))
    token = await stamp(running, b"evidence")
    verified = verify_timestamp(token, b"evidence", running.trust().tsas)
    assert abs(verified.gen_time - clock.now()) < timedelta(seconds=5)


def refusal(answer):
    (status,) = der.parts_of(answer.content)
    said = tsp.PKIStatusInfo.load(status)
    assert said["status"].native == "rejection"
    return said["fail_info"].native


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"message_imprint": {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": b"1" * 20}}, "bad_alg"),
        ({"message_imprint": {"hash_algorithm": {"algorithm": "sha512"}, "hashed_message": b"1"}}, "bad_data_format"),
        ({"req_policy": "1.2.3"}, "unaccepted_policy"),
    ],
)  # fmt: skip
async def test_a_request_that_cannot_be_granted_is_refused_with_a_reason(
    running, http, change, reason
):
    imprint = {"hash_algorithm": {"algorithm": "sha512"}, "hashed_message": bytes(64)}
    request = tsp.TimeStampReq({"version": "v1", "message_imprint": imprint} | change).dump()
    answer = await http.post(f"{running.url}/tsa", content=request, headers=TSP)
    assert refusal(answer) == {reason}


async def test_what_is_no_time_stamp_request_is_refused(running, http):
    answer = await http.post(f"{running.url}/tsa", content=b"nothing", headers=TSP)
    assert refusal(answer) == {"bad_data_format"}


def test_an_unknown_profile_is_refused(clock):
    with pytest.raises(IncorrectCertificate):
        Authorities(AuthoritiesSettings(profile="none"), clock)


@pytest.mark.parametrize("name", ["", "ca", "ocsp", "root", "../tsa", "a-very-long-name"])
def test_a_time_stamper_needs_a_name_of_its_own(clock, name):
    with pytest.raises(DevnetError, match="time-stamper"):
        Authorities(AuthoritiesSettings(tsas=("tsa", name)), clock)


def test_unserved_authorities_cannot_be_published(clock):
    with pytest.raises(DevnetError, match="no address"):
        Authorities(AuthoritiesSettings(), clock).certification_service()


async def test_state_is_read_again(run_authorities, ask, clock, tmp_path, stamp):
    first = await run_authorities(tmp_path / "state")
    certificate = first.issue()
    again = await run_authorities(tmp_path / "state")
    verify(again, await ask(again, certificate), certificate, clock)
    token = await stamp(again, b"evidence")
    assert verify_timestamp(token, b"evidence", first.trust().tsas)


def pem(path, certificate):
    path.write_bytes(certificate.x509.public_bytes(Encoding.PEM))
    return path


@pytest.mark.parametrize("has_intermediate", [False, True])
@pytest.mark.parametrize("key_algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_openssl_accepts_the_ocsp_answers(
    run_authorities, openssl, tmp_path, key_algorithm, has_intermediate
):
    settings = CaSettings(key_algorithm=key_algorithm, has_intermediate=has_intermediate)
    running = await run_authorities(ca=settings)
    good, bad = running.issue(), running.issue()
    running.ca.revoke(bad.serial)
    chain = tmp_path / "chain.pem"
    chain.write_bytes(
        b"".join(
            level.credential.certificate.x509.public_bytes(Encoding.PEM)
            for level in running.ca.levels
        )
    )
    code, said = await openssl(
        "ocsp", "-url", f"{running.url}/ocsp", "-CAfile", chain,
        "-issuer", pem(tmp_path / "issuer.pem", running.ca.issuer.credential.certificate),
        "-cert", pem(tmp_path / "good.pem", good), "-cert", pem(tmp_path / "bad.pem", bad),
    )  # fmt: skip
    assert code == 0, said
    assert "Response verify OK" in said
    assert "WARNING" not in said, "the nonce came back"
    assert "good.pem: good" in said
    assert "bad.pem: revoked" in said


@pytest.mark.parametrize("key_algorithm", [KeyAlgorithm.EC_P256, KeyAlgorithm.RSA_2048])
async def test_openssl_accepts_the_time_stamps(
    run_authorities, openssl, http, tmp_path, key_algorithm
):
    running = await run_authorities(ca=CaSettings(key_algorithm=key_algorithm))
    evidence, query, reply = (tmp_path / name for name in ("evidence", "query", "reply"))
    evidence.write_bytes(b"evidence")
    code, said = await openssl("ts", "-query", "-data", evidence, "-sha512", "-cert", "-out", query)
    assert code == 0, said
    answer = await http.post(f"{running.url}/tsa", content=query.read_bytes(), headers=TSP)
    reply.write_bytes(answer.content)
    root = pem(tmp_path / "root.pem", running.ca.root.credential.certificate)
    for asked in (("-queryfile", query), ("-data", evidence)):
        code, said = await openssl("ts", "-verify", *asked, "-in", reply, "-CAfile", root)
        assert code == 0, said
        assert "Verification: OK" in said
    evidence.write_bytes(b"other")
    code, _ = await openssl("ts", "-verify", "-data", evidence, "-in", reply, "-CAfile", root)
    assert code != 0


def test_openssl_accepts_an_authentication_certificate_for_both_sides(tmp_path, clock, request_for):
    authorities = Authorities(AuthoritiesSettings(ca=CaSettings(has_intermediate=True)), clock)
    leaf = authorities.ca.sign_request(
        request_for(dns_name="a.example"), CertificateUse.AUTHENTICATION
    )
    root, below = (level.credential.certificate for level in authorities.ca.levels)
    for purpose in ("sslserver", "sslclient"):
        checked = subprocess.run(
            ["openssl", "verify", "-x509_strict", "-purpose", purpose,
             "-CAfile", pem(tmp_path / "root", root), "-untrusted", pem(tmp_path / "below", below),
             pem(tmp_path / "leaf", leaf)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert checked.returncode == 0, checked.stderr
