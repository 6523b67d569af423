"""Warnings of the libraries below, as the command line shows them."""

from __future__ import annotations

import logging
import sys

__all__ = ["show_warnings"]


class _OneLine(logging.Handler):
    """Shows warnings in one line each; the tracebacks that come with some are for --debug."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record to what is stderr now: a live display replaces it for a while."""
        if record.levelno < logging.WARNING:
            return
        text = " ".join(record.getMessage().split())
        is_own = record.name.partition(".")[0] == "massgen_bridge"
        whose = "" if is_own else f"{record.name}: "
        sys.stderr.write(f"{record.levelname.lower()}: {whose}{text}\n")


def show_warnings() -> None:
    """Show them, unless logs go somewhere else already, as with --debug."""
    if not logging.root.handlers:
        logging.root.addHandler(_OneLine())
