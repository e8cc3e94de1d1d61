"""The management API of a security server."""
