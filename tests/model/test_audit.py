import json

from sild.model.audit import AuditEvent, AuditRecord


def test_a_record_of_success_has_the_fields_of_the_specification():
    record = AuditRecord(
        AuditEvent.ADD_MEMBER,
        {"memberCode": "1"},
        user="joe",
        address="192.0.2.1",
        auth="Session",
        url="/api/v1/members",
    )
    assert record.to_json() == (
        '{"event":"Add member","user":"joe","ipaddress":"192.0.2.1","auth":"Session",'
        '"url":"/api/v1/members","data":{"memberCode":"1"}}'
    )


def test_a_record_of_failure_says_so_and_why():
    record = AuditRecord(
        AuditEvent.ADD_MEMBER, user="joe", address="192.0.2.1", reason="no", auth="ApiKey", url="/x"
    )
    assert list(json.loads(record.to_json()).items()) == [
        ("event", "Add member failed"),
        ("user", "joe"),
        ("ipaddress", "192.0.2.1"),
        ("reason", "no"),
        ("warning", False),
        ("auth", "ApiKey"),
        ("url", "/x"),
        ("data", {}),
    ]


def test_a_failure_by_warnings_says_so():
    record = AuditRecord(AuditEvent.UPLOAD_BACKUP, reason="Warnings detected", warning=True)
    assert json.loads(record.to_json())["warning"] is True


def test_what_the_server_does_by_itself_the_user_system_did():
    record = AuditRecord(AuditEvent.BACKUP, {"backupFileName": "x.gpg"})
    assert record.to_json() == (
        '{"event":"Back up configuration","user":"system","data":{"backupFileName":"x.gpg"}}'
    )


def test_a_user_who_is_not_known_is_told_as_null():
    record = AuditRecord(AuditEvent.API_KEY_AUTHENTICATION, user=None, reason="no")
    assert json.loads(record.to_json())["user"] is None


def test_a_line_is_ascii_and_one_line():
    record = AuditRecord(AuditEvent.ADD_MEMBER, {"memberName": "Jõe\nsild\u2028"}, user="õ\r\n")
    line = record.to_json()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["data"] == {"memberName": "Jõe\nsild\u2028"}


def test_the_catalogue_is_that_of_the_reference():
    texts = {event.value for event in AuditEvent}
    assert len(texts) == len(AuditEvent)
    for text in (
        "Log in user",
        "Log out user",
        "Initialize central server",
        "Unregister member as security server client",
        "Register management service provider as security server client",
        "Generate management service TLS key and self-sign certificate",
        "Set connection type for servers in service consumer role",
        "Delete orphaned client keys, certs and certificates",
        "Log into the token",
    ):
        assert text in texts
