"""PR-GCONF: the signed global configuration."""
