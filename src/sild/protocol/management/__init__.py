"""PR-MSERV: the eleven management requests."""
