"""How a run looks: live panels in a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

from massgen_bridge.display.base import Display
from massgen_bridge.display.choose import DisplayMode, choose_display
from massgen_bridge.display.summary import render_summary

__all__ = ["Display", "DisplayMode", "choose_display", "render_summary"]
