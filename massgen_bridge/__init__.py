"""The public names of massgen-bridge: what users call and what adapters and plugins import.

Names are imported on first use, so that a command that needs few of them starts fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massgen_bridge.agent import (
        Agent,
        AnswerRef,
        Capabilities,
        Emit,
        InputKind,
        Limits,
        ShownAnswer,
        StopReason,
        ToolCaller,
        ToolDefinition,
        Turn,
        TurnResult,
        Usage,
    )
    from massgen_bridge.api import arun, run, stream
    from massgen_bridge.connection import (
        Connection,
        ModelCaller,
        ModelTraits,
        Protocols,
        RetryPolicy,
        Sampling,
    )
    from massgen_bridge.errors import (
        ERROR_KINDS,
        AdapterMissing,
        AgentCrashed,
        AgentError,
        AuthFailed,
        BadRequest,
        BridgeError,
        ConfigError,
        ContextOverflow,
        DuplicateName,
        ErrorKind,
        HookFailed,
        JournalError,
        LimitReached,
        LocalModelError,
        NetworkFailed,
        NotFound,
        PermissionDenied,
        PluginError,
        ProtocolFailed,
        RateLimited,
        RunFailed,
        ServerFailed,
        TimedOut,
        ToolFailed,
        Truncated,
        TrustRequired,
        UnsupportedContent,
    )
    from massgen_bridge.events import (
        Event,
        LogLine,
        ModelCallFinished,
        ModelCallStarted,
        ModelRetried,
        ReasoningDelta,
        Record,
        RunResult,
        RunStarted,
        TextDelta,
        ToolCallFinished,
        ToolCallStarted,
        TurnEvent,
    )
    from massgen_bridge.hookspecs import (
        hookimpl,
    )
    from massgen_bridge.messages import (
        AudioPart,
        DocumentPart,
        ImagePart,
        JsonValue,
        MediaPart,
        Message,
        Part,
        TextPart,
        ToolCall,
        ToolResult,
        VideoPart,
        assistant,
        system,
        user,
    )
    from massgen_bridge.models.addresses import is_loopback
    from massgen_bridge.models.chat_answers import (
        StreamedToolCalls,
        check_finish,
        structured_answer,
    )
    from massgen_bridge.models.chat_forms import (
        chat_limit_parameter,
        chat_media,
        chat_response_format,
        chat_tools,
        check_traits,
        misplaced_part,
        only_text,
    )
    from massgen_bridge.models.retry import retry_after_s
    from massgen_bridge.models.sdk_errors import (
        SDK_ERRORS,
        error_text,
        sdk_error,
    )
    from massgen_bridge.specs import (
        AdapterSpec,
        AgentContext,
        NoOptions,
        ProviderSpec,
        Sink,
        SinkSpec,
        StrategySpec,
        ToolSpec,
    )
    from massgen_bridge.team import Team
    from massgen_bridge.verdicts import (
        AnswerVerdict,
        ToolVerdict,
    )

__version__ = "0.1.0"

__all__ = [
    "ERROR_KINDS",
    "SDK_ERRORS",
    "AdapterMissing",
    "AdapterSpec",
    "Agent",
    "AgentContext",
    "AgentCrashed",
    "AgentError",
    "AnswerRef",
    "AnswerVerdict",
    "AudioPart",
    "AuthFailed",
    "BadRequest",
    "BridgeError",
    "Capabilities",
    "ConfigError",
    "Connection",
    "ContextOverflow",
    "DocumentPart",
    "DuplicateName",
    "Emit",
    "ErrorKind",
    "Event",
    "HookFailed",
    "ImagePart",
    "InputKind",
    "JournalError",
    "JsonValue",
    "LimitReached",
    "Limits",
    "LocalModelError",
    "LogLine",
    "MediaPart",
    "Message",
    "ModelCallFinished",
    "ModelCallStarted",
    "ModelCaller",
    "ModelRetried",
    "ModelTraits",
    "NetworkFailed",
    "NoOptions",
    "NotFound",
    "Part",
    "PermissionDenied",
    "PluginError",
    "ProtocolFailed",
    "Protocols",
    "ProviderSpec",
    "RateLimited",
    "ReasoningDelta",
    "Record",
    "RetryPolicy",
    "RunFailed",
    "RunResult",
    "RunStarted",
    "Sampling",
    "ServerFailed",
    "ShownAnswer",
    "Sink",
    "SinkSpec",
    "StopReason",
    "StrategySpec",
    "StreamedToolCalls",
    "Team",
    "TextDelta",
    "TextPart",
    "TimedOut",
    "ToolCall",
    "ToolCallFinished",
    "ToolCallStarted",
    "ToolCaller",
    "ToolDefinition",
    "ToolFailed",
    "ToolResult",
    "ToolSpec",
    "ToolVerdict",
    "Truncated",
    "TrustRequired",
    "Turn",
    "TurnEvent",
    "TurnResult",
    "UnsupportedContent",
    "Usage",
    "VideoPart",
    "__version__",
    "arun",
    "assistant",
    "chat_limit_parameter",
    "chat_media",
    "chat_response_format",
    "chat_tools",
    "check_finish",
    "check_traits",
    "error_text",
    "hookimpl",
    "is_loopback",
    "misplaced_part",
    "only_text",
    "retry_after_s",
    "run",
    "sdk_error",
    "stream",
    "structured_answer",
    "system",
    "user",
]

# From light to heavy: a name is looked for in this order.
_MODULES = (
    "errors",
    "hookspecs",
    "messages",
    "agent",
    "connection",
    "events",
    "verdicts",
    "specs",
    "models.addresses",
    "models.retry",
    "models.sdk_errors",
    "models.chat_answers",
    "models.chat_forms",
    "api",
    "team",
)


def __getattr__(name: str) -> object:
    """Import the module that a public name lives in (PEP 562)."""
    if name in __all__:
        for module_name in _MODULES:
            module = __import__(f"{__name__}.{module_name}", fromlist=[name])
            if name in module.__all__:
                value = globals()[name] = getattr(module, name)
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
