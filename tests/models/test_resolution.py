from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from massgen_bridge.connection import Connection, ModelTraits, RetryPolicy, Sampling
from massgen_bridge.errors import ConfigError
from massgen_bridge.models.local import LocalSettings
from massgen_bridge.models.providers import PROVIDERS
from massgen_bridge.models.resolution import (
    Choice,
    resolve,
    resolve_offline,
    secret_values,
)
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from massgen_bridge.connection import Protocols

_BY_NAME = {provider.name: provider for provider in PROVIDERS}
_ENVIRON = {f"{provider.name.upper()}_API_KEY": f"{provider.name}-key" for provider in PROVIDERS}


def _resolve(
    protocols: Sequence[Protocols] = ("chat",),
    environ: dict[str, str] | None = None,
    **config: Any,
) -> Connection:
    entry = ModelConfig.model_validate({"provider": "openai", "model": "m", **config})
    return resolve(
        Choice(name="main", config=entry, provider=_BY_NAME[entry.provider]),
        protocols,
        _ENVIRON if environ is None else environ,
        agent_id="alice",
    )


def _refusal(
    protocols: Sequence[Protocols] = ("chat",),
    environ: dict[str, str] | None = None,
    **config: Any,
) -> str:
    with pytest.raises(ConfigError) as caught:
        _resolve(protocols, environ, **config)
    said = str(caught.value)
    assert said.startswith("agent 'alice', model connection 'main': ")
    assert "-key" not in said.replace("api-key", "")
    return said


def _key(connection: Connection) -> str | None:
    return connection.api_key.get_secret_value() if connection.api_key else None


# --- what a connection holds ---------------------------------------------------------------------


def test_a_connection_holds_all_that_the_configuration_says() -> None:
    connection = _resolve(
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=100,
        seed=7,
        extra_body={"user": "me"},
        timeout_s=5,
        retry={"attempts": 2},
        headers={"X-Team": "${TEAM}-${TEAM}"},
        environ={**_ENVIRON, "TEAM": " red "},
    )
    assert connection == Connection(
        name="main",
        provider="openai",
        protocol="chat",
        model="m",
        base_url="https://api.openai.com/v1",
        api_key=connection.api_key,
        headers={"X-Team": "red-red"},
        traits=_BY_NAME["openai"].traits,
        quirks=_BY_NAME["openai"].quirks,
        sampling=Sampling(
            temperature=0.5, top_p=0.9, max_output_tokens=100, seed=7, extra={"user": "me"}
        ),
        retry=RetryPolicy(attempts=2),
        timeout_s=5,
    )
    assert _key(connection) == "openai-key"


def test_traits_are_the_providers_unless_the_configuration_knows_better() -> None:
    assert _resolve(provider="cerebras").traits == _BY_NAME["cerebras"].traits
    assert _resolve(
        provider="cerebras", tools=False, inputs=["audio"], context_window=9
    ).traits == ModelTraits(
        tools=False, structured=True, inputs=frozenset({"audio"}), context_window=9
    )
    assert _resolve(provider="openai", inputs=[]).traits.inputs == frozenset()


def test_the_local_model_has_the_window_of_a_slot() -> None:
    local = _resolve(provider="local", model=None, environ={})
    assert local.model == "smollm2-135m-instruct"
    assert local.traits.context_window == LocalSettings().context_per_slot
    assert _resolve(provider="local", context=512).traits.context_window == 512
    assert _resolve(provider="local", context_window=99).traits.context_window == 99


def test_a_provider_without_a_model_of_its_own_needs_one() -> None:
    assert "needs 'model'" in _refusal(model=None)


# --- protocols -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("provider", "spoken", "chosen"),
    [
        ("openai", ["chat", "responses"], "responses"),
        ("openai", ["chat"], "chat"),
        ("xai", ["chat", "responses"], "responses"),
        ("groq", ["responses", "chat"], "chat"),
        ("openai", ["messages", "responses"], "responses"),
        ("gemini", ["chat", "gemini"], "gemini"),
        ("gemini", ["chat"], "chat"),
        ("openrouter", ["messages"], "messages"),
    ],
)
def test_the_providers_first_protocol_that_the_kind_speaks_is_chosen(
    provider: str, spoken: list[Protocols], chosen: str
) -> None:
    environ = {**_ENVIRON, "GOOGLE_API_KEY": "g", "GROQ_API_KEY": "q", "XAI_API_KEY": "x"}
    assert _resolve(spoken, environ, provider=provider).protocol == chosen


