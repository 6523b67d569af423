"""Loopback model servers: what a provider answers, and how it fails, over real HTTP.

They need nothing but this package and are what every adapter is tested with: requests go
through the framework's own client, so no part of a framework or an SDK has to be replaced.
"""

from __future__ import annotations

from massgen_bridge.testing.servers.answers import (
    Cited,
    HostedCall,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
)
from massgen_bridge.testing.servers.model_request import (
    ModelRequest,
    OfferedTool,
    RecordedRequest,
    RequestState,
    SentCall,
    SentMedia,
    SentMessage,
)
from massgen_bridge.testing.servers.process import ModelServerProcess, ServerStats
from massgen_bridge.testing.servers.schema_values import example_value
from massgen_bridge.testing.servers.script import (
    AutoToolCall,
    ContextOverflow,
    Disconnect,
    Drip,
    Echo,
    EndsEarly,
    ErrorEvent,
    Hang,
    HttpError,
    MalformedSSE,
    QuotaExhausted,
    Reply,
    Script,
)
from massgen_bridge.testing.servers.server import ModelServer, ScriptFailed
from massgen_bridge.testing.servers.vector_stores import VectorStore, VectorStores

__all__ = [
    "AutoToolCall",
    "Cited",
    "ContextOverflow",
    "Disconnect",
    "Drip",
    "Echo",
    "EndsEarly",
    "ErrorEvent",
    "Hang",
    "HostedCall",
    "HttpError",
    "MalformedSSE",
    "ModelRequest",
    "ModelServer",
    "ModelServerProcess",
    "OfferedTool",
    "QuotaExhausted",
    "RecordedRequest",
    "Refusal",
    "Reply",
    "RequestState",
    "Script",
    "ScriptFailed",
    "SentCall",
    "SentMedia",
    "SentMessage",
    "ServerStats",
    "Structured",
    "Text",
    "ToolCalls",
    "Usage",
    "VectorStore",
    "VectorStores",
    "example_value",
]
