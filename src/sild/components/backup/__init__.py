"""Saves a server's databases and files, and restores them as one."""
