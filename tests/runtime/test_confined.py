import time

import pytest

from sild.runtime.confined import ConfinedError, Confinement, run_confined

pytestmark = pytest.mark.anyio

SMALL = Confinement(memory=256 * 1024**2, processor_seconds=1, total_seconds=120.0, answer=1024**2)
BEGIN = "from sild.runtime.confined import confine, read_input, write_frame\nconfine()\n"


async def run(statements, data=b"", confinement=SMALL):
    """What a child answers that runs these statements, once."""
    arguments = ("-n", "1", "-r", "1", BEGIN + statements)
    return await run_confined("timeit", arguments, data, confinement)


async def test_a_child_answers_in_frames_with_what_it_was_given():
    data = bytes(range(256)) * 2000
    answer = await run("whole = read_input(); write_frame(whole); write_frame(b'')", data)
    assert answer == (data, b"")


async def test_a_child_has_no_environment_of_ours(monkeypatch):
    monkeypatch.setenv("SILD_SIGNER_PIN", "canary")
    (answer,) = await run("import os; write_frame(repr((dict(os.environ), os.getcwd())).encode())")
    assert b"canary" not in answer
    assert b"'/'" in answer


async def test_a_child_that_wants_too_much_memory_gives_no_answer():
    with pytest.raises(ConfinedError):
        await run("x = bytearray(300 * 1024**2); write_frame(b'got it')")


async def test_a_child_that_computes_for_too_long_is_ended():
    before = time.monotonic()
    with pytest.raises(ConfinedError):
        await run("while True: pass")
    assert time.monotonic() - before < SMALL.total_seconds


async def test_a_child_that_waits_for_too_long_is_ended():
    patience = Confinement(total_seconds=1.0)
    with pytest.raises(ConfinedError):
        await run("import time; time.sleep(60); write_frame(b'late')", confinement=patience)


async def test_a_child_that_says_too_much_is_ended():
    with pytest.raises(ConfinedError):
        await run("write_frame(bytes(2 * 1024**2)); write_frame(b'more')")


async def test_a_child_writes_no_file(tmp_path):
    (answer,) = await run(
        f"try:\n  with open({str(tmp_path / 'x')!r}, 'wb') as file: file.write(b'x')\n"
        "except OSError as error: write_frame(str(error).encode())"
    )
    assert b"File too large" in answer


async def test_what_was_answered_before_a_failure_counts():
    assert await run("write_frame(b'first'); raise SystemExit(3)") == (b"first",)
    assert await run("import os; write_frame(b'first'); os.abort()") == (b"first",)


async def test_a_child_that_does_not_listen_is_no_trouble():
    assert await run("write_frame(b'enough')", bytes(10 * 1024**2)) == (b"enough",)


async def test_a_module_that_is_not_there_gives_no_answer():
    with pytest.raises(ConfinedError):
        await run_confined("sild.nothing", (), b"", SMALL)
