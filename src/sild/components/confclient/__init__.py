"""Keeps a verified copy of the global configuration."""
