"""What the machine says of itself."""

import pytest

from sild.runtime.machine import (
    disk_space,
    is_in_container,
    memory_limit,
    operating_system,
    own_memory,
)

GIB = 1024**3


@pytest.fixture
def machine(tmp_path):
    """Files as the kernel shows them, of a machine with 8 GiB."""
    (tmp_path / "self").mkdir()
    (tmp_path / "meminfo").write_text(f"MemTotal:  {8 * GIB // 1024} kB\nMemFree: 1 kB\n")
    (tmp_path / "cgroups").mkdir()
    return tmp_path


def limit_of(machine):
    return memory_limit(machine, machine / "cgroups")


def test_a_process_holds_memory_and_has_held_no_less():
    memory = own_memory()
    assert memory.resident > 1024**2
    assert memory.peak >= memory.resident * 0.9


def test_a_process_that_cannot_ask_the_kernel_knows_its_peak(tmp_path):
    memory = own_memory(tmp_path)
    assert memory.resident == memory.peak > 1024**2


def test_the_limit_is_the_machines_memory(machine):
    assert limit_of(machine) == 8 * GIB


def test_a_container_has_less(machine):
    (machine / "self" / "cgroup").write_text("0::/system.slice/server\n")
    folder = machine / "cgroups" / "system.slice" / "server"
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text("max\n")
    assert limit_of(machine) == 8 * GIB
    (folder / "memory.max").write_text(f"{2 * GIB}\n")
    assert limit_of(machine) == 2 * GIB


def test_a_container_of_the_older_kind_has_less(machine):
    (machine / "self" / "cgroup").write_text("7:cpu:/a\n4:memory,x:/a\n")
    folder = machine / "cgroups" / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text(str(GIB))
    assert limit_of(machine) == GIB


def test_what_is_not_known_is_no_limit(tmp_path):
    assert memory_limit(tmp_path, tmp_path) == 0


def test_the_rest_can_be_asked(tmp_path):
    assert "Linux" in operating_system()
    assert is_in_container() in {True, False}
    space = disk_space(tmp_path)
    assert 0 < space.free <= space.total
    with pytest.raises(OSError, match="No such file"):
        disk_space(tmp_path / "nowhere")
