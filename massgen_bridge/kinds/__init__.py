"""Kinds of agents that need no framework: they come with the core, as ordinary plugins."""
