"""`massgen-bridge models`, and a model that is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from massgen_bridge.testing.servers import HttpError, ModelServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli.conftest import Commands

    from massgen_bridge.connection import Protocols

MODELS = ("qwen3:8b", "gemma3:latest")


@pytest.fixture
def server() -> Iterator[ModelServer]:
    missing = HttpError(status=404, message="model not found")
    with ModelServer(models=MODELS, default=missing, api_key="the-key") as started:
        yield started


@pytest.fixture
def team(tmp_path: Path, server: ModelServer) -> Path:
    file = tmp_path / "team.yaml"
    connections: tuple[tuple[str, str, Protocols, str], ...] = (
        ("own", "ollama", "chat", "gemma3"),
        ("lost", "vllm", "chat", "qwen3-8b"),
        ("talk", "lmstudio", "messages", "qwen3:8b"),
        ("google", "gemini", "gemini", "qwen3:8b"),
    )
    rows = "".join(
        f"  {name}: {{provider: {provider}, base_url: '{server.base_url(protocol)}', "
        f"model: '{model}', protocol: {protocol}, api_key: '${{THE_KEY}}'}}\n"
        for name, provider, protocol, model in connections
    )
    agent = "agents: [{id: ada, backend: {type: openai, model: lost}}]\nstrategy: single\n"
    file.write_text(f"version: 1\nmodels:\n{rows}{agent}", encoding="utf-8")
    return file


def test_one_connection_s_models_are_told_a_line_each(
    commands: Commands, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "the-key")
    for name in ("own", "talk", "google"):
        done = commands("models", name, "--config", str(team))
        assert (done.returncode, done.stdout.splitlines()) == (0, list(MODELS))


def test_all_of_a_configuration_are_told_with_what_is_missing(
    commands: Commands, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "the-key")
    done = commands("models", "--config", str(team))
    assert done.returncode == 1
    assert "  * gemma3:latest" in done.stdout
    assert "! qwen3-8b is not there; did you mean 'qwen3:8b'?" in done.stdout
    plain = json.loads(commands("models", "--config", str(team), "--json").stdout)
    assert {one["name"] for one in plain["connections"]} == {"own", "lost", "talk", "google"}
    assert all(tuple(one["models"]) == MODELS for one in plain["connections"])


def test_a_refused_key_is_told(
    commands: Commands, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "another")
    done = commands("models", "own", "--config", str(team))
    assert done.returncode == 1
    assert "HTTP 401" in done.stdout
    assert "another" not in done.stdout


def test_a_server_that_is_not_there_is_told_with_its_address(
    commands: Commands, tmp_path: Path
) -> None:
    file = tmp_path / "team.yaml"
    file.write_text(
        "version: 1\nmodels: {far: {provider: vllm, base_url: 'http://127.0.0.1:1/v1', model: m},"
        " keyless: {provider: openai, model: gpt-5}}\n"
        "agents: [{id: ada, backend: {type: openai, model: far}}]\nstrategy: single\n",
        encoding="utf-8",
    )
    done = commands("models", "--config", str(file))
    assert done.returncode == 1
    assert "far (vllm): the list of models at http://127.0.0.1:1: " in done.stdout
    assert "keyless (openai): provider 'openai' needs a key" in done.stdout


def test_connections_of_one_server_share_a_list(commands: Commands, tmp_path: Path) -> None:
    file = tmp_path / "team.yaml"
    with ModelServer(models=["big"]) as server:
        where = f"provider: vllm, base_url: '{server.url}'"
        file.write_text(
            f"version: 1\nmodels: {{one: {{{where}, model: big}}, two: {{{where}, model: bg}}, "
            f"bare: {{{where.replace('/v1', '')}, model: big}}}}\n"
            "agents: [{id: ada, backend: {type: openai, model: one}}]\nstrategy: single\n",
            encoding="utf-8",
        )
        done = commands("models", "--config", str(file))
        assert done.stdout.startswith(
            f"one, two (vllm, {server.url}): 1 model\n"
            "  * big\n  ! bg is not there; did you mean 'big'?\n\nbare (vllm): "
        )
    assert "has no path: the address of most servers ends with '/v1'" in done.stdout


def test_models_of_a_provider_that_a_plugin_knows_are_told_once_it_is_trusted(
    commands: Commands, tmp_path: Path, server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COMPANY_KEY", "the-key")
    monkeypatch.setenv("COMPANY_GATEWAY", server.url.removesuffix("/v1"))
    plugin = Path(__file__).parents[2] / "examples" / "hooks" / "company_provider.py"
    file = tmp_path / "team.yaml"
    file.write_text(
        f"version: 1\nplugins: ['{plugin}']\n"
        "agents: [{id: ada, backend: {type: openai, model: company/house}}]\nstrategy: single\n",
        encoding="utf-8",
    )
    done = commands("models", "company", "--config", str(file), "--trust")
    assert (done.returncode, done.stdout.splitlines()) == (0, list(MODELS))
    for command in (("models", "--config"), ("doctor",)):
        refused = commands(*command, str(file))
        assert refused.returncode == 2
        assert "allow it with --trust" in refused.stderr


def test_a_misspelt_name_is_told(commands: Commands) -> None:
    done = commands("models", "olama")
    assert done.returncode == 2
    assert "did you mean 'ollama'" in done.stderr


def test_a_run_with_a_missing_model_names_those_that_are_there(
    commands: Commands, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", "the-key")
    done = commands("run", str(team), "Why?", "--no-journal")
    assert done.returncode == 1
    assert "offers 'qwen3:8b', 'gemma3:latest' (did you mean 'qwen3:8b'?)" in done.stderr
