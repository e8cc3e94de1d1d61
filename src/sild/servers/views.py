"""The present view of a worker: made of the snapshot and the global configuration on disk."""

import contextlib

from sild.components.confclient.cache import CachedConf, generation_of, read_cached
from sild.components.proxy.view import View
from sild.model.snapshot import ServerSnapshot
from sild.protocol.errors import GlobalConfOutdated
from sild.protocol.globalconf.lookup import GlobalConf
from sild.runtime.clock import Clock
from sild.servers.layout import Layout
from sild.servers.snapshots import read_snapshot


class CurrentView:
    """Holds the view that messages use, and reads the next one when something has changed."""

    def __init__(self, layout: Layout, clock: Clock) -> None:
        self._layout = layout
        self._clock = clock
        self._view: View | None = None
        self._cached: CachedConf | None = None
        self._conf: GlobalConf | None = None
        self._stamp: tuple[int, int] | None = None
        self._snapshot: ServerSnapshot | None = None

    @property
    def current(self) -> View:
        """The view; raises GlobalConfOutdated where there is none that may be used."""
        if self._view is None:
            message = (
                "this security server is not set up yet: it has no valid global configuration, or "
                "no configuration of its own"
            )
            raise GlobalConfOutdated(message)
        self._view.conf.check_valid(self._clock.now())
        return self._view

    @property
    def latest(self) -> View | None:
        """The last view, also where no message may use it any more."""
        return self._view

    @property
    def generation(self) -> int:
        """The generation of the snapshot in use; 0 where there is none."""
        return self._view.snapshot.generation if self._view else 0

    @property
    def is_ready(self) -> bool:
        """Whether messages can be exchanged."""
        with contextlib.suppress(GlobalConfOutdated):
            return self.current.authentication is not None
        return False

    def read_changes(self) -> View | None:
        """The next view, if the snapshot or the global configuration has changed."""
        snapshot, conf = self._read_snapshot(), self._read_conf()
        if snapshot is None or conf is None:
            return None
        view = self._view
        if view is not None and view.snapshot is snapshot and view.conf is conf:
            return None
        if view is not None and view.snapshot is snapshot and _says_the_same(view, conf):
            return View(snapshot, conf, conf.valid_until, view.peers, view.signatures, view.signers)
        return View(snapshot, conf, conf.valid_until)

    def swap(self, view: View) -> None:
        """Let the messages that come from now on use this view."""
        self._view = view

    def _read_snapshot(self) -> ServerSnapshot | None:
        try:
            found = self._layout.snapshot_file.stat()
        except FileNotFoundError:
            return None
        stamp = (found.st_mtime_ns, found.st_ino)
        if stamp != self._stamp:
            self._snapshot = read_snapshot(self._layout.snapshot_file)
            self._stamp = stamp
        return self._snapshot

    def _read_conf(self) -> GlobalConf | None:
        """The configuration, without the federated instances whose time is over."""
        generation = generation_of(self._layout.globalconf)
        if generation is None:
            return None
        if self._cached is None or generation != self._cached.generation:
            self._cached = read_cached(self._layout.globalconf, self._cached)
            self._conf = None
        self._conf = (self._conf or self._cached.conf).without_expired(self._clock.now())
        return self._conf


def _says_the_same(view: View, conf: GlobalConf) -> bool:
    """Whether only dates of expiry have changed, so that verdicts still hold."""
    before, after = view.conf.instances, conf.instances
    return before.keys() == after.keys() and all(
        before[name].shared is after[name].shared
        and before[name].extensions == after[name].extensions
        for name in before
    )
