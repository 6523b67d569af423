"""A provider's usual key goes to the provider's own hosts alone, whatever a configuration says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from massgen_bridge.errors import ConfigError
from massgen_bridge.models.addresses import is_loopback
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.provider_rows import ProviderConfig
from massgen_bridge.models.providers import PROVIDERS, provider_for_url, trusted_hosts
from massgen_bridge.models.resolution import Choice, resolve
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from massgen_bridge.specs import ProviderSpec

HOSTED = [provider for provider in PROVIDERS if trusted_hosts(provider)]
ENVIRON = {name: f"value of {name}" for one in PROVIDERS for name in one.key_variables}


def _hosts(provider: ProviderSpec) -> list[str]:
    return sorted(host for host in trusted_hosts(provider) if not is_loopback(f"//{host}"))


def _look_alikes(provider: ProviderSpec) -> Iterator[str]:
    for host in _hosts(provider):
        yield f"https://{host}.evil.example/v1"
        yield f"https://evil{host}/v1"
        yield f"https://{host.replace('.', '-')}.example/v1"
        yield f"https://evil.example/{host}/v1"
        yield f"https://{host}%2eevil.example/v1"
        yield f"https://{host}\\.evil.example/v1"
        yield f"https://evil.example:443/v1/{host}"


def _key(provider: ProviderSpec, **config: Any) -> str | None:
    model = ModelConfig.model_validate({"provider": provider.name, "model": "m", **config})
    protocols = list(provider.base_urls)
    try:
        connection = resolve(
            Choice(name="main", config=model, provider=provider), protocols, ENVIRON, agent_id="a"
        )
    except (ConfigError, ValueError):
        return None
    return connection.api_key.get_secret_value() if connection.api_key else None


@pytest.mark.parametrize("provider", HOSTED, ids=lambda provider: str(provider.name))
def test_a_host_that_only_looks_like_a_provider_s_gets_no_key(provider: ProviderSpec) -> None:
    for url in _look_alikes(provider):
        assert _key(provider, base_url=url) is None, url
        # Nor by naming the usual variable, in whatever way.
        for variable in provider.key_variables:
            named = {"api_key": f"${{{variable}}}"}
            assert _key(provider, base_url=url, **named) is None, url
            header = {"X-Key": f"Bearer ${{{variable}}}"}
            with pytest.raises(ConfigError, match="of another name"):
                resolve(
                    Choice(
                        name="main",
                        config=ModelConfig(
                            provider="vllm",
                            model="m",
                            base_url="https://a.example/v1",
                            headers=header,
                        ),
                        provider=next(one for one in PROVIDERS if one.name == "vllm"),
                    ),
                    ["chat"],
                    ENVIRON,
                    agent_id="a",
                )


@pytest.mark.parametrize("provider", HOSTED, ids=lambda provider: str(provider.name))
def test_each_of_its_own_hosts_gets_it(provider: ProviderSpec) -> None:
    for host in _hosts(provider):
        assert _key(provider, base_url=f"https://{host}/api") == ENVIRON[provider.key_variables[0]]


def test_no_host_belongs_to_two_providers() -> None:
    owners = {host: one.name for one in PROVIDERS for host in _hosts(one)}
    for one in PROVIDERS:
        for host in _hosts(one):
            found = provider_for_url(f"https://{host}/v1", PROVIDERS)
            assert found is not None
            assert found.name == owners[host] == one.name


def test_the_key_of_openai_does_not_go_to_nebius() -> None:
    (openai,) = (one for one in PROVIDERS if one.name == "openai")
    (nebius,) = (one for one in PROVIDERS if one.name == "nebius")
    url = "https://api.studio.nebius.ai/v1"
    assert _key(openai, base_url=url) is None
    assert _key(openai, base_url=url, api_key_env="OPENAI_API_KEY") is None
    assert _key(nebius, base_url=url) == ENVIRON["NEBIUS_API_KEY"]


def test_a_provider_of_the_file_cannot_collect_the_key_of_another() -> None:
    row = ProviderConfig(base_url="https://evil.example/v1", api_key_env="OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="the key of provider 'openai', which is not sent to"):
        resolve(
            Choice(
                name="main",
                config=ModelConfig(provider="mine", model="m"),
                provider=row.spec("mine"),
            ),
            ["chat"],
            ENVIRON,
            agent_id="a",
        )


def test_a_variable_of_another_name_is_the_user_s_own_matter() -> None:
    row = ProviderConfig(base_url="https://gate.example/v1", api_key_env="GATE_KEY")
    connection = resolve(
        Choice(
            name="main", config=ModelConfig(provider="mine", model="m"), provider=row.spec("mine")
        ),
        ["chat"],
        {**ENVIRON, "GATE_KEY": "for the gate"},
        agent_id="a",
    )
    assert connection.api_key is not None
    assert connection.api_key.get_secret_value() == "for the gate"
    assert urlsplit(connection.base_url).hostname == "gate.example"


def test_the_key_of_a_provider_of_the_file_goes_to_its_own_host_alone() -> None:
    row = ProviderConfig(base_url="https://gate.example/v1", api_key_env="GATE_KEY").spec("gate")
    (vllm,) = (one for one in PROVIDERS if one.name == "vllm")
    foreign = ModelConfig(
        provider="vllm", model="m", base_url="https://evil.example/v1", api_key_env="GATE_KEY"
    )
    own = foreign.model_copy(update={"base_url": "https://eu.gate.example/v1"})
    environ = {"GATE_KEY": "for the gate"}
    assert resolve(
        Choice(name="main", config=own, provider=vllm), ["chat"], environ, agent_id="a", known=[row]
    ).api_key
    with pytest.raises(ConfigError, match="the key of provider 'gate', which is not sent to"):
        resolve(
            Choice(name="main", config=foreign, provider=vllm),
            ["chat"],
            environ,
            agent_id="a",
            known=[row],
        )
    pool = ConnectionPool({"main": foreign}, {"vllm": vllm, "gate": row}, environ)
    with pytest.raises(ConfigError, match="the key of provider 'gate', which is not sent to"):
        pool.add("a", "main", protocols=["chat"])


def test_the_usual_key_goes_nowhere_in_clear_text_however_it_is_named() -> None:
    (openai,) = (one for one in PROVIDERS if one.name == "openai")
    (azure,) = (one for one in PROVIDERS if one.name == "azure")
    url = "http://api.openai.com/v1"
    assert _key(openai, base_url=url, api_key_env="OPENAI_API_KEY") is None
    with pytest.raises(ConfigError, match="in clear text"):
        resolve(
            Choice(name="main", config=ModelConfig(provider="azure", model="m"), provider=azure),
            ["chat"],
            {**ENVIRON, "AZURE_OPENAI_ENDPOINT": "http://res.openai.azure.com"},
            agent_id="a",
        )
