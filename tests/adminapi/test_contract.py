import copy
import json

import pytest

from sild.adminapi.additions import ADDITIONS
from sild.adminapi.contract import (
    Addition,
    Difference,
    differences,
    read_description,
    unused_additions,
)
from sild.adminapi.schemas import Schemas

PUBLISHED = {
    "openapi": "3.0.0",
    "paths": {
        "/members/{member_id}": {
            "parameters": [{"$ref": "#/components/parameters/MemberId"}],
            "patch": {
                "operationId": "updateMember",
                "requestBody": {
                    "required": True,
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/MemberAdd"}}
                    },
                },
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Member"}}
                        }
                    },
                    "400": {"$ref": "#/components/responses/BadRequest"},
                },
            },
        },
        "/members": {
            "get": {
                "operationId": "findMembers",
                "parameters": [
                    {
                        "in": "query",
                        "name": "paging_sorting",
                        "schema": {"$ref": "#/components/schemas/Paging"},
                    }
                ],
                "responses": {
                    "200": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Member"},
                                }
                            }
                        }
                    }
                },
            },
            "post": {
                "operationId": "uploadMembers",
                "requestBody": {
                    "content": {
                        "multipart/form-data": {
                            "schema": {
                                "type": "object",
                                "properties": {"file": {"type": "string", "format": "binary"}},
                            }
                        }
                    }
                },
                "responses": {"201": {}, "202": {}},
            },
        },
        "/requests": {
            "post": {
                "operationId": "addRequest",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Request"}}
                    }
                },
                "responses": {"204": {}},
            }
        },
    },
    "components": {
        "parameters": {
            "MemberId": {
                "in": "path",
                "name": "member_id",
                "required": True,
                "schema": {"type": "string", "minLength": 1, "maxLength": 1023},
            }
        },
        "responses": {"BadRequest": {}},
        "schemas": {
            "Paging": {
                "type": "object",
                "properties": {
                    "limit": {"type": "integer", "format": "int32", "default": 25},
                    "sort": {"type": "string", "minLength": 2, "pattern": "[a-z]+"},
                },
            },
            "MemberName": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string", "maxLength": 255}},
            },
            "MemberAdd": {
                "allOf": [{"$ref": "#/components/schemas/MemberName"}],
                "type": "object",
                "properties": {
                    "instance": {"type": "string", "readOnly": True},
                    "note": {"type": "string", "nullable": True},
                },
            },
            "Member": {
                "allOf": [{"$ref": "#/components/schemas/MemberName"}],
                "type": "object",
                "required": ["status"],
                "properties": {
                    "status": {"type": "string", "enum": ["OLD", "NEW"]},
                    "parent": {"type": "string"},
                },
            },
            "Request": {
                "type": "object",
                "required": ["type"],
                "properties": {"type": {"type": "string"}},
                "discriminator": {"propertyName": "type", "mapping": {"A": "RequestA"}},
            },
            "RequestA": {
                "allOf": [{"$ref": "#/components/schemas/Request"}],
                "type": "object",
                "properties": {"a": {"type": "string"}},
            },
        },
    },
}


def nullable(schema):
    return {"anyOf": [schema, {"type": "null"}]}


