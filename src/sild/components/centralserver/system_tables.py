"""The tables of the Central Server's own settings and of its nodes.

A blank node of a parameter stands for all nodes.
"""

from sqlalchemy import Column, Integer, String, Table, Text, UniqueConstraint

from sild.components.centralserver.metadata import METADATA
from sild.runtime.database import Moment

_TEXT = String(255)

PARAMETER = Table(
    "central_system_parameter",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("key", _TEXT, nullable=False),
    Column("ha_node_name", _TEXT, nullable=False),
    Column("value", Text, nullable=False),
    UniqueConstraint("key", "ha_node_name", name="uq_central_system_parameter_key"),
)

NODE = Table(
    "central_node",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("name", _TEXT, nullable=False),
    Column("generated", Moment),
    Column("failing_since", Moment),
    UniqueConstraint("name", name="uq_central_node_name"),
)
