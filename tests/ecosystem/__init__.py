"""Messages through real security servers, two at least."""
