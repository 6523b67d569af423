"""From what the configuration says to a `Connection`: pure, the environment is passed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from massgen_bridge.connection import UNCARRIED, Connection, ModelTraits, Sampling
from massgen_bridge.errors import ConfigError
from massgen_bridge.messages import Frozen
from massgen_bridge.models.addresses import host_within, is_loopback, within_url
from massgen_bridge.models.providers import (
    ASSIGNED_AT_RUN_TIME,
    LOCAL,
    PROVIDERS,
    provider_for_url,
    trusted_hosts,
)
from massgen_bridge.models.settings import ModelConfig, expand, variables_in

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from massgen_bridge.agent import InputKind
    from massgen_bridge.connection import Protocols, Quirks
    from massgen_bridge.specs import ProviderSpec

__all__ = ["Choice", "resolve", "resolve_offline", "secret_values"]

FrozenT = TypeVar("FrozenT", bound=Frozen)

_DEFAULT_LOCAL_CONTEXT = 4096
_NOWHERE = "replayed.invalid"
_STAND_IN = "REPLAYED"
# The SDKs of these protocols add the version themselves: it is in no address.
_WITHOUT_PATH: Mapping[str, tuple[str, ...]] = {
    "gemini": ("v1", "v1beta", "v1alpha"),
    "messages": ("v1",),
}
# By one of its protocols, a provider's models take more than by the others.
_MORE_INPUTS: Mapping[tuple[str, Protocols], frozenset[InputKind]] = {
    ("gemini", "gemini"): frozenset({"audio", "document", "image", "video"}),
}
_SEEDLESS = frozenset({"messages", "responses"})


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A connection that was chosen, as the configuration has it.

    Attributes:
        name: What it is called in errors and records.
        config: What the configuration says.
        provider: The registered provider that `config.provider` names.
    """

    name: str
    config: ModelConfig
    provider: ProviderSpec

    @property
    def spoken(self) -> list[Protocols]:
        """The wire protocols that it can be asked by, as its provider prefers them."""
        offered, wanted = list(self.provider.base_urls), self.config.protocol
        if wanted is None:
            return offered
        # A server of one's own may speak what the provider does not.
        return [wanted] if self.config.base_url or wanted in offered else []


@dataclass(frozen=True, kw_only=True)
class _Case(Choice):
    """One connection being resolved, and how to speak of it."""

    environ: Mapping[str, str]
    agent_id: str | None
    known: Collection[ProviderSpec] = ()

    def wrong(self, message: str) -> ConfigError:
        if self.agent_id is None:
            return ConfigError(message)
        return ConfigError(f"agent {self.agent_id!r}, model connection {self.name!r}: {message}")

    def value_of(self, variable: str) -> str:
        value = self.environ.get(variable, "").strip()
        if not value:
            raise self.wrong(
                f"the configuration names the environment variable {variable}, which is not set "
                "or empty: set it, or name another"
            )
        return value

    def part_of_address(self, variable: str) -> str:
        if self.config.base_url is None and not self.environ.get(variable, "").strip():
            raise self.wrong(
                f"provider {self.provider.name!r} takes its address from the environment variable "
                f"{variable}, which is not set or empty: set it, or give 'base_url'"
            )
        return self.value_of(variable).rstrip("/")


def resolve(
    choice: Choice,
    protocols: Sequence[Protocols],
    environ: Mapping[str, str],
    *,
    agent_id: str | None = None,
    known: Collection[ProviderSpec] = (),
) -> Connection:
    """Work out one agent's connection to one model.

    The address and the key of the local model's server are left open
    (`ASSIGNED_AT_RUN_TIME`, None): they exist once it runs.

    Args:
        choice: The connection.
        protocols: The wire protocols that the agent's kind speaks.
        environ: The environment variables.
        agent_id: The agent, for errors, which then name it and the connection; None where no agent
            has to do with it, and whoever asks names the connection.
        known: The providers beside those that come with massgen-bridge; their keys go to their
            own hosts alone, too.

    Raises:
        ConfigError: A variable is not set, no protocol is common to both sides, the protocol lacks
            what is set, the usual key would go to a foreign host, or no model is named.
    """
    case = _Case(**vars(choice), environ=environ, agent_id=agent_id, known=known)
    config, provider = choice.config, choice.provider
    protocol = _protocol(case, protocols)
    quirks = _overridden(provider.quirks, config.quirks)
    if config.seed is not None:
        _check_seed(case, protocol, quirks)
    base_url = _base_url(case, protocol)
    model = config.model or provider.default_model
    if model is None:
        raise case.wrong(f"provider {provider.name!r} needs 'model', the name of one of its models")
    return Connection(
        name=choice.name,
        provider=provider.name,
        protocol=protocol,
        model=model,
        base_url=base_url,
        api_key=_api_key(case, base_url),
        headers={key: expand(value, case.value_of) for key, value in config.headers.items()},
        traits=_traits(config, provider, protocol),
        quirks=quirks,
        sampling=Sampling(
            temperature=config.temperature,
            top_p=config.top_p,
            max_output_tokens=config.max_output_tokens,
            seed=config.seed,
            extra=config.extra_body,
        ),
        retry=config.retry,
        timeout_s=config.timeout_s,
        first_token_timeout_s=config.first_token_timeout_s,
        total_timeout_s=config.total_timeout_s,
    )


