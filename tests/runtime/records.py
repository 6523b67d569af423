"""Records for the tests of the journal: short ones by hand, and one of every kind of event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef, Turn, TurnResult, Usage
from massgen_bridge.events import (
    Abstained,
    Answered,
    AnswerInfo,
    AnswerListed,
    AnswerRejected,
    BallotSpoiled,
    BudgetReached,
    DeadlinePassed,
    ErrorInfo,
    Event,
    ImprovementPromised,
    LogLine,
    ModelCallFinished,
    ModelCallStarted,
    ModelRetried,
    ModelWaiting,
    PersonAsked,
    PersonReplied,
    ReasoningDelta,
    Record,
    RunFinished,
    RunResult,
    RunStarted,
    Seat,
    TextDelta,
    TieBroken,
    ToolCallFinished,
    ToolCallJudged,
    ToolCallStarted,
    TurnCancelled,
    TurnDone,
    TurnFailed,
    TurnIdle,
    TurnLost,
    TurnStarted,
    Voted,
    VoteInfo,
)
from massgen_bridge.messages import (
    DocumentPart,
    ImagePart,
    Message,
    TextPart,
    ToolCall,
    ToolResult,
    assistant,
    system,
    user,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

RUN_ID = "20261122-163501-7f3a9c12"
TURN_ID = "alice.1"


def record(
    seq: int, event: Event, *, turn_id: str | None = TURN_ID, agent_id: str | None = "alice"
) -> Record:
    return Record(
        run_id=RUN_ID,
        seq=seq,
        at=1795365301.5 + seq,
        agent_id=agent_id,
        turn_id=turn_id,
        event=event,
    )


def delta(seq: int, text: str, *, turn_id: str = TURN_ID, source: str | None = None) -> Record:
    return record(seq, TextDelta(text=text, source=source), turn_id=turn_id)


def thought(seq: int, text: str, *, turn_id: str = TURN_ID) -> Record:
    return record(seq, ReasoningDelta(text=text), turn_id=turn_id)


def log(seq: int, text: str = "a line", *, turn_id: str = TURN_ID) -> Record:
    return record(seq, LogLine(stream="log", text=text), turn_id=turn_id)


def answered(seq: int, text: str = "42", *, turn_id: str = TURN_ID) -> Record:
    event = Answered(agent_id="alice", turn_id=turn_id, text=text)
    return record(seq, event, turn_id=turn_id)


def run_started(question: str = "What is it?") -> RunStarted:
    return RunStarted(
        bridge_version="0.1.0",
        question=user(question),
        seats=(
            Seat(agent_id="alice", label="agent1", kind="openai", model="m"),
            Seat(agent_id="bob", label="agent2", kind="scripted"),
        ),
        strategy="consensus",
        strategy_options={"rounds": 3},
        config_file="team.yaml",
    )


def run_result() -> RunResult:
    return RunResult(
        run_id=RUN_ID,
        status="answered",
        answer="42",
        winner="alice",
        votes=(VoteInfo(voter="bob", author="alice", label="agent1", version=1, reason="sound"),),
        answers=(AnswerInfo(label="agent1", version=1, authors=("alice",), text="42", votes=1),),
        errors=(ErrorInfo(agent_id="bob", turn_id="bob.1", kind="server", message="503"),),
        tie_broken_by="order",
        usage=Usage(input_tokens=100, cached_tokens=10, output_tokens=20, calls=3),
        calls=4,
        duration_s=12.5,
    )


def text_of(records: Iterable[Record], turn_id: str = TURN_ID) -> str:
    """What a reader sees of the text deltas of a turn."""
    return "".join(
        record.event.text
        for record in records
        if record.turn_id == turn_id and isinstance(record.event, TextDelta)
    )


def one_of_each() -> list[Record]:
    """A run that holds every kind of event."""
    ref = AnswerRef(label="agent1", version=1)
    call = ToolCall(call_id="c1", name="search", arguments={"q": "ü", "n": [1, 2.5, None, True]})
    turn = Turn(
        run_id=RUN_ID,
        turn_id=TURN_ID,
        agent_id="alice",
        messages=(system("Be brief."), _question_with_media()),
        output_schema={"type": "object"},
        session="s1",
    )
    result = TurnResult(
        message=assistant("42"),
        new_messages=(Message(role="assistant", parts=(call,)), assistant("42")),
        usage=Usage(input_tokens=100, output_tokens=20, calls=1),
    )
    own: dict[str, str] = {"agent_id": "alice", "turn_id": TURN_ID}
    events: list[Event] = [
        run_started(),
        TurnStarted(purpose="answer", round=0, turn=turn, shown=(ref,), ballot="tools"),
        ModelCallStarted(model="m"),
        ReasoningDelta(text="Let me see."),
        TextDelta(text="4"),
        TextDelta(text="2", source="inner"),
        ModelRetried(attempt=1, delay_s=0.5, kind="server", message="503"),
        ModelWaiting(model="gpt", reason="requests", delay_s=1.5),
        ModelCallFinished(model="m", usage=Usage(input_tokens=100, output_tokens=20, calls=1)),
        ToolCallStarted(call=call),
        ToolCallJudged(call_id="c1", action="edit", by="guard", arguments={"q": "u"}),
        ToolCallFinished(result=ToolResult(call_id="c1", name="search", content="found")),
        LogLine(stream="stderr", text="a warning\u2028with \x1b[1mcolour"),
        TurnDone(result=result),
        TurnFailed(kind="server", message="503", retryable=True),
        TurnCancelled(reason="a vote came first"),
        Answered(text="42", **own),
        AnswerRejected(reason="too short", **own),
        AnswerListed(answer=ref, authors=("alice", "bob"), text="42"),
        Voted(choice=ref, reason="sound", **own),
        ImprovementPromised(**own),
        BallotSpoiled(problem="no vote", **own),
        PersonAsked(time_limit_s=120, default="the agent abstains"),
        PersonReplied(by_default=True, reason="no reply within 120 s"),
        Abstained(reason="no reply within 120 s", **own),
        TurnLost(kind="timeout", message="idle", **own),
        TieBroken(winner=ref, by="order"),
        TurnIdle(idle_s=60.0, **own),
        BudgetReached(budget="tokens", limit=4_000, used=4_312),
        BudgetReached(agent_id="bob", budget="cost_usd", limit=0.5, used=0.61),
        DeadlinePassed(after_s=60.0),
        RunFinished(result=run_result()),
    ]
    return [record(seq, event) for seq, event in enumerate(events, start=1)]


def _question_with_media() -> Message:
    return Message(
        role="user",
        parts=(
            TextPart(text="What is it?"),
            ImagePart(media_type="image/png", data=b"\x89PNG\x00\xff", name="a.png"),
            DocumentPart(media_type="application/pdf", url="https://example.org/a.pdf"),
        ),
    )
