"""The table of fixes in docs/security.md names tests that are there, and every fix that is shown."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)(?:::(\w+))?`(?:[^`|]*`::(\w+)`)?")
# Limits of the HTTP server; approval and roles; who may have mail sent; sessions of devices.
SHOWN_WHERE_IT_IS = {"3071", "3266", "3267", "3276", "3301"}
SHOWN = ("tests/threats/*.py", "tests/ecosystem/test_threats.py")


def test_each_test_that_the_page_names_is_there():
    named = NAMED.findall(PAGE)
    assert len(named) > 20
    for file, *tests in named:
        text = (ROOT / file).read_text(encoding="utf-8")
        for name in filter(None, tests):
            assert re.search(rf"^(?:async )?def {name}\(", text, re.MULTILINE), (file, name)


def test_each_fix_that_a_test_names_stands_in_the_table_and_the_other_way_round():
    shown = set()
    for pattern in SHOWN:
        for path in ROOT.glob(pattern):
            names = re.findall(r"def test_xrddev((?:_[0-9]{4})+)_", path.read_text("utf-8"))
            shown.update(number for name in names for number in name.split("_") if number)
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| XRDDEV-")]
    listed = {number for row in rows for number in re.findall(r"\b[0-9]{4}\b", row)}
    assert shown == listed - SHOWN_WHERE_IT_IS
