"""What processes take of the machine, from /proc: CPU time, and memory shared out fairly."""

import os
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
_KIB = 1024
# Fields of /proc/<pid>/stat after the name in parentheses.
_PARENT, _USER_TIME, _SYSTEM_TIME = 1, 11, 12


def family(pid: int) -> tuple[int, ...]:
    """A process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_PARENT]), []).append(int(entry.name))
    found = [pid]
    for each in found:
        found += children.get(each, [])
    return tuple(found)


def cpu_seconds(pids: Iterable[int]) -> float:
    """The CPU time that the processes have used, in user mode and in the kernel."""
    ticks = 0
    for pid in pids:
        if fields := _stat(pid):
            ticks += int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_bytes(pids: Iterable[int]) -> int:
    """The memory of the processes (PSS): a page shared by n processes counts as 1/n in each."""
    size = 0
    for pid in pids:
        for line in _read(pid, "smaps_rollup").splitlines():
            if line.startswith("Pss:"):
                size += int(line.split()[1]) * _KIB
    return size


def peak_memory_bytes(pid: int) -> int:
    """The most memory that a process has had at once; pages that it shared count in full."""
    for line in _read(pid, "status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * _KIB
    return 0


def _stat(pid: int) -> list[str]:
    """The fields after the name; none where the process has ended."""
    return _read(pid, "stat").rpartition(")")[2].split()


def _read(pid: int, name: str) -> str:
    try:
        return (_PROC / str(pid) / name).read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""
