import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sild.runtime.supervise import Child, Command, Supervisor, SupervisorError

HEAD = """
import asyncio, logging, os, signal, sys, threading, time
from sild.runtime.logs import LogSettings, configure_logs
from sild.runtime.supervise import *
configure_logs(LogSettings(), "supervisor")

def say(text):
    print(text, os.getpid(), flush=True)

def until_stopped(name):
    def run():
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(say(f"{name} down")))
        say(f"{name} up")
        while True:
            signal.pause()
    return Fork(run)

def deaf():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("deaf up")
    while True:
        signal.pause()

def wait():
    say("up")
    while True:
        time.sleep(10)
"""


class Run:
    """A supervisor of its own process, and what it prints."""

    def __init__(self, process):
        self.process = process
        self.text = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.text += line

    def sees(self, pattern, times=1):
        """Waits until the output has the pattern so many times; gives the last match."""
        ends = time.monotonic() + 120
        while len(found := list(re.finditer(pattern, self.text))) < times:
            assert time.monotonic() < ends, f"no {times} {pattern} in:\n{self.text}"
            time.sleep(0.002)
        return found[-1]

    def send(self, number):
        self.process.send_signal(number)

    def ends(self):
        code = self.process.wait(120)
        self._reader.join(120)
        return code


@pytest.fixture
def supervised(tmp_path):
    """Runs a supervisor of these children, given as the source of its arguments."""
    with contextlib.ExitStack() as started:

        def start(arguments, head=""):
            script = tmp_path / "script.py"
            script.write_text(f"{HEAD}\n{head}\nSupervisor({arguments}).run()\n")
            process = subprocess.Popen(
                [sys.executable, str(script)], stderr=subprocess.PIPE, text=True
            )
            started.callback(process.stderr.close)
            run = Run(process)
            started.callback(run.ends)
            started.callback(process.kill)
            return run

        yield start


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def until_dead(*pids):
    ends = time.monotonic() + 120
    while any(map(is_alive, pids)):
        assert time.monotonic() < ends
        time.sleep(0.002)


def test_children_of_both_kinds_run_with_their_output_named_and_stop_together(supervised):
    command = """Command(("sh", "-c", "printf '%s\\\\nhalf' $WORD; exec sleep 600"), {**os.environ, "WORD": "hello"})"""
    run = supervised(f'[Child("worker", until_stopped("w")), Child("shell", {command})]')
    run.sees(r"worker \| w up \d+\n")
    run.sees(r"shell \| hello\n")
    run.send(signal.SIGTERM)
    assert run.ends() == 0
    assert re.search(r"worker \| w down", run.text)
    assert "shell | half\n" in run.text
    assert "shell was ended by SIGTERM" in run.text


def test_an_interrupt_stops(supervised):
    run = supervised('[Child("a", until_stopped("a")), Child("b", until_stopped("b"))]')
    run.sees(r"[ab] up", 2)
    run.send(signal.SIGINT)
    assert run.ends() == 0
    assert len(re.findall(r"[ab] down", run.text)) == 2


def test_after_a_hang_up_all_end_in_the_order_of_stopping_and_start_anew(supervised):
    run = supervised("""[
        Child("worker", until_stopped("worker"), stage=1),
        Child("signer", until_stopped("signer"), stage=0),
        Child("over", Fork(lambda: say("over")), Restart(RestartWhen.NEVER)),
    ]""")
    run.sees(r"(worker|signer) up", 2)
    run.sees("over ended")
    run.send(signal.SIGHUP)
    run.sees(r"(worker|signer) up", 4)
    told = re.findall(r"(worker|signer) (up|down)", run.text)[2:]
    assert told[:2] == [("worker", "down"), ("signer", "down")]
    run.send(signal.SIGHUP)
    run.sees(r"(worker|signer) up", 6)
    run.send(signal.SIGTERM)
    assert run.ends() == 0
    assert len(re.findall(r"(worker|signer) down", run.text)) == 6
    assert len(re.findall("over ended", run.text)) == 1


def test_what_does_not_end_after_a_hang_up_is_killed_and_started_anew(supervised):
    run = supervised('[Child("a", Fork(deaf))], stop_timeout=0.1')
    run.sees("deaf up")
    run.send(signal.SIGHUP)
    run.sees("a does not stop and is killed")
    run.sees("deaf up", 2)
    run.send(signal.SIGTERM)
    assert run.ends() == 0


def test_who_is_told_to_stop_while_starting_anew_stops(supervised):
    run = supervised('[Child("a", Fork(deaf))], stop_timeout=3')
    run.sees("deaf up")
    run.send(signal.SIGHUP)
    run.sees("starting everything anew")
    run.send(signal.SIGTERM)
    assert run.ends() == 0
    assert len(re.findall("deaf up", run.text)) == 1


def test_a_child_that_ends_is_started_again_with_growing_waits(supervised):
    restart = "Restart(first=0.02, most=0.08, steady=60)"
    run = supervised(f'[Child("a", Fork(lambda: say("up at %f" % time.time()) or 3), {restart})]')
    run.sees(r"up at", 6)
    run.sees("a ended with code 3", 5)
    starts = [float(moment) for moment in re.findall(r"up at ([\d.]+)", run.text)]
    waits = [after - before for before, after in itertools.pairwise(starts)]
    for wait, least in zip(waits, (0.02, 0.04, 0.08, 0.08, 0.08), strict=False):
        assert least <= wait < least + 60


def test_a_child_that_ran_steadily_is_started_again_at_once(supervised):
    restart = "Restart(first=0.01, most=60, steady=0.001)"
    run = supervised(f'[Child("a", Fork(lambda: time.sleep(0.01)), {restart})]')
    run.sees("a ended with code 0", 12)