def resolve_offline(
    choice: Choice, protocols: Sequence[Protocols], host: str, *, agent_id: str
) -> Connection:
    """Work out a connection that nothing will be sent by: without keys, headers and variables.

    Args:
        choice: The connection.
        protocols: The wire protocols that the agent's kind speaks.
        host: Where the model was: some parameters go by it.
        agent_id: The agent, for errors.

    Raises:
        ConfigError: As for `resolve`, but for what the environment lacks.
    """
    address = f"https://{host or _NOWHERE}"
    without: dict[str, Any] = {"api_key": None, "api_key_env": _STAND_IN, "headers": {}}
    if choice.provider.name != LOCAL:
        without["base_url"] = address
        # As it was chosen before: an address of one's own may mean another one.
        case = _Case(**vars(choice), environ={}, agent_id=agent_id)
        without["protocol"] = _protocol(case, protocols)
    bare = replace(choice, config=choice.config.model_copy(update=without))
    connection = resolve(bare, protocols, {_STAND_IN: _STAND_IN}, agent_id=agent_id)
    path = "" if connection.protocol in _WITHOUT_PATH else "/v1"
    return connection.model_copy(update={"base_url": address + path})


def secret_values(
    config: ModelConfig, connection: Connection, environ: Mapping[str, str]
) -> frozenset[str]:
    """What of a resolved connection must never be written down.

    These are its key, the values of all variables in its headers, and what its address holds
    beside a place: user, password, query, and other variables.
    """
    variables = (name for value in config.headers.values() for name in variables_in(value))
    values = {environ[name].strip() for name in variables}
    values |= set(within_url(connection.base_url))
    # A part of an address that comes from a variable may be a key; a whole address is none.
    parts = variables_in(config.base_url or "")
    values |= {value for name in parts if "://" not in (value := environ[name].strip())}
    address = urlsplit(connection.base_url)
    values -= {address.hostname or "", address.netloc}
    if connection.api_key is not None:
        values.add(connection.api_key.get_secret_value())
    return frozenset(values)


def _protocol(case: _Case, spoken: Sequence[Protocols]) -> Protocols:
    config, provider = case.config, case.provider
    common = [protocol for protocol in case.spoken if protocol in spoken]
    if config.base_url is not None and config.protocol is None:
        # Of the servers that speak a provider's protocols, few speak this one.
        common.sort(key=lambda protocol: protocol == "responses")
    if common:
        return common[0]
    if config.protocol is not None and config.protocol in spoken:
        raise case.wrong(
            f"provider {provider.name!r} does not speak the protocol {config.protocol!r}, only "
            f"{_listed(provider.base_urls)}: leave 'protocol' out, or give the 'base_url' of an "
            "endpoint that speaks it"
        )
    wanted = f"{config.protocol!r}" if config.protocol else _listed(provider.base_urls)
    able = (one.name for one in PROVIDERS if not {*spoken}.isdisjoint(one.base_urls))
    such = next((f", such as {name!r}" for name in able if name != provider.name), "")
    raise case.wrong(
        f"this agent's kind speaks {_listed(spoken) or 'no protocol'}, but the connection "
        f"(provider {provider.name!r}) offers {wanted}: choose another kind of agent, or a "
        f"provider that offers what this kind speaks{such}"
    )


def _check_seed(case: _Case, protocol: Protocols, quirks: Quirks) -> None:
    lacking = f"the protocol {protocol!r} of this agent's kind"
    if protocol not in _SEEDLESS:
        if quirks.seed is not None or protocol == "gemini":  # quirks are those of Chat Completions
            return
        lacking = f"provider {case.provider.name!r}"
    raise case.wrong(
        f"{lacking} has no 'seed': leave it out, or give what the server has instead in "
        "'extra_body'"
    )


def _base_url(case: _Case, protocol: Protocols) -> str:
    if case.provider.name == LOCAL:
        return ASSIGNED_AT_RUN_TIME
    template = case.config.base_url or case.provider.base_urls[protocol]
    url = expand(template, case.part_of_address)
    path = template.rpartition("}")[2]
    if "${" in template and path and url.endswith(path * 2):
        url = url.removesuffix(path)  # the variable has it already
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise case.wrong(
            f"the address {template!r} is not complete once its variables are filled in: expected "
            "one such as 'https://api.example.com/v1'"
        )
    url = url.rstrip("/")
    version = parts.path.rstrip("/").rpartition("/")[2]
    if version in _WITHOUT_PATH.get(protocol, ()):
        raise case.wrong(
            f"the address {template!r} ends with '/{version}', which the protocol {protocol!r} "
            "adds by itself: leave it out"
        )
    return url