@pytest.fixture
def ours():
    """The same API as Pydantic would describe it."""
    document = copy.deepcopy(PUBLISHED)
    document["openapi"] = "3.1.0"
    paths, schemas = document["paths"], document["components"]["schemas"]
    patch = paths["/members/{member_id}"].pop("patch")
    paths["/members/{id}"] = {"patch": patch}
    del paths["/members/{member_id}"]
    patch["parameters"] = [
        {
            "in": "path",
            "name": "id",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 1023, "title": "Id"},
        }
    ]
    limit = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1, "default": 25}
    sort = nullable({"type": "string", "minLength": 2, "pattern": "^[a-z]+$"})
    paths["/members"]["get"]["parameters"] = [
        {"in": "query", "name": "limit", "required": False, "schema": limit},
        {"in": "query", "name": "sort", "required": False, "schema": sort},
    ]
    file = {"type": "string", "contentMediaType": "application/octet-stream"}
    content = paths["/members"]["post"]["requestBody"]["content"]
    content["multipart/form-data"]["schema"] = {"$ref": "#/components/schemas/Form"}
    schemas["Form"] = {"type": "object", "properties": {"file": file}}
    name = {"type": "string", "maxLength": 255}
    schemas["MemberAdd"] = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": name, "note": nullable({"type": "string"})},
    }
    schemas["Member"] = {
        "type": "object",
        "required": ["name", "status", "parent"],
        "properties": {
            "name": {"type": "string"},
            "status": {"$ref": "#/components/schemas/Status"},
            "parent": nullable({"type": "string"}),
        },
    }
    schemas["Status"] = {"type": "string", "enum": ["NEW", "OLD"]}
    schemas["RequestA"] = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"type": "string", "const": "A"}, "a": {"type": "string"}},
    }
    schemas["RequestA"]["properties"]["type"].pop("const")
    content = paths["/requests"]["post"]["requestBody"]["content"]
    content["application/json"]["schema"] = {
        "oneOf": [{"$ref": "#/components/schemas/RequestA"}],
        "discriminator": {
            "propertyName": "type",
            "mapping": {"A": "#/components/schemas/RequestA"},
        },
    }
    return document


def told(ours, additions=()):
    return [str(each) for each in differences(PUBLISHED, ours, additions)]


def test_the_same_api_in_another_dialect_is_the_same(ours):
    assert told(PUBLISHED) == []
    assert told(ours) == []


def test_a_member_of_a_union_may_say_which_it_is(ours):
    described = ours["components"]["schemas"]["RequestA"]["properties"]
    described["type"] = {"type": "string", "const": "A"}
    assert told(ours) == []


def test_the_length_of_a_number_says_nothing():
    described = {"type": "integer", "minLength": 1, "maximum": 9}
    assert Schemas(PUBLISHED).read(described).limits == {"maximum": 9}


def _change(*path, to=None, without=None):
    def change(document):
        place = document
        for step in path[:-1]:
            place = place[step]
        if without is not None:
            del place[path[-1]][without]
        else:
            place[path[-1]] = to

    return change


