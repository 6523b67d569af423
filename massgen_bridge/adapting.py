"""What adapters of model APIs share, beside the public names of the package itself.

No SDK is imported here: errors are known by the names of their classes, tools, schemas and media
as the plain JSON of the wire protocol.
"""

from __future__ import annotations

from massgen_bridge.cancelling import cancelled_once
from massgen_bridge.models.answers import (
    NOT_CALLED,
    ModelAnswer,
    not_called,
    structured_answer,
    tool_call_from_json,
)
from massgen_bridge.models.chat_answers import StreamedToolCalls, check_finish
from massgen_bridge.models.chat_forms import (
    chat_limit_parameter,
    chat_media,
    chat_response_format,
    chat_settings,
    chat_tools,
)
from massgen_bridge.models.chat_loop import ChatLoop
from massgen_bridge.models.chat_messages import chat_assistant, chat_messages, shown_by_tool
from massgen_bridge.models.chat_quirks import chat_as_understood
from massgen_bridge.models.chat_sdk import ChatSdk
from massgen_bridge.models.chat_stream import ChatAnswer, read_chat_answer
from massgen_bridge.models.content import (
    as_text,
    check_input,
    check_traits,
    misplaced_part,
    only_text,
    two_sided,
)
from massgen_bridge.models.gemini_extras import gemini_merged
from massgen_bridge.models.handing_over import HAND_OFF, hand_off_tool
from massgen_bridge.models.made_files import left_with_provider, made_part
from massgen_bridge.models.model_loop import ModelLoop
from massgen_bridge.models.openai_files import INLINE_BYTES
from massgen_bridge.models.responses_loop import ResponsesLoop
from massgen_bridge.models.retry import retry_after_s
from massgen_bridge.models.sdk_clients import (
    ClientPool,
    Endpoint,
    Lease,
    ambient_headers,
    client_settings,
    transport,
)
from massgen_bridge.models.sdk_errors import SDK_ERRORS, error_text, model_call_error, sdk_error
from massgen_bridge.models.uploads import InlineMedia, Uploads, base64_size, check_room
from massgen_bridge.models.usage import gemini_usage, messages_usage
from massgen_bridge.own_code import OwnFactory, own_code

__all__ = [
    "HAND_OFF",
    "INLINE_BYTES",
    "NOT_CALLED",
    "SDK_ERRORS",
    "ChatAnswer",
    "ChatLoop",
    "ChatSdk",
    "ClientPool",
    "Endpoint",
    "InlineMedia",
    "Lease",
    "ModelAnswer",
    "ModelLoop",
    "OwnFactory",
    "ResponsesLoop",
    "StreamedToolCalls",
    "Uploads",
    "ambient_headers",
    "as_text",
    "base64_size",
    "cancelled_once",
    "chat_as_understood",
    "chat_assistant",
    "chat_limit_parameter",
    "chat_media",
    "chat_messages",
    "chat_response_format",
    "chat_settings",
    "chat_tools",
    "check_finish",
    "check_input",
    "check_room",
    "check_traits",
    "client_settings",
    "error_text",
    "gemini_merged",
    "gemini_usage",
    "hand_off_tool",
    "left_with_provider",
    "made_part",
    "messages_usage",
    "misplaced_part",
    "model_call_error",
    "not_called",
    "only_text",
    "own_code",
    "read_chat_answer",
    "retry_after_s",
    "sdk_error",
    "shown_by_tool",
    "structured_answer",
    "tool_call_from_json",
    "transport",
    "two_sided",
]
