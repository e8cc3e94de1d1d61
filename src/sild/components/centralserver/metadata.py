"""The tables of the Central Server, each area's in a module of its own, known to one another."""

from sqlalchemy import MetaData

METADATA = MetaData()
