"""The story that `sild demo` tells, each step of it looked at and not only told."""

import asyncio
import json
import logging
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from sild.devnet.demo_soap import PhotoScene
from sild.devnet.ecosystem import Ecosystem, Plan, RunningServer
from sild.devnet.errors import DevnetError
from sild.devnet.evidence import Exchanged, export_and_verify
from sild.devnet.raw_peer import RawAnswer, RawPeer, make_signer, with_part
from sild.devnet.telling import StoryWentWrong, Teller, expect
from sild.devnet.topology import (
    DEMO,
    HEALTH_REGISTER,
    LAPSED,
    LAPSED_SHOP,
    POLICE_PORTAL,
    TAX_REGISTER,
)
from sild.protocol.algorithms import DigestAlgorithm
from sild.protocol.errors import ProtocolError
from sild.protocol.ids import ClientId
from sild.protocol.pki.certificate import read_certificate
from sild.protocol.pki.ocsp import build_ocsp_request
from sild.protocol.soap.fault import find_fault
from sild.protocol.transport.grammar import Direction
from sild.protocol.transport.reader import read_whole
from sild.runtime.fetch import Fetcher, FetchRequest, FetchResponse
from sild.runtime.loop import run

_MARI, _JAAN = "99001010011", "99002020022"
_INSURANCE = "/r1/DEV/GOV/79990002/register/insurance"
_INCOME = "/r1/DEV/GOV/79990003/register/income"
_DEBT = "/r1/DEV/GOV/79990003/register/debt"

_Scene = tuple[str, Callable[[], Awaitable[None]]]


def run_demo(directory: Path | None, *, base_port: int, once: bool) -> int:
    """Tell the story and stay up until told to stop; 0 if every step gave what it must."""
    logging.basicConfig(level=logging.ERROR, stream=sys.stderr)
    teller = Teller(sys.stdout)
    try:
        with tempfile.TemporaryDirectory(prefix="sild-demo-") as temporary:
            return run(_main(directory or Path(temporary), teller, base_port=base_port, once=once))
    except DevnetError as error:
        teller.failed(str(error))
        return 1