def test_the_configuration_chooses_among_them() -> None:
    assert _resolve(["chat", "responses"], protocol="chat").protocol == "chat"


def test_a_server_of_ones_own_is_asked_by_chat_completions() -> None:
    own: dict[str, Any] = {"base_url": "http://gpu:1/v1"}
    spoken: list[Protocols] = ["responses", "chat"]
    assert _resolve(spoken, provider="vllm", **own).protocol == "chat"
    proxied = {**own, "api_key": "${MINE}"}
    environ = {**_ENVIRON, "MINE": "m"}
    assert _resolve(spoken, environ, provider="openai", **proxied).protocol == "chat"
    named = _resolve(spoken, environ, provider="openai", protocol="responses", **proxied)
    assert named.protocol == "responses"


def test_media_that_a_protocol_has_no_form_for_are_none_that_the_model_takes() -> None:
    inputs = ["image", "audio"]
    heard = _resolve(["chat"], provider="openai", inputs=inputs)
    assert heard.traits.inputs == {"image", "audio"}
    unheard = _resolve(["responses"], provider="openai", inputs=inputs)
    assert unheard.traits.inputs == {"image"}


def test_a_run_is_replayed_by_the_protocol_that_it_was_recorded_by() -> None:
    config = ModelConfig(provider="openai", model="m")
    again = resolve_offline(
        Choice(name="m", config=config, provider=_BY_NAME["openai"]),
        ["responses", "chat"],
        "api.openai.com",
        agent_id="a",
    )
    assert (again.protocol, again.base_url) == ("responses", "https://api.openai.com/v1")


def test_a_server_of_ones_own_may_speak_any_protocol() -> None:
    connection = _resolve(
        ["messages"], provider="sglang", protocol="messages", base_url="http://gpu:1"
    )
    assert (connection.protocol, connection.base_url) == ("messages", "http://gpu:1")


def test_no_common_protocol_names_both_sides() -> None:
    said = _refusal(["chat"], provider="anthropic")
    assert "this agent's kind speaks 'chat'" in said
    assert "(provider 'anthropic') offers 'messages'" in said
    assert "offers 'responses'" in _refusal(["chat"], protocol="responses")
    assert "speaks no protocol" in _refusal([])


@pytest.mark.parametrize("spoken", ["chat", "gemini", "messages", "responses"])
def test_the_provider_that_is_named_instead_speaks_what_is_missing(spoken: Protocols) -> None:
    other = "gemini" if spoken == "messages" else "anthropic"
    environ = {**_ENVIRON, "ANTHROPIC_API_KEY": "a", "GEMINI_API_KEY": "a"}
    said = _refusal([spoken], environ, provider=other)
    named = said.rpartition("such as ")[2].strip("'")
    (provider,) = [one for one in PROVIDERS if one.name == named]
    assert spoken in provider.base_urls


def test_no_provider_is_named_where_none_is_left() -> None:
    assert "such as" not in _refusal(["gemini"], _ENVIRON, provider="gemini", protocol="chat")


def test_a_protocol_that_the_provider_does_not_speak_is_refused() -> None:
    said = _refusal(["messages"], protocol="messages")
    assert "provider 'openai' does not speak the protocol 'messages', only 'responses'" in said


def test_a_seed_is_refused_where_the_protocol_has_none() -> None:
    environ = {**_ENVIRON, "ANTHROPIC_API_KEY": "a"}
    said = _refusal(["messages"], environ, provider="anthropic", seed=7)
    assert "the protocol 'messages' of this agent's kind has no 'seed'" in said
    extra = {"extra_body": {"seed": 7}}
    connection = _resolve(["messages"], environ, provider="anthropic", **extra)
    assert connection.sampling.extra == {"seed": 7}


@pytest.mark.parametrize("end", ["", "/"])
def test_an_address_of_messages_is_given_without_its_version(end: str) -> None:
    said = _refusal(["messages"], provider="vllm", base_url=f"http://gpu:1/v1{end}")
    assert "ends with '/v1', which the protocol 'messages' adds by itself" in said
    assert _resolve(["chat"], provider="vllm", base_url=f"http://gpu:1/v1{end}").base_url


@pytest.mark.parametrize("version", ["v1", "v1beta"])
def test_an_address_of_gemini_is_given_without_its_version(version: str) -> None:
    url = f"https://proxy.example/{version}/"
    said = _refusal(["gemini"], provider="gemini", base_url=url, api_key="${WORK_KEY}")
    assert f"ends with '/{version}', which the protocol 'gemini' adds by itself" in said


