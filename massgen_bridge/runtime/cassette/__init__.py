"""Cassettes: the model calls of a run in one file, and runs that are answered by it."""
