"""The figures of a run, and what did not go well, as tables and lists."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import count, listing, seconds
from massgen_bridge.export._markup import Html, el, join, scrolling
from massgen_bridge.export._words import (
    config_name,
    cost,
    moment,
    name,
    options,
    outcome,
    retried,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.agent import Usage
    from massgen_bridge.export.model import AgentPart, RunExport, ToolUse, TurnPart

__all__ = ["facts", "money", "tools", "troubles", "turns"]

_SHOWN = 2_000
_SAID = 300
_REFUSED = {
    "answer": "an answer that a plugin rejected",
    "ballot": "neither a vote nor an answer",
}


def money(run: RunExport) -> Html:
    """Tokens and dollars, agent by agent."""
    heads = ("Agent", "Model", "Turns", "Calls", "Tokens in", "Tokens out", "Time", "Cost")
    head = el("tr", *(el("th", text, scope="col") for text in heads))
    foot = el(
        "tr",
        el("th", "All", scope="row"),
        el("td"),
        el("td", str(len(run.turns))),
        el("td", f"{run.calls:,}"),
        *_tokens(run.usage),
        el("td", seconds(run.duration_s)),
        el("td", cost(run.cost)),
    )
    table = el(
        "table",
        el("thead", head),
        el("tbody", *(_agent(agent) for agent in run.agents)),
        el("tfoot", foot),
        class_="figures",
    )
    return join(
        (
            scrolling(table, "Cost and tokens"),
            el(
                "p",
                "Prices are list prices on the day of the run, in US dollars.",
                class_="note",
            ),
        )
    )


def _agent(agent: AgentPart) -> Html:
    seat = agent.seat
    model = f"{seat.model} ({seat.provider})" if seat.model and seat.provider else seat.model
    model = listing(map(name, seat.members)) if seat.members else model
    return el(
        "tr",
        el("th", name(seat.agent_id), scope="row"),
        el("td", f"{seat.kind}: {model}" if model else seat.kind),
        el("td", str(agent.turns)),
        el("td", f"{agent.calls:,}"),
        *_tokens(agent.usage),
        el("td", seconds(agent.busy_s)),
        el("td", cost(agent.cost)),
    )


def _tokens(usage: Usage) -> tuple[Html, Html]:
    cached = f" ({usage.cached_tokens:,} cached)" if usage.cached_tokens else None
    thought = f" ({usage.reasoning_tokens:,} reasoning)" if usage.reasoning_tokens else None
    return (
        el("td", f"{usage.input_tokens:,}", el("small", cached) if cached else None),
        el("td", f"{usage.output_tokens:,}", el("small", thought) if thought else None),
    )


# --- what did not go well -------------------------------------------------------------------------


def troubles(run: RunExport) -> Html | None:
    """Failures with advice, refusals, repeated calls; None where all was well."""
    items = [
        el(
            "li",
            el("strong", name(one.agent_id)),
            f" failed ({one.kind}): {clip(one_line(one.message), _SAID)} ",
            el("small", f"What to do: {one.advice}."),
        )
        for one in run.failures
    ]
    items += _refusals(run)
    items += [
        el(
            "li",
            el("strong", name(turn.agent_id)),
            f" {retried(wait)}: {clip(one_line(wait.message), _SAID)}",
        )
        for turn in run.turns
        for wait in turn.waits
    ]
    items += [
        el(
            "li",
            f"The run was broken off at {seconds(one.start_s)}"
            f" and resumed {seconds(one.end_s - one.start_s)} later.",
        )
        for one in run.breaks
    ]
    items += [el("li", f"Budget: {one_line(one.message)}.") for one in run.budgets]
    if run.deadline_s is not None:
        items.append(el("li", f"The time limit of {seconds(run.deadline_s)} ended the run."))
    return el("ul", *items, class_="troubles") if items else None


def _refusals(run: RunExport) -> Iterator[Html]:
    """What did not count; the same from the same agent is told once."""
    often = Counter((one.agent_id, one.what, one.reason) for one in run.refusals)
    for one in {(one.agent_id, one.what, one.reason): one for one in run.refusals}.values():
        number = often[one.agent_id, one.what, one.reason]
        text = f" gave {_REFUSED[one.what]}: {clip(one_line(one.reason), _SAID)}"
        text += f" ({number} times)" if number > 1 else ""
        said = el("details", el("summary", "What it said"), el("pre", one.text, dir="auto"))
        yield el("li", el("strong", name(one.agent_id)), text, said if one.text else None)


def tools(run: RunExport) -> Html | None:
    """Every call of a tool, the vote itself aside."""
    items = [_tool(turn, tool) for turn in run.turns for tool in turn.tools if not tool.is_ballot]
    return join(items) if items else None


def _tool(turn: TurnPart, tool: ToolUse) -> Html:
    end = f", {seconds(tool.end_s - tool.start_s)}" if tool.end_s is not None else ", never ended"
    if tool.is_hosted:  # how long it took is the provider's knowledge
        end = ", run by the provider"
    judged = None
    if tool.judged is not None:
        judged = f"{tool.judged} by {tool.judged_by}: {tool.judged_because}"
    arguments = json.dumps(tool.arguments, ensure_ascii=False, indent=2, default=str)
    return el(
        "details",
        el(
            "summary",
            f"{name(turn.agent_id)} called {clip(one_line(tool.name), 80)}"
            f" at {seconds(tool.start_s)}{end}{', failed' if tool.is_error else ''}",
        ),
        el("p", clip(one_line(judged), _SAID)) if judged else None,
        el("pre", _cut(arguments), dir="auto"),
        el("pre", _cut(tool.content), dir="auto") if tool.content else None,
    )


def _cut(text: str) -> str:
    rest = len(text) - _SHOWN
    return text if rest <= 0 else f"{text[:_SHOWN]}\n… {count(rest, 'more character')}"


# --- the small print ------------------------------------------------------------------------------


def turns(run: RunExport) -> Html:
    """What the time line shows, in words."""
    heads = ("Agent", "Turn", "Round", "From", "To", "Outcome", "Why")
    rows = [
        el(
            "tr",
            el("th", name(turn.agent_id), scope="row"),
            el("td", turn.purpose),
            el("td", str(turn.round)),
            el("td", seconds(turn.start_s)),
            el("td", seconds(turn.end_s)),
            el("td", outcome(turn)),
            el("td", clip(one_line(turn.said), _SAID), dir="auto"),
        )
        for turn in run.turns
    ]
    head = el("tr", *(el("th", text, scope="col") for text in heads))
    table = el("table", el("thead", head), el("tbody", *rows), class_="turns")
    return el("details", el("summary", "All turns as a table"), scrolling(table, "Turns"))


def facts(run: RunExport) -> Html:
    """Where the run comes from."""
    settings = options(run)
    known = {
        "Run": run.run_id,
        "Started": moment(run.started_at),
        "Strategy": f"{run.strategy} ({settings})" if settings else run.strategy,
        "Configuration": config_name(run),
        "Attachments": ", ".join(one.words for one in run.attachments),
        "Made with": f"massgen-bridge {run.bridge_version}" if run.bridge_version else None,
    }
    pairs = [
        join((el("dt", key), el("dd", one_line(value)))) for key, value in known.items() if value
    ]
    return el("dl", *pairs, class_="facts")
