"""How the agents of a suite reach a model: by every wire protocol that there is a server for."""

# ruff: noqa: S101 - tests assert

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import pytest

from massgen_bridge.agent import Agent, Capabilities, InputKind
from massgen_bridge.connection import UNCARRIED, Connection, ModelTraits, Protocols
from massgen_bridge.testing.agents import connection_to
from massgen_bridge.testing.conformance._base import ConformanceBase
from massgen_bridge.testing.fixtures import StartModelServer, model_servers
from massgen_bridge.testing.servers import ModelServer
from massgen_bridge.testing.servers.protocol import base_url

__all__ = ["ModelConformanceBase"]

_SERVED: Final[tuple[Protocols, ...]] = ("chat", "messages", "responses", "gemini")


class ModelConformanceBase(ConformanceBase):
    """What is said of agents that use a model, beside what is said of all."""

    protocol: Protocols | None = None
    """The wire protocol that a test is run with; pytest sets it."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test once for each wire protocol, if the adapter speaks several."""
        protocols = self._protocols()
        if len(protocols) > 1 and "connection_protocol" in metafunc.fixturenames:
            metafunc.parametrize("connection_protocol", protocols, indirect=True)

    @pytest.fixture(autouse=True)
    def connection_protocol(self, request: pytest.FixtureRequest) -> Protocols | None:
        """The wire protocol of the test's connections; None where the adapter has none."""
        self.protocol = getattr(request, "param", None) or next(iter(self._protocols()), None)
        return self.protocol

    @pytest.fixture
    def serve(self) -> Iterator[StartModelServer]:
        """Starts model servers that end with the test."""
        with model_servers() as start:
            yield start

    @pytest.fixture
    def connection(self, serve: StartModelServer) -> Connection:
        """A model that says back what it was asked."""
        return self.connect(serve())

    def traits(self) -> ModelTraits:
        """A model without limits but those of the protocol."""
        return ModelTraits(inputs=self._carried())

    def connect(self, server: ModelServer | str, **settings: Any) -> Connection:
        """A connection to a server.

        Args:
            server: The server, or its base URL.
            settings: Settings of the connection, as `connection_to` takes them.
        """
        return connection_to(
            server,
            **{
                "protocol": self._spoken(),
                "inputs": self._carried(),
                **settings,
            },
        )

    def agent_at(
        self, server: ModelServer | str, **settings: Any
    ) -> AbstractAsyncContextManager[Agent]:
        """An agent at a server, closed in the end; `connect` has the settings."""
        return self.agent(self.connect(server, **settings))

    def address(self, root: str) -> str:
        """The base URL of a server as clients of the test's protocol expect it.

        Args:
            root: Scheme, host and port.
        """
        return base_url(root, self._spoken())

    def capabilities(self) -> Capabilities:
        """What agents made with `options()` and a model without limits can do."""
        able, carried = super().capabilities(), self._carried()
        return able.model_copy(
            update={"inputs": able.inputs & carried, "tool_media": able.tool_media & carried}
        )

    def _carried(self) -> frozenset[InputKind]:
        """The kinds of media that the adapter and the test's protocol have a form for."""
        inputs = self.adapter().capabilities.inputs
        return inputs - UNCARRIED.get(self.protocol or "chat", frozenset())

    def _spoken(self) -> Protocols:
        protocol = self.protocol or next(iter(self._protocols()), None)
        assert protocol is not None, (
            f"this adapter speaks {tuple(self.adapter().protocols)}, and there is a model server "
            f"for {_SERVED} only"
        )
        return protocol

    def _protocols(self) -> Sequence[Protocols]:
        """The adapter's protocols that it can be proven on."""
        return [one for one in self.adapter().protocols if one in _SERVED]

    def _names(self, item: Any) -> Sequence[str]:
        names = super()._names(item)
        function, _, rest = names[0].partition("[")
        spoken = [one for one in self._protocols() if rest.startswith(f"{one}-")]
        return [*names, *(f"{function}[{rest.removeprefix(f'{one}-')}" for one in spoken)]
