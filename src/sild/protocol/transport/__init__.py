"""PR-MESSTRANSP: what one security server sends another."""
