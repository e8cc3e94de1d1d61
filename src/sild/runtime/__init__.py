"""Sockets, disk, database, clock; knows nothing of X-Road."""
