import zlib

import httpx
import pytest

from sild.devnet.portraits import portrait
from sild.devnet.providers import PHOTO_PATH, provider_app
from sild.devnet.serving import serve_app
from sild.devnet.soap_request import Question, write_request
from sild.devnet.topology import HEALTH_REGISTER, POLICE_REGISTER
from sild.protocol.ids import ServiceId
from sild.protocol.soap.fault import read_fault
from sild.protocol.soap.message import check_consistency, read_soap
from sild.protocol.soap.package import read_package
from sild.protocol.soap.parts import AttachmentChunk, AttachmentStart

pytestmark = pytest.mark.anyio

MARI, MATTI = "99001010011", "99003030033"
SERVICE = ServiceId(POLICE_REGISTER, "licencePhoto", "v1")
TEXT_XML = {"Content-Type": "text/xml; charset=UTF-8"}


def request_about(code):
    return write_request(Question(HEALTH_REGISTER, SERVICE, "id-1", (("personalCode", code),)))


@pytest.fixture
async def police(clock):
    served = await serve_app(provider_app("police", clock))
    async with httpx.AsyncClient(base_url=served.url, trust_env=False, timeout=60) as client:
        yield client
    await served.close()


def test_a_request_says_who_asks_whom_for_what_and_nothing_can_be_smuggled_in():
    asked = read_soap(request_about("a</personalCode><b>"), "text/xml")
    assert (asked.header.client, asked.header.service) == (HEALTH_REGISTER, SERVICE)
    assert (asked.header.message_id, asked.body_name) == ("id-1", "licencePhoto")
    plain = ServiceId(POLICE_REGISTER, "plain")
    written = write_request(Question(HEALTH_REGISTER, plain, "id-1", ()))
    assert read_soap(written, "text/xml").header.service == plain


async def test_the_photo_is_an_attachment_that_the_answer_refers_to(police):
    asked = request_about(MARI)
    answer = await police.post(PHOTO_PATH, content=asked, headers=TEXT_XML)
    assert answer.status_code == 200
    head, *rest = read_package(answer.headers["content-type"], answer.content)
    told = read_soap(head.raw, head.content_type)
    check_consistency(read_soap(asked, "text/xml"), told)
    assert told.body_name == "licencePhotoResponse"
    assert b">cid:photo-99001010011.png<" in head.raw
    (start,) = [each for each in rest if isinstance(each, AttachmentStart)]
    assert start.headers.content_type == "image/png"
    assert dict(start.headers.others)["Content-ID"] == "<photo-99001010011.png>"
    chunks = [each.data for each in rest if isinstance(each, AttachmentChunk)]
    assert b"".join(chunks) == portrait(MARI)


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [
        (request_about("99000000000"), "Client.Refused", "nobody has the personal code"),
        (request_about(MATTI), "Client.Refused", "has no driving licence"),
        (request_about(MARI)[:-20], "Client.NotUnderstood", "not well-formed"),
        (b"<a/>", "Client.NotUnderstood", "envelope"),
        (bytes(1024 * 1024 + 1), "Client.NotUnderstood", "is not taken"),
    ],
    ids=["nobody", "no licence", "cut", "no envelope", "too long"],
)
async def test_what_is_refused_is_a_fault(police, content, code, text):
    answer = await police.post(PHOTO_PATH, content=content, headers=TEXT_XML)
    fault = read_fault(answer.content)
    assert (answer.status_code, fault.fault) == (500, code)
    assert text in fault.message


def test_a_portrait_is_a_picture_of_one_person():
    picture = portrait(MARI)
    assert picture == portrait(MARI) != portrait(MATTI)
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    compressed = picture.split(b"IDAT")[1][:-16]
    rows = zlib.decompress(compressed)
    assert len(rows) == 192 * (192 + 1)
    first = rows[1:193]
    assert first == first[::-1]
