"""Tools that return pictures: they reach the agent, whoever watches, and the journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pictures import png
from runtime.teams import kept, of

from massgen_bridge.agent import Capabilities, ToolDefinition, TurnResult
from massgen_bridge.events import ToolCallFinished
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import ImagePart, TextPart, ToolCall, ToolResult, assistant
from massgen_bridge.specs import ToolSpec
from massgen_bridge.team import Team

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.specs import ToolOutput

pytestmark = pytest.mark.anyio

RED = ImagePart(media_type="image/png", data=png(), name="shot.png")
BLUE = ImagePart(media_type="image/png", data=png(0, 0, 200))
ABLE = Capabilities(
    tools=True, inputs=frozenset({"image"}), tool_media=frozenset({"image"}), history=True
)


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path))


class Camera:
    """A plugin with one tool, which gives what it is told to."""

    def __init__(self, output: Any) -> None:
        self._output = output

    async def _look(self, _arguments: Mapping[str, Any]) -> ToolOutput:
        output: ToolOutput = self._output
        return output

    @hookimpl
    def bridge_tools(self) -> list[ToolSpec]:
        schema = {"type": "object", "additionalProperties": False}
        definition = ToolDefinition(name="look", description="Look.", input_schema=schema)
        return [ToolSpec(definition=definition, call=self._look)]


class Looker:
    """Calls its tool once."""

    result: ToolResult | None = None

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        self.result = await turn.call_tool(ToolCall(call_id="1", name="look"))
        await emit(ToolCallFinished(result=self.result))
        return TurnResult(message=assistant("Seen."))

    async def aclose(self) -> None:
        pass


async def _looked(output: Any) -> tuple[ToolResult | None, str, list[Any]]:
    agent = Looker()
    team = Team(plugins=[Camera(output)], strategy="single")
    team.add("ann", agent, tools=["look"], capabilities=ABLE)
    result = await team.arun("What do you see?")
    return agent.result, result.run_id, [one.message for one in result.errors]


@pytest.mark.parametrize(
    ("output", "content", "media"),
    [
        (RED, "[image: shot.png]", (RED,)),
        ([TextPart(text="Two shots:"), RED, "and", BLUE], "Two shots:\nand", (RED, BLUE)),
        ((), "", ()),
    ],
)
async def test_a_tool_may_return_pictures(
    output: Any, content: str, media: tuple[ImagePart, ...]
) -> None:
    found, run_id, errors = await _looked(output)

    expected = ToolResult(call_id="1", name="look", content=content, media=media)
    assert (found, errors) == (expected, [])
    (told,) = of(await kept(run_id), ToolCallFinished)
    assert told.result == expected


async def test_a_tool_that_returns_something_else_fails_the_turn() -> None:
    _, _, errors = await _looked([RED, b"bytes"])

    (told,) = errors
    assert "'look' returned a value of type 'bytes', and a tool returns text, pictures" in told
