"""What holds by way of the SDK: its clients, its exceptions, and what the provider says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import anthropic
import anthropic.resources.messages
from massgen_bridge_anthropic import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    ContextOverflow,
    PermissionDenied,
    TimedOut,
)
from massgen_bridge.adapting import SDK_ERRORS
from massgen_bridge.testing.conformance import SdkConformance
from massgen_bridge.testing.exceptions import STATUS_KINDS, errors_of, exceptions_of
from massgen_bridge.testing.servers import ErrorEvent, HttpError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import AdapterSpec
    from massgen_bridge.testing.servers import Reply

# Spending limits end no sooner because somebody asks again.
SPENT = {"ContractSpendLimitReachedError", "EnforcedSpendLimitReachedError"}
# The SDK is used in a way that it does not support.
MISUSE = {"AnthropicError", "MissingStreamClassError", "StreamAlreadyConsumed"}
ALL = exceptions_of("anthropic")
OF_STATUS: list[Any] = [
    cls for cls in ALL if issubclass(cls, anthropic.APIStatusError) and hasattr(cls, "status_code")
]
# What runs tools for the SDK, or knows other clouds, has errors that no model call raises.
OTHERS = [
    cls for cls in ALL if cls not in OF_STATUS and not cls.__module__.startswith("anthropic.lib.")
]


def _said(message: str, kind: str = "invalid_request_error") -> HttpError:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}})
    return HttpError(status=400, body=body)


class TestSdk(SdkConformance):
    ambient: ClassVar[Mapping[str, str]] = {
        "ANTHROPIC_API_KEY": "sk-ambient",
        "ANTHROPIC_AUTH_TOKEN": "token-ambient",
        "ANTHROPIC_BASE_URL": "https://ambient.example",
        "ANTHROPIC_CUSTOM_HEADERS": "X-Own: ambient\nx-team: ambient\nX-Api-Key: ambient",
        "ANTHROPIC_IDENTITY_TOKEN": "identity-ambient",
        "ANTHROPIC_PROFILE": "ambient",
    }

    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}

    def refusals(self) -> Mapping[str, tuple[Reply, type[AgentError]]]:
        """What Anthropic says."""
        both = "input length and `max_tokens` exceed context limit: 190000 + 32000 > 200000"
        return {
            "context": (
                _said("prompt is too long: 210000 tokens > 200000 maximum"),
                ContextOverflow,
            ),
            "context-and-output": (_said(both), ContextOverflow),
            "low": (_said("Your credit balance is too low to access the API."), PermissionDenied),
            "billing": (_said("Billing.", "billing_error"), PermissionDenied),
            "stream-timeout": (ErrorEvent(error=HttpError(status=504)), TimedOut),
            "stream-auth": (ErrorEvent(error=HttpError(status=401)), AuthFailed),
        }


def test_every_class_for_a_status_has_the_kind_of_its_status() -> None:
    errors = errors_of(OF_STATUS, sdk="anthropic")
    assert len(errors) >= 9
    kinds = {cls.__name__: STATUS_KINDS[cls.status_code] for cls in OF_STATUS}
    kinds |= dict.fromkeys(SPENT & kinds.keys(), PermissionDenied)
    assert {name: type(error) for name, error in errors.items()} == kinds


def test_every_other_class_has_a_kind() -> None:
    errors = errors_of(OTHERS, sdk="anthropic")
    assert len(errors.keys() & SDK_ERRORS.keys()) > 5
    unknown = {name for name, error in errors.items() if type(error) is AgentCrashed}
    assert unknown == MISUSE & errors.keys()
    assert all(str(error) == f"'here': {name}" for name, error in errors.items())
