"""Software of others, as information systems of two security servers."""
