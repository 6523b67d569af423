"""What single keys of MassGen's backends become: on the wire, or before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import massgen_bridge
from massgen_bridge.config import InvalidConfig, RunConfig, load_config
from massgen_bridge.config.massgen_types import (
    CONNECTION_KEYS,
    GROUPS,
    HOSTED_KEYS,
    LATER_KEYS,
    LOCAL_KEYS,
    MEANINGLESS_KEYS,
    SAME_KEYS,
    TYPES,
)
from massgen_bridge.plugins import PluginHost
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.testing.pictures import Picture, make
from massgen_bridge.testing.servers import Echo, ModelServer, Structured, Text

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.connection import Protocols
    from massgen_bridge.testing.servers import ModelRequest, RecordedRequest, Reply

HOST = PluginHost()
VOTE = {"vote": "agent1", "reason": "well said"}


def file_of(**agents: dict[str, Any]) -> dict[str, Any]:
    return {"agents": [{"id": name, "backend": backend} for name, backend in agents.items()]}


def loaded(**backend: Any) -> RunConfig:
    return load_config(file_of(ada=backend), HOST)


async def asked(spoken: Protocols, **backend: Any) -> RecordedRequest:
    """The only request of a run with one agent."""
    with ModelServer(Echo()) as server:
        file = file_of(ada={**backend, "base_url": server.base_url(spoken)})
        await massgen_bridge.arun(file, "What is 2 + 2?", keep=False)
        (request,) = server.requests
    return request


# --- on the wire ----------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_what_anthropic_s_sdk_no_longer_takes_reaches_the_model() -> None:
    request = await asked(
        "messages",
        type="claude",
        model="claude-3-5-haiku-20241022",
        temperature=0.2,
        top_p=0.7,
        top_k=50,
        betas=["one-2025-01-01", "two-2025-01-01"],
        extra_headers={"x-team": "tea"},
    )
    sent = {name: request.body[name] for name in ("temperature", "top_p", "top_k", "max_tokens")}
    assert sent == {"temperature": 0.2, "top_p": 0.7, "top_k": 50, "max_tokens": 4096}
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert request.headers["anthropic-beta"] == "one-2025-01-01,two-2025-01-01"
    assert request.headers["x-team"] == "tea"


@pytest.mark.anyio
async def test_claude_thinks_as_the_file_says() -> None:
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = (await asked("messages", type="claude", model="claude-opus-4-1", thinking=thinking)).body
    assert (body["thinking"], body["max_tokens"]) == (thinking, 32_000)


@pytest.mark.anyio
async def test_settings_of_google_s_sdk_stand_where_its_api_has_them() -> None:
    harm = {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_NONE"}
    body = (
        await asked(
            "gemini",
            type="gemini",
            model="gemini-2.5-flash",
            safety_settings=[harm],
            thinking_config={"thinking_budget": 9},
            labels={"of_whom": "me"},
            stop_sequences=["END"],
            extra_body={"generationConfig": {"topK": 3}},
        )
    ).body
    assert (body["safetySettings"], body["labels"]) == ([harm], {"of_whom": "me"})
    assert body["generationConfig"] == {
        "stopSequences": ["END"],
        "thinkingConfig": {"thinkingBudget": 9},
        "topK": 3,
    }


def different(request: ModelRequest) -> Reply:
    """Answers that differ, so that there is something to vote on."""
    return Structured(VOTE) if request.output_schema else Text(f"I am {request.model}.")


@pytest.mark.anyio
async def test_older_models_of_gemini_vote_although_they_search_the_web() -> None:
    with ModelServer(different) as server:
        at = server.base_url("gemini")
        searching = {"type": "gemini", "enable_web_search": True, "base_url": at}
        names = ("gemini-2.5-flash", "gemini-2.5-pro")
        file = file_of(**{name[7:]: {**searching, "model": name} for name in names})
        result = await massgen_bridge.arun(file, "Tea or coffee?", keep=False)
    assert (len(result.votes), result.errors) == (2, ())
    searches = [{"googleSearch": {}} in one.body.get("tools", []) for one in server.requests]
    schemas = [one.asked.output_schema is not None for one in server.requests if one.asked]
    assert sorted(zip(searches, schemas, strict=True)) == [(False, True)] * 2 + [(True, False)] * 2


# --- agents of classic AG2 ------------------------------------------------------------------------


def ag2(**agent: Any) -> RunConfig:
    whole = {"name": "Coder", "llm_config": {"model": "gpt-4o"}, **agent}
    return loaded(type="ag2", agent_config=whole)


def test_an_agent_of_ag2_gets_its_model_by_a_connection() -> None:
    executor = {"type": "LocalCommandLineCodeExecutor", "timeout": 60, "work_dir": "./code"}
    config = ag2(
        type="assistant",
        code_execution_config={"executor": executor},
        llm_config=[{"api_type": "groq", "model": "m", "temperature": 0.7, "cache_seed": 42}],
    )
    backend = config.agents[0].backend
    assert (backend.type, backend.model) == ("ag2_classic", "ada")
    assert backend.options["agent_config"] == {
        "type": "assistant",
        "name": "Coder",
        "code_execution_config": {"executor": executor},
    }
    model = config.models["ada"]
    assert (model.provider, model.model, model.temperature) == ("groq", "m", 0.7)
    (warning,) = config.warnings
    assert warning.endswith("left out: agents[0].backend.agent_config.llm_config[0].cache_seed")


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (
            {"llm_config": {"api_type": "anthropic", "model": "m"}},
            "llm_config.api_type 'anthropic'",
        ),
        ({"llm_config": [{"model": "m"}, {"model": "n"}]}, "agents[0].backend.agent_config.llm_c"),
        ({"llm_config": None}, "expected the mapping 'llm_config', which names a model, which is"),
        ({"llm_config": {"model": 3}}, "agent_config.llm_config.model: expected text"),
        ({"llm_config": {"model": "m", "api_key": "sk-1"}}, "llm_config.api_key: a key does not"),
        ({"name": "no name"}, "agent_config.name: expected text of at most 64 of A-Z"),
        (
            {"code_execution_config": {"executor": {"type": "DockerCommandLineCodeExecutor"}}},
            "executor.type: expected 'LocalCommandLineCodeExecutor'",
        ),
    ],
)
def test_what_is_wrong_with_an_agent_of_ag2_is_told_where_the_file_has_it(
    agent: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidConfig) as caught:
        ag2(**agent)
    assert any(told in str(one) for one in caught.value.problems), caught.value.problems


def test_a_group_of_ag2_is_not_read_yet() -> None:
    with pytest.raises(InvalidConfig, match=r"cannot be read yet: agents\[0\].backend.group_conf"):
        loaded(type="autogen", group_config={"agents": []})


# --- keys, hosts and files ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "variable"),
    [
        ("https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        ("https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        ("https://api.together.ai/v1", "TOGETHER_API_KEY"),
        ("https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        ("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        ("https://api.studio.nebius.com/v1", "NEBIUS_API_KEY"),
        ("https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
        ("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
        ("https://api.z.ai/api/paas/v4/", "ZAI_API_KEY"),
        ("https://open.bigmodel.cn/api/paas/v4", "ZAI_API_KEY"),
        ("https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"),
        ("https://api.moonshot.cn/v1", "KIMI_API_KEY"),
        ("https://api.poe.com/v1", "POE_API_KEY"),
    ],
)
def test_each_host_that_massgen_knows_gets_its_key_and_no_other(url: str, variable: str) -> None:
    config = loaded(type="chatcompletion", model="m", base_url=url)
    prepared = prepare_run(config, host=HOST, environ={"OPENAI_API_KEY": "no", variable: "its"})
    key = prepared.connections["ada"].api_key
    assert key is not None
    assert key.get_secret_value() == "its"


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("https://me.openai.azure.com/", "https://me.openai.azure.com/openai/v1"),
        (
            "https://me.openai.azure.com/openai/deployments/x",
            "https://me.openai.azure.com/openai/v1",
        ),
        ("https://apim.example.com/models/v1/", "https://apim.example.com/models/v1"),
    ],
)
def test_an_address_of_azure_is_that_of_its_models(given: str, used: str) -> None:
    assert loaded(type="azure_openai", model="m", base_url=given).models["ada"].base_url == used


def test_tools_that_a_type_lacks_are_left_out_with_a_warning() -> None:
    backend = {"type": "lmstudio", "model": "m", "enable_web_search": True}
    file = file_of(a=backend, b={**backend, "enable_image_generation": False})
    (warning,) = load_config(file, HOST).warnings
    assert warning.endswith("left out: backend.enable_web_search of 2 agents")


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["lmstudio", "chatcompletion"])
async def test_a_model_of_one_s_own_sees_the_pictures_that_its_agent_is_given(
    kind: str, tmp_path: Path
) -> None:
    picture = tmp_path / "red.png"
    picture.write_bytes(make(Picture(name="red", form="PNG")))
    request = await asked(
        "chat", type=kind, model="vl", upload_files=[{"image_path": str(picture)}]
    )
    assert request.asked is not None
    (shown,) = [one for message in request.asked.messages for one in message.media]
    assert shown.data == picture.read_bytes()


def test_what_a_provider_s_models_see_is_not_for_the_file_to_say() -> None:
    uploads = [{"image_path": "a.png"}]
    for url, inputs in {
        "https://api.cerebras.ai/v1": None,
        "https://models.example.com/v1": {"image"},
    }.items():
        config = loaded(type="chatcompletion", model="m", base_url=url, upload_files=uploads)
        assert config.models["ada"].inputs == inputs


# --- any file at all ------------------------------------------------------------------------------

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 10**6)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["EMPTY", "${cwd}", "http://[", "x" * 300, "openai", "gpt-5", "off"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "mode", "path", "effort"]), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = sorted(
    {"api_key", "azure_endpoint", "base_url", "betas", "provider", "search_parameters", "thinking"}
    | {
        "upload_files",
        "llm_config",
        *CONNECTION_KEYS.keys() - {"model"},
        *GROUPS,
        *HOSTED_KEYS,
        *LATER_KEYS,
    }
    | {*LOCAL_KEYS, *MEANINGLESS_KEYS, *SAME_KEYS}
)
BACKENDS = st.fixed_dictionaries(
    {"type": st.sampled_from([*TYPES, "ag2"]) | VALUES, "model": st.just("m") | VALUES},
    optional=dict.fromkeys(KEYS, VALUES),
)
SECTIONS = ("display", "orchestrator", "timeout_settings", "ui", "agent", "version")


@settings(max_examples=40)
@given(
    backends=st.lists(BACKENDS | VALUES, max_size=2),
    names=st.lists(VALUES, min_size=2, max_size=2),
    rest=st.dictionaries(st.sampled_from(SECTIONS) | st.text(max_size=5), VALUES, max_size=2),
)
def test_any_file_is_read_or_refused_with_the_place_of_what_is_wrong(
    backends: list[Any], names: list[Any], rest: dict[str, Any]
) -> None:
    agents = [{"id": name, "backend": one} for name, one in zip(names, backends, strict=False)]
    try:
        found: RunConfig | InvalidConfig = load_config({"agents": agents, **rest}, HOST)
    except InvalidConfig as error:
        found = error
    if isinstance(found, InvalidConfig):
        assert all(one.path or "version" in one.message for one in found.problems)
    else:
        assert found.agents
