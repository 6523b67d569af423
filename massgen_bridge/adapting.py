"""What adapters of model APIs share, beside the public names of the package itself.

No SDK is imported here: errors are known by the names of their classes, tools, schemas and media
as the plain JSON of the wire protocol.
"""

from __future__ import annotations

from massgen_bridge.models.addresses import is_plain_loopback
from massgen_bridge.models.certificates import trusted_certificates
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
from massgen_bridge.models.sdk_errors import SDK_ERRORS, error_text, sdk_error

__all__ = [
    "SDK_ERRORS",
    "StreamedToolCalls",
    "chat_limit_parameter",
    "chat_media",
    "chat_response_format",
    "chat_tools",
    "check_finish",
    "check_traits",
    "error_text",
    "is_plain_loopback",
    "misplaced_part",
    "only_text",
    "retry_after_s",
    "sdk_error",
    "structured_answer",
    "trusted_certificates",
]
