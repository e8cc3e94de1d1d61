import asyncio
import io
import json
import logging

import pytest

from sild.runtime.logs import (
    LogFormat,
    LogLevel,
    LogSettings,
    configure_logs,
    current_request_id,
    log_id,
    request_id,
)


@pytest.fixture
def printed():
    """Configures the logs to be printed here and puts back what was configured."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def configure(**settings):
        stream = io.StringIO()
        configure_logs(LogSettings(**settings), "worker-1", stream)
        return stream

    yield configure
    root.handlers[:] = handlers
    root.setLevel(level)


LOG = logging.getLogger("sild.example")


def test_json_lines_carry_process_request_and_extra_fields(printed):
    stream = printed(format=LogFormat.JSON)
    with request_id("r-1"):
        LOG.warning("%s messages", 3, extra={"peer": "EE/GOV"})
    fields = json.loads(stream.getvalue())
    assert fields.pop("time").endswith("Z")
    assert fields == {
        "level": "warning",
        "process": "worker-1",
        "logger": "sild.example",
        "request": "r-1",
        "message": "3 messages",
        "peer": "EE/GOV",
    }


def test_an_exception_is_printed_with_its_traceback(printed):
    stream = printed(format=LogFormat.JSON)
    try:
        raise LookupError("gone")
    except LookupError:
        LOG.exception("lost")
    fields = json.loads(stream.getvalue())
    assert fields["message"] == "lost"
    assert fields["traceback"].endswith("LookupError: gone")


def test_a_text_record_is_one_line_whatever_the_message_holds(printed):
    stream = printed()
    with request_id("r\n2"):
        LOG.info("a\nb\x1b[31m ä", extra={"peer": "x\ry"})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "info worker-1 sild.example a\\nb\\x1b[31m ä request=r\\n2 peer=x\\ry" in text


def test_a_traceback_in_text_is_indented(printed):
    stream = printed()
    try:
        raise LookupError("one\ntwo")
    except LookupError:
        LOG.exception("lost")
    lines = stream.getvalue().splitlines()
    assert lines[0].endswith("lost")
    assert all(line.startswith("    ") for line in lines[1:])


def test_records_below_the_level_are_not_printed(printed):
    stream = printed(level=LogLevel.WARNING)
    LOG.info("quiet")
    LOG.error("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()


def test_a_request_id_goes_with_its_tasks_and_ends_with_its_block():
    async def scenario():
        with request_id("outer"):
            task = asyncio.get_running_loop().create_task(read())
        assert current_request_id() == ""
        assert await task == "outer"

    async def read():
        return current_request_id()

    asyncio.run(scenario())


def test_log_ids_differ():
    assert len({log_id() for _ in range(100)}) == 100
