"""What plugins decide on tool calls is done, told to the agent, and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from massgen_bridge import (
    Record,
    Team,
    ToolCall,
    ToolCallFinished,
    ToolCallJudged,
    ToolDefinition,
    ToolSpec,
    ToolVerdict,
    hookimpl,
)

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
    "additionalProperties": False,
}


async def _echo(arguments: Mapping[str, Any]) -> str:
    return f"echo {arguments['text']}"


class _Plugin:
    """Has a tool, and one opinion on each call of it."""

    def __init__(self, opinion: ToolVerdict | None) -> None:
        self._opinion = opinion

    @hookimpl
    def bridge_tools(self) -> list[ToolSpec]:
        definition = ToolDefinition(name="echo", description="Echo.", input_schema=SCHEMA)
        return [ToolSpec(definition=definition, call=_echo)]

    @hookimpl
    def bridge_tool_call(self, call: ToolCall) -> ToolVerdict | None:
        return None if call.arguments == {"text": "edited"} else self._opinion


def _call(opinion: ToolVerdict | None) -> tuple[str, list[ToolCallJudged]]:
    """What the agent is told, and what is recorded of the decision."""
    team = Team(plugins=[_Plugin(opinion)], strategy="single")
    team.add("ada", "scripted", calls=[{"echo": {"text": "mine"}}], tools=["echo"])
    records: list[Record] = []
    team.run("Call it.", keep=False, on_record=records.append)
    events = [one.event for one in records if one.turn_id == "ada.1"]
    (finished,) = (one for one in events if isinstance(one, ToolCallFinished))
    judged = [one for one in events if isinstance(one, ToolCallJudged)]
    assert {one.call_id for one in judged} <= {finished.result.call_id}
    return finished.result.content, judged


def _recorded(**fields: Any) -> list[ToolCallJudged]:
    return [ToolCallJudged(call_id="ada.1-call-1", by="_Plugin", **fields)]


def test_without_an_opinion_the_call_is_made_and_nothing_recorded() -> None:
    assert _call(None) == ("echo mine", [])


@pytest.mark.parametrize("action", ["deny", "ask"])
def test_a_call_that_is_not_allowed_is_not_made(action: Any) -> None:
    told, recorded = _call(ToolVerdict(action=action, reason="not today"))
    assert told.startswith("denied: not today")
    assert recorded == _recorded(action=action, reason="not today")


def test_consent_is_recorded() -> None:
    allowed = ToolVerdict(action="allow", reason="harmless", by="somebody else")
    assert _call(allowed) == ("echo mine", _recorded(action="allow", reason="harmless"))


def test_changed_arguments_are_used_and_recorded() -> None:
    edit = ToolVerdict(action="edit", arguments={"text": "edited"})
    recorded = _recorded(action="edit", arguments={"text": "edited"})
    assert _call(edit) == ("echo edited", recorded)


def test_changed_arguments_have_to_fit_the_tool() -> None:
    told, _ = _call(ToolVerdict(action="edit", arguments={"words": "edited"}))
    assert told.startswith("denied: a plugin changed the arguments: wrong arguments: ")
