"""Everything in the life of a security server that shows only when all is wired."""