async def _main(directory: Path, teller: Teller, *, base_port: int, once: bool) -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stopping.set)
    story = loop.create_task(_story(directory, teller, stopping, base_port=base_port, once=once))
    waiting = loop.create_task(stopping.wait())
    await asyncio.wait((story, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not story.done() and not teller.story_told:
        story.cancel()
        await asyncio.wait((story,))
        return 130
    return await story


async def _story(
    directory: Path, teller: Teller, stopping: asyncio.Event, *, base_port: int, once: bool
) -> int:
    teller.title("Three organisations, three security servers, and nobody in between")
    began = perf_counter()

    def progress(what: str) -> None:
        teller.progress(perf_counter() - began, what)

    async with AsyncExitStack() as opened:
        plan = Plan(DEMO, directory, base_port)
        ecosystem = await opened.enter_async_context(Ecosystem(plan, progress))
        fetcher = await opened.enter_async_context(Fetcher())
        story = Story(ecosystem, fetcher, teller, began)
        wrong = await story.tell()
        teller.end(perf_counter() - began, wrong)
        if not once and not stopping.is_set():
            story.show_what_to_try()
            await stopping.wait()
            teller.say("Stopping.")
    return 1 if wrong else 0


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request of an information system, and its answer."""

    answer: FetchResponse
    request_id: str

    @property
    def content(self) -> Any:
        """The answer's JSON."""
        return json.loads(self.answer.body)


class Story:
    """The scenes, in order."""

    def __init__(
        self, ecosystem: Ecosystem, fetcher: Fetcher, teller: Teller, began: float
    ) -> None:
        self._ecosystem = ecosystem
        self._fetcher = fetcher
        self._teller = teller
        self._began = began
        self._police = ecosystem.server_of(POLICE_PORTAL)
        self._health = ecosystem.server_of(HEALTH_REGISTER)
        self._tax = ecosystem.server_of(TAX_REGISTER)
        self._first: _Asked | None = None

    async def tell(self) -> list[str]:
        """Play all scenes; gives what went wrong."""
        scenes: tuple[_Scene, ...] = (
            ("A message that is evidence", self._message),
            ("The evidence, and a verdict without either server", self._evidence),
            ("Once only: a form filled from two registers", self._once_only),
            ("An older service: SOAP, and a photo attached", self._photo),
            ("Refused: a caller without the right", self._no_right),
            ("Refused: a message changed on its way", self._tampered),
            ("Refused: a revoked certificate", self._revoked),
        )
        wrong = []
        for number, (title, scene) in enumerate(scenes, 1):
            self._teller.scene(number, title)
            try:
                await scene()
            except (DevnetError, ProtocolError) as error:
                wrong.append(f"{title}: {error}")
                self._teller.failed(str(error))
        self._teller.story_told = True
        return wrong

    async def _ask(
        self, server: RunningServer, client: ClientId, target: str, accept: str = "*/*"
    ) -> _Asked:
        headers = (("X-Road-Client", client.short), ("Accept", accept))
        answer = await self._fetcher.fetch(FetchRequest(server.http_url + target, headers=headers))
        return _Asked(answer, answer.find_header("x-road-request-id") or "")

    async def _message(self) -> None:
        teller, target = self._teller, f"{_INSURANCE}/{_MARI}"
        teller.say("The police portal asks the health insurance fund whether Mari is insured.")
        teller.command(_curl(self._police, POLICE_PORTAL, target))
        asked = await self._ask(self._police, POLICE_PORTAL, target)
        teller.note(f"first answer {perf_counter() - self._began:.1f} s after the start")
        expect(asked.answer.status == 200, f"HTTP {asked.answer.status} {asked.answer.body!r}")
        await self._show_steps(asked.request_id, (self._police, self._health))
        teller.result("200", json.dumps(asked.content, ensure_ascii=False))
        self._first = asked

    async def _show_steps(self, request_id: str, servers: tuple[RunningServer, ...]) -> None:
        for server in servers:
            exchange = await _find_exchange(server.exchange_log, request_id)
            steps = [(each["step"], each["detail"], each["ms"]) for each in exchange["steps"]]
            owner = self._ecosystem.topology.get_member(server.plan.id.owner).name
            self._teller.steps(f"{server.plan.id.server_code}, {owner}", exchange["side"], steps)

    async def _evidence(self) -> None:
        if self._first is None:
            message = "there is no message to show evidence of"
            raise StoryWentWrong(message)
        query_id = self._first.answer.find_header("x-road-id") or ""
        folder = self._ecosystem.plan.directory / "evidence"
        folder.mkdir(exist_ok=True)
        self._teller.say(
            "Both servers saved both messages before they went on. The police's server has its copy"
            " of the answer time-stamped and gives it as a signed container (ASiC-E)."
        )
        path = folder / "answer.asice"
        exchanged = Exchanged(query_id, POLICE_PORTAL, is_response=True)
        report = await export_and_verify(self._police, exchanged, path)
        for step in report.steps:
            self._teller.numbered(step.number, step.question, step.answer)
        expect(report.signer.member == HEALTH_REGISTER.member, f"signed by {report.signer}")
        self._teller.result(
            "valid", f"signed by {report.signer}, time-stamped {report.timestamped_at:%F %T} UTC"
        )
        self._teller.note(str(path))

    async def _once_only(self) -> None:
        self._teller.say(
            "Jaan applies for a permit. The portal knows his personal code, and asks the registers"
            " for the rest: nothing is asked of him that a register knows."
        )
        insurance, income = await asyncio.gather(
            self._ask(self._police, POLICE_PORTAL, f"{_INSURANCE}/{_JAAN}"),
            self._ask(self._police, POLICE_PORTAL, f"{_INCOME}/{_JAAN}"),
        )
        for asked in (insurance, income):
            expect(asked.answer.status == 200, f"HTTP {asked.answer.status}")
        incomes = income.content["incomes"]
        year = max(incomes)
        self._teller.form(
            (
                ("Personal code", _JAAN, "typed"),
                ("Name", insurance.content["name"], "health insurance fund"),
                ("Insured", _yes(insurance.content["insured"]), "health insurance fund"),
                ("Doctor", insurance.content["doctor"] or "none", "health insurance fund"),
                (f"Income {year}", f"{incomes[year]} {income.content['currency']}", "tax board"),
            )
        )
        self._teller.result("200", "two registers, one form")

    async def _photo(self) -> None:
        await PhotoScene(self._ecosystem, self._fetcher, self._teller).play()

    async def _no_right(self) -> None:
        self._teller.say("The police may ask about incomes. Nobody gave them a right to debts.")
        target = f"{_DEBT}/{_MARI}"
        self._teller.command(_curl(self._police, POLICE_PORTAL, target))
        asked = await self._ask(self._police, POLICE_PORTAL, target)
        self._refusal(asked.answer, "server.serverproxy.access_denied")

    def _refusal(self, answer: FetchResponse, code: str) -> None:
        content = json.loads(answer.body)
        expect(content["type"] == code, f"{code} was due, and {content} came")
        self._teller.result(str(answer.status), f"{content['type']}: {content['message']}")

    async def _tampered(self) -> None:
        self._teller.say(
            "The same kind of request, signed by the police for Mari; then somebody with the keys"
            " of the TLS connection changes it to Jaan before it arrives."
        )
        async with RawPeer(self._police) as peer:
            rest = peer.rest(POLICE_PORTAL, f"{_INSURANCE}/{_MARI}")
            (parts,) = await peer.sign([(rest, None)], peer.signer_of(POLICE_PORTAL))
            changed = rest.part.replace(_MARI.encode(), _JAAN.encode())
            honest = await peer.send(peer.write(parts), self._health)
            forged = await peer.send(peer.write(with_part(parts, changed)), self._health)
        expect(_fault_code(honest) is None, f"the untouched message gave {_fault_code(honest)}")
        self._teller.note("the untouched message is answered")
        self._fault(forged, "server.serverproxy.signature_verification.invalid_signature_value")

    def _fault(self, answer: RawAnswer, code: str) -> None:
        fault = find_fault(answer.body)
        if fault is None:
            message = f"{code} was due, and an answer came"
            raise StoryWentWrong(message)
        expect(fault.fault == code, f"{code} was due, and {fault.fault} came: {fault.message}")
        self._teller.result("fault", f"{fault.fault}: {fault.message}")

    async def _revoked(self) -> None:
        self._teller.say(
            "Lapsed Ltd's signing certificate is revoked. Its own server refuses to sign with it;"
            " and were a server to sign all the same, no other would believe it."
        )
        target = f"{_INSURANCE}/{_MARI}"
        asked = await self._ask(self._police, LAPSED_SHOP, target)
        self._refusal(asked.answer, "server.clientproxy.cannot_create_signature")
        async with RawPeer(self._police) as peer:
            rest = peer.rest(LAPSED_SHOP, target)
            key_id, certificate = await self._lapsed_certificate()
            issuer = self._ecosystem.authorities.ca.issuer.credential.certificate
            question = build_ocsp_request(read_certificate(certificate), issuer)
            revoked = self._ecosystem.authorities.ocsp.answer(question) or b""
            signer = make_signer(key_id, certificate, (revoked,))
            (parts,) = await peer.sign([(rest, None)], signer)
            answer = await peer.send(peer.write(parts), self._health)
        self._fault(
            answer,
            "server.serverproxy.signature_verification.invalid_cert_path.cert_validation",
        )

    async def _lapsed_certificate(self) -> tuple[str, bytes]:
        for token in await self._police.signer.tokens():
            for key in token.keys:
                for entry in key.certificates:
                    if entry.member == LAPSED:
                        return key.id, entry.certificate
        message = f"{LAPSED} has no certificate"
        raise StoryWentWrong(message)

    def show_what_to_try(self) -> None:
        """Say what is where, and what may be tried."""
        ecosystem, teller = self._ecosystem, self._teller
        teller.scene(0, "Now you: everything stays up until Ctrl-C")
        for server, client, target in (
            (self._police, POLICE_PORTAL, f"{_INSURANCE}/{_MARI}"),
            (self._police, POLICE_PORTAL, f"{_INCOME}/99003030033?year=2025"),
            (self._tax, TAX_REGISTER, "/r1/DEV/GOV/79990001/register/vehicles/001TST"),
            (self._tax, TAX_REGISTER, "/r1/DEV/GOV/79990001/register/penalties/99001010011"),
        ):
            teller.command(_curl(server, client, target))
        teller.say("")
        for server in ecosystem.servers.values():
            teller.place(server.plan.id.short, f"{server.http_url}  {server.layout.home}")
        user_file = ecosystem.central.layout.home / "first-user"
        teller.place(
            "Central Server", f"{ecosystem.central.api_url}  user and password: {user_file}"
        )
        teller.place("Global configuration", ecosystem.configuration_url)
        teller.place("CA, OCSP, TSA", ecosystem.authorities.url)
        teller.place("Everything else", str(ecosystem.plan.directory))


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _curl(server: RunningServer, client: ClientId, target: str) -> str:
    return f"curl -H 'X-Road-Client: {client.short}' '{server.http_url}{target}'"


def _fault_code(answer: RawAnswer) -> str | None:
    if answer.content_type.startswith("text/xml"):
        fault = find_fault(answer.body)
        return fault.fault if fault else None
    message = read_whole(
        Direction.RESPONSE, answer.content_type, answer.body, DigestAlgorithm.SHA512
    )
    return message.fault.fault.fault if message.fault else None


async def _find_exchange(log: Path, request_id: str) -> Any:
    """The noted steps of an exchange; they are written when it has ended."""
    for _ in range(1500):
        text = await asyncio.to_thread(log.read_text, encoding="utf-8")
        for line in reversed(text.splitlines()):
            exchange = json.loads(line)
            if exchange["request_id"] == request_id:
                return exchange
        await asyncio.sleep(0.02)
    message = f"{log} has nothing of {request_id}"
    raise StoryWentWrong(message)
