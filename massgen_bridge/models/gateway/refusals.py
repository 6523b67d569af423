"""Errors in the form that the clients of each protocol understand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from massgen_bridge.models.sdk_errors import code_of_kind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge.connection import Protocols
    from massgen_bridge.errors import AgentError, ErrorKind

__all__ = ["JSON", "STATUS", "error_body", "error_event", "refusal"]

JSON = (("content-type", "application/json"), ("x-should-retry", "false"))
"""The headers of an answer that no client should ask for again."""

STATUS: Mapping[ErrorKind, int] = {
    "auth": 401,
    "permission": 403,
    "limit": 403,
    "not_found": 404,
    "bad_request": 400,
    "context": 400,
    "unsupported": 400,
    "rate_limit": 429,
    "timeout": 504,
}
"""By kind of error; what is not here is a 502."""

_OTHER_STATUS = 502
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    504: "DEADLINE_EXCEEDED",
}
_ERROR_INFO = "type.googleapis.com/google.rpc.ErrorInfo"


def refusal(protocol: Protocols, error: AgentError) -> tuple[int, bytes]:
    """Status and body that stand for an error."""
    status = STATUS.get(error.kind, _OTHER_STATUS)
    return status, error_body(protocol, status, error.kind, str(error))


def error_body(protocol: Protocols, status: int, kind: ErrorKind, message: str) -> bytes:
    """An error as a provider would send it; the code tells its kind to our own adapters."""
    error = {
        "message": message,
        "type": _TYPES.get(status, "api_error"),
        "code": code_of_kind(kind),
    }
    if protocol == "gemini":
        told = {
            "code": status,
            "message": message,
            "status": _STATUSES.get(status, "UNAVAILABLE"),
            "details": [{"@type": _ERROR_INFO, "reason": code_of_kind(kind)}],
        }
        return json.dumps({"error": told}).encode()
    if protocol == "messages":
        return json.dumps({"type": "error", "error": error}).encode()
    return json.dumps({"error": {**error, "param": None}}).encode()


def error_event(protocol: Protocols, error: AgentError) -> bytes:
    """The same in the middle of a stream."""
    status, body = refusal(protocol, error)
    del status
    if protocol == "responses":
        told = json.loads(body)["error"]
        # The protocol has it beside the event's type; OpenAI's SDK looks for it within `error`.
        body = json.dumps({**told, "type": "error", "error": told}).encode()
    name = b"" if protocol in {"chat", "gemini"} else b"event: error\n"
    return name + b"data: " + body + b"\n\n"
