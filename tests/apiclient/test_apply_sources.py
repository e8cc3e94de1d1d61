"""Where secrets and certificates come from."""

import sys
from dataclasses import replace

import pytest

from sild.apiclient.apply_certifying import CertificateCommand, CertificateFolder
from sild.apiclient.apply_errors import ApplyError
from sild.apiclient.apply_secrets import read_secret, to_der
from sild.apiclient.apply_values import CertificateOrder
from sild.apiclient.declared import Secret
from sild.runtime.files import write_private

pytestmark = pytest.mark.anyio

ORDER = CertificateOrder("SIGNING", "DEV:GOV:1", "DEV:GOV:1:ss1", "4E847E80FF", b"the request")
NAME = "ss1-signing-GOV-1-4E847E80"


def python(code):
    return (sys.executable, "-c", code)


async def test_a_secret_stands_in_a_file(tmp_path):
    write_private(tmp_path / "pin", b"12 34\n")
    assert await read_secret(Secret(file="pin"), tmp_path) == "12 34"


async def test_a_secret_stands_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("THE_PIN", "1234")
    assert await read_secret(Secret(environment="THE_PIN"), tmp_path) == "1234"


async def test_a_secret_is_printed_by_a_command(tmp_path):
    secret = Secret(command=python("print('1234')"))
    assert await read_secret(secret, tmp_path) == "1234"


@pytest.mark.parametrize(
    ("secret", "said"),
    [
        (Secret(file="none"), "cannot be read"),
        (Secret(file="empty"), "there is no secret in empty"),
        (Secret(file="open"), "chmod 600"),
        (Secret(file="bytes"), "is no text"),
        (Secret(environment="NOT_THERE_AT_ALL"), "there is no secret in NOT_THERE_AT_ALL"),
        (Secret(command=("/no/such/thing",)), "cannot be run"),
        (Secret(command=python("exit(3)")), "ended with exit code 3"),
        (Secret(command=python("")), "there is no secret in"),
    ],
)
async def test_a_secret_that_is_not_there_is_refused(tmp_path, secret, said):
    write_private(tmp_path / "empty", b"")
    write_private(tmp_path / "bytes", b"\xff")
    write_private(tmp_path / "open", b"1234", mode=0o644)
    with pytest.raises(ApplyError, match=said) as caught:
        await read_secret(secret, tmp_path)
    assert "1234" not in str(caught.value)


@pytest.mark.parametrize("ending", [".pem", ".crt", ".cer", ".der"])
async def test_a_folder_holds_requests_and_certificates(tmp_path, ending):
    folder = CertificateFolder(tmp_path / "certificates")
    assert await folder.certify(ORDER) is None
    assert (tmp_path / f"certificates/{NAME}.csr.pem").read_bytes() == b"the request"
    assert f"{NAME}.pem" in folder.wanted(ORDER)
    # The same request signed anew: who signs already has the first one.
    assert await folder.certify(replace(ORDER, csr=b"again")) is None
    assert (tmp_path / f"certificates/{NAME}.csr.pem").read_bytes() == b"the request"
    (tmp_path / f"certificates/{NAME}{ending}").write_bytes(b"the certificate")
    assert await folder.certify(ORDER) == b"the certificate"


async def test_another_key_has_other_files(tmp_path):
    assert replace(ORDER, key_id="AA").name != ORDER.name


async def test_no_name_leads_out_of_the_folder():
    order = replace(ORDER, member="DEV:../..:/etc", server="DEV:GOV:1:..", key_id="../..")
    assert "/" not in order.name
    assert "." not in order.name


async def test_a_command_gets_the_request_and_prints_the_certificate(tmp_path):
    code = "import sys; print(sys.stdin.read(), *sys.argv[1:], end='')"
    command = CertificateCommand(python(code), tmp_path)
    assert await command.certify(ORDER) == f"the request SIGNING DEV:GOV:1 {NAME}".encode()


async def test_a_command_that_prints_nothing_has_no_certificate_yet(tmp_path):
    command = CertificateCommand(python(""), tmp_path)
    assert await command.certify(ORDER) is None
    assert NAME in command.wanted(ORDER)


async def test_a_command_that_fails_is_told(tmp_path):
    with pytest.raises(ApplyError, match="exit code 1"):
        await CertificateCommand(python("exit(1)"), tmp_path).certify(ORDER)


async def test_pem_and_der_are_the_same_certificate():
    pem = b"-----BEGIN CERTIFICATE-----\nAQID\n-----END CERTIFICATE-----\n"
    assert to_der(pem, "a.pem") == to_der(b"\x01\x02\x03", "a.der")
    with pytest.raises(ApplyError, match=r"a\.pem holds no certificate"):
        to_der(b"-----BEGIN CERTIFICATE-----\nAQ", "a.pem")
