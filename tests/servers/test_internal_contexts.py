from datetime import UTC, datetime

import pytest

from pki_builder import TestCa
from sild.components.proxy.settings import ProxySettings
from sild.components.tlsidentity.selfsigned import TlsSubject
from sild.runtime.tls import TlsSetupError
from sild.servers.internal_contexts import InternalContexts
from sild.servers.internal_tls import write_self_signed
from sild.servers.server_tls import information_system_policy

TRUSTED = (TestCa.create().certificate.der,)
OTHERS = (TestCa.create("Other").certificate.der,)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "internal.pem"
    write_self_signed(path, TlsSubject("one.example.org"), datetime.now(UTC))
    return path


@pytest.fixture
def contexts(file):
    return InternalContexts(file, information_system_policy(ProxySettings()))


def made(contexts):
    """Everything that there is at a moment."""
    return [
        contexts.certificate(),
        contexts.listening.current,
        contexts.unverified(),
        contexts.trusting(TRUSTED),
    ]


def test_all_is_made_anew_for_another_certificate(file, contexts):
    before = made(contexts)
    assert made(contexts) == before
    write_self_signed(file, TlsSubject("two.example.org"), datetime.now(UTC))
    assert made(contexts) == before
    contexts.read()
    assert all(one != other for one, other in zip(before, made(contexts), strict=True))


@pytest.mark.parametrize("content", [b"", b"no key", "half"])
def test_what_cannot_be_used_leaves_all_as_it_was(file, contexts, content):
    before = made(contexts)
    if content == "half":
        # A key with the certificate of another.
        key = file.read_bytes().partition(b"-----BEGIN CERTIFICATE")[0]
        write_self_signed(file, TlsSubject("two.example.org"), datetime.now(UTC))
        content = key + b"".join(file.read_bytes().partition(b"-----BEGIN CERTIFICATE")[1:])
    file.write_bytes(content)
    with pytest.raises(TlsSetupError):
        contexts.read()
    assert made(contexts) == before


def test_what_is_not_used_any_more_is_forgotten(contexts):
    kept, other = contexts.trusting(TRUSTED), contexts.trusting(OTHERS)
    contexts.forget_all_but([TRUSTED, TRUSTED])
    assert contexts.trusting(TRUSTED) is kept
    assert contexts.trusting(OTHERS) is not other
