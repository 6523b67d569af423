"""The conformance suite against an adapter that is installed: what `adapters test` starts.

`python -m massgen_bridge.testing.command` reads one request from stdin and writes events to stdout,
in the form of `massgen_bridge.cli._suite_wire`. It ends with its stdin. People use the command.
"""
