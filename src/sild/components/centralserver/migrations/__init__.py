"""Alembic revisions of the Central Server."""
