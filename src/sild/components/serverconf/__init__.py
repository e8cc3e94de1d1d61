"""The security server's own configuration."""
