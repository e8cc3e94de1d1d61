"""Keeps the evidence of every exchange."""
