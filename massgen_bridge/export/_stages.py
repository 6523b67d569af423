"""The stages of a vote by rankings: who went on, with how many points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.agent import AnswerRef
from massgen_bridge.export._markup import Html, el, join, scrolling
from massgen_bridge.export._words import answer_name

if TYPE_CHECKING:
    from massgen_bridge.events import StageInfo
    from massgen_bridge.export.model import RunExport

__all__ = ["STAGE_HEAD", "stage_rows", "stage_title", "stages"]

STAGE_HEAD = ("Answer of", "Points", "Ballots", "")


def stage_title(stage: StageInfo) -> str:
    """Which stage it is, and how many ballots it is made of."""
    name = f"Stage {stage.number}, the run-off" if stage.run_off else f"Stage {stage.number}"
    lost = f" of {stage.asked:,}" if stage.ballots < stage.asked else ""
    return f"{name}: {stage.ballots:,}{lost} {'ballot' if stage.ballots == 1 else 'ballots'}"


def stage_rows(run: RunExport, stage: StageInfo) -> list[tuple[str, str, str, str]]:
    """The field of a stage, the best first: the answer, its points and ballots, what became of it.

    Points are those that its places gave on average, from 1 for always first to 0 for always last.
    """
    rows = []
    for place, one in enumerate(stage.standing, 1):
        ref = AnswerRef(label=one.label, version=one.version)
        fate = "goes on" if one.went_on else ""
        if stage.run_off:
            fate = "won" if ref == run.winning else ""
        rows.append(
            (f"{place}. {answer_name(run, ref)}", f"{one.points:.2f}", f"{one.ballots:,}", fate)
        )
    return rows


def stages(run: RunExport) -> Html | None:
    """Each stage as a table to be opened; the last one is open."""
    if not run.stages:
        return None
    note = (
        "Each voter puts the answers on its ballot in order. Points are what the places of an "
        "answer gave on average: 1 is always first, 0 always last."
    )
    return join((el("p", note, class_="note"), *(_stage(run, stage) for stage in run.stages)))


def _stage(run: RunExport, stage: StageInfo) -> Html:
    head = el("tr", *(el("th", text, scope="col") for text in STAGE_HEAD))
    rows = [
        el(
            "tr",
            el("th", who, scope="row"),
            *(el("td", cell) for cell in cells),
            class_="won" if cells[-1] == "won" else None,
        )
        for who, *cells in stage_rows(run, stage)
    ]
    table = el("table", el("thead", head), el("tbody", *rows), class_="figures")
    title = stage_title(stage)
    return el(
        "details",
        el("summary", title),
        scrolling(table, title),
        open="open" if stage.run_off else None,
    )
