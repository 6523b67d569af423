"""One picture of a run for Rich: a panel an agent, fitted to the size of the terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from massgen_bridge.display.layout import BORDERS, SIDES, grid_of, wrapped
from massgen_bridge.display.text import clip, one_line, steady
from massgen_bridge.display.words import (
    ADVICE,
    count,
    listing,
    made_of,
    name_of,
    phase_of,
    question_of,
    seconds,
    tokens,
)

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console, ConsoleOptions, RenderableType

    from massgen_bridge.display.agent_view import AgentView, Phase
    from massgen_bridge.display.base import Meter
    from massgen_bridge.display.state import RunView

__all__ = ["Frame"]

_COLORS: dict[Phase, str] = {
    "waiting": "dim",
    "answering": "cyan",
    "evaluating": "blue",
    "improving": "magenta",
    "repairing": "yellow",
    "continuing": "cyan",
    "debating": "magenta",
    "judging": "blue",
    "reducing": "magenta",
    "speaking": "cyan",
    "chairing": "blue",
    "concluding": "magenta",
    "ranking": "blue",
    "presenting": "magenta",
    "answered": "green",
    "improved": "green",
    "spoke": "green",
    "presented": "green",
    "voted": "green",
    "ranked": "green",
    "chaired": "green",
    "abstained": "dim",
    "spoiled": "yellow",
    "rejected": "yellow",
    "failed": "red",
    "stopped": "dim",
    "out of budget": "yellow",
}
_TALL = 16
_NAME = 12
_MINUTE = 60
_LONG = 2000
_LEAST_TAIL = 16
_ROOMY = 8


@dataclass(frozen=True, kw_only=True)
class Frame:
    """A run at one moment; never wider or higher than the terminal.

    Attributes:
        view: The run.
        now: Unix time in seconds.
        meters: Work in progress beside the run.
    """

    view: RunView
    now: float
    meters: Sequence[Meter] = ()

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Draw it into the room that there is, one line less: the cursor needs one."""
        width, room = options.max_width, options.size.height - 1
        top = [*self._meters(width), *self._head(width, room)][:room]
        yield from top
        if self.view.agents:
            yield from self._agents(console, width, room - len(top))

    def _meters(self, width: int) -> Iterator[RenderableType]:
        for meter in self.meters:
            if meter.done < meter.total or not meter.total:
                line = Table.grid(padding=(0, 1))
                title = _line(one_line(meter.title))
                bar = ProgressBar(total=100, completed=meter.share * 100, width=max(width // 4, 4))
                line.add_row(title, bar, f"{meter.share:4.0%}")
                yield line

    def _head(self, width: int, room: int) -> Iterator[Text]:
        view = self.view
        if view.started is None:
            return
        used = self.view.used()
        parts = [
            "massgen-bridge",
            one_line(view.started.strategy),
            *([f"round {view.round}"] if view.round else []),
            _short_time(max(0.0, self.now - view.started_at)),
            count(used.calls, "model call"),
            tokens(used.usage),
        ]
        yield _line(_fitted(parts, width), "bold")
        if room >= _TALL:
            yield _line(question_of(view.started.question, width), "italic")

    def _agents(self, console: Console, width: int, room: int) -> Iterator[RenderableType]:
        agents, votes = list(self.view.agents.values()), self.view.votes()
        grid = grid_of(len(agents), width, room)
        wide = width // grid.columns
        table = Table.grid(padding=0)
        for _ in range(grid.columns):
            table.add_column(width=wide, no_wrap=True)
        draw = _Cell(
            view=self.view,
            winners=self.view.winning.authors if self.view.winning else (),
            votes=votes,
            now=self.now,
            width=wide,
            height=grid.height,
        )
        cells = [draw.of(agent, console) for agent in agents[: grid.shown]]
        for start in range(0, len(cells), grid.columns):
            table.add_row(*cells[start : start + grid.columns])
        if cells:
            yield table
        if grid.shown < len(agents) and room > 0:
            yield _line(f"and {count(len(agents) - grid.shown, 'more agent')}", "dim")


@dataclass(frozen=True, kw_only=True)
class _Cell:
    """Draws agents into cells of one size."""

    view: RunView
    winners: tuple[str, ...]
    votes: Counter[str]
    now: float
    width: int
    height: int

    def of(self, agent: AgentView, console: Console) -> RenderableType:
        won = agent.id in self.winners
        over = self.view.result is not None and agent.phase != "failed"
        style = "bold green" if won else "dim" if over else _COLORS[agent.phase]
        facts = self._facts(agent, won=won)
        if self.height == 1:
            return self._row(agent, facts, style)
        inner = max(self.width - SIDES, 1)
        body = _body(agent, console, inner, self.height - BORDERS)
        seat = agent.seat
        title = Text(name_of(self.view, agent.id), "bold", overflow="ellipsis")
        title.append(f" {made_of(seat)}", "not bold dim")
        return Panel(
            body,
            title=title,
            title_align="left",
            subtitle=Text(_fitted(facts, inner), style, overflow="ellipsis"),
            subtitle_align="left",
            border_style=style,
            width=self.width,
            height=self.height,
        )

    def _facts(self, agent: AgentView, *, won: bool) -> list[str]:
        """What there is to say, the most important first."""
        votes, usage = self.votes[agent.id], agent.ledger.usage
        return [
            "winner" if won else phase_of(agent),
            *([count(votes, "vote")] if votes else []),
            *([_short_time(agent.elapsed_s(self.now))] if agent.turn_id else []),
            *([tokens(usage)] if usage.calls or usage.output_tokens else []),
        ]

    def _row(self, agent: AgentView, facts: list[str], style: str) -> Text:
        row = Text(no_wrap=True, overflow="ellipsis")
        row.append(f"{clip(one_line(agent.id), _NAME):{_NAME}} ", "bold")
        row.append(" · ".join(facts), style)
        room = self.width - row.cell_len - BORDERS
        if room >= _LEAST_TAIL and agent.started_at is not None:
            row.append(f"  {one_line(agent.text.tail(room))[-room:]}", "dim")
        row.truncate(self.width - 1, overflow="ellipsis")
        return row


def _body(agent: AgentView, console: Console, width: int, rows: int) -> Text:
    if agent.started_at is None:
        return _head_of(_settled(agent), console, width, rows)
    activity = wrapped(one_line(agent.activity[:_LONG]), console, width) if agent.activity else []
    activity = activity[:rows]
    text, style = _working(agent, width * rows)
    lines = wrapped(steady(text).strip("\n"), console, width)
    shown = Text("\n".join(lines[max(len(lines) - rows + len(activity), 0) :]), style)
    if activity:
        shown.append("\n" if shown else "").append("\n".join(activity), "yellow")
    return shown


def _working(agent: AgentView, limit: int) -> tuple[str, str]:
    """The end of what a working agent writes, thinks or logs, else its answer, with a style."""
    if agent.text.length:
        return agent.text.tail(limit), ""
    if agent.reasoning.length:
        return agent.reasoning.tail(limit), "dim italic"
    return (agent.log or agent.answer or "")[-limit:], "dim"


def _settled(agent: AgentView) -> Iterator[tuple[str, str]]:
    """What is known of an agent between its turns, as texts with styles."""
    if agent.phase == "failed" and agent.error is not None:
        yield one_line(f"{agent.error.kind}: {agent.error.message[:_LONG]}"), "red"
        yield f"what to do: {ADVICE[agent.error.kind]}", "yellow"
    elif agent.phase == "out of budget" and agent.spent is not None:
        yield one_line(agent.spent.message), "yellow"
    elif agent.problem is not None:
        yield one_line(agent.problem[:_LONG]), "yellow"
    elif agent.ballot is not None:
        names = listing(map(one_line, agent.ballot.authors or (agent.ballot.choice.label,)))
        reason = f": {one_line(agent.ballot.reason[:_LONG])}" if agent.ballot.reason else ""
        yield f"voted for {names}{reason}", "green"
    if agent.answer is not None:
        yield agent.answer, ""


def _head_of(blocks: Iterable[tuple[str, str]], console: Console, width: int, rows: int) -> Text:
    shown, used = Text(), 0
    for text, style in blocks:
        lines = wrapped(steady(text[: 2 * width * rows]).strip("\n"), console, width)
        gap = "" if not used else "\n\n" if rows >= _ROOMY else "\n"
        used += len(gap) - 1 if gap else 0
        kept = lines[: max(rows - used, 0)]
        used += len(kept)
        if kept:
            shown.append(gap).append("\n".join(kept), style)
    return shown


def _line(text: str, style: str = "") -> Text:
    return Text(text, style, no_wrap=True, overflow="ellipsis")


def _fitted(parts: Sequence[str], width: int) -> str:
    """As many of the parts as fit into the width, from the first."""
    fitting = parts[0]
    for part in parts[1:]:
        longer = f"{fitting} · {part}"
        if cell_len(longer) > width:
            break
        fitting = longer
    return fitting


def _short_time(value: float) -> str:
    return f"{value:.0f} s" if value < _MINUTE else seconds(value)
