"""Signed documents, as information systems fetch them from either security server."""

import io
import json
import ssl
import subprocess
import sys
import uuid
import zipfile

import httpx
import pytest

from ecosystem.envelopes import TEXT_XML, Envelope
from ecosystem.letters import path_to
from ecosystem.plan import COUNTER, KIOSK, NOBODY, PORTAL, REGISTER
from evidence_builder import entries_in, rezipped
from sild.cli import main
from sild.components.confclient.cache import read_verification_conf
from sild.protocol.asic.container import read_container
from sild.runtime.http_server import Response

ASICE = "application/vnd.etsi.asic-e+zip"


@pytest.fixture
def exchanged(devnet, http):
    """A REST exchange that both servers have logged; its message id."""

    def exchange(client=PORTAL, **more):
        query_id = f"{uuid.uuid4()} +/{client.subsystem_code}"
        headers = {"X-Road-Client": client.short, "X-Road-Id": query_id.encode()}
        url = devnet.police.http_url + path_to("open")
        assert http.get(url, headers=headers).status_code == 200
        return query_id

    return exchange


@pytest.fixture
def fetch(devnet, http):
    """Ask a server for signed documents."""

    def get(query_id, owner=PORTAL, server=None, flags=(), client=http, url=None):
        fields = {
            "queryId": query_id,
            "xRoadInstance": owner.instance,
            "memberClass": owner.member_class,
            "memberCode": owner.member_code,
            "subsystemCode": owner.subsystem_code,
            **dict.fromkeys(flags, ""),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        base = url or (server or devnet.police).http_url
        return client.get(f"{base}/asic", params=given)

    return get


@pytest.mark.feature("ML-11")
@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_both_messages_of_an_exchange_are_given_in_one_file(devnet, exchanged, fetch, side):
    query_id = exchanged()
    owner, server = (PORTAL, devnet.police) if side == "consumer" else (REGISTER, devnet.health)
    answer = fetch(query_id, owner, server, ["force"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        kinds = [name.rpartition("-")[0].rpartition("-")[2] for name in archive.namelist()]
        assert kinds == ["request", "response"]
        request, response = (read_container(archive.read(name)) for name in archive.namelist())
    assert request.message.startswith(b"GET\r\n/r1/")
    assert response.message.startswith(b"200\r\n")


@pytest.mark.feature("ML-11")
@pytest.mark.parametrize(("flag", "begins"), [("requestOnly", b"GET"), ("responseOnly", b"200")])
def test_one_message_is_given_as_one_container(exchanged, fetch, flag, begins):
    query_id = exchanged()
    answer = fetch(query_id, flags=[flag, "unique", "force"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, ASICE)
    kind = flag.removesuffix("Only")
    assert f"-{kind}-" in answer.headers["content-disposition"]
    assert read_container(answer.content).message.startswith(begins)
    several = fetch(query_id, flags=[flag])
    assert f"-{kind}.zip" in several.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(several.content)) as archive:
        (name,) = archive.namelist()
        assert read_container(archive.read(name)).message.startswith(begins)


@pytest.mark.feature("ML-11")
def test_soap_messages_are_given_too(devnet, http, fetch):
    asking = Envelope(PORTAL, REGISTER, "getPerson", version="v1", message_id=str(uuid.uuid4()))
    answer = asking.response()
    devnet.recorder.prepare("/soap/", _answering(answer))
    sent = http.post(
        devnet.police.http_url, content=asking.request(), headers={"Content-Type": TEXT_XML}
    )
    assert sent.status_code == 200
    query_id = asking.header.partition("<x:id>")[2].partition("<")[0]
    for kind, message in (("requestOnly", asking.request()), ("responseOnly", sent.content)):
        got = fetch(query_id, flags=[kind, "unique", "force"])
        assert read_container(got.content).message == message


def _answering(body):
    return Response(200, b"OK", [(b"Content-Type", TEXT_XML.encode())], body)


@pytest.mark.feature("ML-11")
def test_what_has_no_time_stamp_yet_is_given_only_by_force(exchanged, fetch):
    for _ in range(10):
        query_id = exchanged()
        refused = fetch(query_id)
        if refused.status_code == 500:
            break
        # The server's own round was faster.
    assert (refused.status_code, refused.headers["content-type"][:10]) == (500, "text/plain")
    assert "not been time-stamped yet" in refused.text
    assert fetch(query_id, flags=["force"]).status_code == 200
    assert fetch(query_id).status_code == 200


@pytest.mark.feature("ML-11")
def test_a_client_gets_nothing_that_others_have_logged(exchanged, fetch, devnet):
    query_id = exchanged()
    assert fetch(query_id, REGISTER, devnet.health, ["force"]).status_code == 200
    refused = fetch(query_id, KIOSK)
    assert refused.status_code == 401
    other = fetch(query_id, PORTAL.member.subsystem("licences"))
    assert (other.status_code, other.headers["content-type"][:10]) == (404, "text/plain")


@pytest.mark.feature("ML-11")
def test_who_fetches_connects_as_the_connection_type_demands(devnet, exchanged, fetch, tmp_path):
    query_id = exchanged()
    for client in (KIOSK, COUNTER, NOBODY):
        assert fetch(query_id, client).status_code == 401
        # Before anything else that is asked for is looked at.
        assert fetch("", client).status_code == 401
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(*devnet.files_of(devnet.kiosk, tmp_path))
    with httpx.Client(verify=context, trust_env=False, timeout=60) as https:
        url = devnet.police.https_url
        assert fetch(query_id, KIOSK, client=https, url=url).status_code == 404


BAD = {
    "no query id": {"queryId": None},
    "an empty query id": {"queryId": ""},
    "no instance": {"xRoadInstance": None},
    "no member class": {"memberClass": None},
    "no member code": {"memberCode": None},
    "both directions": {"requestOnly": "", "responseOnly": ""},
    "unique of both": {"unique": ""},
}


@pytest.mark.feature("ML-11")
@pytest.mark.parametrize("case", BAD)
def test_a_question_that_makes_no_sense_is_refused(devnet, http, case):
    fields = {
        "queryId": "1",
        "xRoadInstance": PORTAL.instance,
        "memberClass": PORTAL.member_class,
        "memberCode": PORTAL.member_code,
        "subsystemCode": PORTAL.subsystem_code,
        **BAD[case],
    }
    given = {name: value for name, value in fields.items() if value is not None}
    answer = http.get(f"{devnet.police.http_url}/asic", params=given)
    assert (answer.status_code, answer.headers["content-type"][:10]) == (400, "text/plain")


@pytest.mark.feature("ML-11")
def test_nothing_of_the_documents_stays_on_the_disk(devnet, exchanged, fetch):
    query_id = exchanged()
    assert fetch(query_id, flags=["force"]).status_code == 200
    assert list(devnet.police.layout.documents.iterdir()) == []


@pytest.mark.feature("ML-12")
def test_the_configuration_that_verifies_is_given(devnet, http, tmp_path):
    answer = http.get(f"{devnet.police.http_url}/verificationconf")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        archive.extractall(tmp_path)
    trusted = read_verification_conf(tmp_path / "verificationconf")
    assert trusted.keys() == {"TEST"}


# What is downloaded proves itself


def verdict(container, conf, *flags):
    """What `sild verify` says, as a process of its own."""
    command = (sys.executable, "-m", "sild", "verify", str(container), "--conf", str(conf))
    ended = subprocess.run(
        (*command, "--json", *flags), capture_output=True, text=True, timeout=180, check=False
    )
    return ended.returncode, json.loads(ended.stdout)


@pytest.fixture(scope="module")
def conf(devnet, tmp_path_factory):
    """The verification configuration as the provider's server gives it, a ZIP file."""
    path = tmp_path_factory.mktemp("conf") / "verificationconf.zip"
    path.write_bytes(httpx.get(f"{devnet.health.http_url}/verificationconf", timeout=60).content)
    return path


@pytest.mark.feature("ML-11")
@pytest.mark.feature("ML-13")
@pytest.mark.parametrize("stamped", ["at once", "in a batch"])
@pytest.mark.parametrize("side", ["consumer", "provider"])
def test_a_downloaded_container_and_the_configuration_are_all_that_a_verdict_needs(
    devnet, exchanged, fetch, conf, side, stamped
):
    owner, server = (PORTAL, devnet.police) if side == "consumer" else (REGISTER, devnet.health)
    ids = [exchanged() for _ in range(3)]
    if stamped == "in a batch":
        devnet.run(server.control.stamp_waiting())
    for flag, signer in (("requestOnly", PORTAL), ("responseOnly", REGISTER)):
        answer = fetch(ids[0], owner, server, [flag, "unique", "force"])
        for _ in range(10):
            batch = read_container(answer.content).timestamp is not None
            if batch is (stamped == "in a batch"):
                break
            # The server's own round was faster.
            answer = fetch(exchanged(), owner, server, [flag, "unique", "force"])
        assert batch is (stamped == "in a batch")
        container = conf.with_name("container.asice")
        container.write_bytes(answer.content)
        code, said = verdict(container, conf, "--strict")
        assert (code, said["verdict"], said["code"]) == (0, "valid", None)
        assert said["unverified"] == []
        assert signer.member.member_code in said["signer"]


@pytest.mark.feature("ML-13")
def test_a_downloaded_container_that_was_changed_is_not_valid(
    exchanged, fetch, conf, tmp_path, capsys
):
    entries = entries_in(fetch(exchanged(), flags=["responseOnly", "unique", "force"]).content)
    path = tmp_path / "changed.asice"

    def judged(changed):
        path.write_bytes(rezipped(entries | changed))
        code = main(["verify", str(path), "--conf", str(conf), "--strict", "--json"])
        return code, json.loads(capsys.readouterr().out)["verdict"]

    assert judged({}) == (0, "valid")
    for name, content in entries.items():
        for place in (0, len(content) // 2, len(content) - 1):
            spoilt = bytearray(content)
            spoilt[place] ^= 1
            assert judged({name: bytes(spoilt)}) == (1, "invalid"), (name, place)
