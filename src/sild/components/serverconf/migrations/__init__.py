"""Alembic revisions of the server's own configuration."""
