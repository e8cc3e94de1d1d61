"""A whole ecosystem on one machine, for tests, demos and learning."""
