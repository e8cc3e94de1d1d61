"""A real PostgreSQL of a test's own, as an ordinary user runs one: no root, no port, no service."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import count
from pathlib import Path

from sild.runtime.supervise import end_with_parent

_DEBIAN = Path("/usr/lib/postgresql")
# For a root who tests: PostgreSQL does not run for one.
_ORDINARY = "nobody"
# What is here need not outlive the machine: only crashes of the server itself are survived.
_CHEAP = ("fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
_STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}


def find_binaries():
    """The directory of the newest server's programs, or None."""
    found = sorted(_DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    postgres = shutil.which("postgres")
    return Path(postgres).resolve().parent if postgres else None


class Postgres:
    """A server on a socket in a directory of its own; use it as a context."""

    def __init__(self, binaries):
        self._binaries = binaries
        self.directory = Path(tempfile.mkdtemp(prefix="sild-pg-"))
        self._as = {}
        if os.geteuid() == 0:
            user = pwd.getpwnam(_ORDINARY)
            os.chown(self.directory, user.pw_uid, user.pw_gid)
            self._as = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        self._data = self.directory / "data"
        self._numbers = count(1)

    def __enter__(self):
        try:
            flags = ("-A", "trust", "-U", "sild", "-E", "UTF8", "--locale=C", "--no-sync")
            self._run("initdb", "-D", self._data, *flags)
            self.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_):
        self.stop("immediate")
        self._remove()

    def _remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self):
        """Start it, after it was stopped; it ends with this process, however that ends."""
        settings = (f"unix_socket_directories={self.directory}", "listen_addresses=", *_CHEAP)
        flags = [part for setting in settings for part in ("-c", setting)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._binaries / "postgres", "-D", self._data, *flags],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                preexec_fn=end_with_parent,  # noqa: PLW1509 - a test starts no threads of its own
                **self._as,
            )
        ends = time.monotonic() + 180
        while not self._answers():
            assert self._process.poll() is None, (self.directory / "log").read_text()
            assert time.monotonic() < ends
            time.sleep(0.05)

    def _answers(self):
        asked = [self._binaries / "pg_isready", "-q", "-h", self.directory]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self, mode="fast"):
        """Stop it: "immediate" is a crash."""
        self._process.send_signal(_STOPS[mode])
        self._process.wait(180)

    def new_database(self):
        """The address of an empty database."""
        name = f"log{next(self._numbers)}"
        self._run("createdb", "-h", self.directory, "-U", "sild", name)
        return f"postgresql://sild@/{name}?host={self.directory}"

    def sql(self, url, statements):
        """Run statements in a database."""
        name = url.partition("@/")[2].partition("?")[0]
        flags = ("-v", "ON_ERROR_STOP=1", "-q", "-X", "-A", "-t")
        where = ("-h", self.directory, "-U", "sild", "-d", name)
        return self._run("psql", *flags, *where, given=statements.encode()).decode()

    def _run(self, program, *arguments, given=b""):
        done = subprocess.run(
            [self._binaries / program, *arguments],
            input=given,
            stdout=subprocess.PIPE if program == "psql" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if program in ("psql", "createdb") else subprocess.DEVNULL,
            cwd=self.directory,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
            check=False,
            timeout=300,
            **self._as,
        )
        assert done.returncode == 0, (program, (done.stderr or b"").decode())
        return done.stdout or b""
