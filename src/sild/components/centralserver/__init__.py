"""Registers members and servers, and publishes the global configuration."""
