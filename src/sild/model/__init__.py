"""Nouns and decisions that several components share, pure."""
