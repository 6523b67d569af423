"""What model calls cost, from the price list that comes with genai-prices.

The list is a copy inside the installed package: nothing is fetched, and newer prices come with a
newer package. Its first use takes a few tenths of a second, so keep it off the event loop.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from massgen_bridge.agent import Usage
from massgen_bridge.models.providers import PROVIDERS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from massgen_bridge.connection import Connection
    from massgen_bridge.specs import ProviderSpec

__all__ = ["PriceList", "RunEstimate", "estimate", "estimate_run", "estimate_tokens", "price_of"]

_BYTES_PER_TOKEN: Final = 4
_INSTRUCTION_TOKENS: Final = 600
_ANSWER_TOKENS: Final = 700
_VOTE_TOKENS: Final = 60


def estimate(
    connection: Connection, usage: Usage, providers: Sequence[ProviderSpec] = PROVIDERS
) -> Decimal | None:
    """The price of one model call in US dollars.

    Give each call's usage by itself: some prices rise with the length of the prompt.

    Args:
        connection: The model that was called.
        usage: The tokens of the call.
        providers: Where the provider of the connection is looked up.

    Returns:
        Dollars; zero for models that nobody charges for; None where the price is not known.
    """
    return price_of(
        usage, provider=connection.provider, model=connection.model, providers=providers
    )


def price_of(
    usage: Usage,
    *,
    provider: str | None,
    model: str,
    providers: Sequence[ProviderSpec] = PROVIDERS,
) -> Decimal | None:
    """The price of one model call in US dollars, by the names in a run's records.

    Args:
        usage: The tokens of the call, from its `ModelCallFinished`.
        provider: Who serves the model, from the agent's `Seat`.
        model: The model's name, from the same record as the usage.
        providers: Where the provider is looked up; the built-in ones by default.

    Returns:
        Dollars; zero for models that nobody charges for; None where the price is not known.
    """
    spec = next((spec for spec in providers if spec.name == provider), None)
    if spec is None:
        return None
    return _listed(usage, spec, model)


def _listed(usage: Usage, spec: ProviderSpec, model: str) -> Decimal | None:
    if spec.prices_id is None:
        return Decimal(0)
    import genai_prices  # noqa: PLC0415 - a long list that most commands never ask for

    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        # A provider that miscounts must not make a price impossible.
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
        cache_write_tokens=min(
            usage.cache_write_tokens, max(0, usage.input_tokens - usage.cached_tokens)
        ),
        output_tokens=usage.output_tokens,
    )
    try:
        return genai_prices.calc_price(tokens, model, provider_id=spec.prices_id).total_price
    except LookupError:
        return None


class PriceList:
    """What the model calls of a run's agents cost.

    Args:
        connections: The model of each agent that has one, by agent id; those of the members of a
            team by `team/member`.
        providers: Where their providers are looked up.

    Attributes:
        connections: As they were given.
    """

    def __init__(
        self, connections: Mapping[str, Connection], providers: Sequence[ProviderSpec] = PROVIDERS
    ) -> None:
        self.connections = connections
        self._providers = {spec.name: spec for spec in reversed(providers)}
        self._is_read = False

    def unknown(self, agent_id: str) -> Connection | None:
        """A model of an agent, or of a member of it, whose price is not known.

        The first model of a provider that charges makes this read the whole list.
        """
        for name, connection in self.connections.items():
            own = name == agent_id or name.startswith(f"{agent_id}/")
            for way in (connection, *connection.fallback) if own else ():
                if self._of(way, way.model, Usage()) is None:
                    return way
        return None

    @property
    def is_at_hand(self) -> bool:
        """Whether asking takes no time worth mentioning: the list was read, or is not needed."""
        return self._is_read or not any(
            self._charges(way)
            for connection in self.connections.values()
            for way in (connection, *connection.fallback)
        )

    def __call__(
        self, agent: str, model: str | None, usage: Usage | None, fallback: str | None = None
    ) -> Decimal | None:
        """US dollars of a call; None where they are not known.

        Args:
            agent: The id of the agent that made it, or `team/member`. What one without a model of
                its own asks by its own code has no price that is known here.
            model: What the call's record names. The price of the agent's own model counts where
                that one's is not known.
            usage: The tokens of the call; None where they are not told.
            fallback: Names the connection that has answered, where it is not the agent's own.
        """
        connection = self.connections.get(agent)
        while connection is None and "/" in agent:
            agent = agent.rpartition("/")[0]
            connection = self.connections.get(agent)
        if connection is None:
            return None
        connection = _answering(connection, fallback)
        if usage is None:
            return None if self._charges(connection) else Decimal(0)
        price = self._of(connection, model, usage) if model else None
        if price is None and model != connection.model:
            price = self._of(connection, connection.model, usage)
        return price

    def _of(self, connection: Connection, model: str, usage: Usage) -> Decimal | None:
        spec = self._providers.get(connection.provider)
        if spec is None:
            return None
        self._is_read |= spec.prices_id is not None
        return _listed(usage, spec, model)

    def _charges(self, connection: Connection) -> bool:
        spec = self._providers.get(connection.provider)
        return spec is None or spec.prices_id is not None


def _answering(connection: Connection, fallback: str | None) -> Connection:
    """The one of a connection and its fallbacks that has answered; models may have one name."""
    return next((way for way in connection.fallback if way.name == fallback), connection)


@dataclass(frozen=True, kw_only=True)
class RunEstimate:
    """What a run would use if every agent answers once and votes at once.

    Attributes:
        usage: Tokens and calls, guessed from the length of the question.
        price: Dollars of the models whose price is known.
        unpriced: Models whose price is not known, sorted.
    """

    usage: Usage
    price: Decimal
    unpriced: tuple[str, ...]


def estimate_run(
    connections: Sequence[Connection],
    question: str,
    providers: Sequence[ProviderSpec] = PROVIDERS,
) -> RunEstimate:
    """Guess what a run would cost, without asking anyone.

    A rough figure for a plan: the usual course of a run with answers of usual length. Agents that
    improve their answers, call tools or reason at length take several times as much.

    Args:
        connections: One for each agent; the same one twice for two agents that share it.
        question: The text of the question.
        providers: Where the providers of the connections are looked up.
    """
    asked = estimate_tokens(question) + _INSTRUCTION_TOKENS
    everything = Usage()
    price = Decimal(0)
    unpriced: set[str] = set()
    for connection in connections:
        answer = min(_ANSWER_TOKENS, connection.sampling.max_output_tokens or _ANSWER_TOKENS)
        for usage in (
            Usage(input_tokens=asked, output_tokens=answer, calls=1),
            Usage(
                input_tokens=asked + answer * len(connections), output_tokens=_VOTE_TOKENS, calls=1
            ),
        ):
            everything += usage
            cost = estimate(connection, usage, providers)
            if cost is None:
                unpriced.add(connection.model)
            else:
                price += cost
    return RunEstimate(usage=everything, price=price, unpriced=tuple(sorted(unpriced)))


def estimate_tokens(text: str) -> int:
    """About how many tokens `text` is; tokenizers differ by a third or so."""
    return -(-len(text.encode(errors="replace")) // _BYTES_PER_TOKEN)
