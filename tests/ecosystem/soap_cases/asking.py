"""One case as it happens: the circumstances, the question, the answer, and who heard what."""

import http.client
import uuid
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from ecosystem.soap_cases.parts import boundary_in

_OCSP_PART = b"content-type: application/ocsp-response\r\n\r\n"


@dataclass(frozen=True)
class Answered:
    """What came back over HTTP."""

    status: int
    content_type: str
    body: bytes


class Case:
    """A row of the table with its set-up, in the town."""

    def __init__(self, town, cases, row, setup):
        self.town = town
        self.row = row
        self.setup = setup
        self.message_id = uuid.uuid4().hex
        self._cases = cases
        self.false_server = None
        self.request_type, self.request = setup.asks(self)

    def read(self, name):
        """A file of the table with the case's own message id."""
        return self._cases.read(name, self.message_id)

    def play(self):
        """What is answered, once all is set up."""
        town = self.town
        town.service.expect(self._answer)
        town.run(town.arrange(self.setup.circumstances))
        with town.during(self._meanwhile()):
            return self._ask_server() if self.setup.is_direct else self._ask()

    async def _answer(self, heard):
        return await self.setup.answers(self)

    @asynccontextmanager
    async def _meanwhile(self):
        setup = self.setup
        async with AsyncExitStack() as opened:
            if setup.false_server is not None:
                acting = self.town.false_server_as(
                    setup.false_server, self._answer, resets=setup.resets
                )
                self.false_server = await opened.enter_async_context(acting)
            await opened.enter_async_context(setup.meanwhile(self.town))
            yield

    def _ask(self):
        """Ask as an information system does."""
        server, setup = self.town.consumer, self.setup
        url = server.https_url if self.row.is_tls else server.http_url
        headers = [("Content-Type", self.request_type), *setup.headers]
        content = None if setup.method == "GET" else iter((self.request,))
        shows = setup.shows if self.row.is_tls else None
        with self.town.information_system(shows) as client:
            answer = client.request(setup.method, url, headers=headers, content=content)
        return Answered(answer.status_code, answer.headers.get("Content-Type", ""), answer.content)

    def _ask_server(self):
        """Ask the producer's server as the consumer's would, but for what is wrong with it."""
        town, setup = self.town, self.setup
        context, ocsp = town.run(self._papers())
        server = town.producer
        connection = http.client.HTTPSConnection(
            server.plan.address, server.ports.server, timeout=120, context=context
        )
        body = None if setup.method == "GET" else self._with_ocsp(ocsp)
        headers = {"Content-Type": self.request_type, **dict(setup.headers)}
        try:
            connection.request(setup.method, "/", body, headers)
            answer = connection.getresponse()
            return Answered(answer.status, answer.headers.get("Content-Type", ""), answer.read())
        finally:
            connection.close()

    async def _papers(self):
        authentication = self.town.stands_in.authentication
        return await self.town.stands_in.context(authentication), authentication.ocsp

    def _with_ocsp(self, ocsp):
        """A message of parts, with the OCSP responses before them that a caller must bring."""
        if not self.request_type.startswith("multipart/"):
            return self.request
        delimiter = b"--" + boundary_in(self.request_type).encode() + b"\r\n"
        if not self.request.startswith(delimiter.rstrip()):
            return self.request
        parts = (delimiter + _OCSP_PART + response + b"\r\n" for response in ocsp)
        return b"".join((*parts, self.request))