def _api_key(case: _Case, base_url: str) -> SecretStr | None:
    config, provider = case.config, case.provider
    for variable in _named_variables(config):
        _check_owner(case, variable, base_url)
    if config.key_variable is not None:
        return SecretStr(case.value_of(config.key_variable))
    if config.base_url is not None and not _may_have_usual_key(case, base_url):
        return None
    for variable in provider.key_variables:
        _check_owner(case, variable, base_url)
        if value := case.environ.get(variable, "").strip():
            return SecretStr(value)
    if provider.needs_key:
        wanted = " or ".join(provider.key_variables)
        raise case.wrong(
            f"provider {provider.name!r} needs a key: set the environment variable {wanted}, or "
            "name another one with 'api_key: ${MY_API_KEY}'"
        )
    return None


def _named_variables(config: ModelConfig) -> Iterator[str]:
    """The variables by which a configuration itself gives the server something."""
    if config.key_variable is not None:
        yield config.key_variable
    for value in (config.base_url or "", *config.headers.values()):
        yield from variables_in(value)


def _check_owner(case: _Case, variable: str, base_url: str) -> None:
    """See that the usual key of a provider goes to its own hosts alone.

    Raises:
        ConfigError: It would go elsewhere, or that of a hosted one in clear text.
    """
    if is_loopback(base_url) or base_url == ASSIGNED_AT_RUN_TIME:
        return
    hosted = _owners(variable, PROVIDERS)
    owners = hosted or _owners(variable, case.known)
    is_own = case.provider in owners and case.config.base_url is None
    host = urlsplit(base_url).hostname or ""
    if owners and not is_own and not any(host_within(host, trusted_hosts(one)) for one in owners):
        raise case.wrong(
            f"the variable {variable} holds the key of provider {owners[0].name!r}, which is not "
            f"sent to the host {host!r}: put the key for that host into a variable of another name"
        )
    if hosted:
        _check_encrypted(case, hosted[0], base_url)


def _owners(variable: str, providers: Iterable[ProviderSpec]) -> list[ProviderSpec]:
    return [one for one in providers if variable in one.key_variables and trusted_hosts(one)]


def _check_encrypted(case: _Case, owner: ProviderSpec, base_url: str) -> None:
    if not base_url.startswith("https://"):
        raise case.wrong(
            f"the key of provider {owner.name!r} would go to {base_url!r} in clear text: "
            "expected an address that begins with 'https://'"
        )


def _may_have_usual_key(case: _Case, base_url: str) -> bool:
    """Whether the provider's usual key may go to an address from the configuration.

    Raises:
        ConfigError: It may not, and the call would probably fail without one.
    """
    provider = case.provider
    host = urlsplit(base_url).hostname or ""
    hosts = trusted_hosts(provider)
    if not hosts:
        return True
    if is_loopback(base_url):
        return False
    if not host_within(host, hosts):
        if not provider.needs_key:
            return False
        other = provider_for_url(base_url, PROVIDERS)
        advice = f"use 'provider: {other.name}', or " if other else ""
        raise case.wrong(
            f"the host {host!r} does not belong to provider {provider.name!r}, whose usual key is "
            f"not sent there: {advice}name the key for it with 'api_key: ${{MY_API_KEY}}'; a "
            "server of your own that needs none is 'provider: vllm'"
        )
    _check_encrypted(case, provider, base_url)
    return True


def _traits(config: ModelConfig, provider: ProviderSpec, protocol: Protocols) -> ModelTraits:
    traits = provider.traits
    speaks_besides = protocol == "messages" and next(iter(provider.base_urls)) != "messages"
    if speaks_besides and provider.name != LOCAL:
        # Servers that speak it besides their own read no schema there, and say nothing. For the
        # local one, the gateway does.
        traits = traits.model_copy(update={"structured": False})
    if more := _MORE_INPUTS.get((provider.name, protocol)):
        traits = traits.model_copy(update={"inputs": more})
    given: dict[str, Any] = {
        "tools": config.tools,
        "structured": config.structured,
        "inputs": config.inputs,
        "images": _overridden(traits.images, config.image_limits),
        "context_window": config.context_window,
    }
    if provider.name == LOCAL and config.context_window is None:
        given["context_window"] = config.context or _DEFAULT_LOCAL_CONTEXT
    update = {key: value for key, value in given.items() if value is not None}
    inputs = traits.inputs if config.inputs is None else config.inputs
    return traits.model_copy(
        update={**update, "inputs": frozenset(inputs) - UNCARRIED.get(protocol, frozenset())}
    )


def _overridden(usual: FrozenT, given: FrozenT | None) -> FrozenT:
    """The usual values with those in their place that a configuration writes out."""
    if given is None:
        return usual
    return usual.model_copy(update={name: getattr(given, name) for name in given.model_fields_set})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
