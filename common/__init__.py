"""Vocabulary and plumbing that conductor, compute agent and client share; imports nothing of ours."""