def test_gemini_takes_more_by_its_own_protocol_than_by_that_of_others() -> None:
    """Films, documents and a seed among it."""
    environ = {**_ENVIRON, "GEMINI_API_KEY": "g"}
    own = _resolve(["gemini", "chat"], environ, provider="gemini", seed=7)
    assert own.base_url == "https://generativelanguage.googleapis.com"
    assert own.sampling.seed == 7
    assert own.traits.inputs == {"audio", "document", "image", "video"}
    other = _resolve(["chat"], environ, provider="gemini")
    assert other.traits.inputs == {"audio", "image"}


@pytest.mark.parametrize(
    ("provider", "protocol", "structured"),
    [
        ("anthropic", "messages", True),
        ("ollama", "chat", True),
        ("ollama", "messages", False),
        ("local", "messages", True),
    ],
)
def test_a_schema_is_relied_on_by_the_provider_s_own_protocol(
    provider: str, protocol: Protocols, *, structured: bool
) -> None:
    environ = {**_ENVIRON, "ANTHROPIC_API_KEY": "a"}
    connection = _resolve([protocol], environ, provider=provider)
    assert connection.traits.structured is structured
    said = _resolve([protocol], environ, provider=provider, structured=not structured)
    assert said.traits.structured is not structured


# --- keys and addresses --------------------------------------------------------------------------


def test_a_missing_key_names_variable_agent_and_connection() -> None:
    said = _refusal(environ={})
    assert "'alice'" in said
    assert "'main'" in said
    assert "OPENAI_API_KEY" in said


def test_a_missing_key_names_all_variables_that_would_do() -> None:
    assert "MOONSHOT_API_KEY or KIMI_API_KEY" in _refusal(provider="moonshot", environ={})


def test_the_first_variable_that_is_set_counts() -> None:
    environ = {"MOONSHOT_API_KEY": " ", "KIMI_API_KEY": "kimi\n"}
    assert _key(_resolve(provider="moonshot", environ=environ)) == "kimi"


def test_a_named_variable_counts_instead_of_the_usual_one() -> None:
    environ = {**_ENVIRON, "MINE": "mine"}
    assert _key(_resolve(api_key="${MINE}", environ=environ)) == "mine"
    assert _key(_resolve(api_key_env="MINE", environ=environ)) == "mine"


@pytest.mark.parametrize(
    "config",
    [
        {"api_key": "${MINE}"},
        {"headers": {"X-Key": "${MINE}"}},
        {"base_url": "https://${MINE}/v1"},
    ],
    ids=str,
)
def test_a_named_variable_that_is_not_set_is_an_error(config: dict[str, Any]) -> None:
    assert "environment variable MINE, which is not set" in _refusal(**config)


def test_a_server_without_need_of_a_key_gets_one_if_there_is_one() -> None:
    assert _key(_resolve(provider="vllm", environ={})) is None
    assert _key(_resolve(provider="vllm", base_url="http://gpu:8000/v1")) == "vllm-key"


@pytest.mark.parametrize(
    "url",
    ["https://evil.example.com/v1", "https://api.openai.com.example.com", "https://10.0.0.1/v1"],
)
def test_the_usual_key_never_goes_to_a_foreign_host(url: str) -> None:
    said = _refusal(base_url=url)
    assert "does not belong to provider 'openai'" in said
    assert "api_key: ${MY_API_KEY}" in said


def test_the_host_of_another_provider_tells_which_one_was_meant() -> None:
    assert "use 'provider: groq'" in _refusal(base_url="https://api.groq.com/openai/v1")


def test_a_foreign_host_gets_the_key_that_is_named_for_it() -> None:
    connection = _resolve(
        base_url="https://proxy.example.com/v1/", api_key="${MINE}", environ={"MINE": "mine"}
    )
    assert _key(connection) == "mine"
    assert connection.base_url == "https://proxy.example.com/v1"


def test_a_region_of_the_provider_gets_its_usual_key() -> None:
    connection = _resolve(provider="xai", base_url="https://us.api.x.ai/v1")
    assert _key(connection) == "xai-key"


def test_a_server_on_this_machine_gets_no_usual_key_and_needs_none() -> None:
    assert _key(_resolve(base_url="http://localhost:4000/v1")) is None


def test_the_key_of_a_hosted_account_stays_away_from_other_servers() -> None:
    environ = {"OLLAMA_API_KEY": "ollama-key"}
    away = _resolve(provider="ollama", base_url="http://gpu:11434/v1", environ=environ)
    hosted = _resolve(provider="ollama", base_url="https://ollama.com/v1", environ=environ)
    assert (_key(away), _key(hosted)) == (None, "ollama-key")


