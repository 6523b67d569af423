"""Options that make no sense together are refused, and what an agent can do follows from them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from massgen_bridge_ag2 import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import ConfigError, ModelTraits
from massgen_bridge.testing.agents import make_agent

(SPEC,) = bridge_adapters()
GROUP = {"members": [{"name": "ann"}, {"name": "bob"}]}


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"agent": "a:b", "network": "a:b"}, "give one of 'agent', 'network', not several"),
        ({"group": GROUP, "agent": "a:b"}, "give one of 'group', 'agent', not several"),
        ({"max_turns": 3}, "'max_turns' cannot be used without `agent` or `network`"),
        ({"group": GROUP, "max_turns": 3}, "the group's own stands in `group`"),
        ({"agent": "a:b", "parallel_tool_calls": True}, "cannot be used with `agent`"),
        ({"models": "gateway"}, "'models' cannot be used without `agent` or `network`"),
        ({"group": GROUP, "models": "gateway"}, "'models' cannot be used with `group`"),
        ({"temperature": 1}, "Extra inputs are not permitted"),
    ],
)
def test_what_has_no_effect_is_refused(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(problem)):
        SPEC.options.model_validate(options)


@pytest.mark.parametrize("options", [{}, {"group": GROUP}], ids=["agent", "group"])
def test_an_agent_from_yaml_needs_a_model(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="an agent of kind 'ag2' needs `model`"):
        make_agent(SPEC, options, None)


def test_capabilities_follow_from_the_form_and_the_model() -> None:
    assert SPEC.refine is not None

    def able(traits: ModelTraits | None = None, **options: Any) -> Any:
        assert SPEC.refine is not None
        return SPEC.refine(SPEC.options.model_validate(options), traits)

    weak = ModelTraits(tools=False, structured=False, inputs=frozenset())
    assert able().tools
    assert not able().group
    assert not able(weak).tools
    assert able(group=GROUP).group
    assert able(group=GROUP).structured
    assert not able(weak, group=GROUP).structured
    assert able(agent="a:b").inputs >= {"video"}
    assert able(weak, agent="a:b", models="gateway").inputs == frozenset()
    assert not able(network="a:b").history


def test_only_what_is_redirected_is() -> None:
    assert SPEC.redirects is not None
    assert SPEC.redirects(SPEC.options.model_validate({"agent": "a:b", "models": "gateway"}))
    assert not SPEC.redirects(SPEC.options.model_validate({"agent": "a:b"}))
