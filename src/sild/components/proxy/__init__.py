"""Mediates messages between information systems and other security servers."""
