"""The rules of the house that neither ruff nor import-linter can keep."""

import ast
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "sild"
MODULES = sorted(SOURCE.rglob("*.py"))
PURE = [path for path in MODULES if path.relative_to(SOURCE).parts[0] in {"protocol", "model"}]
ALLOWED_IN_PURE_CODE = {"asn1crypto", "cryptography", "lxml", "sild"} | sys.stdlib_module_names
# import-linter knows whole packages only, and urllib.parse and http.HTTPStatus are pure.
NETWORKS = {"urllib.request", "http.client", "http.server"}
SAYS_NOTHING = {
    "util",
    "utils",
    "common",
    "helper",
    "helpers",
    "manager",
    "base",
    "impl",
    "data",
    "info",
}


def name(path):
    return path.relative_to(SOURCE).as_posix()


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", PURE, ids=name)
def test_pure_code_imports_no_third_party_beyond_the_three(path):
    modules = set(imported(ast.parse(path.read_bytes())))
    assert {module.partition(".")[0] for module in modules} <= ALLOWED_IN_PURE_CODE
    assert modules.isdisjoint(NETWORKS)


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_a_module_opens_with_one_sentence(path):
    opening = (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n\n")[0]
    assert opening.endswith((".", ":"))


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_nothing_is_unpacked_where_an_archive_says(path):
    used = {
        node.attr
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute)
    }
    assert used.isdisjoint({"extractall", "unpack_archive"})


def test_no_module_has_a_name_that_says_nothing():
    assert {path.stem for path in MODULES}.isdisjoint(SAYS_NOTHING)
