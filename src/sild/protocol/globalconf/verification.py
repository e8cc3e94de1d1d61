"""What is needed of a global configuration to verify containers later: its shared parameters.

The files are those that the reference implementation gives for its verifier, which reads versions
from the metadata and needs no signatures: whoever verifies trusts whom it got them from.
"""

import json
from collections.abc import Mapping

from sild.protocol.globalconf.directory import PartKind
from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import file_name_part

_PREFIX = "verificationconf/"


def verification_files(conf: GlobalConf) -> Mapping[str, bytes]:
    """The files by their names within an archive."""
    files: dict[str, bytes] = {}
    kind = PartKind.SHARED_PARAMETERS
    for instance in conf.instances.values():
        folder = file_name_part(instance.instance)
        name = f"{_PREFIX}{folder}/{kind.file_name}"
        files[name] = instance.contents[kind].data
        metadata = {"configurationVersion": str(instance.version)}
        files[f"{name}.metadata"] = json.dumps(metadata, separators=(",", ":")).encode("ascii")
    files[f"{_PREFIX}instance-identifier"] = conf.instance.encode("utf-8")
    return files
