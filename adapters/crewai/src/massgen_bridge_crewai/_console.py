"""CrewAI's console, kept off that of the host."""

from __future__ import annotations

import logging

from crewai.events.listeners.tracing.utils import set_suppress_tracing_messages
from crewai.events.utils.console_formatter import set_suppress_console_output

from massgen_bridge_crewai._running import TURN_OVER

__all__ = ["quiet"]


def quiet() -> None:
    """Let CrewAI draw no boxes in this context, whoever else uses it in this process."""
    set_suppress_console_output(suppress=True)
    set_suppress_tracing_messages(suppress=True)
    # It logs as an error of its own what stops it where a turn is over.
    logging.getLogger("crewai.flow.runtime").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    return not record.getMessage().endswith(TURN_OVER)
