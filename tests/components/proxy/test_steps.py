"""The steps of exchanges are for people who ask; messages do not depend on them."""

import json
from pathlib import Path

import pytest

from sild.components.proxy.steps import ExchangeLog


def test_an_exchange_is_one_line(tmp_path):
    log = ExchangeLog(tmp_path / "exchanges.jsonl")
    steps = log.steps("consumer", "rest")
    steps.request_id = "r\n1"
    steps.mark("accepted", "õ")
    steps.close("ok")
    log.close()
    (line,) = (tmp_path / "exchanges.jsonl").read_text("utf-8").splitlines()
    told = json.loads(line)
    assert (told["request_id"], told["outcome"]) == ("r\n1", "ok")
    assert [(step["step"], step["detail"]) for step in told["steps"]] == [("accepted", "õ")]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this machine has no full device")
def test_a_full_disk_below_the_steps_stops_no_message():
    log = ExchangeLog(Path("/dev/full"))
    for _ in range(3):
        log.steps("consumer", "rest").close("ok")
    log.close()
