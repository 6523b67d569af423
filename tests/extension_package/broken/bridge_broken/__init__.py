"""Fails to import, as a plugin does whose framework is missing."""

raise ImportError("no module named 'framework'")
