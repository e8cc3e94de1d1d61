"""What the machine and the processes on it say of themselves, as Linux tells it."""

import platform
import resource
import shutil
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_CGROUPS = Path("/sys/fs/cgroup")
_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
_KIB = 1024


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """What a process holds now and the most that it has held, in bytes."""

    resident: int
    peak: int


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """A file system's room, in bytes."""

    free: int
    total: int


def own_memory(proc: Path = _PROC) -> ProcessMemory:
    """What this process holds."""
    lines = _fields(proc / "self" / "status")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _KIB
    return ProcessMemory(_kibibytes(lines.get("VmRSS"), peak), _kibibytes(lines.get("VmHWM"), peak))


def memory_limit(proc: Path = _PROC, cgroups: Path = _CGROUPS) -> int:
    """How much memory there is for this process: of its container, if that has less; 0: unknown."""
    machine = _kibibytes(_fields(proc / "meminfo").get("MemTotal"), 0)
    limits = [machine] if machine else []
    for line in _text(proc / "self" / "cgroup").splitlines():
        kinds, _, path = line.partition(":")[2].partition(":")
        own = path.strip("/")
        if not kinds:
            places = [cgroups / own / "memory.max", cgroups / "memory.max"]
        elif "memory" in kinds.split(","):
            folder = cgroups / "memory"
            name = "memory.limit_in_bytes"
            places = [folder / own / name, folder / name]
        else:
            continue
        limits += [int(text) for place in places if (text := _text(place).strip()).isdecimal()]
    return min(limits, default=0)


def operating_system() -> str:
    """What the operating system calls itself, and its kernel."""
    try:
        name = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        name = ""
    return f"{name or platform.system()}, {platform.system()} {platform.release()}"


def is_in_container() -> bool:
    """Whether this process runs in a container."""
    return any(mark.exists() for mark in _CONTAINER_MARKS)


def disk_space(path: Path) -> DiskSpace:
    """The room on the file system of a path; raises OSError."""
    usage = shutil.disk_usage(path)
    return DiskSpace(usage.free, usage.total)


def _fields(path: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in _text(path).splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _kibibytes(text: str | None, otherwise: int) -> int:
    number = (text or "").removesuffix("kB").strip()
    return int(number) * _KIB if number.isdecimal() else otherwise
