"""What holds by way of the SDK: its clients, its exceptions, and what the providers say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import openai
from massgen_bridge_openai import bridge_adapters

from massgen_bridge import AgentCrashed, AgentError, AuthFailed, ContextOverflow
from massgen_bridge.adapting import SDK_ERRORS
from massgen_bridge.testing.conformance import SdkConformance
from massgen_bridge.testing.exceptions import errors_of, exceptions_of
from massgen_bridge.testing.servers import HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import AdapterSpec
    from massgen_bridge.testing.servers import Reply

# The SDK is used in a way that it does not support, keeps the class to itself, or has it for what
# is no model call. Some are there only once something has imported their modules.
MISUSE = {
    "APIRemovedInV1",
    "AgentFilePreparationError",
    "AgentFileStagingError",
    "AgentOutputParseError",
    "AgentTurnResultError",
    "BrowserCancelledError",
    "BrowserError",
    "ComputerUseError",
    "DecisionsToolRunnerError",
    "MissingDependencyError",
    "MissingStreamClassError",
    "MutuallyExclusiveAuthError",
    "OpenAIError",
    "ResponsesWebSocketBufferError",
    "ResponsesWebSocketError",
    "StreamAlreadyConsumed",
    "ToolRunnerError",
    "_AmbiguousModuleClientUsageError",
    "_TransientTokenExchangeError",
}


def _said(message: str, *, status: int = 400, **more: Any) -> HttpError:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}})
    return HttpError(status=status, body=body)


class TestSdk(SdkConformance):
    ambient: ClassVar[Mapping[str, str]] = {
        "OPENAI_API_KEY": "sk-ambient",
        "OPENAI_ADMIN_KEY": "sk-admin-ambient",
        "OPENAI_ORG_ID": "org-ambient",
        "OPENAI_PROJECT_ID": "proj-ambient",
        "OPENAI_BASE_URL": "https://ambient.example/v1",
        "OPENAI_CUSTOM_HEADERS": "X-Own: ambient\nx-team: ambient\nAuthorization: Bearer ambient",
    }

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}

    def refusals(self) -> Mapping[str, tuple[Reply, type[AgentError]]]:
        """What providers say that speak OpenAI's protocols."""
        gemini_key = (
            '[{"error": {"code": 400, "message": "API key not valid.", "status": "INVALID"}}]'
        )
        return {
            "llama-cpp-context": (
                _said(
                    "the request exceeds the available context size",
                    type="exceed_context_size_error",
                ),
                ContextOverflow,
            ),
            "proxy-context": (
                _said("prompt is too long: 210000 tokens > 200000 maximum"),
                ContextOverflow,
            ),
            "together-context": (
                _said("`inputs` tokens + `max_new_tokens` must be <= 4097.", status=422),
                ContextOverflow,
            ),
            "gemini-context": (
                _said("The input token count (1100000) exceeds the maximum number of tokens."),
                ContextOverflow,
            ),
            "xai-key": (_said("Incorrect API key provided: xa***99."), AuthFailed),
            "gemini-key": (HttpError(status=400, body=gemini_key), AuthFailed),
        }


def test_every_exception_class_of_the_sdk_has_a_kind() -> None:
    """By its own name or that of a near base, not merely as something of the SDK's."""
    errors = errors_of(exceptions_of(openai.__name__), sdk="openai")
    assert len(errors.keys() & SDK_ERRORS.keys()) > 15
    unknown = {name for name, error in errors.items() if type(error) is AgentCrashed}
    assert unknown == MISUSE & errors.keys()
