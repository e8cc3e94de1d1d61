"""PR-REST: the REST message protocol."""
