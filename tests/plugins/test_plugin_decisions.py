"""Decision hooks: how several opinions become one, and what a failing hook costs."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.agent import Turn
from massgen_bridge.errors import ErrorKind, HookFailed, LimitReached
from massgen_bridge.events import AnswerInfo
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import ToolCall, user
from massgen_bridge.plugins import HookFailure, PluginHost
from massgen_bridge.verdicts import AnswerVerdict, ToolVerdict

TURN = Turn(run_id="r", turn_id="t", agent_id="a", messages=(user("Hello"),))
CALL = ToolCall(call_id="c", name="search", arguments={"q": "secret"})
ALLOW, ASK, DENY = (ToolVerdict(action=one) for one in ("allow", "ask", "deny"))


def _edit(value: str) -> ToolVerdict:
    return ToolVerdict(action="edit", arguments={"q": value})


class _Host(PluginHost):
    """A host that keeps the failures it reports."""

    def __init__(self, *plugins: object) -> None:
        self.failures: list[HookFailure] = []
        super().__init__(entry_points=False, report=self.failures.append)
        for number, plugin in enumerate(plugins):
            self.register(plugin, name=f"plugin{number}")


class _Judge:
    """Has one opinion on every tool call, or one that it works out."""

    def __init__(self, opinion: ToolVerdict | Callable[[ToolCall], Any] | None) -> None:
        self.seen: list[dict[str, Any]] = []
        self._opinion = opinion

    @hookimpl
    def bridge_tool_call(self, call: ToolCall) -> ToolVerdict | None:
        self.seen.append(call.arguments)
        return self._opinion(call) if callable(self._opinion) else self._opinion


class _Appends:
    def __init__(self, text: str) -> None:
        self._text = text

    @hookimpl
    def bridge_turn_prepare(self, turn: Turn) -> Turn:
        return turn.model_copy(update={"messages": (*turn.messages, user(self._text))})


class _Raises:
    """Every decision of it fails."""

    @hookimpl
    def bridge_turn_prepare(self, turn: Turn) -> Turn:
        raise KeyError(turn.turn_id)

    @hookimpl
    def bridge_tool_call(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        raise SystemExit(f"{turn.turn_id} {call.name}")

    @hookimpl
    def bridge_answer(self, agent_id: str, text: str) -> AnswerVerdict:
        raise ValueError(f"{agent_id}: {text}")

    @hookimpl
    def bridge_tie_break(self, question: str) -> str:
        raise ValueError(question)

    @hookimpl
    def bridge_classify_error(self, error: Exception) -> ErrorKind:
        raise error


def test_without_plugins_nothing_is_implemented_and_everything_is_allowed() -> None:
    host = _Host()
    hooks = ("turn_prepare", "tool_call", "answer", "tie_break", "classify_error")
    assert not any(host.has(f"bridge_{hook}") for hook in hooks)
    assert host.prepare_turn(TURN) is TURN
    assert host.tool_verdict(TURN, CALL) == ALLOW
    assert host.answer_verdict(TURN, "x").accept
    assert host.tie_break("q", []) is None
    assert host.classify_error("openai", ValueError()) is None


# --- turns ----------------------------------------------------------------------------------------


def test_every_plugin_gets_the_turn_as_its_forerunner_left_it() -> None:
    host = _Host(_Appends("one"), _Appends("two"))
    assert host.has("bridge_turn_prepare")
    assert [m.text for m in host.prepare_turn(TURN).messages] == ["Hello", "one", "two"]


def test_a_plugin_may_ask_to_be_the_first_or_the_last_one() -> None:
    class Late:
        @hookimpl(trylast=True)
        def bridge_turn_prepare(self, turn: Turn) -> Turn:
            return _Appends("late").bridge_turn_prepare(turn)

    class Early:
        @hookimpl(tryfirst=True)
        def bridge_turn_prepare(self, turn: Turn) -> Turn:
            return _Appends("early").bridge_turn_prepare(turn)

    host = _Host(Late(), _Appends("usual"), Early())
    assert [m.text for m in host.prepare_turn(TURN).messages][1:] == ["early", "usual", "late"]


def test_a_plugin_that_fails_to_prepare_a_turn_fails_it_and_is_named() -> None:
    with pytest.raises(HookFailed, match=r"plugin 'plugin1': bridge_turn_prepare: KeyError: 't'"):
        _Host(_Appends("one"), _Raises()).prepare_turn(TURN)


def test_a_plugin_may_refuse_a_turn_with_a_kind_of_error() -> None:
    class Budget:
        @hookimpl
        def bridge_turn_prepare(self) -> Turn:
            raise LimitReached("the budget is used up")

    with pytest.raises(LimitReached, match="plugin 'plugin0' refused this turn: the budget is"):
        _Host(Budget()).prepare_turn(TURN)


@pytest.mark.parametrize("returned", ["text", TURN.model_copy(update={"agent_id": "other"})])
def test_a_turn_can_only_be_changed_not_replaced(returned: Any) -> None:
    class Replaces:
        @hookimpl
        def bridge_turn_prepare(self) -> Turn:
            return returned  # type: ignore[no-any-return]  # the mistake

    with pytest.raises(HookFailed, match="it returned"):
        _Host(Replaces()).prepare_turn(TURN)


def test_a_hook_that_returns_an_awaitable_has_failed() -> None:
    async def later(turn: Turn) -> Turn:
        return turn

    class Awaits:
        @hookimpl
        def bridge_turn_prepare(self, turn: Turn) -> Turn:
            return later(turn)  # type: ignore[return-value]  # the mistake

    with pytest.raises(HookFailed, match="hooks are synchronous"):
        _Host(Awaits()).prepare_turn(TURN)


# --- tool calls -----------------------------------------------------------------------------------


@given(st.lists(st.sampled_from([None, ALLOW, ASK, DENY, _edit("x")]), max_size=5))
def test_deny_beats_ask_beats_edit_beats_allow(opinions: list[ToolVerdict | None]) -> None:
    verdict = _Host(*map(_Judge, opinions)).tool_verdict(TURN, CALL)
    given_ = {one.action for one in opinions if one is not None}
    order = ("deny", "ask", "edit", "allow")
    assert verdict.action == next((one for one in order if one in given_), "allow")
    edited = "edit" in given_ and verdict.action in {"ask", "edit"}
    assert verdict.arguments == ({"q": "x"} if edited else None)


def test_a_reason_stays_with_its_verdict() -> None:
    reasoned = ToolVerdict(action="deny", reason="not on Sundays")
    decided = reasoned.model_copy(update={"by": "plugin1"})
    assert _Host(_Judge(ALLOW), _Judge(reasoned)).tool_verdict(TURN, CALL) == decided


def test_a_plugin_that_fails_to_decide_on_a_call_denies_it() -> None:
    host = _Host(_Judge(ALLOW), _Raises())
    verdict = host.tool_verdict(TURN, CALL)
    assert (verdict.action, "'plugin1' failed" in verdict.reason) == ("deny", True)
    assert [str(one) for one in host.failures] == [
        "plugin 'plugin1': bridge_tool_call: SystemExit: t search"
    ]


@pytest.mark.parametrize("opinion", ["deny", True, ToolVerdict(action="edit")])
def test_what_is_no_complete_verdict_denies(opinion: Any) -> None:
    host = _Host(_Judge(lambda _call: opinion))
    assert host.tool_verdict(TURN, CALL).action == "deny"
    assert len(host.failures) == 1


def test_an_edited_call_is_shown_to_everybody_again() -> None:
    first = _Judge(lambda call: DENY if call.arguments["q"] == "evil" else ALLOW)
    verdict = _Host(first, _Judge(_edit("evil"))).tool_verdict(TURN, CALL)
    assert verdict.action == "deny"
    assert first.seen == [{"q": "secret"}, {"q": "evil"}]


def test_plugins_that_edit_differently_deny() -> None:
    for pair in itertools.permutations([_edit("x"), _edit("y")]):
        verdict = _Host(*map(_Judge, pair)).tool_verdict(TURN, CALL)
        assert (verdict.action, verdict.by) == ("deny", "plugin0 and plugin1")


def test_a_plugin_that_edits_again_and_again_denies() -> None:
    growing = _Judge(lambda call: _edit(str(call.arguments["q"]) + "!"))
    assert _Host(growing).tool_verdict(TURN, CALL).action == "deny"
    assert len(growing.seen) == 2


# --- answers --------------------------------------------------------------------------------------


class _Critic:
    def __init__(self, verdict: AnswerVerdict | None) -> None:
        self._verdict = verdict

    @hookimpl
    def bridge_answer(self) -> AnswerVerdict | None:
        return self._verdict


def test_the_first_rejection_counts() -> None:
    rejections = [_Critic(AnswerVerdict(accept=False, reason=one)) for one in ("short", "rude")]
    host = _Host(_Critic(None), _Critic(AnswerVerdict(accept=True)), *rejections)
    assert host.answer_verdict(TURN, "x") == AnswerVerdict(accept=False, reason="short")


def test_a_plugin_that_fails_to_judge_an_answer_rejects_it() -> None:
    host = _Host(_Raises())
    verdict = host.answer_verdict(TURN, "x")
    assert (verdict.accept, "'plugin0' failed" in verdict.reason) == (False, True)
    assert host.failures[0].problem == "ValueError: a: x"


# --- ties and errors ------------------------------------------------------------------------------

TIED = [AnswerInfo(label=f"agent{n}", version=1, authors=("x",), text="t") for n in (1, 2)]


class _Chooses:
    def __init__(self, label: str | None) -> None:
        self._label = label

    @hookimpl
    def bridge_tie_break(self, question: str, candidates: Sequence[AnswerInfo]) -> str | None:
        assert question == "q"
        assert [one.label for one in candidates] == ["agent1", "agent2"]
        return self._label


def test_the_first_plugin_with_an_opinion_breaks_a_tie() -> None:
    host = _Host(_Chooses(None), _Chooses("agent2"), _Chooses("agent1"))
    label, by = host.tie_break("q", TIED) or ("", "")
    assert (label, by) == ("agent2", "plugin1")


def test_a_plugin_that_fails_on_a_tie_is_passed_over_and_reported() -> None:
    host = _Host(_Raises(), _Chooses("agent9"), _Chooses("agent1"))
    assert host.tie_break("q", TIED) == ("agent1", "plugin2")
    assert [one.plugin for one in host.failures] == ["plugin0", "plugin1"]
    assert "'agent9', which is none of" in host.failures[1].problem


def test_a_tie_that_nobody_breaks_stays_one() -> None:
    assert _Host(_Chooses(None)).tie_break("q", TIED) is None


class _Names:
    def __init__(self, kind: Any) -> None:
        self._kind = kind

    @hookimpl
    def bridge_classify_error(self, kind: str, error: Exception) -> ErrorKind | None:
        assert kind == "openai"
        assert isinstance(error, TimeoutError)
        return self._kind  # type: ignore[no-any-return]  # also none of them


def test_the_first_plugin_that_knows_an_error_names_its_kind() -> None:
    host = _Host(_Names(None), _Raises(), _Names("odd"), _Names(5), _Names("timeout"))
    assert host.classify_error("openai", TimeoutError("slow")) == "timeout"
    assert [one.problem for one in host.failures] == [
        "TimeoutError: slow",
        "it returned 'odd', which is no error kind",
        "it returned a int, not a str",
    ]


def test_failures_are_logged_where_nobody_takes_them(caplog: pytest.LogCaptureFixture) -> None:
    host = PluginHost(entry_points=False)
    host.register(_Raises(), name="raises")
    with caplog.at_level(logging.WARNING, "massgen_bridge"):
        host.tie_break("q", TIED)
    assert caplog.messages == ["plugin 'raises': bridge_tie_break: ValueError: q"]
