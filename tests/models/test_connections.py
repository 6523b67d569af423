from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.request import ProxyHandler, Request, build_opener

import anyio
import httpx2
import pytest
from anyio import to_thread

from massgen_bridge.errors import ConfigError, LocalModelError, NetworkFailed, RateLimited
from massgen_bridge.models.connections import ConnectionPool
from massgen_bridge.models.local import install_weights
from massgen_bridge.models.settings import ModelConfig

if TYPE_CHECKING:
    from pathlib import Path

    from massgen_bridge.connection import Connection, Protocols
    from massgen_bridge.events import TurnEvent
    from massgen_bridge.specs import ProviderSpec

pytestmark = pytest.mark.anyio

_ENVIRON = {"OPENAI_API_KEY": "openai-key", "GROQ_API_KEY": "groq-key", "TOKEN": "token"}
_MODELS = {
    "smart": ModelConfig(provider="openai", model="gpt", max_concurrent=1),
    "small": ModelConfig(provider="local", slots=2, context=512),
    "smaller": ModelConfig(provider="local", slots=1, context=256),
}
_CHAT: tuple[Protocols, ...] = ("chat",)


@pytest.fixture(scope="module")
def weights() -> Path:
    """The weights in the user's own cache; fetched once where they are not there."""
    return anyio.run(install_weights)


@pytest.fixture
def pool(providers: dict[str, ProviderSpec]) -> ConnectionPool:
    return ConnectionPool(_MODELS, providers, _ENVIRON)


def _key(connection: Connection) -> str:
    assert connection.api_key is not None
    return connection.api_key.get_secret_value()


def _ask(connection: Connection, path: str, body: dict[str, object]) -> str:
    """Ask without a proxy, whatever the environment says."""
    request = Request(  # noqa: S310 - a loopback address from the pool
        f"{connection.base_url}{path}",
        json.dumps({"model": connection.model, "max_tokens": 3, **body}).encode(),
        {
            "Authorization": f"Bearer {_key(connection)}",
            "X-Api-Key": _key(connection),
            "Content-Type": "application/json",
        },
    )
    with build_opener(ProxyHandler({})).open(request, timeout=50) as response:
        return str(response.read().decode())


async def test_an_agent_gets_the_connection_that_its_model_names(pool: ConnectionPool) -> None:
    planned = pool.add("a", "smart", protocols=_CHAT)
    assert (planned.name, planned.model) == ("smart", "gpt")
    assert await pool.connection("a") == planned
    inline = pool.add("b", "groq/llama", protocols=_CHAT)
    assert (inline.name, inline.provider, inline.model) == ("groq/llama", "groq", "llama")
    plain = pool.add("c", "gpt-5", protocols=_CHAT, default_provider="openai")
    assert (plain.name, plain.provider) == ("gpt-5", "openai")


