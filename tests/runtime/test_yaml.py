import pytest

from sild.runtime.yaml import YamlError, read_yaml, write_yaml


def test_a_value_comes_out_as_it_went_in():
    value = {"b": [1, "1", None, True, 1.5], "a": {"text": "õ: {x}\n- y"}, "200": "x"}
    assert read_yaml(write_yaml(value)) == value
    assert list(read_yaml(write_yaml(value))) == ["b", "a", "200"]


def test_what_stands_in_two_places_is_written_twice():
    part = {"x": 1}
    assert "&" not in write_yaml({"a": part, "b": part})


@pytest.mark.parametrize(
    "text", ["a: [", "!!python/object/apply:os.system ['true']", "\t", "[" * 2000]
)
def test_what_is_no_value_is_refused(text):
    with pytest.raises(YamlError):
        read_yaml(text)
