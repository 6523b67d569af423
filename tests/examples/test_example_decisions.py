"""What the example hooks decide, asked directly, case by case."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from massgen_bridge import (
    AnswerInfo,
    AnswerVerdict,
    ToolCall,
    ToolVerdict,
    Turn,
    assistant,
    system,
    user,
)
from massgen_bridge.plugins import load_object

EXAMPLES = Path(__file__).parents[2] / "examples" / "hooks"


def _ask(hook: str, *arguments: object) -> Any:
    function: Any = load_object(hook, EXAMPLES)
    return function(*arguments)


def _guard(name: str, **arguments: Any) -> ToolVerdict | None:
    call = ToolCall(call_id="c", name=name, arguments=arguments)
    verdict = _ask("guard_tool_calls.py:bridge_tool_call", call)
    assert verdict is None or isinstance(verdict, ToolVerdict)
    return verdict


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "work"
    (folder / "notes").mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path)
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        {"path": "notes/a.txt"},
        {"path": "notes/../b.txt"},
        {"paths": ["a.txt", "notes"]},
        {"query": "/etc/passwd"},
        {},
    ],
)
def test_the_guard_has_nothing_against_reading_here(arguments: dict[str, Any], work: Path) -> None:
    assert _guard("search_files", **arguments) is None
    assert _guard("read_file", path=str(work / "notes")) is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"path": "../a.txt"}, "'../a.txt' is outside the working directory"),
        ({"path": "/etc/passwd"}, "'/etc/passwd' is outside the working directory"),
        ({"path": "link/a.txt"}, "'link/a.txt' is outside the working directory"),
        ({"file": ".env"}, "'.env' is hidden, and hidden files may hold secrets"),
        ({"path": "notes/.git/config"}, "'notes/.git/config' is hidden"),
        ({"paths": ["a.txt", ["../b"]]}, "'../b' is outside the working directory"),
    ],
)
@pytest.mark.usefixtures("work")
def test_the_guard_denies_other_places_and_says_why(arguments: dict[str, Any], reason: str) -> None:
    verdict = _guard("read_file", **arguments)
    assert verdict is not None
    assert verdict.action == "deny"
    assert verdict.reason.startswith(reason)


@pytest.mark.parametrize("name", ["delete_file", "shell", "reader", "READ_FILE"])
def test_the_guard_denies_what_is_not_on_its_list(name: str) -> None:
    verdict = _guard(name, path="a.txt")
    assert verdict is not None
    assert verdict.action == "deny"
    assert verdict.reason == "only these tools are allowed: read_*, list_*, search_*"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Python. It is easy to read.", None),
        ("word " * 300, None),
        ("word " * 301, "it has 301 words; use at most 300"),
        ("Ask ada@example.com.", "it holds an e-mail address; leave personal data out"),
        ("Use sk-abcdefghijklmnopqrst.", "it holds a key; leave it out"),
        ("Use sk-proj-abcd-efgh-ijkl-mnop.", "it holds a key; leave it out"),
        ("Use AKIAABCDEFGHIJKLMNOP.", "it holds a key; leave it out"),
        ("Use sk-learn for this.", None),
        ("-----BEGIN RSA PRIVATE KEY-----", "it holds a key; leave it out"),
        ("As an AI language model, I", "say nothing of yourself; just answer"),
        ("A language model is a model of a language.", None),
    ],
)
def test_an_answer_that_breaks_a_rule_is_refused_with_the_rule(
    text: str, reason: str | None
) -> None:
    expected = None if reason is None else AnswerVerdict(accept=False, reason=reason)
    assert _ask("filter_answers.py:bridge_answer", text) == expected


def test_a_tie_goes_to_the_whole_answer_then_to_the_one_with_more_authors() -> None:
    cut = AnswerInfo(label="a1", version=1, authors=("a", "b"), text="x", stop_reason="length")
    long = AnswerInfo(label="a2", version=1, authors=("c",), text="xxx")
    short = AnswerInfo(label="a3", version=1, authors=("d",), text="xx")
    equal = AnswerInfo(label="a4", version=1, authors=("e",), text="yy")
    twofold = AnswerInfo(label="a5", version=1, authors=("f", "g"), text="xxxx")
    ranked = [twofold, short, equal, long, cut]
    for number, winner in enumerate(ranked):
        candidates = ranked[number:]
        chosen = _ask("break_ties.py:bridge_tie_break", candidates)
        assert chosen == winner.label


def test_a_prompt_keeps_its_own_words_and_gets_one_system_message() -> None:
    messages = (system("Be brief."), user("How far?"), assistant("How far what?"), user("It."))
    turn = Turn(run_id="r", turn_id="t", agent_id="a", messages=messages)
    changed = _ask("change_prompts.py:bridge_turn_prepare", turn)
    assert [message.role for message in changed.messages] == [one.role for one in messages]
    assert changed.messages[1:] == messages[1:]
    first, *added = changed.messages[0].text.splitlines()
    assert first == "Be brief."
    assert "SI units" in added[-1]


class _Refused(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("refused")
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (_Refused(429), "rate_limit"),
        (_Refused(401), "auth"),
        (_Refused(503), "server"),
        (_Refused(418), None),
        (TimeoutError(), "timeout"),
        (ConnectionResetError(), "network"),
        (ValueError("no"), None),
    ],
)
def test_an_error_is_named_by_its_status_or_its_class(error: Exception, kind: str | None) -> None:
    assert _ask("name_errors.py:bridge_classify_error", error) == kind
