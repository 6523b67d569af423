"""Tools: the one boundary that every tool call of every framework passes."""
