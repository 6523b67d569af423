"""What holds by way of the SDK: its clients, its exceptions, and what Google says."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

import google.genai.client
import pytest
from google.genai import errors
from massgen_bridge_gemini import bridge_adapters

from massgen_bridge import (
    AgentCrashed,
    AgentError,
    AuthFailed,
    BadRequest,
    ContextOverflow,
    NetworkFailed,
    ProtocolFailed,
    RateLimited,
    ServerFailed,
)
from massgen_bridge.testing.agents import turn
from massgen_bridge.testing.conformance import RecordingConformance, SdkConformance
from massgen_bridge.testing.exceptions import errors_of, exceptions_of
from massgen_bridge.testing.servers import HttpError, Text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import AdapterSpec
    from massgen_bridge.testing.fixtures import StartModelServer
    from massgen_bridge.testing.servers import Reply

BY_CLASS: dict[type[Exception], type[AgentError]] = {
    errors.APIError: ServerFailed,
    errors.ClientError: BadRequest,
    errors.ServerError: ServerFailed,
    errors.UnknownApiResponseError: ProtocolFailed,
    errors.ContinuationInterruptedError: NetworkFailed,
    # The SDK is used in a way that it does not support.
    errors.FunctionInvocationError: ProtocolFailed,
    errors.UnknownFunctionCallArgumentError: ProtocolFailed,
    errors.UnsupportedFunctionError: ProtocolFailed,
}


def _said(message: str, *, status: int = 400, **more: object) -> HttpError:
    body = {"error": {"code": status, "message": message, "status": "X", **more}}
    return HttpError(status=status, body=json.dumps(body))


class _Gemini:
    def adapter(self) -> AdapterSpec:
        (spec,) = bridge_adapters()
        return spec

    def options(self) -> dict[str, Any]:
        return {}


class TestSdk(_Gemini, SdkConformance):
    key_header = "x-goog-api-key"
    ambient: ClassVar[Mapping[str, str]] = {
        "GEMINI_API_KEY": "sk-ambient",
        "GOOGLE_API_KEY": "sk-ambient",
        "GOOGLE_CLOUD_LOCATION": "ambient",
        "GOOGLE_CLOUD_PROJECT": "ambient",
        "GOOGLE_GEMINI_BASE_URL": "https://ambient.example",
        "GOOGLE_GENAI_API_VERSION": "ambient",
        "GOOGLE_GENAI_USE_ENTERPRISE": "true",
        "GOOGLE_GENAI_USE_VERTEXAI": "true",
        "GOOGLE_VERTEX_BASE_URL": "https://ambient.example",
    }

    def refusals(self) -> Mapping[str, tuple[Reply, type[AgentError]]]:
        """What Google says."""
        full = "The input token count (9) exceeds the maximum number of tokens allowed (8)."
        return {
            "key": (_said("API key not valid. Please pass a valid API key."), AuthFailed),
            "context": (_said(full), ContextOverflow),
        }

    async def test_the_wait_that_google_asks_for_counts(self, serve: StartModelServer) -> None:
        """It stands in the error itself, and in no header."""
        retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36.5s"}
        reply = _said("Slow down.", status=429, details=[{"@type": "x"}, retry])
        error = await self.failure(serve(reply))
        assert isinstance(error, RateLimited)
        assert error.retry_after_s == 36.5

    async def test_the_key_follows_no_redirect(self, serve: StartModelServer) -> None:
        elsewhere = serve()
        location = f"{elsewhere.base_url('gemini')}/v1beta/models/m:streamGenerateContent?alt=sse"
        error = await self.failure(serve(HttpError(status=307, headers=(("location", location),))))
        assert isinstance(error, ProtocolFailed)
        assert "HTTP 307" in str(error)
        assert elsewhere.calls == 0

    async def test_a_turn_that_is_left_closes_its_stream(self, serve: StartModelServer) -> None:
        """Also where the agent is not waiting for bytes, but telling of those that came."""
        server = serve(Text.of_tokens(5000, tokens_per_second=200))
        told = 0

        async def emit(_event: object, /) -> None:
            nonlocal told
            told += 1
            if told > 3:
                raise RuntimeError("no more")

        async with self.agent_at(server) as agent:
            with pytest.raises(AgentCrashed, match="no more"):
                await agent.run(turn("Speak."), emit)
            await server.await_close()


class TestRecordingApart(_Gemini, RecordingConformance):
    """Past the gateway, which is recorded then."""

    isolation = "process"


def test_every_exception_class_of_the_sdk_has_a_kind() -> None:
    assert set(BY_CLASS) == set(exceptions_of("google.genai.errors"))
    assert google.genai.client.__name__ == "google.genai.client"
    found = errors_of(BY_CLASS, sdk="google")
    assert {name: type(error) for name, error in found.items()} == {
        cls.__name__: kind for cls, kind in BY_CLASS.items()
    }
