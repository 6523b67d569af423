"""Every configuration in configs/ is valid, can be planned, and runs where it needs no account.

`configs/quickstart.yaml` is run by the tutorial docs/tutorials/first-run.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from massgen_bridge import api, run
from massgen_bridge.config import load_config
from massgen_bridge.plugins import PluginHost

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
FILES = sorted(CONFIGS.rglob("*.yaml"))

VALUES = {
    "AZURE_OPENAI_ENDPOINT": "https://a-name.openai.azure.com",
    "COMPANY_GATEWAY": "https://gateway.example.com",
    "VLLM_URL": "http://gpu-1:8000/v1",
}
KEYS = (
    "ANTHROPIC_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "CEREBRAS_API_KEY",
    "COMPANY_KEY",
    "DASHSCOPE_API_KEY",
    "DEEPSEEK_API_KEY",
    "FIREWORKS_API_KEY",
    "GOOGLE_API_KEY",
    "GROQ_API_KEY",
    "HOUSE_KEY",
    "MISTRAL_API_KEY",
    "MOONSHOT_API_KEY",
    "NEBIUS_API_KEY",
    "OPENAI_API_KEY",
    "OPENROUTER_API_KEY",
    "TOGETHER_API_KEY",
    "XAI_API_KEY",
    "ZAI_API_KEY",
)


def _name(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


def _models(path: Path) -> set[str]:
    """The providers of a configuration's connections, and its models that are none."""
    data: Any = YAML(typ="safe").load(path)
    named = {name: one["provider"] for name, one in data.get("models", {}).items()}
    used = {agent["backend"].get("model") for agent in data["agents"]} - {None}
    return {named.get(model, model) for model in used}


WITHOUT_MODEL = [path for path in FILES if not _models(path)]
ON_LOCAL_MODEL = [path for path in FILES if _models(path) == {"local"}]
# These need packages that exclude each other: each adapter's own tests run its own.
FRAMEWORKS = sorted((CONFIGS / "frameworks").glob("*.yaml"))
GROUP_CHATS = [path for path in FRAMEWORKS if "group:" in path.read_text()]


def test_there_are_configurations_of_all_sorts() -> None:
    assert len(FILES) > 10
    assert len(WITHOUT_MODEL) > 3
    assert {path.name for path in ON_LOCAL_MODEL if path not in FRAMEWORKS} == {
        "local-team.yaml",
        "own-graph.yaml",
        "quickstart.yaml",
    }
    page = ROOT / "docs" / "tutorials" / "first-run.md"
    assert "$ massgen-bridge run configs/quickstart.yaml" in page.read_text()


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_configuration_is_valid_without_any_key(path: Path) -> None:
    assert load_config(path, PluginHost()).agents


@pytest.mark.parametrize("path", GROUP_CHATS, ids=_name)
@pytest.mark.parametrize("kind", ["ag2", "ag2_classic"])
def test_a_group_chat_is_the_same_for_both_generations_of_ag2(path: Path, kind: str) -> None:
    data: Any = YAML(typ="safe").load(path)
    for agent in data["agents"]:
        agent["backend"]["type"] = kind
    assert load_config(data, PluginHost()).agents


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_configuration_can_be_planned_with_its_keys(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**VALUES, **dict.fromkeys(KEYS, "a-key")}.items():
        monkeypatch.setenv(name, value)
    assert api.prepare(path, trust=True).plan.agents


@pytest.mark.parametrize("path", WITHOUT_MODEL, ids=_name)
def test_a_configuration_without_a_model_gives_an_answer(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(path, "Why learn Python?", trust=True, keep=False)
    assert result.status == "answered"


@pytest.mark.timeout(300)
def test_the_graph_answers_on_the_local_model() -> None:
    result = run(CONFIGS / "own-graph.yaml", "Why learn Python?", trust=True, keep=False)
    assert result.require_answer()
    assert result.calls >= 2  # one for each step of the graph
