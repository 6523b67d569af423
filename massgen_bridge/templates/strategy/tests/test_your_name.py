"""The strategy: step by step as a pure function, and in a run. No model is needed."""

from __future__ import annotations

from pathlib import Path

from massgen_bridge import (
    Answered,
    Command,
    DeadlinePassed,
    Finish,
    Happening,
    Seat,
    StartTurn,
    Team,
    TurnLost,
    run,
)

from massgen_bridge_your_name import Shortest, ShortestState

EXAMPLE = Path(__file__).parents[1] / "example.yaml"
SEATS = tuple(
    Seat(agent_id=agent_id, label=label, kind="scripted")
    for agent_id, label in (("ada", "agent1"), ("lin", "agent2"), ("joe", "agent3"))
)


def answered(agent_id: str, text: str) -> Answered:
    return Answered(agent_id=agent_id, turn_id=f"{agent_id}.1", text=text)


def lost(agent_id: str) -> TurnLost:
    return TurnLost(agent_id=agent_id, turn_id=f"{agent_id}.1", kind="server", message="down")


def replay(*happenings: Happening) -> tuple[ShortestState, list[Command]]:
    """The state and all commands after some happenings; each state crosses JSON on the way."""
    strategy = Shortest()
    state, commands = strategy.begin(SEATS)
    given = list(commands)
    for happening in happenings:
        state, commands = strategy.step(
            ShortestState.model_validate_json(state.model_dump_json()), happening
        )
        given += commands
    return state, given


def finish(*happenings: Happening) -> Finish:
    """The one command that ends the run."""
    _, given = replay(*happenings)
    (end,) = (command for command in given if isinstance(command, Finish))
    return end


def test_everybody_starts_at_once() -> None:
    _, given = replay()
    assert [command.agent_id for command in given if isinstance(command, StartTurn)] == [
        seat.agent_id for seat in SEATS
    ]


def test_nothing_is_decided_while_somebody_works() -> None:
    _, given = replay(answered("ada", "long"), answered("lin", "no"))
    assert not any(isinstance(command, Finish) for command in given)


def test_the_shortest_answer_wins() -> None:
    end = finish(answered("ada", "long"), answered("lin", "no"), answered("joe", "why"))
    assert end.status == "answered"
    assert end.winner is not None
    assert end.winner.label == "agent2"


def test_equally_short_answers_go_by_the_order_of_the_configuration() -> None:
    end = finish(answered("joe", "no"), answered("lin", "no"), answered("ada", "long"))
    assert end.winner is not None
    assert end.winner.label == "agent2"


def test_a_lost_turn_is_not_waited_for() -> None:
    end = finish(answered("ada", "long"), lost("lin"), answered("joe", "longer"))
    assert end.winner is not None
    assert end.winner.label == "agent1"


def test_without_any_answer_the_run_fails() -> None:
    assert finish(lost("ada"), lost("lin"), lost("joe")).status == "failed"


def test_at_the_deadline_the_best_so_far_wins() -> None:
    end = finish(answered("ada", "long"), DeadlinePassed(after_s=1.0))
    assert end.status == "best_so_far"


def test_nothing_follows_after_the_end() -> None:
    ended = (DeadlinePassed(after_s=1.0), answered("ada", "late"), DeadlinePassed(after_s=2.0))
    assert finish(*ended).status == "failed"


def test_a_run() -> None:
    team = Team(strategy="your_name")
    team.add("ada", "scripted", answers=["A long answer."])
    team.add("lin", "scripted", answers=["Short."])
    assert team.run("Why?", keep=False).answer == "Short."


def test_the_example_gives_an_answer() -> None:
    assert run(EXAMPLE, "Why learn Python?", keep=False).answer == "It is easy to read."
