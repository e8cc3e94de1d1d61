"""A small disk of its own for a directory, which can be made full, unwritable or frozen.

Only root can: CI is root. Full and unwritable are seen by whoever has files open already, as they
are when a disk fills up or breaks under a server.
"""

import errno
import os
import re
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

_TOOLS = ("mkfs.ext4", "e2fsck", "mount", "umount", "chattr", "fsfreeze")
# To mount (CAP_SYS_ADMIN), and to forbid what root may not do either (CAP_LINUX_IMMUTABLE).
_CAPABILITIES = 1 << 21 | 1 << 9
_SIZE = 64 * 1024 * 1024
# Small blocks: no record fits into what is left of the last one.
_BLOCK = 1024


def why_no_disks():
    """What is missing for disks; None where nothing is."""
    status = Path("/proc/self/status").read_text()
    held = int(re.search(r"^CapEff:\s*([0-9a-f]+)$", status, re.MULTILINE)[1], 16)
    if held & _CAPABILITIES != _CAPABILITIES or not Path("/dev/loop-control").exists():
        return "disks are mounted by root, and not in every container"
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    return f"there is no {missing[0]}" if missing else None


def _run(*command):
    subprocess.run(command, check=True, capture_output=True, timeout=120)


class Disk:
    """A file system in an image, mounted at a directory; close it in the end."""

    def __init__(self, image, place, size=_SIZE):
        self.place = place
        self._image = image
        self._broken = self._forbidden = False
        self._filling = place / "filling"
        with image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-m", "0", "-b", str(_BLOCK), str(image))
        place.mkdir(parents=True, mode=0o700)
        self._mount()

    def _mount(self):
        _run("mount", "-o", "loop", str(self._image), str(self.place))

    def close(self):
        """Take the disk away, whatever still uses it."""
        try:
            self.mend()
        finally:
            _run("umount", "-l", str(self.place))

    def fill(self):
        """Leave no room for a record."""
        with self._filling.open("ab", buffering=0) as file:
            while self._fills(file):
                os.fsync(file.fileno())

    def _fills(self, file):
        before = file.tell()
        for size in (1 << 20, 1 << 14, _BLOCK):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        return file.tell() > before

    def forbid(self):
        """Let nothing be written, to files that are open either; root is bound by this too."""
        _run("chattr", "-R", "+i", str(self.place))
        self._forbidden = True

    def turn_read_only(self):
        """Be as the kernel leaves a disk after an error: read-only until nobody uses it any more.

        To ask for a read-only disk is refused while files are open for writing.
        """
        _run("mount", "-o", "remount,abort", str(self.place))
        self._broken = True

    def repair(self):
        """What an administrator does with such a disk, once its users are stopped."""
        _run("umount", str(self.place))
        # Its code is 1 where there was something to mend; what is not mended is not mounted.
        command = ("e2fsck", "-p", str(self._image))
        subprocess.run(command, check=False, capture_output=True, timeout=120)
        self._mount()
        self._broken = False

    def freeze(self):
        """Let everybody who writes wait."""
        _run("fsfreeze", "-f", str(self.place))

    def thaw(self):
        """Let those who wait go on."""
        _run("fsfreeze", "-u", str(self.place))

    def mend(self):
        """Make the disk a good one again, if it needs no repair."""
        if self._broken:
            return
        with suppress(subprocess.CalledProcessError):
            self.thaw()
        if self._forbidden:
            _run("chattr", "-R", "-i", str(self.place))
            self._forbidden = False
        self._filling.unlink(missing_ok=True)
