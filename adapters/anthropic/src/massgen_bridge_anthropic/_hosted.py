"""The provider's own tools: how they are asked for, and what is told of their calls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from massgen_bridge import Source
from massgen_bridge_anthropic._options import AnthropicOptions, WebFetch, WebSearch

__all__ = ["hosted_tools", "is_call", "made_files", "source_of"]

# The first stable versions: later ones want newer models, and what they add is not asked for here.
_WEB_SEARCH = "web_search_20250305"
_WEB_FETCH = "web_fetch_20250910"
_CODE_EXECUTION = "code_execution_20250825"
_RESULTS = frozenset({"bash_code_execution_tool_result", "code_execution_tool_result"})


def hosted_tools(options: AnthropicOptions) -> list[dict[str, Any]]:
    """The provider's tools as Messages takes them."""
    tools: list[dict[str, Any]] = []
    if options.web_search:
        how = _details(options.web_search)
        tools.append({"type": _WEB_SEARCH, "name": "web_search", **how})
    if options.web_fetch:
        how = _details(options.web_fetch)
        tools.append({"type": _WEB_FETCH, "name": "web_fetch", **how})
    if options.code_execution:
        tools.append({"type": _CODE_EXECUTION, "name": "code_execution"})
    return tools


def _details(tool: Literal[True] | WebSearch | WebFetch) -> dict[str, Any]:
    return {} if tool is True else tool.model_dump(mode="json", exclude_defaults=True)


def is_call(block: Mapping[str, Any]) -> bool:
    """Whether a content block is the call of a tool of the provider."""
    kind: str = block["type"]
    return kind == "server_tool_use"


def source_of(citation: Mapping[str, Any]) -> Source | None:
    """What a citation refers to; None where it names nothing."""
    url = citation.get("url") or citation.get("source")
    title = citation.get("title") or citation.get("document_title") or ""
    if not (url or title):
        return None
    return Source(url=url, title=title, text=citation.get("cited_text") or "")


def made_files(blocks: tuple[dict[str, Any], ...]) -> Iterator[str]:
    """The ids of the files that code wrote, in order."""
    for block in blocks:
        content = block.get("content")
        if block["type"] in _RESULTS and isinstance(content, Mapping):
            for made in content.get("content") or ():
                if file_id := made.get("file_id"):
                    yield file_id
