"""The Central Server's management API."""
