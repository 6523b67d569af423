"""MassGen's types of backends and their keys: what each of them means here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from massgen_bridge.connection import Protocols
from massgen_bridge.plugins.records import nearest

if TYPE_CHECKING:
    from massgen_bridge.config.massgen_findings import Findings
    from massgen_bridge.config.source import KeyPath

__all__ = [
    "AG2_PROVIDERS",
    "AG2_TYPES",
    "CONNECTION_KEYS",
    "GROUPS",
    "HOSTED_KEYS",
    "LATER_KEYS",
    "LOCAL_KEYS",
    "MEANINGLESS_KEYS",
    "SAME_KEYS",
    "TYPES",
    "BackendType",
    "kind_of",
]


class BackendType(NamedTuple):
    """A type of backend; its name is an alias of a kind of agent.

    Attributes:
        provider: Who serves its models where no address says otherwise.
        protocol: How MassGen speaks to them; None: as the kind does.
        hosted: The options that give them tools of the provider's own.
        is_local: Whether people run the server themselves.
    """

    provider: str
    protocol: Protocols | None = "chat"
    hosted: frozenset[str] = frozenset()
    is_local: bool = False


_SEARCHES: Final = frozenset({"code_execution", "web_search"})
TYPES: Final[Mapping[str, BackendType]] = {
    "openai": BackendType("openai", "responses", hosted=_SEARCHES | {"image_generation"}),
    "claude": BackendType("anthropic", None, hosted=_SEARCHES),
    "gemini": BackendType("gemini", None, hosted=_SEARCHES),
    # MassGen asks xAI by Chat Completions, which have no web search any more.
    "grok": BackendType("xai", "responses", hosted=_SEARCHES),
    "zai": BackendType("zai"),
    "lmstudio": BackendType("lmstudio", is_local=True),
    "vllm": BackendType("vllm", is_local=True),
    "sglang": BackendType("sglang", is_local=True),
    "inference": BackendType("vllm", is_local=True),
    "chatcompletion": BackendType("openai"),
    "azure_openai": BackendType("azure"),
}
AG2_TYPES: Final = frozenset({"ag2", "autogen"})
"""Agents of classic AG2, which name their models themselves."""
AG2_PROVIDERS: Final[Mapping[str, str]] = {
    "azure": "azure",
    "cerebras": "cerebras",
    "deepseek": "deepseek",
    "google": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "ollama": "ollama",
    "openai": "openai",
    "together": "together",
}
"""Who serves the models of classic AG2's `api_type`, as far as the kind can speak to them."""
_LATER_TYPES: Final = frozenset({"claude_code"})
_BY_MODEL: Final = (
    (re.compile(r"(?!gpt-oss)gpt-|o[134](-|$)|chatgpt-", re.IGNORECASE), "openai"),
    (re.compile(r"claude-", re.IGNORECASE), "claude"),
    (re.compile(r"gemini-", re.IGNORECASE), "gemini"),
    (re.compile(r"grok-", re.IGNORECASE), "grok"),
    (re.compile(r"glm-", re.IGNORECASE), "zai"),
)

CONNECTION_KEYS: Final[Mapping[str, str]] = {
    "extra_body": "extra_body",
    "extra_headers": "headers",
    "max_completion_tokens": "max_output_tokens",
    "max_output_tokens": "max_output_tokens",
    "max_tokens": "max_output_tokens",
    "model": "model",
    "temperature": "temperature",
    "timeout": "timeout_s",
    "top_p": "top_p",
}
"""Keys of all types that become those of a connection."""
HOSTED_KEYS: Final[Mapping[str, str]] = {
    "enable_code_execution": "code_execution",
    "enable_code_interpreter": "code_execution",
    "enable_image_generation": "image_generation",
    "enable_web_search": "web_search",
}
"""Keys that become options of the kind, for types that have them."""
GROUPS: Final[Mapping[str, Mapping[str, str]]] = {
    "reasoning": {"effort": "reasoning_effort", "summary": "reasoning_summary"},
    "text": {"verbosity": "verbosity"},
}
"""Mappings of Responses whose keys become options of the kind."""
SAME_KEYS: Final = frozenset(
    {"parallel_tool_calls", "reasoning_effort", "service_tier", "verbosity"}
)
"""Keys that are options of the kind `openai` by the same name."""
LOCAL_KEYS: Final = frozenset({"chat_template_kwargs", "repetition_penalty", "separate_reasoning"})
"""Keys that local servers know in the body of a request."""
LATER_KEYS: Final = frozenset(
    {"agent_config", "context_paths", "cwd", "group_config", "mcp_servers"}
)
"""Keys that cannot be read yet."""
MEANINGLESS_KEYS: Final = frozenset(
    {
        "agent_id",
        "agent_temporary_workspace",
        "allowed_tools",
        "api_version",
        "automatic_function_calling",
        "cache_seed",
        "circuit_breaker_enabled",
        "contents",
        "context_write_access_enabled",
        "disallowed_tools",
        "exclude_tools",
        "extra_query",
        "http_options",
        "input",
        "instructions",
        "max_mcp_message_history",
        "max_thinking_tokens",
        "mcp_sdk_auto",
        "messages",
        "permission_mode",
        "provider_name",
        "session_id",
        "stream",
        "stream_options",
        "system",
        "system_instruction",
        "tool_config",
        "tools",
        "use_multi_mcp",
    }
)
"""Keys without a meaning here, those among them that a request gets from the run itself."""


def kind_of(backend: Mapping[str, Any], at: KeyPath, findings: Findings) -> str | None:
    """The type of a backend, which its model tells where it is left out.

    Args:
        backend: What the file says.
        at: Where it stands there.
        findings: Gets what is wrong with the type.

    Returns:
        A name of `TYPES` or `AG2_TYPES`; None if it is none of these.
    """
    kind, model = backend.get("type"), backend.get("model")
    known = [*TYPES, *AG2_TYPES, *_LATER_TYPES]
    if isinstance(kind, str) and kind.lower() in known:
        if kind.lower() in _LATER_TYPES:
            findings.later.append((*at, "type"))
            return None
        return kind.lower()
    if kind is None and isinstance(model, str):
        found = next((name for form, name in _BY_MODEL if form.match(model)), None)
        if found is not None:
            return found
    listed = ", ".join(map(repr, sorted(known)))
    if kind is not None:
        hint = nearest(kind, known) if isinstance(kind, str) else ""
        message = (
            f"MassGen has no type {kind!r}{hint or ';'} expected one of {listed}; a kind of agent "
            "of a configuration with 'version: 1' needs that line"
        )
        findings.problems.add((*at, "type"), message)
    else:
        message = (
            f"the key 'type' is missing, and 'model' does not tell it: expected one of {listed}"
        )
        findings.problems.add(at, message, at_key=True)
    return None
