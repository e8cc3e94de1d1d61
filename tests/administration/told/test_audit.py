"""Every change is in the audit log of the server that was changed, as SPEC-AL lays it out."""

import json

import pytest

from administration.operations import ROWS
from administration.told.run import OLD_BACKUPS
from administration.told.spec_al import DATA
from sild.model.audit import AuditEvent

# Everything is done once, before the first of them.
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(1200)]

EVENTS = sorted({row.event for row in ROWS if row.event is not None})
# What an event becomes when it is known which of several it is.
BECOMES = {
    "DELETE_KEY": {"DELETE_KEY_FROM_TOKEN_AND_CONFIG"},
    "DELETE_CERT": {"DELETE_CERT_FROM_CONFIG", "DELETE_CERT_FROM_TOKEN"},
}
# No certificate is ordered over ACME here, and a token that is gone is tested by itself.
ELSEWHERE = {"ACME_ORDER_CERTIFICATE", "DELETE_TOKEN"}
FURTHER = ("FORM_LOGIN", "FORM_LOGOUT", "KEY_MANAGEMENT_PAM_LOGIN", "ADD_USER", "SET_USER_PASSWORD")
FAILING = ("FORM_LOGIN", "KEY_MANAGEMENT_PAM_LOGIN", "API_KEY_AUTHENTICATION", "LOGIN_TOKEN")
HOW = {"Session", "ApiKey", "HttpBasicPam", None}
SILENT_ON = {"user", "ipaddress", "auth", "url"}


@pytest.fixture(scope="module")
def records(run):
    """What the second server's audit log tells."""
    lines = run.ss1.layout.audit_log.read_text().splitlines()
    return [json.loads(line.partition(" - ")[2]) for line in lines]


def of(records, event, suffix=""):
    return [record for record in records if record["event"] == AuditEvent[event].value + suffix]


@pytest.mark.feature("AU-01")
@pytest.mark.parametrize("event", EVENTS)
def test_what_was_done_is_told_with_the_data_of_the_specification(records, event):
    if event in ELSEWHERE:
        assert of(records, event) == []
        return
    for name in BECOMES.get(event, {event}):
        found = of(records, name)
        assert found, f"no record tells of {name}"
        for record in found:
            check_data(name, record)
            assert record["user"] == "xrd"
            assert record["ipaddress"]
            assert record["auth"] == "Session"
            assert record["url"].startswith("/api/v1/")
            assert "reason" not in record


def check_data(event, record):
    needed, further = DATA[event]
    names = {name for name, value in record["data"].items() if value is not None}
    assert needed <= names, f"{event} does not tell {needed - names}"
    assert names <= needed | further, f"{event} tells {names - needed - further}"
    for name in names:
        if name.endswith("Identifier"):
            who = record["data"][name]
            assert {"xRoadInstance", "memberClass", "memberCode"} <= who.keys()


@pytest.mark.feature("AU-01")
@pytest.mark.parametrize("event", FAILING)
def test_what_failed_is_told_with_the_reason(records, event):
    failed = of(records, event, " failed")
    assert failed
    for record in failed:
        assert record["reason"]
        assert record["warning"] is False


@pytest.mark.feature("AU-02")
@pytest.mark.parametrize("event", FURTHER)
def test_people_that_come_and_go_are_told(records, event):
    assert of(records, event)


@pytest.mark.feature("AU-02")
def test_nothing_else_is_told(records):
    known = {AuditEvent[event].value for event in EVENTS} | {
        AuditEvent[event].value
        for events in (*BECOMES.values(), FURTHER, FAILING)
        for event in events
    }
    technical = {"Auth credentials discovery", "Access check"}
    for record in records:
        event = record["event"].removesuffix(" failed")
        assert event in known or event in technical, record
        assert {"event", "user", "data"} <= record.keys()


@pytest.mark.feature("AU-03")
def test_what_a_server_does_by_itself_is_of_the_user_system(run):
    lines = run.ss0.layout.audit_log.read_text().splitlines()
    found = of([json.loads(line.partition(" - ")[2]) for line in lines], "BACKUP")
    assert found
    for record in found:
        assert record.keys() == {"event", "user", "data"}
        assert record["user"] == "system"
        assert (run.ss0.layout.backups / record["data"]["backupFileName"]).exists()


@pytest.mark.feature("AU-03")
@pytest.mark.parametrize("which", OLD_BACKUPS)
def test_an_old_backup_that_a_server_deletes_by_itself_is_told(run, which):
    layout = getattr(run, which).layout
    lines = layout.audit_log.read_text().splitlines()
    (record,) = of([json.loads(line.partition(" - ")[2]) for line in lines], "DELETE_BACKUP")
    name = OLD_BACKUPS[which]
    assert not (layout.backups / name).exists()
    told = {"event": "Delete backup file", "user": "system", "data": {"backupFileName": name}}
    assert record == told


@pytest.mark.feature("AU-01")
def test_the_central_server_tells_of_what_it_publishes(run):
    lines = run.central.layout.audit_log.read_text().splitlines()
    told = [json.loads(line.partition(" - ")[2]) for line in lines]
    found = of(told, "PUBLISH_GLOBAL_CONFIGURATION")
    assert found
    assert all(record["data"].keys() == {"versions", "expiresAt"} for record in found)
