"""A strategy's options that name agents are checked against those who take part."""

from __future__ import annotations

from typing import Any

import pytest

from massgen_bridge import StrategySpec, hookimpl
from massgen_bridge.config import InvalidConfig, load_config
from massgen_bridge.plugins import PluginHost
from massgen_bridge.strategies import Single

TEAM = """\
version: 1
agents:
  - {id: ada, backend: {type: scripted}}
  - {id: bob, backend: {type: scripted}}
strategy: """
ALONE = TEAM.replace("  - {id: bob, backend: {type: scripted}}\n", "")


def problem(text: str, host: PluginHost | None = None) -> str:
    with pytest.raises(InvalidConfig) as caught:
        load_config(f"{text}\n", host or PluginHost())
    (found,) = caught.value.problems
    return str(found).removeprefix("<text>:")


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        (
            "{type: consensus, quorum: x}",
            "5:37: strategy.quorum: expected 'all', a whole number or a number, found the text 'x'",
        ),
        (
            "{type: consensus, quorum: 3}",
            "5:37: strategy.quorum: a quorum of 3 cannot be reached: the team has 2 agents",
        ),
        (
            "{type: debate, judge: eve}",
            "5:33: strategy.judge: there is no agent 'eve' (there are: ada, bob)",
        ),
        (
            "{type: sequential, instructions: {eve: Go.}}",
            "5:45: strategy.instructions.eve: there is no agent 'eve' (there are: ada, bob)",
        ),
        (
            "{type: map_reduce, reducer: eve}",
            "5:39: strategy.reducer: there is no agent 'eve' (there are: ada, bob)",
        ),
        (
            "{type: map_reduce, parts: {bob: x}}",
            "5:38: strategy.parts.bob: the agent 'bob' makes the answer, it has no part",
        ),
        (
            "{type: group, order: [ada, eve]}",
            "5:38: strategy.order[1]: there is no agent 'eve' (there are: ada, bob)",
        ),
        (
            "{type: group, chair: bob, order: [ada, bob]}",
            "5:50: strategy.order[1]: the chair 'bob' does not take turns",
        ),
        (
            "{type: group, roles: {eve: x}}",
            "5:33: strategy.roles.eve: there is no agent 'eve' (there are: ada, bob)",
        ),
        ("{type: group, stop_phrase: ' '}", "5:38: strategy.stop_phrase: expected text that matc"),
        (
            "{type: debate, rounds: -1}",
            "5:34: strategy.rounds: expected a number greater than or equal to",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(strategy: str, expected: str) -> None:
    assert problem(TEAM + strategy).startswith(expected)


@pytest.mark.parametrize(
    ("strategy", "expected"),
    [
        ("{type: debate, judge: ada}", "4:33: strategy.judge: nobody is left to debate"),
        ("{type: group, chair: ada}", "4:32: strategy.chair: nobody is left to speak"),
        ("map_reduce", "4:11: strategy: there have to be two agents at least"),
    ],
)
def test_somebody_has_to_be_left_for_the_work(strategy: str, expected: str) -> None:
    assert problem(ALONE + strategy).startswith(expected)


class Picky:
    """A plugin whose strategy looks at the agents, or fails to."""

    def __init__(self, check: Any) -> None:
        self._check = check

    @hookimpl
    def bridge_strategies(self) -> list[StrategySpec]:
        return [
            StrategySpec(
                name="picky", summary="x", create=lambda _options: Single(), check=self._check
            )
        ]


def broken(_options: Any, _agents: Any) -> Any:
    raise LookupError("a fault of the plugin")


def test_the_check_of_a_plugin_is_heard_and_may_break() -> None:
    host = PluginHost()
    host.register(Picky(lambda _options, agents: [(("x",), f"no good with {agents}")]))
    assert problem(f"{TEAM}picky", host).endswith("strategy.x: no good with ['ada', 'bob']")
    host = PluginHost()
    host.register(Picky(broken))
    assert "its check of the options broke: LookupError(" in problem(f"{TEAM}picky", host)


ROLES = """\
version: 1
agents:
  - {id: ada, roles: [ADA], backend: {type: scripted}}
  - {id: bob, roles: [BOB], backend: {type: scripted}}
"""


@pytest.mark.parametrize(
    ("ada", "bob", "expected"),
    [
        ("vote", "break_ties", "no agent has the role 'propose': nobody answers"),
        ("propose", "propose", "no agent has the role 'vote' or 'break_ties': nothing is decided"),
    ],
)
def test_a_team_needs_somebody_who_answers_and_somebody_who_decides(
    ada: str, bob: str, expected: str
) -> None:
    assert problem(ROLES.replace("ADA", ada).replace("BOB", bob)).endswith(expected)


@pytest.mark.parametrize(
    ("ada", "bob"), [("propose", "vote"), ("propose, break_ties", "propose"), ("vote", "propose")]
)
def test_any_other_team_will_do(ada: str, bob: str) -> None:
    config = load_config(ROLES.replace("ADA", ada).replace("BOB", bob), PluginHost())

    assert [agent.roles for agent in config.agents] == [tuple(ada.split(", ")), (bob,)]


def test_a_strategy_that_heeds_no_roles_refuses_them() -> None:
    text = ROLES.replace("ADA", "propose").replace("[BOB]", "[propose, vote]")
    with pytest.raises(InvalidConfig, match="the strategy 'debate' knows no roles of agents"):
        load_config(f"{text}strategy: debate\n", PluginHost())
