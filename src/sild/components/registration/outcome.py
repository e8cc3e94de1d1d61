"""What the global configuration says became of requests that the server cannot see itself."""

from collections.abc import Iterable

from sild.protocol.globalconf.lookup import GlobalConf
from sild.protocol.ids import SecurityServerId
from sild.protocol.pki.certificate import read_certificate


def find_changed_server(
    server: SecurityServerId, auth_certificates: Iterable[bytes], conf: GlobalConf
) -> SecurityServerId | None:
    """The identifier that this server has by now, if another owner has it.

    That is so where the global configuration no longer knows the old identifier, and knows one of
    the server's own authentication certificates (DER) as that of a server with the same code.
    """
    if conf.server(server) is not None:
        return None
    for der in auth_certificates:
        found = conf.find_server_by_auth_certificate(read_certificate(der))
        if found is not None and _is_of_another_owner(found.id, server):
            return found.id
    return None


def _is_of_another_owner(found: SecurityServerId, server: SecurityServerId) -> bool:
    same_place = (
        found.server_code == server.server_code and found.owner.instance == server.owner.instance
    )
    return same_place and found.owner != server.owner