async def test_a_connection_may_be_written_in_place(pool: ConnectionPool) -> None:
    pool.add("a", ModelConfig(provider="groq", model="llama", seed=1), protocols=_CHAT)
    connection = await pool.connection("a")
    assert (connection.name, connection.sampling.seed) == ("llama", 1)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("smrt", "agent 'alice': there is no model 'smrt' (did you mean 'smart'?)"),
        ("groq", "agent 'alice': 'groq' is a provider, not a model"),
        (ModelConfig(provider="opanai", model="m"), "agent 'alice': model connection 'm'"),
        ("xai/grok", "agent 'alice', model connection 'xai/grok': provider 'xai' needs a key"),
    ],
)
async def test_mistakes_show_when_an_agent_is_added(
    pool: ConnectionPool, model: str | ModelConfig, said: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        pool.add("alice", model, protocols=_CHAT)
    assert str(caught.value).startswith(said)


@pytest.mark.parametrize(
    ("spare", "protocol"),
    [
        (ModelConfig(provider="openai", model="gpt-mini"), "responses"),
        (ModelConfig(provider="groq", model="llama"), "chat"),
        (ModelConfig(provider="groq", model="llama", protocol="responses"), "responses"),
        (ModelConfig(provider="vllm", model="m", base_url="http://127.0.0.1:9/v1"), "chat"),
        (ModelConfig(provider="gemini", model="flash"), "chat"),
        (ModelConfig(provider="local"), "chat"),
    ],
)
async def test_all_are_asked_by_what_each_fallback_speaks_well(
    spare: ModelConfig, protocol: Protocols, providers: dict[str, ProviderSpec]
) -> None:
    smart = ModelConfig(provider="openai", model="gpt", fallback=["spare"])
    models = {"smart": smart, "spare": spare}
    pool = ConnectionPool(models, providers, _ENVIRON | {"GEMINI_API_KEY": "gemini-key"})
    connection = pool.add("a", "smart", protocols=("responses", "chat"))
    asked = [one.protocol for one in (connection, *connection.fallback)]
    assert asked == [protocol, protocol]


async def test_secrets_are_those_in_use(pool: ConnectionPool) -> None:
    assert pool.secrets() == frozenset()
    pool.add("a", "smart", protocols=_CHAT)
    assert pool.secrets() == {"openai-key"}
    headers = {"X-Key": "x ${TOKEN}"}
    pool.add("b", ModelConfig(provider="vllm", model="m", headers=headers), protocols=_CHAT)
    assert pool.secrets() == {"openai-key", "token"}


async def test_a_bound_holds_for_all_agents_of_a_named_connection(pool: ConnectionPool) -> None:
    running = most = 0

    async def attempt() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.sleep(0.005)
        running -= 1

    async def emit(event: TurnEvent) -> None:
        pass

    async with anyio.create_task_group() as group:
        for agent_id in ("a", "b", "c"):
            pool.add(agent_id, "smart", protocols=_CHAT)
            group.start_soon(pool.caller(agent_id), attempt, emit)
    assert most == 1


async def test_without_a_bound_calls_run_together(pool: ConnectionPool) -> None:
    together = anyio.Event()
    arrived = 0

    async def attempt() -> None:
        nonlocal arrived
        arrived += 1
        if arrived == 3:
            together.set()
        await together.wait()

    async def emit(event: TurnEvent) -> None:
        pass

    with anyio.fail_after(30):
        async with anyio.create_task_group() as group:
            for agent_id in ("a", "b", "c"):
                pool.add(agent_id, "groq/llama", protocols=_CHAT)
                group.start_soon(pool.caller(agent_id), attempt, emit)


async def test_a_caller_retries_as_its_connection_says(pool: ConnectionPool) -> None:
    config = ModelConfig.model_validate(
        {"provider": "groq", "model": "m", "retry": {"attempts": 3, "base_s": 0.001}}
    )
    pool.add("a", config, protocols=_CHAT)
    calls = 0

    async def attempt() -> None:
        nonlocal calls
        calls += 1
        raise RateLimited("slow down")

    async def emit(event: TurnEvent) -> None:
        pass

    with pytest.raises(RateLimited):
        await pool.caller("a")(attempt, emit)
    assert calls == 3


def test_a_misspelt_connection_is_told_where_the_model_it_names_cannot_be_had(
    pool: ConnectionPool,
) -> None:
    with pytest.raises(ConfigError, match=r"'smal' is no name under 'models:'; did you mean 'sm"):
        pool.add("a", "smal", protocols=_CHAT, default_provider="mistral")
    with pytest.raises(ConfigError, match=r"MISTRAL_API_KEY, .*api_key: \$\{MY_API_KEY\}'$"):
        pool.add("a", "mistral-large", protocols=_CHAT, default_provider="mistral")


async def test_a_failure_of_the_network_says_where_a_server_was_looked_for(
    pool: ConnectionPool,
) -> None:
    pool.add("a", ModelConfig(provider="ollama", model="m"), protocols=_CHAT)
    pool.add("b", "groq/m", protocols=_CHAT)

    async def attempt() -> None:
        raise NetworkFailed("nobody is there", retry_after_s=1000)

    async def emit(event: TurnEvent) -> None:
        pass

    with pytest.raises(NetworkFailed, match=r"http://localhost:11434, on this machine: is a serv"):
        await pool.caller("a")(attempt, emit)
    with pytest.raises(NetworkFailed, match=r"address is https://api\.groq\.com\)"):
        await pool.caller("b")(attempt, emit)

    async def break_off() -> None:
        try:
            raise httpx2.RemoteProtocolError("the peer left")
        except httpx2.HTTPError as error:
            raise NetworkFailed("it broke off", retry_after_s=1000) from error

    with pytest.raises(NetworkFailed, match=r"address is http://localhost:11434\)"):
        await pool.caller("a")(break_off, emit)


@pytest.mark.usefixtures("weights")
async def test_agents_share_one_local_server_started_when_it_is_needed(
    pool: ConnectionPool,
) -> None:
    async with pool:
        for agent_id, model in (("a", "small"), ("b", "local"), ("c", "smaller")):
            assert pool.add(agent_id, model, protocols=_CHAT).base_url == ""
        pool.add("d", "local", protocols=["messages"])
        assert pool.secrets() == frozenset()

        found: dict[str, Connection] = {}

        async def get(agent_id: str) -> None:
            found[agent_id] = await pool.connection(agent_id)

        async with anyio.create_task_group() as group:
            for agent_id in "abcd":
                group.start_soon(get, agent_id)

        assert found["a"].base_url == found["b"].base_url == found["c"].base_url
        assert found["a"].base_url == f"{found['d'].base_url}/v1"
        # Their keys are the gateway's; that of the server is secret, too.
        assert pool.secrets() > {_key(connection) for connection in found.values()}
        hello: dict[str, object] = {"messages": [{"role": "user", "content": "Say hello."}]}
        chat = await to_thread.run_sync(_ask, found["a"], "/chat/completions", hello)
        assert "choices" in chat
        messages = await to_thread.run_sync(_ask, found["d"], "/v1/messages", hello)
        assert "content" in messages
    with pytest.raises(LocalModelError, match="closed"):
        await pool.connection("a")


async def test_a_closed_pool_starts_no_server(pool: ConnectionPool) -> None:
    pool.add("a", "local", protocols=_CHAT)
    await pool.aclose()
    await pool.aclose()
    with pytest.raises(LocalModelError, match="closed"):
        await pool.connection("a")


async def test_a_connection_to_a_provider_starts_nothing_of_ones_own(pool: ConnectionPool) -> None:
    async with pool:
        pool.add("a", "smart", protocols=_CHAT)
        await pool.connection("a")
        assert (pool._shared.gateway, pool._shared.servers) == (None, None)


async def test_the_room_of_the_local_server_follows_the_configuration(
    pool: ConnectionPool, providers: dict[str, ProviderSpec]
) -> None:
    for agent_id, model in (("a", "small"), ("b", "local"), ("c", "smaller")):
        pool.add(agent_id, model, protocols=_CHAT)
    settings = pool._local_settings()
    assert (settings.slots, settings.context_per_slot) == (2, 512)

    many = ConnectionPool({}, providers, {})
    for number in range(9):
        many.add(str(number), "local", protocols=_CHAT)
    assert many._local_settings().slots == 4


def test_no_sdk_is_imported_for_connections() -> None:
    code = (
        "import sys, massgen_bridge.models.connections, massgen_bridge.models.prices;"
        "print([m for m in ('openai', 'httpx', 'httpx2', 'genai_prices', 'xllamacpp')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_pool_of_several_runs_is_closed_by_the_last_of_them(pool: ConnectionPool) -> None:
    pool.add("a", "local", protocols=_CHAT)
    async with pool:
        async with pool:
            pass
        assert pool._shared.servers is None  # not closed: one can still be started
    with pytest.raises(LocalModelError, match="closed"):
        await pool.connection("a")
