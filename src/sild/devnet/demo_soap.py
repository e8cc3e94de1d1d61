"""The scene of the demo that an older service plays: a question by SOAP, a photo attached."""

from pathlib import Path

from sild.devnet.ecosystem import Ecosystem
from sild.devnet.evidence import Exchanged, export_and_verify
from sild.devnet.soap_offerings import TEXT_XML
from sild.devnet.soap_request import Question, write_request
from sild.devnet.telling import StoryWentWrong, Teller, expect
from sild.devnet.topology import HEALTH_REGISTER, POLICE_REGISTER
from sild.protocol.ids import ServiceId
from sild.protocol.soap.fault import find_fault
from sild.protocol.soap.message import read_soap
from sild.protocol.soap.package import read_package
from sild.protocol.soap.parts import AttachmentChunk, AttachmentStart, SoapPart
from sild.runtime.clock import SystemClock
from sild.runtime.fetch import Fetcher, FetchRequest, FetchResponse

_MARI = "99001010011"
_SERVICE = ServiceId(POLICE_REGISTER, "licencePhoto", "v1")


class PhotoScene:
    """The health insurance fund asks the police for a photo."""

    def __init__(self, ecosystem: Ecosystem, fetcher: Fetcher, teller: Teller) -> None:
        self._fetcher = fetcher
        self._teller = teller
        self._asking = ecosystem.server_of(HEALTH_REGISTER)
        self._answering = ecosystem.server_of(POLICE_REGISTER)
        self._folder = ecosystem.plan.directory / "evidence"

    async def play(self) -> None:
        """Ask, look at the answer, and at what both servers hold of it."""
        self._teller.say(
            "The health insurance fund prints Mari a new card and needs her photo. The police"
            " keep it in a register that has spoken SOAP for twenty years; nobody has to rewrite"
            " it: SOAP travels the same road."
        )
        self._folder.mkdir(exist_ok=True)
        message_id = SystemClock().uuid()
        question = Question(HEALTH_REGISTER, _SERVICE, message_id, (("personalCode", _MARI),))
        request = write_request(question)
        letter = self._folder / "photo-request.xml"
        letter.write_bytes(request)
        self._teller.excerpt(request.decode().splitlines()[1:])
        url = self._asking.http_url
        self._teller.command(
            f"curl -H 'Content-Type: {TEXT_XML}' --data-binary '@{letter}' '{url}'"
        )
        self._show(await self._post(request))
        await self._show_evidence(message_id)

    async def _post(self, request: bytes) -> FetchResponse:
        headers = (("Content-Type", TEXT_XML),)
        url = f"{self._asking.http_url}/"
        return await self._fetcher.fetch(FetchRequest(url, "POST", headers, request))

    def _show(self, answer: FetchResponse) -> None:
        content_type = answer.find_header("content-type") or ""
        if content_type.startswith("text/xml"):
            raise StoryWentWrong(f"no photo, but {find_fault(answer.body)}")
        head, *rest = read_package(content_type, answer.body)
        expect(isinstance(head, SoapPart), "the answer does not begin with its SOAP part")
        assert isinstance(head, SoapPart)  # noqa: S101 - said above
        message = read_soap(head.raw, head.content_type)
        (start,) = [each for each in rest if isinstance(each, AttachmentStart)]
        content = b"".join([each.data for each in rest if isinstance(each, AttachmentChunk)])
        name = dict(start.headers.others)["Content-ID"].strip("<>")
        expect(f"cid:{name}".encode() in head.raw, f"the answer does not refer to {name}")
        (self._folder / Path(name).name).write_bytes(content)
        self._teller.result(
            str(answer.status),
            f"{message.body_name} with one attachment: {name}, {start.headers.content_type},"
            f" {len(content):,} bytes",
        )

    async def _show_evidence(self, message_id: str) -> None:
        for server, owner in (
            (self._asking, HEALTH_REGISTER),
            (self._answering, POLICE_REGISTER),
        ):
            code = server.plan.id.server_code
            path = self._folder / f"photo-{code}.asice"
            report = await export_and_verify(server, Exchanged(message_id, owner, True), path)
            expect(report.signer.member == POLICE_REGISTER.member, f"signed by {report.signer}")
            expect(len(report.unverified) == 1, f"{len(report.unverified)} attachments are signed")
            self._teller.result(
                "valid",
                f"the answer that {code} holds: signed by {report.signer}, its attachment covered"
                " by the same signature",
            )
