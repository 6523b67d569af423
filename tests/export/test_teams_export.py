"""What teams did within a run, in its export: told by the run's own records."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import massgen_bridge
from massgen_bridge.events import InnerRunStarted
from massgen_bridge.export import as_html, as_markdown, export_of

if TYPE_CHECKING:
    from massgen_bridge.events import Record
    from massgen_bridge.export.model import RunExport

CONFIG = Path(__file__).parents[2] / "configs" / "basic" / "team.yaml"


def exported() -> RunExport:
    records: list[Record] = []
    massgen_bridge.run(CONFIG, "Why learn Python?", keep=False, on_record=records.append)
    return export_of(records)


def test_each_turn_of_a_team_holds_what_its_members_gave_and_voted() -> None:
    run = exported()
    answer, vote = [turn for turn in run.turns if turn.agent_id == "critics"]

    assert answer.team is not None
    assert (answer.team.purpose, answer.team.strategy) == ("answer", "consensus")
    assert [seat.agent_id for seat in answer.team.seats] == ["ann", "ben"]
    assert answer.team.result is not None
    assert {one.voter for one in answer.team.result.votes} == {"ann", "ben"}
    assert vote.team is not None
    assert (vote.team.purpose, vote.team.strategy) == ("vote", "poll")
    assert {call.source for call in answer.calls} == {"ann", "ben"}
    assert all(call.end_s is not None for turn in run.turns for call in turn.calls)
    assert [turn.team for turn in run.turns if turn.agent_id == "ada"] == [None, None]


def test_a_ballot_within_a_team_is_no_use_of_a_tool() -> None:
    run = exported()
    assert [tool for turn in run.turns for tool in turn.tools if not tool.is_ballot] == []


def test_pages_and_markdown_tell_what_teams_did() -> None:
    run = exported()
    page, text = as_html(run), as_markdown(run)

    assert "What teams did" in page
    assert "critics (ann and ben) worked by consensus in round 0" in page
    assert "Learn Python: it is popular." in page  # an answer that its team did not take
    assert "team: ann and ben" in page
    assert "| ann | ann | It can be tried at once. |" in text
    assert "| editor | ada | Its author has read more than one program. |" in text


def test_a_team_whose_run_has_no_end_is_told_as_such() -> None:
    records: list[Record] = []
    massgen_bridge.run(CONFIG, "Why learn Python?", keep=False, on_record=records.append)
    first = next(i for i, one in enumerate(records) if isinstance(one.event, InnerRunStarted))
    page = as_html(export_of(records[: first + 1]))
    assert "It came to no end." in page
