"""Alembic revisions of the message log."""
