"""Sends management requests and follows their outcome."""
