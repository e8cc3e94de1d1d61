"""The two kinds of configuration sources, in paths and permissions."""

from collections.abc import Mapping

from sild.adminapi.asked import Act
from sild.adminapi.centralserver.token_bodies import ConfigurationType
from sild.components.centralserver.source_rows import SourceKind
from sild.model.permissions import Permission

KINDS: Mapping[ConfigurationType, SourceKind] = {
    ConfigurationType.INTERNAL: SourceKind.INTERNAL,
    ConfigurationType.EXTERNAL: SourceKind.EXTERNAL,
}
TYPES = {kind: configuration_type for configuration_type, kind in KINDS.items()}

VIEW_SOME = (
    Permission.VIEW_INTERNAL_CONFIGURATION_SOURCE,
    Permission.VIEW_EXTERNAL_CONFIGURATION_SOURCE,
)
_VIEW = dict(zip(ConfigurationType, VIEW_SOME, strict=True))


def require_view(asked: Act, configuration_type: ConfigurationType) -> SourceKind:
    """The source that is asked about; raises Forbidden for who may not see it."""
    asked.require(_VIEW[configuration_type])
    return KINDS[configuration_type]
