"""The page of the contract: what the conformance suite proves, and what the host keeps."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from massgen_bridge import Capabilities
from massgen_bridge.testing import conformance
from massgen_bridge.testing.conformance._base import ConformanceBase
from pages.host_guarantees import HOST_GUARANTEES, HostGuarantee
from pages.markdown import anchor, docstring

__all__ = ["page", "proofs", "suites", "title_of"]

_TOP = """\
# The contract

What an agent promises, and what it may rely on: one section for each guarantee, with the test that
proves it. How to keep it, step by step: [write an adapter](../tutorials/write-an-adapter.md). What
may change in which release: [versions and deprecation](../explanation/versioning.md).

## What there is

An adapter is a plugin: its hook [`bridge_adapters`](hooks.md#bridge_adapters) gives an
[`AdapterSpec`](hooks.md#adapterspec) for each kind of agent. The spec says what agents of the kind
[can do](hooks.md#capabilities) and holds a factory, which makes one agent from an
[`AgentContext`](hooks.md#agentcontext): options that were checked, the
[connection](hooks.md#connection) to a model for a kind that uses one, and `call_model`, the host's
policy around each call of that model.

An agent has two methods.

```python
from massgen_bridge import Emit, Turn, TurnResult


class Agent:
    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        \"\"\"Do one turn.\"\"\"

    async def aclose(self) -> None:
        \"\"\"Give back clients, files and processes.\"\"\"
```

- [`Turn`](events.md#turn) is one piece of work: the whole history, tools, an output schema,
  limits. `await turn.call_tool(call)` is the only way to a tool.
- `emit` is awaited with [events](events.md#what-an-agent-emits) while the turn goes on: deltas of
  text, model calls, tool calls. It is cheap and never fails.
- [`TurnResult`](events.md#turnresult) is what the turn gave: the message, all that it adds to the
  history, why the model stopped, and what it used.
- A turn fails by raising an [`AgentError`](errors.md#kinds); its class says how. A cancellation
  passes through.

The guarantees are held by suites of tests, in `massgen_bridge.testing.conformance`, one of which an
adapter's own tests subclass: {suites}.
The last stands beside the one before, for adapters that call a provider by its own SDK. A test that
a framework makes impossible is named in `expected_failures()`, with the reason; nothing is skipped.
The suites are tried on agents that are wrong on purpose:
[what the suite catches](wrong-agents.md).

`CancellationConformance` is the part [Cut off](#cut-off) alone. It is for further options of an
adapter that the whole suite is too much for, such as a group chat of several members: with
`answers_before = 1` in the class, it is the second one that is cut off. Likewise,
`RecordingConformance` is the part [Recording](#recording) alone.
"""

_HOST = """\
## What the host keeps

Nothing of this is an adapter's work. Each is proven by tests of massgen-bridge itself.
"""


def page() -> str:
    """The page."""
    found = suites()
    links = [f"[`{one.__name__}`](#{anchor(_who(one))})" for one in found]
    parts = [_TOP.replace("{suites}", ", ".join(links))]
    told: set[str] = set()
    for suite in found:
        parts += _suite(suite, told)
    parts += [_HOST, *(_of_host(one) for one in HOST_GUARANTEES)]
    return "\n\n".join(part.strip() for part in parts)


def suites() -> list[type[Any]]:
    """The classes that an adapter's tests subclass, general ones first; not parts of one.

    What stands beside those of all agents comes last.
    """
    found = [getattr(conformance, name) for name in conformance.__all__]
    classes = [one for one in found if inspect.isclass(one) and any(proofs(one))]
    whole = [one for one in classes if not any(_is_part(one, other) for other in classes)]
    whole_agents = conformance.AgentConformance
    return sorted(whole, key=lambda one: (not issubclass(one, whole_agents), len(one.__mro__)))


def _is_part(suite: type[Any], other: type[Any]) -> bool:
    """Whether another suite has all the tests of one without standing upon it."""
    return not issubclass(other, suite) and set(proofs(suite)) < set(proofs(other))


def proofs(suite: type[Any]) -> Iterator[tuple[type[Any], str, Callable[..., Any]]]:
    """Each test of a suite with the class that holds it, in the order in which they are written."""
    taken: set[str] = set()
    for part in suite.__mro__:
        for name, test in _tests(part):
            if name not in taken:
                taken.add(name)
                yield part, name, test


def _tests(cls: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    return ((name, one) for name, one in vars(cls).items() if name.startswith("test_"))


def _suite(suite: type[Any], told: set[str]) -> Iterator[str]:
    """The sections of a suite, but for those that an earlier one has."""
    earlier = {anchor(one) for one in told}
    yield f"## {_who(suite)}\n\n`{suite.__name__}`: {docstring(suite).text}"
    group = None
    for part, name, test in proofs(suite):
        if f"{part.__name__}.{name}" in told:
            continue
        if part not in {group, suite}:
            group = part
            yield f"### {_group(part)}\n\n{docstring(part).text}"
        told.add(f"{part.__name__}.{name}")
        title = title_of(name)
        if anchor(title) in earlier:
            title = f"{title} ({_who(suite).lower()})"
        told.add(title)
        proof = f"{_proof(name, test)}{_claims(part, test)}"
        yield f"#### {title}\n\n{docstring(test).text}\n\n{proof}"


def _who(suite: type[Any]) -> str:
    """Whom a suite is for, from its name."""
    words = suite.__name__.removesuffix("Conformance").removesuffix("Agent")
    if words == "Sdk":
        return "Agents by a provider's SDK"
    return f"Agents with a {words.lower()}" if words else "Every agent"


def _group(part: type[Any]) -> str:
    """The name of a group of guarantees, as reports write it: that of its module."""
    return part.__module__.rpartition(".")[2].strip("_").replace("_", " ").capitalize()


def title_of(name: str) -> str:
    """`test_it_is_an_agent` as `It is an agent`."""
    words = name.removeprefix("test_").replace("_", " ").replace(" json", " JSON")
    return f"{words[:1].upper()}{words[1:]}"


def _proof(name: str, test: Callable[..., Any]) -> str:
    cases = [f"`{one}`" for one in _cases(test)]
    many = f", for {', '.join(cases)}" if cases else ""
    return f"Proven by `{name}`{many}."


def _claims(part: type[Any], test: Callable[..., Any]) -> str:
    """The capabilities that a test looks at, itself or by a method beside it or of all suites."""
    source = inspect.getsource(test)
    shared = {**vars(ConformanceBase), **vars(part)}
    for name in re.findall(r"\bself\.(\w+)\(", source):
        if inspect.isfunction(beside := shared.get(name)):
            source += inspect.getsource(beside)
    looked_at = re.findall(r"\bcapabilities(?:\(\))?\.(\w+)", source)
    claims = [f"`{one}`" for one in Capabilities.model_fields if one in looked_at]
    if not claims:
        return ""
    names = ", ".join(claims)
    return f" What it asks for depends on [what is claimed](hooks.md#capabilities): {names}."


def _cases(test: Callable[..., Any]) -> list[str]:
    """The names of a test's cases, as pytest makes them."""
    cases = [""]
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            ids = list(mark.kwargs.get("ids") or _ids(mark.args[0], mark.args[1]))
            cases = [f"{case}-{one}".strip("-") for case in cases for one in ids]
    return [case for case in cases if case]


def _ids(names: str | tuple[str, ...], values: Any) -> Iterator[str]:
    first = names if isinstance(names, str) else names[0]
    for number, value in enumerate(values):
        given = getattr(value, "id", None)
        if given is not None and given is not pytest.HIDDEN_PARAM:
            yield str(given)
        elif isinstance(value, str | int | float | bool):
            yield str(value)
        else:
            yield f"{first}{number}"


def _of_host(guarantee: HostGuarantee) -> str:
    tests = [f"`{test}`" for test in guarantee.tests]
    proof = tests[0] if len(tests) == 1 else f"{', '.join(tests[:-1])} and {tests[-1]}"
    return f"### {guarantee.title}\n\n{guarantee.text}\n\nProven by {proof}."
