import subprocess
import sys
from pathlib import Path

from asn1crypto import core

from sild.protocol.pki.prepared import prepare_classes

_TESTS = Path(__file__).parents[2]

# Forks before anything was read, and then reads the same request in three threads at once.
_AT_ONCE = """
import os, sys, threading
from management_builder import SERVER, TestSender
from pki_builder import NOON
from sild.protocol import safexml
from sild.protocol.management.package import read_package
from sild.protocol.management.requests import AuthCertRegistration
from sild.protocol.management.verify import verify_request
from sild.protocol.pki.ocsp import read_ocsp_response
from sild.protocol.pki.prepared import prepare_classes

sender = TestSender.create()
body, kind = sender.send(AuthCertRegistration(SERVER, sender.auth.certificate.der, "10.0.0.1"))
prepare_classes()
sys.setswitchinterval(1e-6)

def read_at_once():
    start, errors = threading.Barrier(3), []
    def read():
        start.wait()
        try:
            verify_request(read_package(body, kind), sender.ecosystem, NOON)
        except Exception as error:
            errors.append(repr(error))
    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(*errors, sep="\\n", end="", flush=True)
    return len(errors)

failed = 0
for _ in range(40):
    child = os.fork()
    if child == 0:
        os._exit(read_at_once())
    failed += os.waitpid(child, 0)[1] != 0
print(failed)
"""


def test_no_class_is_left_to_be_prepared_by_whoever_comes_first():
    assert prepare_classes() > 200
    unprepared = [
        one.__name__
        for one in _below(core.Asn1Value)
        if one not in core._SETUP_CLASSES and hasattr(one, "_setup")
    ]
    assert unprepared in ([], ["Choice"])


def _below(parent):
    for child in parent.__subclasses__():
        yield child
        yield from _below(child)


def test_requests_that_are_the_first_and_come_at_once_are_all_read():
    environment = {"PYTHONPATH": str(_TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", _AT_ONCE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout.strip() == "0", done.stdout
