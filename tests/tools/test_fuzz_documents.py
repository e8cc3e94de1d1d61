"""The documents that `make fuzz` asks by."""

import pytest

from fuzz_documents import (
    CENTRAL_API,
    SECURITY_API,
    own_document,
    published_document,
    with_known,
    with_numbers,
)

KNOWN = {"member_id": ["DEV:GOV:M1", "DEV:GOV:M1"], "member_code": ["M1"]}


@pytest.fixture
def published(contracts):
    return published_document(CENTRAL_API, contracts / "central-server.openapi.json")


def test_what_is_known_stands_beside_all_else():
    document = with_known(own_document(CENTRAL_API), KNOWN)
    (parameter,) = document["paths"]["/members/{member_id}"]["get"]["parameters"]
    known, other = parameter["schema"]["anyOf"]
    assert known == {"enum": ["DEV:GOV:M1"]}
    assert (other["type"], other["maxLength"]) == ("string", 1023)
    code = document["components"]["schemas"]["NewMemberId"]["properties"]["member_code"]
    assert (code["example"], code["anyOf"][1]["minLength"]) == ("M1", 1)
    assert "anyOf" not in str(own_document(CENTRAL_API)["components"]["schemas"]["NewMemberId"])


def test_numbers_stand_for_texts_but_not_for_files_and_choices():
    schemas = with_numbers(own_document(CENTRAL_API))["components"]["schemas"]
    number = {"type": "number"}
    assert number in schemas["NewMemberId"]["properties"]["member_code"]["anyOf"]
    codes = schemas["GroupMembersFilter"]["properties"]["codes"]["anyOf"]
    assert number in codes[0]["items"]["anyOf"]
    assert number not in codes
    forms = [schema for name, schema in schemas.items() if name.startswith("Body_")]
    assert forms
    files = [
        each
        for form in forms
        for each in form["properties"].values()
        if each.get("contentMediaType")
    ]
    assert files
    assert all("anyOf" not in each for each in files)


def test_the_published_document_has_the_answers_that_are_given_beyond_it(published):
    made = published["paths"]["/initialization"]["post"]["responses"]
    assert {"200", "201", "409", "429"} <= made.keys()
    keys = published["paths"]["/configuration-sources/{configuration_type}/signing-keys"]
    added = keys["post"]["responses"]
    assert added["200"] == added["201"]


def test_the_published_document_demands_no_field_that_is_not_there(published):
    for schema in published["components"]["schemas"].values():
        own = schema.get("properties", {})
        if "allOf" not in schema:
            assert set(schema.get("required", ())) <= own.keys()


def test_what_is_known_of_one_path_is_known_there_alone():
    known = {"clients.id": ["DEV:GOV:M1"], "id": ["7"]}
    paths = with_known(own_document(SECURITY_API), known)["paths"]
    for path, value in (("/clients/{id}", "DEV:GOV:M1"), ("/tokens/{id}", "7")):
        (parameter,) = paths[path]["get"]["parameters"]
        assert parameter["schema"]["anyOf"][0] == {"enum": [value]}


def test_what_existing_clients_are_answered_is_in_the_published_document_of_a_server(contracts):
    document = published_document(SECURITY_API, contracts / "security-server.openapi.json")
    answers = document["paths"]["/tokens/{id}/keys-with-csrs"]["post"]["responses"]
    assert answers["200"] == answers["201"]
    assert "owner_id" not in document["components"]["schemas"]["TokenCertificate"]["required"]
