"""The old server's own configuration, put into the databases of this one."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy import update

from sild.components.messagelog.authorities import ChosenService
from sild.components.messagelog.stamps import StampStore
from sild.components.serverconf.endpoint_rows import add_generated
from sild.components.serverconf.rows import Description, is_client
from sild.components.serverconf.store import Configuration, ConfigurationStore
from sild.components.serverconf.tables import GROUP_MEMBER
from sild.components.takeover.configuration import TakenConfiguration, TakenDescription
from sild.protocol.ids import ClientId
from sild.servers.databases import migrate_databases, open_configuration, open_message_database
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings


async def put_configuration(layout: Layout, taken: TakenConfiguration) -> None:
    """Make the databases, as files, and put all into them; raises DatabaseError."""
    settings = SecurityServerSettings()
    await migrate_databases(layout, settings)
    async with (
        open_configuration(layout, settings) as database,
        ConfigurationStore(database).transaction() as conf,
    ):
        await _put(conf, taken)
    async with open_message_database(layout, settings) as database:
        chosen = [ChosenService(each.name, each.url) for each in taken.timestamping]
        await StampStore(database).choose(chosen)


async def _put(conf: Configuration, taken: TakenConfiguration) -> None:
    await conf.set_server(taken.server)
    for client in taken.clients:
        await conf.add_client(client)
    for description in taken.descriptions:
        await conf.add_description(_description(description))
    await _put_endpoints(conf, taken)
    for group in taken.groups:
        number = await conf.add_group(group.group, group.updated)
        await _set_added(conf, number, group.added)
    for right in taken.rights:
        await conf.grant(right.right, right.granted)


async def _set_added(conf: Configuration, group: int, added: Mapping[ClientId, datetime]) -> None:
    for client, moment in added.items():
        member = (GROUP_MEMBER.c.group_id == group, is_client(GROUP_MEMBER, client))
        await conf.connection.execute(update(GROUP_MEMBER).where(*member).values(added=moment))


async def _put_endpoints(conf: Configuration, taken: TakenConfiguration) -> None:
    # Services have brought theirs, which stand for all of them.
    left = [each for each in taken.endpoints if not each.endpoint.is_base]
    for each in left:
        if each.generated:
            await add_generated(conf, each.endpoint.provider, [each.endpoint])
        else:
            await conf.add_endpoint(each.endpoint)


def _description(taken: TakenDescription) -> Description:
    described = Description(
        taken.provider,
        taken.type,
        taken.url,
        taken.services,
        taken.disabled_notice,
    )
    refreshed = taken.refreshed
    return described if refreshed is None else replace(described, refreshed=refreshed)
