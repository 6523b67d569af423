"""A run as a file to keep, to send or to read: JSON, Markdown, or one page of HTML."""

from __future__ import annotations

from massgen_bridge.export._pictures import pictures_of
from massgen_bridge.export.build import export_of
from massgen_bridge.export.markdown import as_markdown
from massgen_bridge.export.model import RunExport
from massgen_bridge.export.page import as_html

__all__ = ["RunExport", "as_html", "as_markdown", "export_of", "pictures_of"]
