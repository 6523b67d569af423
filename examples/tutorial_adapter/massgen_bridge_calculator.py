"""An agent that works out the sum in a question, such as `12 * 3`."""

import operator
import re

import massgen_bridge as bridge

ABLE = bridge.Capabilities(history=False)  # no tools, no output schema, no media either
SUM = re.compile(r"(\d+)\s*([-+*])\s*(\d+)")
DO = {"+": operator.add, "-": operator.sub, "*": operator.mul}


class Calculator:
    """One object serves many turns, also at the same time, so it keeps nothing of a turn."""

    async def run(self, turn: bridge.Turn, emit: bridge.Emit) -> bridge.TurnResult:
        ABLE.check(turn)
        text = "There is no sum in the question."
        if found := SUM.search(turn.question):
            text = f"{found[0]} = {DO[found[2]](int(found[1]), int(found[3]))}"
        await emit(bridge.TextDelta(text=text))
        message = bridge.assistant(text)
        return bridge.TurnResult(message=message, new_messages=(message,))

    async def aclose(self) -> None:
        """Nothing to give back."""


@bridge.hookimpl
def bridge_adapters() -> list[bridge.AdapterSpec]:
    spec = bridge.AdapterSpec(
        kind="calculator", summary="Does sums.", factory=lambda _: Calculator(), capabilities=ABLE
    )
    return [spec]