def test_a_child_that_ended_well_after_a_while_is_started_again_at_once(supervised):
    restart = "Restart(first=0.2, most=60, steady=60)"
    run = supervised(f'[Child("a", Fork(lambda: time.sleep(0.3) or say("over")), {restart})]')
    before = time.monotonic()
    run.sees("over", 10)
    # With waits that double it would be more than a hundred seconds.
    assert time.monotonic() - before < 90


def test_a_child_may_end_for_good(supervised):
    run = supervised("""[
        Child("once", Fork(lambda: 7), Restart(RestartWhen.NEVER)),
        Child("done", Fork(lambda: None), Restart(RestartWhen.FAILED)),
        Child("leaves", Fork(lambda: sys.exit(0)), Restart(RestartWhen.FAILED)),
    ]""")
    assert run.ends() == 0
    assert "once ended with code 7" in run.text
    assert "done ended with code 0" in run.text


def test_an_error_in_a_child_is_printed_and_is_a_failure(supervised):
    run = supervised("""[
        Child("a", Fork(lambda: 1 / 0), Restart(RestartWhen.NEVER)),
        Child("b", Command(("no-such-program",)), Restart(RestartWhen.NEVER)),
    ]""")
    assert run.ends() == 0
    assert "a | ZeroDivisionError" in run.text
    assert "a ended with code 1" in run.text
    assert "b | FileNotFoundError" in run.text


def test_a_killed_child_is_started_again(supervised):
    run = supervised('[Child("a", until_stopped("a"), Restart(first=0.01))]')
    pid = int(run.sees(r"a up (\d+)\n")[1])
    os.kill(pid, signal.SIGKILL)
    run.sees("a was ended by SIGKILL")
    assert int(run.sees(r"a up (\d+)\n", 2)[1]) != pid


def test_what_does_not_stop_in_time_is_killed(supervised):
    run = supervised('[Child("a", Fork(deaf))], stop_timeout=0.1')
    run.sees("deaf up")
    run.send(signal.SIGTERM)
    assert run.ends() == 0
    assert "a does not stop and is killed" in run.text


def test_a_second_request_to_stop_kills(supervised):
    run = supervised('[Child("a", Fork(deaf))]')
    run.sees("deaf up")
    run.send(signal.SIGTERM)
    run.sees("stopping")
    run.send(signal.SIGTERM)
    assert run.ends() == 0


def test_stages_stop_in_the_reverse_of_their_order(supervised):
    run = supervised("""[
        Child("worker", until_stopped("worker"), stage=1),
        Child("signer", until_stopped("signer"), stage=0),
        Child("other", until_stopped("other"), stage=1),
    ]""")
    run.sees(r"(worker|signer|other) up", 3)
    run.send(signal.SIGTERM)
    assert run.ends() == 0
    downs = re.findall(r"(\w+) down", run.text)
    assert sorted(downs[:2]) == ["other", "worker"]
    assert downs[2] == "signer"
    assert run.text.index("runs as process") < run.text.index("signer up")


def test_children_die_with_a_killed_supervisor(supervised):
    run = supervised("""[Child("a", Fork(wait)), Child("b", Command(("sleep", "600")))]""")
    run.sees(r"b runs as process (\d+)")
    pids = [int(pid) for pid in re.findall(r"runs as process (\d+)", run.text)]
    run.sees(r"a \| up")
    run.send(signal.SIGKILL)
    until_dead(*pids)


def test_what_a_child_started_ends_with_it(supervised):
    command = 'Command(("sh", "-c", "sleep 600 & echo started $!; wait"))'
    run = supervised(f'[Child("a", {command}, Restart(RestartWhen.NEVER))]')
    pid = int(run.sees(r"started (\d+)")[1])
    os.kill(int(run.sees(r"a runs as process (\d+)")[1]), signal.SIGKILL)
    until_dead(pid)
    assert run.ends() == 0


def test_modules_are_imported_once_before_the_forks(supervised):
    head = "def look(): say(f'imported {\"xml.dom.minidom\" in sys.modules}')"
    run = supervised(
        '[Child("a", Fork(look), Restart(RestartWhen.NEVER))], preload=["xml.dom.minidom"]', head
    )
    assert run.ends() == 0
    assert "imported True" in run.text


def test_a_fork_may_run_an_event_loop(supervised):
    head = """
async def scenario():
    await asyncio.to_thread(say, "in a loop")
"""
    run = supervised(
        '[Child("a", Fork(lambda: asyncio.run(scenario())), Restart(RestartWhen.NEVER))]', head
    )
    assert run.ends() == 0
    assert "a | in a loop" in run.text
    assert "a ended with code 0" in run.text


def test_a_supervisor_with_threads_does_not_fork(supervised):
    head = "threading.Thread(target=time.sleep, args=[60], daemon=True).start()"
    run = supervised('[Child("a", Fork(wait))]', head)
    assert run.ends() == 1
    assert "the supervisor has 2 threads and cannot fork safely" in run.text


def test_output_may_be_left_to_the_child(supervised):
    run = supervised("""[
        Child("a", Command(("sh", "-c", "echo plain >&2")), Restart(RestartWhen.NEVER), prefixed=False)
    ]""")
    assert run.ends() == 0
    assert "\nplain\n" in "\n" + run.text


def test_two_children_of_one_name_are_refused():
    child = Child("a", Command(("true",)))
    with pytest.raises(SupervisorError, match="same name"):
        Supervisor([child, child])
