"""A team built in Python: a function, an object and a scripted agent come to one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import Capabilities, Team, TextDelta, TurnResult, assistant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from massgen_bridge import Emit, Turn


def shortest(question: str) -> str:
    """An agent can be any function of the question."""
    return f"Because it is easy to read. (You asked: {question})"


def vote(task: str, answers: Mapping[str, str]) -> tuple[str, str]:
    """How that agent votes: the label of an answer, and why."""
    del task
    label = min(answers, key=lambda one: len(answers[one]))
    return label, "It is the shortest."


class Librarian:
    """An agent can also be an object, which keeps what it needs from turn to turn."""

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Answer, or vote where the turn asks for JSON."""
        if turn.output_schema is not None:
            ballot = {"vote": turn.shown[0].label, "reason": "It came first."}
            return TurnResult(message=assistant(str(ballot)), structured=ballot)
        text = "Because somebody has written the library already."
        await emit(TextDelta(text=text))
        return TurnResult(message=assistant(text))

    async def aclose(self) -> None:
        """Nothing to give back."""


team = (
    Team(timeout_s=60)
    .add("short", shortest, vote=vote)
    .add("librarian", Librarian(), capabilities=Capabilities(structured=True))
    .add("third", "scripted", answers=["It is popular."], votes=["agent2"])
)

if __name__ == "__main__":
    result = team.run("Why learn Python?", keep=False)
    for ballot in result.votes:
        print(f"{ballot.voter} voted for {ballot.author}: {ballot.reason}")
    print(f"{result.winner} wins: {result.require_answer()}")
