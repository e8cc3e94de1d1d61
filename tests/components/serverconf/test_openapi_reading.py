import contextlib
import json
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.serverconf.described import API_URL, api
from sild.components.serverconf.openapi_reading import check_openapi, read_openapi
from sild.components.serverconf.service_errors import InvalidOpenApi, UnsupportedOpenApi
from sild.runtime.yaml import write_yaml


def read(data, url=API_URL):
    """What the description offers, and every warning."""
    document, found = read_openapi(data, url)
    return found, found.warnings + check_openapi(document)


def refused(data):
    with pytest.raises(InvalidOpenApi) as caught:
        read_openapi(data, API_URL)
    assert caught.value.metadata == (caught.value.message,)
    return caught.value.message


def told(found):
    return [f"{each.method} {each.path}" for each in found.operations]


@pytest.mark.parametrize("version", ["3.0.0", "3.0.3", "3.1.0"])
def test_operations_are_read_and_path_parameters_are_stars(version):
    found, warnings = read(api("GET /a", "POST /a", "GET /a/{id}/b/{c}", version=version))
    assert told(found) == ["GET /a", "POST /a", "GET /a/*/b/*"]
    assert found.base_url == "https://is.test/api"
    assert warnings == ()


def test_yaml_is_read_with_numbers_for_keys_and_texts():
    document = json.loads(api("GET /a"))
    text = write_yaml(document).replace("'200'", "200").replace("'1'", "1.0")
    assert "200:" in text
    assert "version: 1.0" in text
    found, warnings = read(text.encode())
    assert told(found) == ["GET /a"]
    assert warnings == ()


def test_paths_that_are_the_same_but_for_parameter_names_are_one_endpoint():
    found, _ = read(api("GET /a/{id}", "GET /a/{name}"))
    assert told(found) == ["GET /a/*"]


@pytest.mark.parametrize(
    ("server", "base"),
    [
        (None, "http://is.test/"),
        ("/", "http://is.test/"),
        ("/api", "http://is.test/api"),
        ("../api", "http://is.test/api"),
        ("http://other.test:8080/x", "http://other.test:8080/x"),
        ("https://{host}/r1", "https://{host}/r1"),
        ("ftp://is.test/", None),
        ("http://is.test/?a=b", None),
        ("http://[::1", None),
        ("http://is.test/" + "x" * 250, None),
    ],
)
def test_the_first_server_says_where_the_service_is(server, base):
    data = api("GET /a", server=server)
    if base is None:
        assert "server url" in refused(data)
    else:
        assert read(data)[0].base_url == base


def test_variables_without_which_there_is_no_address_have_their_defaults():
    servers = [{"url": "{scheme}://h/", "variables": {"scheme": {"default": "https"}}}]
    assert read(api("GET /a", servers=servers))[0].base_url == "https://h/"
    assert "server url" in refused(api("GET /a", servers=[{"url": "{scheme}://h/"}]))


@pytest.mark.parametrize("version", ["2.0", "3.1.1", "3.2.0", "3.00", "4", ""])
def test_another_version_is_not_supported(version):
    with pytest.raises(UnsupportedOpenApi) as caught:
        read_openapi(api("GET /a", version=version), API_URL)
    assert caught.value.metadata == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"FooBar!",
        b"[]",
        b"{}",
        b'{"openapi": 3.0}',
        b'{"swagger": "2.0"}',
        b"a: [",
        b"\xff\xfe\x00",
        b"openapi: !!python/object:os.system {}",
        b"? [a]\n: b",
        b"[" * 3000,
    ],
)
def test_what_is_no_openapi_description_is_refused(data):
    refused(data)


def test_what_is_not_as_it_should_be_is_warned_of_with_its_place():
    document = json.loads(api("GET /a", "GET /b"))
    del document["paths"]["/a"]["get"]["responses"]
    del document["info"]["title"]
    _, warnings = read(json.dumps(document).encode())
    assert any(each.startswith("paths./a.get: 'responses'") for each in warnings)
    assert any(each.startswith("info: 'title'") for each in warnings)


def test_a_path_parameter_that_is_nowhere_described_is_warned_of():
    document = json.loads(api("GET /a/{id}"))
    document["paths"]["/a/{id}"]["get"]["parameters"] = []
    found, warnings = read(json.dumps(document).encode())
    assert told(found) == ["GET /a/*"]
    assert any("'id'" in each for each in warnings)


def test_paths_that_no_request_can_have_are_left_out_with_a_warning():
    document = json.loads(api("GET /a", "GET /" + "x" * 255))
    document["paths"]["nowhere"] = {"get": {"responses": {"200": {"description": "x"}}}}
    document["paths"]["/more"] = {"$ref": "http://elsewhere.test/"}
    found, warnings = read(json.dumps(document).encode())
    assert told(found) == ["GET /a"]
    assert len([each for each in warnings if each.startswith("paths.nowhere")]) >= 1
    assert any(each.startswith("paths./xx") for each in warnings)
    assert any("$ref" in each for each in warnings)


def referring(reference):
    """A description with a schema that is elsewhere."""
    document = json.loads(api("GET /a"))
    content = {"text/plain": {"schema": {"$ref": reference}}}
    document["paths"]["/a"]["get"]["responses"]["200"]["content"] = content
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    "reference", ["other.yaml#/x", "gopher://h/", "#/no", "http://[", "data:,x"]
)
def test_what_is_elsewhere_is_warned_of(reference):
    found, warnings = read(referring(reference))
    assert told(found) == ["GET /a"]
    assert len(warnings) == 1


def test_what_is_elsewhere_is_not_looked_up(tmp_path):
    schema = tmp_path / "schema.json"
    schema.write_text('{"type": "string"}')
    _, warnings = read(referring(schema.as_uri()))
    assert len(warnings) == 1
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        port = listening.getsockname()[1]
        _, warnings = read(referring(f"http://127.0.0.1:{port}/schema.json"))
        assert len(warnings) == 1
        with pytest.raises(TimeoutError):
            listening.accept()


def test_there_are_never_too_many_warnings_nor_too_long_ones():
    document = json.loads(api(*(f"GET /{number}" for number in range(200))))
    for item in document["paths"].values():
        item["get"]["x" * 1000] = {}
    _, warnings = read(json.dumps(document).encode())
    assert 0 < len(warnings) <= 100
    assert max(map(len, warnings)) <= 500


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["/a", "get", "url", "$ref", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["paths", "servers", "info", "components"]), JSON))
def test_any_document_is_read_with_warnings_or_refused(parts):
    with contextlib.suppress(InvalidOpenApi):
        read(json.dumps({"openapi": "3.0.0", **parts}).encode())


@given(st.binary(max_size=60))
def test_any_bytes_are_refused(data):
    with pytest.raises((InvalidOpenApi, UnsupportedOpenApi)):
        read_openapi(data, API_URL)
