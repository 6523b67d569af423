"""Runs to look at: records put together by hand, and real runs of scripted agents."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from massgen_bridge.agent import AnswerRef, Turn, TurnResult, Usage
from massgen_bridge.api import run
from massgen_bridge.display.base import Meter
from massgen_bridge.display.frame import Frame
from massgen_bridge.display.state import RunView
from massgen_bridge.events import (
    Answered,
    AnswerListed,
    Event,
    ModelCallFinished,
    ModelCallStarted,
    Purpose,
    Record,
    RunFinished,
    RunResult,
    RunStarted,
    Seat,
    TextDelta,
    TurnDone,
    TurnStarted,
    Voted,
)
from massgen_bridge.messages import assistant, user
from massgen_bridge.testing.servers import Disconnect, ModelServer, Reply, Text

START = 1_000.0
HOSTILE = (
    "\x1b[31mred\x1b[0m \x1b]0;owned\x07 \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ [bold]b[/bold] "
    "[/none] \x1b[2J\x1b[H\x9b5A\x1bP+q\x1b\\ \u202egnorw\u2069 \r\n\x00\x08\x7f\u2028"
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f44d\U0001f3fd  "
    + "x" * 300
    + " "
    + "日本語" * 60
)


ANSWER = "Otters, since they hold hands."
THOUGHT = "Perhaps the ones that swim."


class Scene:
    """The records of a run; each comes half a second after the one before."""

    def __init__(self, agents: int = 2) -> None:
        self.records: list[Record] = []
        self.seats = tuple(
            Seat(agent_id=f"a{n}", label=f"agent{n}", kind="scripted", model="m")
            for n in range(1, agents + 1)
        )
        self.add(
            RunStarted(
                bridge_version="0.1.0",
                question=user("Which?"),
                seats=self.seats,
                strategy="consensus",
            )
        )

    @property
    def view(self) -> RunView:
        return RunView(self.records)

    def add(self, event: Event, turn_id: str | None = None) -> Scene:
        number = len(self.records)
        self.records.append(
            Record(
                run_id="run-1",
                seq=number + 1,
                at=START + number / 2,
                agent_id=turn_id.split(".")[0] if turn_id else None,
                turn_id=turn_id,
                event=event,
            )
        )
        return self

    def start(self, turn_id: str, purpose: Purpose = "answer", number: int = 0) -> Scene:
        turn = Turn(
            run_id="run-1",
            turn_id=turn_id,
            agent_id=_agent_of(turn_id),
            messages=(user("q"),),
        )
        self.add(TurnStarted(purpose=purpose, round=number, turn=turn), turn_id)
        return self.add(ModelCallStarted(model="m"), turn_id)

    def say(self, turn_id: str, *pieces: str) -> Scene:
        for piece in pieces:
            self.add(TextDelta(text=piece), turn_id)
        return self

    def done(
        self, turn_id: str, text: str = "", tokens: int = 10, *, cost_usd: float | None = 0.0
    ) -> Scene:
        usage = Usage(input_tokens=tokens, output_tokens=tokens, calls=1)
        self.add(ModelCallFinished(model="m", usage=usage, cost_usd=cost_usd), turn_id)
        return self.add(TurnDone(result=TurnResult(message=assistant(text), usage=usage)), turn_id)

    def answer(self, turn_id: str, text: str) -> Scene:
        agent_id = _agent_of(turn_id)
        self.done(turn_id, text)
        return self.add(Answered(agent_id=agent_id, turn_id=turn_id, text=text), turn_id)

    def listed(self, label: str, *authors: str, version: int = 1, text: str = "t") -> Scene:
        ref = AnswerRef(label=label, version=version)
        return self.add(AnswerListed(answer=ref, authors=authors, text=text))

    def vote(self, turn_id: str, label: str, reason: str = "", version: int = 1) -> Scene:
        agent_id = _agent_of(turn_id)
        ref = AnswerRef(label=label, version=version)
        self.done(turn_id)
        event = Voted(agent_id=agent_id, turn_id=turn_id, choice=ref, reason=reason)
        return self.add(event, turn_id)

    def finish(self, **result: Any) -> Scene:
        won = next((a for a in result.get("answers", ()) if a.text == result.get("answer")), None)
        if won is not None:
            result["winning"] = AnswerRef(label=won.label, version=won.version)
        return self.add(RunFinished(result=RunResult(run_id="run-1", **result)))


def _agent_of(turn_id: str) -> str:
    return turn_id.partition(".")[0]


def real_run(*scripts: dict[str, Any], strategy: str = "consensus") -> list[Record]:
    """The records of a run of scripted agents `a1`, `a2`, … by the Python API."""
    agents = [
        {"id": f"a{n}", "backend": {"type": "scripted", **script}}
        for n, script in enumerate(scripts, 1)
    ]
    records: list[Record] = []
    config = {"version": 1, "agents": agents, "strategy": {"type": strategy}}
    run(config, "Which?", keep=False, on_record=records.append)
    return records


def drawn(
    view: RunView, width: int = 80, height: int = 24, meters: tuple[Meter, ...] = ()
) -> list[str]:
    file = io.StringIO()
    console = Console(
        file=file, width=width, height=height, force_terminal=True, color_system=None, emoji=False
    )
    console.print(Frame(view=view, now=view.last_at, meters=meters))
    return file.getvalue().splitlines()


def broken_run() -> list[Record]:
    """The records of a run whose first stream breaks off; the second says the same to its end."""
    told = Text(ANSWER, reasoning=THOUGHT)
    # More than its reasoning came, less than its text.
    replies: list[Reply] = [Disconnect(after=len(THOUGHT.split()) + 2, answer=told), told]
    with ModelServer(replies) as server:
        model = {
            "provider": "vllm",
            "model": "m",
            "base_url": server.url,
            "retry": {"base_s": 0.001},
        }
        config = {
            "version": 1,
            "models": {"m": model},
            "agents": [{"id": "a1", "backend": {"type": "openai", "model": "m"}}],
        }
        records: list[Record] = []
        run(config, "Which?", keep=False, on_record=records.append)
    return records


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True
