"""Certificates, revocation and time-stamps over given bytes and a given time."""
