"""Starts, watches, restarts and stops the processes of a server.

A child is a command, or a function that runs in a fork of the supervisor, which imports once what
its children share. A fork of a process with threads is not safe, so the supervisor has none and no
event loop: it is a plain loop over signals and pipes.
"""

import contextlib
import ctypes
import gc
import importlib
import logging
import os
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import NoReturn

from sild.runtime.clock import Clock, SystemClock

_LOG = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_LONGEST_LINE = 64 * 1024
_STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_HANDLED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)


def end_with_parent() -> None:
    """Let this process be told to stop when the one that started it dies, as a child calls it."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class SupervisorError(Exception):
    """The supervisor cannot do what it was asked."""


class RestartWhen(Enum):
    """After which ends a child is started again."""

    ALWAYS = "always"
    FAILED = "failed"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Restart:
    """When a child is started again, and after how many seconds.

    The wait doubles from `first` to `most` with each end, and is `first` again after a child has
    run for `steady` seconds. One that ran for `first` and ended well is wanted back at once.
    """

    when: RestartWhen = RestartWhen.ALWAYS
    first: float = 0.5
    most: float = 30.0
    steady: float = 30.0


@dataclass(frozen=True, slots=True)
class Command:
    """A program and what it finds in its environment, by default the supervisor's."""

    arguments: tuple[str, ...]
    environment: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Fork:
    """A function that runs in a fork of the supervisor; its result is the exit code."""

    function: Callable[[], int | None]


@dataclass(frozen=True, slots=True)
class Child:
    """A process to keep running.

    Stages start in their order and stop in the reverse: a stage is asked to stop when those
    after it have ended. Without `prefixed` the child writes to the supervisor's output itself.
    """

    name: str
    start: Command | Fork
    restart: Restart = field(default_factory=Restart)
    stage: int = 0
    prefixed: bool = True


@dataclass(frozen=True, slots=True)
class ChildStatus:
    """What is known of a child."""

    name: str
    pid: int | None
    starts: int
    last_exit: int | None


