"""A security server's parts as diagnostics look at them: real ones, on sockets where they have any.

Workers and the signer are in memory, for what they say is what tests change.
"""

from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace

from components.registration.builders import sending
from components.serverconf.stored import prepare
from management_builder import SERVER
from pki_builder import NOON
from protocol.globalconf.publisher import Publisher, sample_private, sample_shared
from sild.components.confclient.download import ConfigurationClient, Places
from sild.components.confclient.settings import ConfigurationClientSettings
from sild.components.diagnostics.settings import DiagnosticsSettings, HealthSettings
from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.schema import MIGRATIONS
from sild.model.snapshot import AuthenticationCertificate, ServerSnapshot
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.globalconf.anchor import write_anchor
from sild.protocol.globalconf.extensions import Extensions
from sild.protocol.globalconf.fetch import Answer, Get
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.globalconf.trusted import InstanceConf
from sild.runtime.clock import TurnedClock
from sild.runtime.database import Database
from sild.runtime.fetch import Fetcher
from sild.runtime.http_client_types import Target
from sild.runtime.http_server import Endpoint, Limits, Response, serve
from sild.runtime.migrations import migrate
from sild.runtime.rpc import RpcUnavailable
from sild.runtime.schedule import Job, Period
from sild.servers.kept_messages import KeptMessages, StampSources
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings
from sild.servers.survey import Noted, Survey
from sild.servers.worker_calls import WorkerMeasures, WorkerStatus

STATUS = WorkerStatus(7, True, 10, 11, 12, 13, 14)
MEASURES = WorkerMeasures((), (), 100 * 1024**2, 200 * 1024**2)
AUTHENTICATION = AuthenticationCertificate("A", b"certificate", (), (b"response",))
SNAPSHOT = ServerSnapshot(1, SERVER, authentication=AUTHENTICATION)


@dataclass
class Worker:
    """A process on the message path, as it answers."""

    told: WorkerStatus = STATUS
    counted: WorkerMeasures = MEASURES
    is_away: bool = False

    async def status(self):
        self._answer()
        return self.told

    async def measures(self):
        self._answer()
        return self.counted

    def _answer(self):
        if self.is_away:
            raise RpcUnavailable("nobody serves the socket")


@dataclass
class Signer:
    """The signer's tokens, or its silence."""

    found: tuple = ()
    is_away: bool = False

    async def tokens(self):
        if self.is_away:
            raise RpcUnavailable("nobody serves the socket")
        return self.found


@dataclass
class Knowledge:
    """What control knows."""

    conf: GlobalConf
    clock: TurnedClock
    known: ServerSnapshot = SNAPSHOT
    has_conf: bool = True

    def snapshot(self):
        return self.known

    def find_conf(self):
        return self.conf if self.has_conf else None

    def global_conf(self):
        if not self.has_conf:
            raise GlobalConfOutdated("no global configuration has been downloaded yet")
        self.conf.check_valid(self.clock.now())
        return self.conf


@dataclass
class Proxy:
    """The own proxy: answers as it is told, and keeps what it was asked."""

    answer: Response = field(default_factory=lambda: Response(200, b"OK"))
    asked: list = field(default_factory=list)
    target: Target | None = None

    async def handle(self, request):
        self.asked.append((request, await request.body.read_all(100_000)))
        return self.answer

    def own_proxy(self):
        return self.target


@dataclass
class Surveyed:
    """Everything that a test may change or ask."""

    survey: Survey
    publisher: Publisher
    knowledge: Knowledge
    signer: Signer
    workers: list
    proxy: Proxy
    center: object
    authority: Proxy
    backups: SimpleNamespace
    noted: Noted
    clock: TurnedClock

    async def download(self):
        """One round of the configuration client, as control does it."""
        await self.survey.download._run_once()


def conf_of(shared, private):
    """A global configuration that is valid for a day."""
    expires = NOON + timedelta(days=1)
    conf = InstanceConf("DEV", 6, expires, {}, shared, private, Extensions(None, 1200, True))
    return GlobalConf({"DEV": conf}, "DEV")


@asynccontextmanager
async def surveyed(path, *, limits=None, health=None, settings=None):
    """A server that fares well but for what the test changes."""
    clock = TurnedClock()
    clock.turn_to(NOON)
    async with AsyncExitStack() as opened:
        authority, proxy = Proxy(), Proxy()
        urls = []
        for each in (authority, proxy):
            server = await serve(each.handle, Endpoint("127.0.0.1"), Limits(), clock)
            opened.push_async_callback(server.close, 0)
            each.target = Target("127.0.0.1", server.port)
            urls.append(f"http://127.0.0.1:{server.port}/tsa")
        publisher = Publisher(silent=())
        published = await serve(_publishing(publisher), Endpoint("127.0.0.1"), Limits(), clock)
        opened.push_async_callback(published.close, 0)
        publisher.address = f"127.0.0.1:{published.port}"
        registering = await opened.enter_async_context(sending())
        shared = sample_shared()
        tsas = tuple(replace(each, url=urls[0]) for each in shared.timestamping_services)
        conf = conf_of(replace(shared, timestamping_services=tsas), sample_private())
        knowledge = Knowledge(conf, clock)
        layout = Layout(path)
        layout.run.mkdir(exist_ok=True)
        layout.anchor_file.write_bytes(write_anchor(publisher.anchor()))
        fetcher = await opened.enter_async_context(Fetcher())
        client = ConfigurationClient(
            Places(layout.anchor_file, layout.globalconf),
            ConfigurationClientSettings(),
            fetcher,
            clock,
        )
        url = await prepare(layout.message_database, _fill)
        database = await opened.enter_async_context(Database.open(url))
        settings = settings or SecurityServerSettings()
        sources = StampSources(None, lambda: knowledge.global_conf().timestamping_services)
        messages = KeptMessages(layout, database, sources, settings.message_log, clock)
        await messages.choose_services(tuple(ChosenService(each.name, each.url) for each in tsas))
        signer, workers = Signer(await registering.keys.tokens()), [Worker(), Worker()]
        backups, noted = SimpleNamespace(running=None), Noted.by(clock)
        survey = Survey(
            layout=layout,
            settings=settings,
            limits=limits or DiagnosticsSettings(),
            health=health or HealthSettings(),
            knowledge=knowledge,
            client=client,
            download=Job("global-configuration", Period(60, 60), client.refresh, clock),
            messages=messages,
            keys=signer,
            workers=workers,
            databases=(database,),
            registration=registering.acts,
            proxy=proxy,
            backups=backups,
            noted=noted,
            fetcher=fetcher,
            clock=clock,
        )
        yield Surveyed(
            survey,
            publisher,
            knowledge,
            signer,
            workers,
            proxy,
            registering.center,
            authority,
            backups,
            noted,
            clock,
        )


async def _fill(database):
    await migrate(database, MIGRATIONS)


def _publishing(publisher):
    async def answer(request):
        url = f"http://{publisher.address}{request.target.decode()}"
        found = publisher.get(Get(url, 10_000_000))
        if not isinstance(found, Answer):
            return Response(503, b"Unavailable")
        return Response(found.status, b"", [], found.body)

    return answer
