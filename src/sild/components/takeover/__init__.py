"""Reads what a server of the reference saved of itself, so that a server here can follow it."""