class _Process:
    """A child's present and past."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = None
        self.starts = 0
        self.last_exit: int | None = None
        self.started_at = 0.0
        self.wait = child.restart.first
        self.due: float | None = 0.0
        self.line = b""

    def ended(self, code: int, now: float, *, stopping: bool) -> None:
        """Take note of an end and say when the next start is due."""
        restart = self.child.restart
        self.pid, self.last_exit, self.due = None, code, None
        if stopping or restart.when is RestartWhen.NEVER:
            return
        if restart.when is RestartWhen.FAILED and code == 0:
            return
        ran = now - self.started_at
        if code == 0 and ran >= restart.first:
            self.due = now
            return
        if ran >= restart.steady:
            self.wait = restart.first
        self.due = now + self.wait
        self.wait = min(2 * self.wait, restart.most)


class Supervisor:
    """Keeps children running until it is told to stop by SIGTERM or SIGINT.

    After SIGHUP everything is stopped in the same order, and started anew. A stage that has not
    ended `stop_timeout` seconds after it was asked to is killed; a second SIGTERM kills all.
    Children get a session of their own, and are killed with the supervisor.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        preload: Sequence[str] = (),
        stop_timeout: float = 20.0,
        clock: Clock | None = None,
    ) -> None:
        if len({child.name for child in children}) != len(children):
            raise SupervisorError("two children have the same name")
        self._processes = [_Process(child) for child in sorted(children, key=lambda c: c.stage)]
        self._preload = preload
        self._stop_timeout = stop_timeout
        self._clock = clock or SystemClock()
        self._selector = selectors.DefaultSelector()
        self._woken, self._waker = socket.socketpair()
        self._stopping = False
        self._renewed: list[_Process] = []
        self._stopping_stage: int | None = None
        self._kill_at: float | None = None
        self._prctl = ctypes.CDLL(None).prctl

    def statuses(self) -> list[ChildStatus]:
        """Say how the children fare."""
        return [ChildStatus(p.child.name, p.pid, p.starts, p.last_exit) for p in self._processes]

    def run(self) -> None:
        """Run until told to stop, or until every child has ended for good."""
        for module in self._preload:
            importlib.import_module(module)
        # What is here now stays for ever: left out of collections, its pages stay shared.
        gc.collect()
        gc.freeze()
        before = self._take_signals()
        self._selector.register(self._woken, selectors.EVENT_READ)
        try:
            while any(p.pid is not None or p.due is not None for p in self._processes):
                self._start_due()
                for key, _ in self._selector.select(self._seconds_to_wait()):
                    if key.fileobj is self._woken:
                        self._heed_signals()
                    else:
                        self._pass_on(key.fd, key.data)
                self._stop_next_stage()
        finally:
            self._leave(before)

    def _take_signals(self) -> dict[int, object]:
        for end in (self._woken, self._waker):
            end.setblocking(False)
        signal.set_wakeup_fd(self._waker.fileno())
        return {number: signal.signal(number, lambda *_: None) for number in _HANDLED}

    def _leave(self, before: Mapping[int, object]) -> None:
        for process in self._processes:
            self._signal(process, signal.SIGKILL)
        for key in list(self._selector.get_map().values()):
            while key.fileobj is not self._woken and self._pass_on(key.fd, key.data):
                pass
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() gave
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _seconds_to_wait(self) -> float | None:
        moments = [p.due for p in self._processes if p.due is not None]
        if self._kill_at is not None:
            moments.append(self._kill_at)
        return max(0.0, min(moments) - self._clock.monotonic()) if moments else None

    # Starting

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        for process in self._processes:
            if process.due is not None and process.due <= now:
                process.due = None
                process.started_at = now
                process.starts += 1
                self._start(process)

    def _start(self, process: _Process) -> None:
        threads = len(list(Path("/proc/self/task").iterdir()))
        if threads != 1:
            raise SupervisorError(f"the supervisor has {threads} threads and cannot fork safely")
        try:
            self._fork(process)
        except OSError as error:
            _LOG.error("%s cannot be started: %s", process.child.name, error)
            process.ended(1, self._clock.monotonic(), stopping=self._stopping)
        else:
            _LOG.info("%s runs as process %d", process.child.name, process.pid)

    def _fork(self, process: _Process) -> None:
        reading, writing = os.pipe() if process.child.prefixed else (-1, -1)
        sys.stdout.flush()
        sys.stderr.flush()
        supervisor = os.getpid()
        # A signal for the child must not reach the handlers that it still shares with us.
        signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED)
        try:
            process.pid = os.fork()
            if process.pid == 0:
                self._be_child(process.child, supervisor, writing)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
            if process.child.prefixed:
                os.close(writing)
                os.set_blocking(reading, False)
                self._selector.register(reading, selectors.EVENT_READ, process)

    def _be_child(self, child: Child, supervisor: int, output: int) -> NoReturn:
        code = 1
        try:
            self._prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != supervisor:
                os._exit(1)
            self._prctl(_PR_SET_NAME, child.name.encode()[:15])
            self._forget_supervisor()
            os.setsid()
            _connect_output(output)
            code = _run(child.start)
        except SystemExit as leaving:
            code = leaving.code if isinstance(leaving.code, int) else int(bool(leaving.code))
        except BaseException:  # noqa: BLE001 - the end of a process
            traceback.print_exc()
        finally:
            with contextlib.suppress(Exception):
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)

    def _forget_supervisor(self) -> None:
        signal.set_wakeup_fd(-1)
        for number in _HANDLED:
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDLED)
        for key in list(self._selector.get_map().values()):
            if key.fileobj is not self._woken:
                os.close(key.fd)
        self._selector.close()
        self._woken.close()
        self._waker.close()

    # Watching

    def _heed_signals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while numbers := self._woken.recv(1024):
                for number in numbers:
                    self._heed(signal.Signals(number))

    def _heed(self, number: signal.Signals) -> None:
        if number is signal.SIGCHLD:
            self._reap()
        elif number is signal.SIGHUP:
            self._begin_anew()
        elif number in _STOPPING and not self._stopping:
            _LOG.info("stopping, for %s came", number.name)
            self._stopping = True
            self._renewed = []
            for process in self._processes:
                process.due = None
        elif number in _STOPPING:
            for process in self._processes:
                self._signal(process, signal.SIGKILL)

    @property
    def _ending(self) -> bool:
        """Whether children are to end, for good or to be started anew."""
        return self._stopping or bool(self._renewed)

    def _reap(self) -> None:
        for process in self._processes:
            if process.pid is None:
                continue
            pid, status = os.waitpid(process.pid, os.WNOHANG)
            if pid == 0:
                continue
            code = os.waitstatus_to_exitcode(status)
            # What it started and left behind goes with it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
            process.ended(code, self._clock.monotonic(), stopping=self._ending)
            level = logging.INFO if self._ending and code == 0 else logging.WARNING
            _LOG.log(level, "%s %s", process.child.name, _told(code))

    def _pass_on(self, descriptor: int, process: _Process) -> bool:
        """Print what a child wrote; say whether there may be more."""
        try:
            content = os.read(descriptor, _LONGEST_LINE)
        except BlockingIOError:
            return False
        if not content and process.line:
            content = b"\n"
        *lines, process.line = (process.line + content).split(b"\n")
        if len(process.line) >= _LONGEST_LINE:
            lines, process.line = [*lines, process.line], b""
        prefix = process.child.name.encode() + b" | "
        sys.stderr.flush()
        _write_all(sys.stderr.fileno(), b"".join(prefix + line + b"\n" for line in lines))
        if not content:
            self._selector.unregister(descriptor)
            os.close(descriptor)
        return bool(content)

    # Stopping

    def _begin_anew(self) -> None:
        """Let everything that runs, or is about to, end and start again."""
        if self._ending:
            return
        _LOG.info("starting everything anew, for SIGHUP came")
        self._renewed = [p for p in self._processes if p.pid is not None or p.due is not None]
        for process in self._renewed:
            process.due = None

    def _start_anew(self) -> None:
        for process in self._renewed:
            process.due, process.wait = self._clock.monotonic(), process.child.restart.first
        self._renewed = []
        self._stopping_stage = self._kill_at = None

    def _stop_next_stage(self) -> None:
        if not self._ending:
            return
        running = [process for process in self._processes if process.pid is not None]
        if not running:
            self._start_anew()
            return
        now = self._clock.monotonic()
        stage = running[-1].child.stage
        members = [process for process in running if process.child.stage == stage]
        if stage != self._stopping_stage:
            self._stopping_stage = stage
            self._kill_at = now + self._stop_timeout
            for process in members:
                self._signal(process, signal.SIGTERM)
        elif self._kill_at is not None and now >= self._kill_at:
            self._kill_at = None
            for process in members:
                _LOG.warning("%s does not stop and is killed", process.child.name)
                self._signal(process, signal.SIGKILL)

    def _signal(self, process: _Process, number: signal.Signals) -> None:
        if process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, number)


def _connect_output(output: int) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if output != -1:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.close(output)


def _run(start: Command | Fork) -> int:
    if isinstance(start, Fork):
        return start.function() or 0
    # Python ignores it, and what is ignored stays so over an exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    environment = os.environ if start.environment is None else start.environment
    return os.execvpe(start.arguments[0], start.arguments, environment)  # noqa: S606 - as ordered


def _told(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    return f"was ended by {signal.Signals(-code).name}"


def _write_all(descriptor: int, content: bytes) -> None:
    # Nobody may be reading any more; the children go on.
    with contextlib.suppress(BrokenPipeError):
        while content:
            content = content[os.write(descriptor, content) :]
