"""What an agent cannot do is refused, in words that say what it is."""

from __future__ import annotations

import pytest

from massgen_bridge.agent import Capabilities, ToolDefinition, Turn
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import ImagePart, Message, TextPart
from massgen_bridge.testing.agents import turn

TOOL = ToolDefinition(name="lookup", description="Looks up.", input_schema={"type": "object"})
SEES = Message(
    role="user",
    parts=(TextPart(text="What is it?"), ImagePart(media_type="image/png", data=b"-")),
)
WANTS = {
    "tools": (turn("Hello.", tools=[TOOL]), Capabilities(tools=True)),
    "output schema": (turn("Hello.", output_schema={}), Capabilities(structured=True)),
    "'image' (it carries: audio)": (turn(SEES), Capabilities(inputs=frozenset({"image"}))),
}


@pytest.mark.parametrize(("wanted", "able"), WANTS.values(), ids=WANTS)
def test_a_turn_passes_where_the_agent_can_do_what_it_wants(
    wanted: Turn, able: Capabilities, request: pytest.FixtureRequest
) -> None:
    able.check(wanted)
    name = request.node.callspec.id
    with pytest.raises(UnsupportedContent) as caught:
        Capabilities(inputs=frozenset({"audio"})).check(wanted)
    assert name in str(caught.value)


def test_a_plain_turn_passes_everywhere() -> None:
    Capabilities().check(turn("Hello."))
