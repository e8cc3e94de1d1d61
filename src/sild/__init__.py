"""Sild: an X-Road-compatible secure data exchange layer."""

__version__ = "0.1.0"
