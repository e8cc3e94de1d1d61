"""What can be wrong with a devnet itself."""


class DevnetError(Exception):
    """The devnet cannot be as it was asked to be."""
