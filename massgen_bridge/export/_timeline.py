"""The time line: one lane an agent, as drawings that stretch to the width of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import seconds
from massgen_bridge.export._markup import Html, el, join
from massgen_bridge.export._words import answer_name, name, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.export.model import AgentPart, RunExport, TurnPart

__all__ = ["timeline"]

_HEIGHT = 26
_BAR = 20
_MOST_TICKS = 5
_LEAST = 1 / 250
_STEPS = (
    *(base * 10.0**power for power in (-3, -2, -1, 0) for base in (1, 2, 5)),
    *(10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0),
)
_SAID = 160
_COLOURS = {
    "break_tie": "judge",
    "evaluate": "judge",
    "judge": "judge",
    "rank": "judge",
    "improve": "better",
    "debate": "better",
    "repair": "repair",
    "chair": "chair",
}
_LEGEND = {
    "make": "writes an answer",
    "better": "improves one",
    "judge": "weighs the answers",
    "chair": "chooses who speaks",
    "repair": "tries again",
    "lost": "failed or was stopped",
    "wait": "waits after an error",
    "tool": "calls a tool",
}


def timeline(run: RunExport) -> Html:
    """All lanes between two axes, and a legend of what is there."""
    whole = _Scale(run)
    axis = _axis(whole.length_s)
    lanes = [_lane(run, agent, whole) for agent in run.agents]
    return join(
        (
            _legend(run),
            el("div", axis, *lanes, axis, class_="lanes"),
        )
    )


class _Scale:
    """From seconds to places on the drawing; breaks of the run take no room."""

    def __init__(self, run: RunExport) -> None:
        self._breaks = run.breaks
        self.length_s = self._worked(max([run.duration_s, *(t.end_s for t in run.turns)])) or 1.0

    def _worked(self, value: float) -> float:
        gone = (min(value, b.end_s) - b.start_s for b in self._breaks if value > b.start_s)
        return value - sum(gone)

    def at(self, value: float) -> str:
        """The place of a moment."""
        return _percent(self._worked(value) / self.length_s)

    def width(self, start: float, end: float, least: float = 0.0) -> str:
        """The room that a time takes, as a part of the whole not less than `least`."""
        part = (self._worked(end) - self._worked(start)) / self.length_s
        return _percent(max(part, least))


def _percent(part: float) -> str:
    return f"{100 * min(max(part, 0), 1):.3f}%"


def _lane(run: RunExport, agent: AgentPart, whole: _Scale) -> Html:
    own = [turn for turn in run.turns if turn.agent_id == agent.seat.agent_id]
    lines = [
        el("line", x1=whole.at(one.start_s), x2=whole.at(one.start_s), y1=0, y2=_HEIGHT)
        for one in run.rounds
        if one.number
    ]
    lines += [
        el(
            "line",
            el("title", f"broken off, and resumed {seconds(one.end_s - one.start_s)} later"),
            class_="broken",
            x1=whole.at(one.start_s),
            x2=whole.at(one.start_s),
            y1=0,
            y2=_HEIGHT,
        )
        for one in run.breaks
    ]
    bars = [piece for turn in own for piece in _turn(run, turn, whole)]
    told = "; ".join(f"{turn.purpose} {_span(turn)}, {outcome(turn)}" for turn in own)
    track = el(
        "svg",
        *lines,
        *bars,
        class_="track",
        width="100%",
        height=_HEIGHT,
        role="img",
        aria_label=f"{name(agent.seat.agent_id)}: {told or 'no turn'}",
    )
    model = agent.seat.model or agent.seat.kind
    who = el("div", name(agent.seat.agent_id), " ", el("small", clip(one_line(model), 30)))
    return el("div", who, track, class_="lane")


def _turn(run: RunExport, turn: TurnPart, whole: _Scale) -> Iterator[Html]:
    kind = "lost" if turn.outcome in {"failed", "stopped", "unfinished"} else None
    kind = kind or _colour(turn)
    top = (_HEIGHT - _BAR) / 2
    start, width = whole.at(turn.start_s), whole.width(turn.start_s, turn.end_s)
    said = f"{turn.purpose}, {_span(turn)}: {outcome(turn)}"
    if turn.said:
        said += f". {clip(one_line(turn.said), _SAID)}"
    # The inner drawing cuts its text off at its own width.
    yield el(
        "svg",
        el("title", said),
        el("rect", class_=kind, width="100%", height="100%", rx=4),
        el("text", _label(run, turn), x=6, y=14),
        x=start,
        y=top,
        width=width,
        height=_BAR,
    )
    # However short a turn is, it can be seen.
    yield el("rect", class_=f"{kind} edge", x=start, y=top, width=3, height=_BAR, rx=1)
    for wait in turn.waits:
        end = min(wait.end_s, turn.end_s)
        about = f"waits {seconds(wait.end_s - wait.start_s)} after {wait.kind}: {wait.message}"
        yield el(
            "rect",
            el("title", clip(one_line(about), _SAID)),
            class_="wait",
            x=whole.at(wait.start_s),
            y=top + _BAR - 6,
            width=whole.width(wait.start_s, end, _LEAST),
            height=6,
        )
    for tool in (one for one in turn.tools if not one.is_ballot):
        end = tool.end_s if tool.end_s is not None else turn.end_s
        yield el(
            "rect",
            class_="tool",
            x=whole.at(tool.start_s),
            y=top,
            width=whole.width(tool.start_s, end, _LEAST),
            height=4,
        )


def _label(run: RunExport, turn: TurnPart) -> str:
    if turn.outcome in {"voted", "ranked"}:
        found = next(
            (
                v
                for one in run.rounds
                if one.number == turn.round
                for v in one.votes
                if v.voter == turn.agent_id
            ),
            None,
        )
        return f"→ {answer_name(run, found)}" if found else turn.outcome
    if turn.outcome == "answered":
        return "better answer" if _colour(turn) == "better" else turn.purpose
    if turn.outcome == "chose":
        return f"→ {turn.said}"
    return turn.purpose if turn.outcome == "done" else outcome(turn)


def _colour(turn: TurnPart) -> str:
    # Who is asked to weigh the answers may give a better one instead.
    if turn.purpose == "evaluate" and turn.outcome == "answered":
        return "better"
    return _COLOURS.get(turn.purpose, "make")


def _span(turn: TurnPart) -> str:
    return f"{seconds(turn.start_s)} to {seconds(turn.end_s)}"


def _axis(length_s: float) -> Html:
    wanted = length_s / _MOST_TICKS
    step = next((step for step in _STEPS if step >= wanted), None)
    step = step or 3600.0 * -(-wanted // 3600)
    ticks: list[Html] = []
    for number in range(int(length_s / step) + 1):
        value = number * step
        place = _percent(value / length_s)
        # The first and the last one stay within the drawing.
        near_end = value / length_s > 1 - 0.06
        anchor = "start" if number == 0 else "end" if near_end else "middle"
        ticks.append(el("line", x1=place, x2=place, y1=0, y2=4))
        ticks.append(el("text", _clock(value, step), x=place, y=15, text_anchor=anchor))
    drawing = el("svg", *ticks, class_="axis", width="100%", height=18, aria_hidden="true")
    return el("div", el("div"), drawing, class_="lane")


def _clock(value: float, step: float) -> str:
    if value >= 60 or step >= 15:  # noqa: PLR2004 - a minute; steps of parts of it
        minutes, rest = divmod(round(value), 60)
        return f"{minutes}:{rest:02}"
    digits = 0 if step >= 1 else 1 if step >= 0.1 else 3  # noqa: PLR2004 - a digit each
    return f"{value:.{digits}f} s"


def _legend(run: RunExport) -> Html:
    lost = {"failed", "stopped", "unfinished"}
    there = {"lost" if turn.outcome in lost else _colour(turn) for turn in run.turns}
    there |= {"wait"} if any(turn.waits for turn in run.turns) else set()
    there |= (
        {"tool"} if any(not one.is_ballot for turn in run.turns for one in turn.tools) else set()
    )
    items = [
        el(
            "li",
            el(
                "svg",
                el("rect", class_=kind, width=14, height=12, rx=3),
                width=14,
                height=12,
                aria_hidden="true",
            ),
            " ",
            words,
        )
        for kind, words in _LEGEND.items()
        if kind in there
    ]
    return el("ul", *items, class_="legend")
