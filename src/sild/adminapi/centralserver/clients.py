"""The search for members and subsystems."""

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query

from sild.adminapi.bodies import Paging, ShortText, Text
from sild.adminapi.centralserver.central import Central
from sild.adminapi.centralserver.registry_bodies import (
    Client,
    PagedClients,
    SearchText,
    page_asked,
)
from sild.adminapi.operations import Operations
from sild.components.centralserver.registry_searching import ClientFilter, ClientKind
from sild.components.centralserver.registry_texts import server_from_encoded
from sild.model.permissions import Permission

OPERATIONS = Operations("clients")


def _parts_of(
    instance: SearchText = "",
    member_class: SearchText = "",
    member_code: SearchText = "",
    subsystem_code: SearchText = "",
) -> ClientFilter:
    return ClientFilter(
        instance=instance,
        member_class=member_class,
        member_code=member_code,
        subsystem_code=subsystem_code,
    )


def _filter_of(
    parts: Annotated[ClientFilter, Depends(_parts_of)],
    q: SearchText = "",
    name: SearchText = "",
    client_type: Annotated[ClientKind | None, Query()] = None,
    security_server: Annotated[Text, Query()] = "",
    excluding_group: Annotated[ShortText | None, Query()] = None,
) -> ClientFilter:
    server = server_from_encoded(security_server) if security_server else None
    return replace(
        parts,
        text=q,
        name=name,
        kind=client_type,
        server=server,
        excluding_group=excluding_group,
    )


@OPERATIONS.get(
    "/clients",
    "findClients",
    permission=(Permission.SEARCH_MEMBERS, Permission.VIEW_MEMBERS),
)
async def find_clients(
    wanted: Annotated[ClientFilter, Depends(_filter_of)], paging: Paging, central: Central
) -> PagedClients:
    """Search for members and subsystems."""
    found = await central.registry.search(wanted, page_asked(paging))
    return PagedClients(
        clients=[Client.of_row(row) for row in found.items],
        paging_metadata=paging.metadata(found.total, len(found.items)),
    )
