"""Evidence that outlives keys and algorithms, and a log that shows what was taken out of it."""
