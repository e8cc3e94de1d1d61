"""Holds keys; signs; keeps certificates and their OCSP responses fresh."""
