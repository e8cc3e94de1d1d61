"""What servers of an ecosystem call that is no server of ours: a test CA, and services."""
