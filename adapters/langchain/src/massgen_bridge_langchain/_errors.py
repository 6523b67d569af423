"""What LangChain, LangGraph and the providers' SDKs raise, as errors of massgen-bridge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from massgen_bridge import (
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    LimitReached,
    NetworkFailed,
    NotFound,
    PermissionDenied,
    ProtocolFailed,
    RateLimited,
    ServerFailed,
    TimedOut,
    ToolFailed,
    Truncated,
)
from massgen_bridge.adapting import SDK_ERRORS, error_text, sdk_error

__all__ = ["KINDS", "agent_error", "chain"]

KINDS: Mapping[str, type[AgentError]] = {
    # langchain_core: what every provider's package should raise
    "ContextOverflowError": ContextOverflow,
    "ModelAPIError": ServerFailed,
    "ModelAuthenticationError": AuthFailed,
    "ModelConnectionError": NetworkFailed,
    "ModelInvalidRequestError": BadRequest,
    "ModelNotFoundError": NotFound,
    "ModelPermissionDeniedError": PermissionDenied,
    "ModelRateLimitError": RateLimited,
    "ModelTimeoutError": TimedOut,
    "OutputParserException": ProtocolFailed,
    "ToolException": ToolFailed,
    # langchain and langchain_openai
    "ModelCallLimitExceededError": LimitReached,
    "OpenAIRefusalError": BadRequest,
    "StreamChunkTimeoutError": TimedOut,
    "StructuredOutputError": ProtocolFailed,
    "ToolCallLimitExceededError": LimitReached,
    # langgraph
    "GraphRecursionError": LimitReached,
    "NodeTimeoutError": TimedOut,
    # the SDKs
    **SDK_ERRORS,
}
"""By class name: the SDKs' majors do not have the same classes, and most are not installed."""

_FRAMEWORKS = frozenset(
    {"anthropic", "langchain", "langchain_core", "langchain_openai", "langgraph", "openai"}
)
# What code raises that an answer has led astray.
_BAD_VALUES = (ValueError, TypeError, LookupError, AttributeError)


def agent_error(
    error: Exception, *, agent_id: str, where: str, in_model_call: bool = False
) -> AgentError | None:
    """The error of massgen-bridge that stands for an exception of a framework or an SDK.

    Args:
        error: What was raised; its causes are looked at, too.
        agent_id: The agent it happened to.
        where: Says in the error's text where it happened.
        in_model_call: Whether it came out of a model call, where bad values mean a bad answer.

    Returns:
        The error to raise, or None where nobody knows what the exception means.
    """
    for cause in chain(error):
        if isinstance(cause, AgentError):
            return type(cause)(
                f"{where}: {cause}", agent_id=agent_id, retry_after_s=cause.retry_after_s
            )
        known = sdk_error(cause, where=where, agent_id=agent_id, kinds=KINDS, packages=_FRAMEWORKS)
        if known is not None:
            return known
        if in_model_call and isinstance(cause, _BAD_VALUES):
            # "No generation chunks were returned" is all that LangChain says of an empty stream.
            kind = Truncated if "No generation chunks" in str(cause) else ProtocolFailed
            return kind(f"{where}: {error_text(cause)}", agent_id=agent_id)
    return None


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """The exception and what caused it, down to the first cause."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__
