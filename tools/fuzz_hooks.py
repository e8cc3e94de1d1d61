"""What the fuzzer is told of this API: files that get past the first check, and foreseen failures.

Loaded by Schemathesis in its own environment; FUZZ_FILES names the JSON file that has them.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import strategies as st

_FILES = json.loads(Path(os.environ["FUZZ_FILES"]).read_text(encoding="utf-8"))
_CONTENTS = [b"", *(base64.b64decode(each) for files in _FILES.values() for each in files)]
_TEXTS = ["", *(each for files in _FILES.values() for each in files)]

schemathesis.openapi.format("binary", st.one_of(st.binary(), st.sampled_from(_CONTENTS)))
schemathesis.openapi.format("byte", st.one_of(st.text(), st.sampled_from(_TEXTS)))

_FIRST_FAILURE = 500


@schemathesis.hook
def filter_path_parameters(ctx: Any, path_parameters: dict[str, Any] | None) -> bool:
    """Whether the path stays whole: in lists a "?" is sent as it is, and asks for another one."""
    del ctx
    given = (path_parameters or {}).values()
    return not any("?" in str(each) for each in given if not isinstance(each, str))


@schemathesis.check
def nothing_unforeseen(ctx: Any, response: Any, case: Any) -> None:
    """Whether a failure has a code of its own."""
    del ctx, case
    if response.status_code >= _FIRST_FAILURE:
        code = response.json()["error"]["code"]
        assert code != "internal_error", "Nobody has foreseen this failure"
