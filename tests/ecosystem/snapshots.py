"""What disks hold at one moment: copies of their images, as after a loss of power.

The images stand on a disk of their own. While that is frozen nothing reaches any of them, and what
a file system has in memory alone is in none; what has reached one is taken to be kept.
"""

import fcntl
import os
import subprocess
from contextlib import ExitStack, contextmanager

from ecosystem.disks import Disk

# From linux/fs.h.
_FREEZE, _THAW = 0xC0045877, 0xC0045878
_SIZE = 256 * 1024 * 1024
_CANARY = "not-synced"


class Shelf:
    """A disk for each of these directories; close it in the end."""

    def __init__(self, folder, directories):
        self._directories = directories
        self._opened = ExitStack()
        with self._opened:
            folder.mkdir()
            self._images = folder / "images"
            size = 2 * _SIZE * len(directories)
            self._opened.callback(Disk(folder / "shelf", self._images, size).close)
            for directory in directories:
                image = self._images / directory.name
                self._opened.callback(Disk(image, directory, _SIZE).close)
            self._descriptor = os.open(self._images, os.O_RDONLY)
            self._opened.callback(os.close, self._descriptor)
            for directory in directories:
                write_canary(directory, "begun\n", synced=True)
            self._opened = self._opened.pop_all()

    def close(self):
        """Take the disks away."""
        self._opened.close()

    @contextmanager
    def frozen(self):
        """Let nothing more reach the disks while the block runs: who syncs, waits."""
        fcntl.ioctl(self._descriptor, _FREEZE, 0)
        try:
            yield
        finally:
            fcntl.ioctl(self._descriptor, _THAW, 0)

    def copy(self, folder):
        """Copy all images into a new folder; they are to be frozen."""
        folder.mkdir()
        images = [str(self._images / directory.name) for directory in self._directories]
        subprocess.run(("cp", "--sparse=always", *images, str(folder)), check=True, timeout=120)


@contextmanager
def mounted(image, place):
    """Mount the copy of an image, whose file system mends itself as after a loss of power."""
    place.mkdir()
    subprocess.run(("mount", "-o", "loop", str(image), str(place)), check=True, timeout=120)
    try:
        yield place
    finally:
        subprocess.run(("umount", str(place)), check=True, timeout=120)


def write_canary(directory, line, *, synced):
    """Append a line to a file; without a sync it is not on the disk but for the kernel's haste."""
    with (directory / _CANARY).open("a") as file:
        file.write(line)
        if synced:
            file.flush()
            os.fsync(file.fileno())


def canary_in(directory):
    """What there is of that file."""
    return (directory / _CANARY).read_text(errors="replace")
