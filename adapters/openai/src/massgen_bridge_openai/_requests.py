"""What the options mean for a request, in either protocol."""

from __future__ import annotations

from typing import Any

from massgen_bridge import ConfigError, Connection
from massgen_bridge_openai._options import (
    CodeExecution,
    FileSearch,
    ImageGeneration,
    OpenAIOptions,
    WebSearch,
)

__all__ = ["chat_settings", "check_options", "hosted_tools", "responses_settings"]

_RESPONSES_ONLY = (
    "code_execution",
    "file_search",
    "image_generation",
    "reasoning_summary",
    "web_search",
)
_CHAT_ONLY = ("max_tokens_parameter",)


def check_options(options: OpenAIOptions, connection: Connection) -> None:
    """Refuse options that the connection's protocol has no place for.

    Raises:
        ConfigError: There is one.
    """
    chat = connection.protocol == "chat"
    wrong = [name for name in (_RESPONSES_ONLY if chat else _CHAT_ONLY) if _is_set(options, name)]
    if not wrong:
        return
    spoken, other = ("Chat Completions", "responses") if chat else ("Responses", "chat")
    raise ConfigError(
        f"the option {wrong[0]!r} is not for the connection {connection.name!r}, which speaks "
        f"{spoken}: leave it out, or set 'protocol: {other}' for the connection where its "
        "provider speaks that"
    )


def _is_set(options: OpenAIOptions, name: str) -> bool:
    value: object = getattr(options, name)
    return bool(value != OpenAIOptions.model_fields[name].default)


def chat_settings(options: OpenAIOptions) -> dict[str, Any]:
    """The fields of a request of Chat Completions that options are for."""
    return _given(
        reasoning_effort=options.reasoning_effort,
        verbosity=options.verbosity,
        service_tier=options.service_tier,
    )


def responses_settings(options: OpenAIOptions) -> dict[str, Any]:
    """The fields of a request of Responses that options are for."""
    reasoning = _given(effort=options.reasoning_effort, summary=options.reasoning_summary)
    return _given(
        reasoning=reasoning or None,
        text=_given(verbosity=options.verbosity) or None,
        service_tier=options.service_tier,
    )


def hosted_tools(options: OpenAIOptions) -> list[dict[str, Any]]:
    """The provider's own tools, as Responses has them."""
    tools = (
        options.web_search and _web_search(options.web_search),
        options.code_execution and _code_execution(options.code_execution),
        options.file_search and _file_search(options.file_search),
        options.image_generation and _image_generation(options.image_generation),
    )
    return [tool for tool in tools if tool]


def _web_search(wanted: bool | WebSearch) -> dict[str, Any]:  # noqa: FBT001 - True stands for the defaults
    how = wanted if isinstance(wanted, WebSearch) else WebSearch()
    place = {"type": "approximate", "country": how.country} if how.country else None
    filters = {"allowed_domains": list(how.allowed_domains)} if how.allowed_domains else None
    return {
        "type": "web_search",
        **_given(filters=filters, search_context_size=how.context_size, user_location=place),
    }


def _code_execution(wanted: bool | CodeExecution) -> dict[str, Any]:  # noqa: FBT001 - likewise
    how = wanted if isinstance(wanted, CodeExecution) else CodeExecution()
    container = {"type": "auto", **_given(memory_limit=how.memory)}
    return {"type": "code_interpreter", "container": container}


def _file_search(wanted: FileSearch) -> dict[str, Any]:
    return {
        "type": "file_search",
        "vector_store_ids": list(wanted.vector_store_ids),
        **_given(max_num_results=wanted.max_results),
    }


def _image_generation(wanted: bool | ImageGeneration) -> dict[str, Any]:  # noqa: FBT001 - likewise
    how = wanted if isinstance(wanted, ImageGeneration) else ImageGeneration()
    return {"type": "image_generation", **how.model_dump(exclude_none=True)}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
