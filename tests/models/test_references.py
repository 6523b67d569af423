"""Which connection a configuration means by the text of `model`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.errors import ConfigError
from massgen_bridge.models.providers import PROVIDERS
from massgen_bridge.models.references import find_provider, reference
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.specs import ProviderSpec

_BY_NAME = {provider.name: provider for provider in PROVIDERS}
_MODELS = {
    "smart": ModelConfig(provider="anthropic", model="claude"),
    "groq": ModelConfig(provider="openai", model="gpt"),
}


@pytest.mark.parametrize(
    ("text", "default", "provider", "model"),
    [
        ("smart", None, "anthropic", "claude"),
        ("groq", None, "openai", "gpt"),
        ("groq/llama-3.3-70b", None, "groq", "llama-3.3-70b"),
        ("openrouter/anthropic/claude", None, "openrouter", "anthropic/claude"),
        ("local", None, "local", None),
        ("local/other", None, "local", "other"),
        ("gpt-5", "openai", "openai", "gpt-5"),
        ("anthropic/claude", "openrouter", "anthropic", "claude"),
        ("meta-llama/Llama-3-8B", "together", "together", "meta-llama/Llama-3-8B"),
        ("mistralai/Mistral-7B", "together", "together", "mistralai/Mistral-7B"),
        ("deepseek-ai/DeepSeek-V3", "together", "together", "deepseek-ai/DeepSeek-V3"),
        ("x-ai/grok-4", "openrouter", "openrouter", "x-ai/grok-4"),
        ("z-ai/glm-4.6", "openrouter", "openrouter", "z-ai/glm-4.6"),
        ("google/gemma-3", "openrouter", "openrouter", "google/gemma-3"),
    ],
)
def test_a_reference_means(
    text: str, default: str | None, provider: str, model: str | None
) -> None:
    config = reference(text, _MODELS, _BY_NAME, default)
    assert (config.provider, config.model) == (provider, model)


@pytest.mark.parametrize(
    ("text", "default", "said"),
    [
        ("smrt", None, "did you mean 'smart'?"),
        ("loca", None, "did you mean 'local'?"),
        ("antropic/claude", None, "did you mean 'anthropic/claude'?"),
        ("gorq/llama", "openai", "did you mean 'groq/llama'?"),
        ("open-ai/gpt", None, "did you mean 'openai/gpt'?"),
        ("gpt-5", None, "expected a name from 'models:' ('groq', 'smart')"),
        ("zzzzzz", None, "there is no model 'zzzzzz': expected"),
        ("", "openai", "there is no model ''"),
        ("openai", None, "expected 'openai/<model>'"),
        ("openai/", None, "there is no model 'openai/'"),
    ],
)
def test_a_reference_to_nothing_is_an_error_with_the_nearest_name(
    text: str, default: str | None, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        reference(text, _MODELS, _BY_NAME, default)
    assert said in str(caught.value)


def test_the_error_tells_when_no_connection_has_a_name() -> None:
    with pytest.raises(ConfigError, match="none is defined"):
        reference("x", {}, _BY_NAME)


@given(st.text(), st.sampled_from([None, "openai", "openrouter"]))
def test_any_text_is_a_model_or_one_clear_error(text: str, default: str | None) -> None:
    try:
        config = reference(text, _MODELS, _BY_NAME, default)
    except ConfigError as error:
        assert "expected" in str(error)  # noqa: PT017 - either is right, but nothing else
    else:
        assert config.provider in _BY_NAME


@given(st.sampled_from(PROVIDERS), st.text(min_size=1))
def test_provider_and_model_are_cut_at_the_first_slash(provider: ProviderSpec, model: str) -> None:
    config = reference(f"{provider.name}/{model}", {}, _BY_NAME)
    assert (config.provider, config.model) == (provider.name, model)


def test_an_unknown_provider_is_an_error_with_the_nearest_name() -> None:
    config = ModelConfig(provider="openia", model="m")
    with pytest.raises(ConfigError, match=r"'main': there is no provider 'openia' \(did you mean"):
        find_provider("main", config, _BY_NAME)
    assert find_provider("main", ModelConfig(provider="xai"), _BY_NAME).name == "xai"
