"""A security server's directory, with what the processes leave there for each other."""

from dataclasses import replace
from datetime import timedelta

from protocol.globalconf.publisher import Publisher, drive
from sild.components.confclient.cache import save
from sild.model.snapshot import ServerSnapshot
from sild.protocol.globalconf.fetch import download
from sild.protocol.ids import ClientId, SecurityServerId
from sild.servers.layout import Layout
from sild.servers.snapshots import write_snapshot

MINUTE = timedelta(minutes=1)
OWNER = ClientId("DEV", "GOV", "M1")
SERVER = SecurityServerId(OWNER, "SS1")


class Home:
    """What control keeps for the workers; the configuration is published at a moment."""

    def __init__(self, path, now):
        self.layout = Layout(path)
        self.layout.run.mkdir()
        self.own = Publisher(silent=(), now=now)
        partner = Publisher("EE", "ee.test", "externalconf", silent=(), now=now)
        self.partner = replace(partner, validity=3 * MINUTE)
        self._trusted = {}
        self.generation = 0

    def save_conf(self):
        held = {}
        for publisher in (self.own, self.partner):
            trusted = self._trusted.get(publisher.instance) or publisher.trusted()
            talk = download(trusted, publisher.locations)
            trusted = self._trusted[publisher.instance] = drive(talk, publisher.get).get_trusted()
            held |= trusted.held
        save(self.layout.globalconf, held, self.own.anchor())

    def save_snapshot(self, **says):
        self.generation += 1
        write_snapshot(self.layout.snapshot_file, ServerSnapshot(self.generation, SERVER, **says))
