"""Choosing the host that a guest moves to."""
