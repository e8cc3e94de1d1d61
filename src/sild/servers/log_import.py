"""Take over the message log of a server of the reference into that of a server here."""

from sild.components.messagelog.encryption import open_cipher
from sild.components.messagelog.reference import Imported, ReferenceImport
from sild.components.messagelog.store import MessageStore
from sild.components.serverconf.store import ConfigurationStore
from sild.runtime.database import Database
from sild.servers.databases import migrate_databases, open_configuration, open_message_database
from sild.servers.layout import Layout
from sild.servers.settings import SecurityServerSettings


async def import_reference_log(
    layout: Layout, settings: SecurityServerSettings, source: str
) -> Imported:
    """Import from the database at this address; the server may run meanwhile.

    Raises ServerNotSet, ReferenceLogUnreadable, EncryptionKeyNotFound, UnreadableKeystore,
    DatabaseError, OSError.
    """
    await migrate_databases(layout, settings)
    async with open_configuration(layout, settings) as database:
        configuration = ConfigurationStore(database)
        async with configuration.transaction() as conf:
            server = await conf.get_server()
    cipher = open_cipher(settings.message_log)
    async with (
        Database.open(source) as reference,
        open_message_database(layout, settings) as database,
    ):
        store = MessageStore(database, cipher)
        return await ReferenceImport(reference, store, cipher, server.owner.instance).run()
