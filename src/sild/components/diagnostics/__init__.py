"""Tells how the security server fares, what is wrong, and what to do about it."""
