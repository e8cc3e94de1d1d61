"""One folder a component of the system; none imports another."""
