"""YAML, safely: values of JSON alone."""

from typing import Any

import yaml


class YamlError(Exception):
    """A text is no YAML, or more than values of JSON."""


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
    """Writes a value that stands in two places twice."""

    def ignore_aliases(self, _: Any) -> bool:
        return True


def write_yaml(value: Any) -> str:
    """Give the text, keys in their own order."""
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return text


def read_yaml(text: str) -> Any:
    """Give the value; raises YamlError."""
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise YamlError(f"a text cannot be read as YAML: {error}") from error
