"""What the parts of the suite share."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pkgutil import resolve_name
from typing import Any

import pytest

from massgen_bridge.agent import Agent, Capabilities, ToolDefinition, Turn
from massgen_bridge.connection import ModelTraits
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.specs import AdapterSpec
from massgen_bridge.testing.agents import collect, connection_to, make_agent
from massgen_bridge.testing.fixtures import StartModelServer
from massgen_bridge.testing.servers import ModelServer, Script

__all__ = ["LOOKUP", "ConformanceBase", "assert_refused", "messages_of"]

LOOKUP = ToolDefinition(
    name="lookup",
    description="Looks something up.",
    input_schema={
        "type": "object",
        "properties": {"query": {"type": "string"}, "limit": {"type": "integer"}},
        "required": ["query", "limit"],
        "additionalProperties": False,
    },
)
"""The tool of most tests."""


class ConformanceBase(ABC):
    """Which adapter is tested, and how its agents are made."""

    pytestmark = pytest.mark.anyio

    @abstractmethod
    def adapter(self) -> AdapterSpec:
        """The adapter to test."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options for the agents, as they would stand in YAML."""

    def load(self, path: str) -> Any:
        """What an import path in the options stands for, such as `module:attribute`."""
        return resolve_name(path)

    def expected_failures(self) -> Mapping[str, str]:
        """Tests that the framework makes impossible, and why.

        Returns:
            Reasons by the test's name, with its parameter where it has one, such as
            `test_media_pass_or_are_refused[audio]`. A test that then passes is an error.
        """
        return {}

    @pytest.fixture(autouse=True)
    def _expect_failures(self, request: pytest.FixtureRequest) -> None:
        reason = self.expected_failures().get(request.node.name)
        if reason is not None:
            request.applymarker(pytest.mark.xfail(reason=reason, strict=True))

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop that the product runs on."""
        return "asyncio"

    @pytest.fixture
    def serve(self) -> Iterator[StartModelServer]:
        """Starts model servers that end with the test."""
        with ExitStack() as servers:

            def start(script: Script | None = None, **options: Any) -> ModelServer:
                return servers.enter_context(ModelServer(script, **options))

            yield start

    def capabilities(self) -> Capabilities:
        """What agents made with `options()` and a model without limits can do."""
        spec = self.adapter()
        if spec.refine is None:
            return spec.capabilities
        options = spec.options.model_validate(self.options())
        return spec.refine(options, ModelTraits(inputs=frozenset(spec.capabilities.inputs)))

    def make(self, server: ModelServer | str, **connection: Any) -> Agent:
        """An agent at a server.

        Args:
            server: The server.
            connection: Settings of the connection, as `connection_to` takes them.
        """
        spec = self.adapter()
        protocol = "chat" if "chat" in spec.protocols else spec.protocols[0]
        settings = {"protocol": protocol, "inputs": spec.capabilities.inputs, **connection}
        return make_agent(spec, self.options(), connection_to(server, **settings), load=self.load)

    @asynccontextmanager
    async def agent(self, server: ModelServer | str, **connection: Any) -> AsyncIterator[Agent]:
        """`make`, closed in the end."""
        agent = self.make(server, **connection)
        try:
            yield agent
        finally:
            await agent.aclose()


async def assert_refused(agent: Agent, turn: Turn, server: ModelServer) -> None:
    """The turn is refused as something that the agent cannot carry, before any model call."""
    with pytest.raises(UnsupportedContent):
        await agent.run(turn, collect())
    assert server.calls == 0


def messages_of(body: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Role and text of the messages in a request for a chat completion, in order."""
    return [(message["role"], _text(message.get("content"))) for message in body["messages"]]


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or ())