def test_the_usual_key_is_not_sent_in_clear_text() -> None:
    assert "begins with 'https://'" in _refusal(base_url="http://api.openai.com/v1")


def test_azure_takes_its_address_from_the_environment() -> None:
    environ = {
        "AZURE_OPENAI_API_KEY": "azure-key",
        "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com/",
    }
    for end in ("", "/", "/openai/v1", "/openai/v1/"):
        environ["AZURE_OPENAI_ENDPOINT"] = f"https://mine.openai.azure.com{end}"
        connection = _resolve(provider="azure", environ=environ)
        assert connection.base_url == "https://mine.openai.azure.com/openai/v1"
    said = _refusal(provider="azure", environ={"AZURE_OPENAI_API_KEY": "azure-key"})
    assert "takes its address from the environment variable AZURE_OPENAI_ENDPOINT" in said


def test_an_address_that_is_none_once_filled_in_is_an_error() -> None:
    said = _refusal(base_url="${HOST}/v1", environ={**_ENVIRON, "HOST": "example.com"})
    assert "is not complete once its variables are filled in" in said


def test_secret_values_are_the_key_and_what_headers_are_filled_with() -> None:
    config = ModelConfig(
        provider="openai",
        model="m",
        headers={"Authorization": "Bearer ${TOKEN}", "X-Title": "public"},
    )
    environ = {**_ENVIRON, "TOKEN": "tok\n"}
    connection = resolve(
        Choice(name="main", config=config, provider=_BY_NAME["openai"]),
        ["chat"],
        environ,
        agent_id="a",
    )
    assert connection.headers["Authorization"] == "Bearer tok"
    assert secret_values(config, connection, environ) == {"openai-key", "tok"}


@pytest.mark.parametrize(
    ("address", "variables", "secret"),
    [
        ("https://${HOST}/v1", {"HOST": "models.example.com"}, set()),
        ("${WHERE}", {"WHERE": "https://models.example.com/v1"}, set()),
        ("${WHERE}", {"WHERE": "https://me:pass@models.example.com/v1"}, {"me", "pass"}),
        ("https://models.example.com/${PART}/v1", {"PART": "some-token"}, {"some-token"}),
        ("${WHERE}", {"WHERE": "https://models.example.com/v1?code=a%20b"}, {"a b"}),
    ],
)
def test_secret_values_are_also_what_an_address_gives_away(
    address: str, variables: dict[str, str], secret: set[str]
) -> None:
    config = ModelConfig(provider="vllm", model="m", base_url=address)
    connection = resolve(
        Choice(name="one", config=config, provider=_BY_NAME["vllm"]),
        ["chat"],
        variables,
        agent_id="ada",
    )
    assert secret_values(config, connection, variables) == secret


@pytest.mark.parametrize(
    ("provider", "protocol", "url"),
    [
        ("openai", "chat", "https://models.example.com/v1"),
        ("anthropic", "messages", "https://models.example.com"),
        ("azure", "chat", "https://models.example.com/v1"),
        ("local", "chat", "https://models.example.com/v1"),
    ],
)
def test_a_connection_that_nothing_is_sent_by_needs_nothing(
    provider: str, protocol: Any, url: str
) -> None:
    given: dict[str, Any] = {"provider": provider}
    if provider != "local":
        given |= {"model": "m", "api_key": "${ABSENT}", "headers": {"X-Team": "${GONE}"}}
    connection = resolve_offline(
        Choice(name="one", config=ModelConfig(**given), provider=_BY_NAME[provider]),
        [protocol],
        "models.example.com",
        agent_id="ada",
    )
    assert (connection.protocol, connection.base_url) == (protocol, url)
    assert connection.headers == {}


def test_what_a_configuration_says_of_quirks_and_limits_comes_before_the_provider() -> None:
    connection = _resolve(
        provider="mistral",
        model="m",
        quirks={"seed": None},
        image_limits={"max_bytes": 5, "max_count": None},
        environ={"MISTRAL_API_KEY": "k"},
    )
    usual = _BY_NAME["mistral"]
    assert connection.quirks == usual.quirks.model_copy(update={"seed": None})
    assert connection.traits.images == usual.traits.images.model_copy(
        update={"max_bytes": 5, "max_count": None}
    )


def test_a_seed_is_refused_where_the_provider_knows_none() -> None:
    told = _refusal(provider="mistral", quirks={"seed": None}, seed=1)
    assert "provider 'mistral' has no 'seed'" in told
