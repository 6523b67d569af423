from __future__ import annotations

import pluggy
import pytest

from massgen_bridge import hookspecs
from massgen_bridge.models import providers as module
from massgen_bridge.models.local import TRAITS
from massgen_bridge.models.providers import (
    ASSIGNED_AT_RUN_TIME,
    LOCAL,
    PROVIDERS,
    provider_for_url,
    trusted_hosts,
)
from massgen_bridge.models.resolution import Choice, resolve
from massgen_bridge.models.settings import ModelConfig
from massgen_bridge.specs import ProviderSpec


def test_the_module_is_a_plugin() -> None:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(module)
    (registered,) = manager.hook.bridge_providers()
    assert registered == PROVIDERS


def test_names_are_unique_and_can_stand_before_a_slash() -> None:
    names = [provider.name for provider in PROVIDERS]
    assert len(set(names)) == len(names)
    assert all(name.isidentifier() and name.islower() for name in names)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: str(provider.name))
def test_a_provider_resolves_with_its_own_variables_for_each_of_its_protocols(
    provider: ProviderSpec,
) -> None:
    environ = {name: f"value of {name}" for name in provider.key_variables}
    environ["AZURE_OPENAI_ENDPOINT"] = "https://mine.openai.azure.com/"
    for protocol in provider.base_urls:
        connection = resolve(
            Choice(
                name="main",
                config=ModelConfig(provider=provider.name, model="some-model"),
                provider=provider,
            ),
            [protocol],
            environ,
            agent_id="a",
        )
        assert connection.protocol == protocol
        if provider.name == LOCAL:
            assert connection.base_url == ASSIGNED_AT_RUN_TIME
            assert connection.api_key is None
        else:
            # What the protocol's SDK puts behind it decides how an address must end.
            assert connection.base_url.endswith("/v1") <= (protocol != "messages")
            assert "$" not in connection.base_url
            assert connection.api_key is not None
            assert connection.api_key.get_secret_value() in environ.values()


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: str(provider.name))
def test_keys_travel_encrypted_unless_they_stay_on_this_machine(provider: ProviderSpec) -> None:
    for url in provider.base_urls.values():
        if url and not url.startswith("${"):
            assert url.startswith("https://" if provider.needs_key else "http://localhost:")


def test_the_local_model_is_described_as_its_server_describes_it() -> None:
    (local,) = (provider for provider in PROVIDERS if provider.name == LOCAL)
    assert local.traits.model_dump(exclude={"images"}) == TRAITS
    assert local.default_model


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.cerebras.ai/v1", "cerebras"),
        ("https://api.z.ai/api/paas/v4/", "zai"),
        ("https://open.bigmodel.cn/api/paas/v4", "zai"),
        ("https://api.studio.nebius.ai/v1", "nebius"),
        ("https://api.fireworks.ai/inference/v1", "fireworks"),
        ("https://eu.openrouter.ai/api/v1", "openrouter"),
        ("https://mine.openai.azure.com/openai/v1", "azure"),
        ("https://api.together.xyz/v1", "together"),
        ("http://localhost:8000/v1", None),
        ("https://example.com/api.openai.com", None),
        ("https://api.openai.com.example.com/v1", None),
    ],
)
def test_an_address_tells_its_provider(url: str, name: str | None) -> None:
    provider = provider_for_url(url, PROVIDERS)
    assert (provider and provider.name) == name


def test_a_provider_that_people_run_themselves_trusts_the_host_they_name() -> None:
    by_name = {provider.name: provider for provider in PROVIDERS}
    assert trusted_hosts(by_name["vllm"]) == frozenset()
    assert "ollama.com" in trusted_hosts(by_name["ollama"])
    assert trusted_hosts(by_name["openai"]) == {"api.openai.com"}
