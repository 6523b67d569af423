"""Which adapter a suite is for, and how its agents are made and run."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, Literal

import pytest
from anyio import to_thread

from massgen_bridge.agent import Agent, Capabilities
from massgen_bridge.connection import Connection, ModelTraits
from massgen_bridge.specs import AdapterSpec, ToolSpec
from massgen_bridge.testing.agents import make_agent
from massgen_bridge.testing.apart import AgentApart
from massgen_bridge.testing.guards import blocking_raises
from massgen_bridge.testing.hosting import HostedAgent, hosted
from massgen_bridge.testing.teams import team_and_abilities
from massgen_bridge.testing.warm import warm_launching

__all__ = ["ConformanceBase"]


class ConformanceBase(ABC):
    """What an adapter's author says of the adapter."""

    pytestmark = pytest.mark.anyio

    # --- what an author writes --------------------------------------------------------------------

    @abstractmethod
    def adapter(self) -> AdapterSpec:
        """The adapter to test."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Options for the agents, as they would stand in YAML."""

    def load(self, path: str) -> Any:
        """What an import path in the options stands for, such as `module:attribute`."""
        return resolve_name(path)

    def base_dir(self) -> Path:
        """The folder that import paths are relative to, where an agent has a process of its own."""
        return Path.cwd()

    def question(self, number: int = 1) -> str:
        """What an agent is asked.

        Override it for an agent that answers questions of a certain form only. Its turns have to
        succeed, with an answer that is not empty.

        Args:
            number: Tells questions apart that are asked at the same time: another number should
                give another question.
        """
        return f"Question {number}: what is the answer?"

    def long_question(self) -> str:
        """What an agent is asked that is then cancelled.

        Override it where some turns of the agent take longer than two seconds: it should be the
        question of such a turn. A turn that is over before it can be cancelled proves nothing.
        """
        return self.question()

    isolation: Literal["none", "process", "environment"] = "none"
    """Where the agents run: in the process of the tests, in one of their own, or in one with an
    environment of its own, which is built where it is not there yet.

    In its own process, an agent's adapter is imported by the module that its factory is in, its
    options' import paths are resolved there, and its model is reached past a gateway. On Linux the
    module and all below it are imported once for all tests, in a process that is then forked.
    """

    def expected_failures(self) -> Mapping[str, str]:
        """Tests that the framework makes impossible, and why.

        Returns:
            Reasons by the test's name, for all its parameters, or by the name with one of them,
            such as `test_media_pass_or_are_refused[audio]`. Where an adapter is proven on several
            wire protocols, that stands for all of them; the protocol comes first where it is for
            one: `[messages-audio]`. A test that then passes is an error.
        """
        return {}

    # --- what pytest needs ------------------------------------------------------------------------

    @pytest.fixture(autouse=True)
    def _expect_failures(self, request: pytest.FixtureRequest) -> None:
        expected = self.expected_failures()
        for name in self._names(request.node):
            if name in expected:
                mark = pytest.mark.xfail(reason=expected[name], strict=True)
                request.applymarker(mark)

    @pytest.fixture(autouse=True)
    def _warm_start(self) -> None:
        """Import the adapter once for all processes of its agents, before any test holds any."""
        if self.isolation != "none":
            warm_launching(self.adapter(), self.isolation)

    @pytest.fixture(autouse=True)
    def _no_blocking_calls(self) -> Iterator[None]:
        """Let blocking calls of the adapter in the event loop raise; other plugins do not count."""
        factory: object = self.adapter().factory
        while isinstance(factory, partial):
            factory = factory.func
        package = sys.modules[factory.__module__.partition(".")[0]]
        with blocking_raises(["massgen_bridge", package]):
            yield

    def _names(self, item: Any) -> Sequence[str]:
        """The names by which `expected_failures` may know a test."""
        return [item.name, item.name.partition("[")[0]]

    @pytest.fixture
    def anyio_backend(self) -> str:
        """The event loop that the product runs on."""
        return "asyncio"

    @pytest.fixture
    def connection(self) -> Connection | None:
        """The model of the agents in tests that do not care what it says; None: they have none."""
        return None

    # --- what the tests need ----------------------------------------------------------------------

    def traits(self) -> ModelTraits | None:
        """What the model of the agents can do; None for agents without one."""
        return None

    def capabilities(self) -> Capabilities:
        """What agents made with `options()` and a model without limits can do."""
        spec = self.adapter()
        if spec.is_team:
            return team_and_abilities(self.options())[1]
        if spec.refine is None:
            return spec.capabilities
        return spec.refine(spec.options.model_validate(self.options()), self.traits())

    unclaimed: str | None = None
    """What the running test is about and the adapter does not claim; told in reports."""

    def lacks(self, ability: str) -> bool:
        """Whether the agent does not claim what a test is about, which is noted then.

        Args:
            ability: A flag of `Capabilities`, or a kind of media.
        """
        able = self.capabilities()
        if ability in able.inputs or getattr(able, ability, False):
            return False
        self.unclaimed = ability
        return True

    def needs_a_process(self) -> None:
        """Fail for agents that only the end of their process stops: none is ended here."""
        if self.capabilities().cancellation == "process" and self.isolation == "none":
            pytest.fail(
                "such an agent is stopped by ending its process, and this suite runs it in its "
                "own: name this test in expected_failures(), with that as the reason",
                pytrace=False,
            )

    async def make(self, connection: Connection | None) -> Agent:
        """An agent, made in a thread as the host does; to be closed by whoever wanted it."""
        spec, options = self.adapter(), self.options()
        isolation = self.isolation
        if isolation != "none":
            launching = warm_launching(spec, isolation)
            apart = await to_thread.run_sync(
                lambda: AgentApart(
                    *(spec, options, connection, self.base_dir()),
                    isolation=isolation,
                    launching=launching,
                )
            )
            try:
                # The time limits of turns are for what the agent does.
                await apart.get_ready()
            except BaseException:  # cancelled, too: nobody else has the agent yet
                await apart.aclose()
                raise
            return apart
        return await to_thread.run_sync(
            lambda: make_agent(spec, options, connection, load=self.load)
        )

    @asynccontextmanager
    async def agent(self, connection: Connection | None) -> AsyncIterator[Agent]:
        """`make`, closed in the end."""
        agent = await self.make(connection)
        try:
            yield agent
        finally:
            await agent.aclose()

    def hosted(
        self,
        connection: Connection | None,
        *,
        tools: Sequence[ToolSpec] = (),
        plugins: Sequence[object] = (),
    ) -> AbstractAsyncContextManager[HostedAgent]:
        """An agent behind the real executor, with tools and plugins of the host."""
        launching = None
        if self.isolation != "none":
            launching = warm_launching(self.adapter(), self.isolation)
        return hosted(
            self.adapter(),
            self.options(),
            connection,
            tools=tools,
            plugins=plugins,
            load=self.load,
            isolation=self.isolation,
            base_dir=self.base_dir(),
            launching=launching,
        )
