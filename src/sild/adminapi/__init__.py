"""REST for people and scripts: the published management contracts."""