PATCH = ("paths", "/members/{id}", "patch")
GET = ("paths", "/members", "get")
POST = ("paths", "/members", "post")
SCHEMAS = ("components", "schemas")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_change("paths", without="/requests"), "POST /requests: is missing"),
        (
            _change("paths", "/x", to={"get": {"operationId": "x", "responses": {}}}),
            "GET /x: is not published",
        ),
        (
            _change(*GET, "operationId", to="list"),
            "GET /members: operationId is list, not findMembers",
        ),
        (
            _change(*PATCH, "responses", without="400"),
            "PATCH /members/{member_id}: response 400 is missing",
        ),
        (
            _change(*POST, "responses", "429", to={}),
            "POST /members: response 429 is not published",
        ),
        (
            _change(*GET, "parameters", to=[]),
            "GET /members: query parameter limit is missing",
        ),
        (
            _change(*GET, "parameters", 0, "schema", "default", to=10),
            "GET /members: query parameter limit is 10 by default, not 25",
        ),
        (
            _change(*GET, "parameters", 0, "required", to=True),
            "GET /members: query parameter limit is required",
        ),
        (
            _change(*GET, "parameters", 0, "schema", "type", to="string"),
            "GET /members: query parameter limit is string, not integer",
        ),
        (
            _change(*GET, "parameters", 0, "name", to="size"),
            "GET /members: query parameter size is not published",
        ),
        (
            _change(*PATCH, "parameters", 0, "schema", "maxLength", to=10),
            "PATCH /members/{member_id}: path parameter 1 has maxLength 10, not 1023",
        ),
        (
            _change(*SCHEMAS, "MemberAdd", "properties", "name", without="maxLength"),
            "PATCH /members/{member_id}: body.name has maxLength None, not 255",
        ),
        (
            _change(*SCHEMAS, "MemberAdd", "required", to=[]),
            "PATCH /members/{member_id}: body.name is not required",
        ),
        (
            _change(*SCHEMAS, "MemberAdd", "required", to=["name", "note"]),
            "PATCH /members/{member_id}: body.note is required",
        ),
        (
            _change(*SCHEMAS, "MemberAdd", "properties", "note", to={"type": "string"}),
            "PATCH /members/{member_id}: body.note may not be null",
        ),
        (
            _change(*SCHEMAS, "MemberAdd", "properties", without="note"),
            "PATCH /members/{member_id}: body.note is missing",
        ),
        (
            _change(*SCHEMAS, "Member", "properties", without="parent"),
            "GET /members: response 200[].parent is missing",
        ),
        (
            _change(*SCHEMAS, "Member", "properties", "x", to={}),
            "GET /members: response 200[].x is not published",
        ),
        (
            _change(*SCHEMAS, "Member", "required", to=["name"]),
            "GET /members: response 200[].status is not required",
        ),
        (
            _change(*SCHEMAS, "Status", "enum", to=["NEW"]),
            "GET /members: response 200[].status value OLD is missing",
        ),
        (
            _change(*SCHEMAS, "Status", "enum", to=["NEW", "OLD", "LOST"]),
            "GET /members: response 200[].status value LOST is not published",
        ),
        (
            _change(*SCHEMAS, "Form", "properties", "file", to={"type": "string"}),
            "POST /members: body.file is string, not file",
        ),
        (
            _change(*POST, "requestBody", "content", to={"application/json": {"schema": {}}}),
            "POST /members: body multipart/form-data is missing",
        ),
        (
            _change(*POST, without="requestBody"),
            "POST /members: body is missing",
        ),
        (
            _change(*SCHEMAS, "RequestA", "properties", without="a"),
            "POST /requests: body A.a is missing",
        ),
    ],
)
def test_every_difference_is_told(ours, change, expected):
    change(ours)
    assert expected in told(ours)


def test_what_is_meant_is_told_with_its_reason(ours):
    ours["paths"]["/members"]["get"]["responses"] |= {"429": {}, "503": {}}
    table = (Addition("* /members", "response 4*", "rates"), Addition("GET *", "x", "never"))
    found = differences(PUBLISHED, ours, table)
    assert [(each.what, each.is_addition) for each in sorted(found, key=str)] == [
        ("response 429 is not published", True),
        ("response 503 is not published", False),
    ]
    assert [each.to_json() for each in found if each.is_addition] == [
        {"where": "GET /members", "what": "response 429 is not published", "reason": "rates"}
    ]
    assert unused_additions(found, table) == [table[1]]


def test_only_a_star_stands_for_something_else():
    row = Addition("GET /x", "response 200[].a*", "because")
    assert row.covers(Difference("GET /x", "response 200[].ab is missing"))
    assert not row.covers(Difference("GET /x", "response 200].ab is missing"))
    assert not row.covers(Difference("GET /xy", "response 200[].ab is missing"))


def test_the_table_gives_a_reason_for_every_row():
    assert all(row.reason for row in ADDITIONS)
    assert len({(row.where, row.what) for row in ADDITIONS}) == len(ADDITIONS)


def test_descriptions_are_read_as_json_and_as_yaml(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps(PUBLISHED))
    (tmp_path / "a.yaml").write_text(json.dumps(PUBLISHED))
    assert read_description(tmp_path / "a.json") == PUBLISHED
    assert read_description(tmp_path / "a.yaml") == PUBLISHED
    for name, text in (("b.json", "{"), ("b.yaml", "a: ["), ("c.json", "[]"), ("d.yaml", "a: 1")):
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError):
            read_description(tmp_path / name)
    with pytest.raises(OSError, match="No such file"):
        read_description(tmp_path / "none.json")
