"""The plugin host: one typed method for each hook, around pluggy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from massgen_bridge.agent import Turn
from massgen_bridge.errors import (
    ERROR_KINDS,
    AgentError,
    ConfigError,
    HookFailed,
    PluginError,
    error_of_kind,
)
from massgen_bridge.plugins.importing import load_module
from massgen_bridge.plugins.loading import Implementation, PluginSet
from massgen_bridge.plugins.records import (
    AdapterInfo,
    AdapterOrigin,
    ExtensionInfo,
    HookFailure,
    PluginInfo,
    TieDecision,
    one_line,
)
from massgen_bridge.plugins.registry import Registry
from massgen_bridge.specs import AdapterSpec, ProviderSpec, SinkSpec, StrategySpec, ToolSpec

if TYPE_CHECKING:
    from massgen_bridge.errors import ErrorKind
    from massgen_bridge.events import AnswerInfo, Record, RunResult, RunStarted
    from massgen_bridge.messages import ToolCall
    from massgen_bridge.verdicts import AnswerVerdict, ToolVerdict

__all__ = ["PluginHost"]

_OBSERVERS = frozenset({"bridge_events", "bridge_run_finished", "bridge_run_started"})
T = TypeVar("T")


def _log(failure: HookFailure) -> None:
    import logging  # noqa: PLC0415 - seldom needed, and commands should start fast

    logging.getLogger("massgen_bridge.plugins").warning("%s", failure)


class PluginHost:
    """All plugins of a process or a run.

    What is installed is found on first use. A broken plugin never raises here; it is listed by
    `plugins` and named when something that it should offer is asked for. All methods may be
    called from any thread; the decisions and observers may block as long as a plugin does.

    Args:
        entry_points: Whether installed plugins take part, beside what is built in.
        report: Told of each hook that failed where that is no error of the caller's; by default
            it is logged.
    """

    def __init__(
        self, *, entry_points: bool = True, report: Callable[[HookFailure], None] = _log
    ) -> None:
        self._plugins = PluginSet(use_entry_points=entry_points)
        self._report = report
        self._registry = Registry(self._plugins)

    # --- sources ---------------------------------------------------------------------------------

    def register(self, plugin: object, *, name: str | None = None) -> None:
        """Add a plugin from code: a module or an object with hook implementations.

        Raises:
            PluginError: It is registered already, or its hooks are not what they should be.
        """
        target = str(getattr(plugin, "__name__", type(plugin).__qualname__))
        loaded = self._plugins.add(plugin, name=name or target, source="code", target=target)
        if loaded.problems:
            raise PluginError(f"plugin {loaded.name!r} is broken: {'; '.join(loaded.problems)}")

    def load_plugins(self, references: Sequence[str], base_dir: Path) -> None:
        """Import the plugins that a configuration names; one that is there already is left.

        Args:
            references: Modules (`package.module`) or files (`./hooks.py`).
            base_dir: Folder of the configuration.

        Raises:
            ConfigError: One of them is missing or broken.
        """
        for reference in references:
            module = load_module(reference, base_dir)
            if self._plugins.has_object(module):
                continue
            loaded = self._plugins.add(
                module, name=reference, source="configuration", target=reference
            )
            self._registry.gather(loaded)
            if loaded.problems:
                raise ConfigError(f"plugin {reference!r} is broken: {'; '.join(loaded.problems)}")

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every plugin that was found, usable or not, in the order of registration."""
        return tuple(plugin.info() for plugin in self._plugins)

    def has(self, hook: str) -> bool:
        """Whether any plugin implements a hook."""
        return bool(self._plugins.implementations(hook))

    # --- registrations ---------------------------------------------------------------------------

    def adapter(self, kind: str) -> AdapterSpec:
        """The adapter of a kind of agent.

        A first-party one that is not installed is loaded from the sources that the core came with.

        Raises:
            ConfigError: There is no such kind.
            AdapterMissing: It is known, but not to be had, left out or broken.
            DuplicateName: Several plugins register it.
        """
        return self._registry.adapter(kind)

    def origin(self, kind: str) -> AdapterOrigin:
        """Where the adapter of a kind comes from; errors as for `adapter`."""
        return self._registry.origin(kind)

    def adapters(self) -> tuple[AdapterInfo, ...]:
        """Every kind of agent that is known, sorted by name."""
        return self._registry.adapters()

    def tool(self, name: str) -> ToolSpec:
        """The tool of a name.

        Raises:
            ConfigError: There is no such tool.
            DuplicateName: Several plugins register it.
        """
        return self._registry.find(ToolSpec, name)

    def tools(self) -> tuple[ExtensionInfo, ...]:
        """Every registered tool, sorted by name."""
        return self._registry.infos(ToolSpec)

    def strategy(self, name: str) -> StrategySpec:
        """The strategy of a name; errors as for `tool`."""
        return self._registry.find(StrategySpec, name)

    def strategies(self) -> tuple[ExtensionInfo, ...]:
        """Every registered strategy, sorted by name."""
        return self._registry.infos(StrategySpec)

    def sink(self, name: str) -> SinkSpec:
        """The kind of sink of a name; errors as for `tool`."""
        return self._registry.find(SinkSpec, name)

    def sinks(self) -> tuple[ExtensionInfo, ...]:
        """Every registered kind of sink, sorted by name."""
        return self._registry.infos(SinkSpec)

    def provider(self, name: str) -> ProviderSpec:
        """The provider of models of a name; errors as for `tool`."""
        return self._registry.find(ProviderSpec, name)

    def providers(self) -> tuple[ExtensionInfo, ...]:
        """Every registered provider, sorted by name."""
        return self._registry.infos(ProviderSpec)

    # --- decisions -------------------------------------------------------------------------------

    def prepare_turn(self, turn: Turn) -> Turn:
        """Let every plugin change a turn, one after the other; bind its tools afterwards.

        Raises:
            HookFailed: A plugin raised, or returned something else than this turn, changed.
            AgentError: A plugin refused the turn by raising one; its kind is kept.
        """
        for one in self._plugins.implementations("bridge_turn_prepare"):
            try:
                changed = _try(one, {"turn": turn}, Turn, passing=AgentError)
            except AgentError as error:
                refusal = f"plugin {one.plugin.key!r} refused this turn: {error}"
                raise error_of_kind(error.kind)(refusal) from error
            if isinstance(changed, Turn) and _identity(changed) != _identity(turn):
                changed = _failure(one, "it returned another turn, not this one changed")
            if isinstance(changed, HookFailure):
                raise HookFailed(str(changed))
            turn = changed or turn
        return turn

    def tool_verdict(self, turn: Turn, call: ToolCall) -> ToolVerdict:
        """Decide on a tool call; without any opinion it is allowed.

        Edited arguments are shown to all plugins again, so that nobody's consent is used for
        other arguments than it was given for. Plugins that edit differently deny. Where a person
        is to be asked about an edited call, `arguments` holds the edited ones.
        """
        from massgen_bridge.verdicts import ToolVerdict  # noqa: PLC0415 - no command that only lists needs it

        opinions = self._tool_opinions(turn, call)
        edits = [one.arguments for one in opinions if one.action == "edit"]
        if edits:
            edited = call.model_copy(update={"arguments": edits[0]})
            again = self._tool_opinions(turn, edited)
            edits += [one.arguments for one in again if one.action == "edit"]
            opinions += again
            if any(arguments != edits[0] for arguments in edits):
                editors = dict.fromkeys(one.by or "" for one in opinions if one.action == "edit")
                reason = "plugins edit this call differently"
                return ToolVerdict(action="deny", reason=reason, by=" and ".join(editors))
        for action in ("deny", "ask", "edit", "allow"):
            for one in opinions:
                if one.action == action:
                    arguments = edits[0] if edits and action in {"ask", "edit"} else None
                    return one.model_copy(update={"arguments": arguments})
        return ToolVerdict(action="allow")

    def _tool_opinions(self, turn: Turn, call: ToolCall) -> list[ToolVerdict]:
        from massgen_bridge.verdicts import ToolVerdict  # noqa: PLC0415 - no command that only lists needs it

        opinions: list[ToolVerdict] = []
        for one in self._plugins.implementations("bridge_tool_call"):
            opinion = _try(one, {"turn": turn, "call": call}, ToolVerdict)
            if isinstance(opinion, ToolVerdict) and not _is_complete(opinion):
                opinion = _failure(one, "it edits without giving arguments")
            if isinstance(opinion, HookFailure):
                self._report(opinion)
                reason = f"plugin {one.plugin.key!r} failed to decide on this call"
                opinion = ToolVerdict(action="deny", reason=reason)
            if opinion is not None:
                opinions.append(opinion.model_copy(update={"by": one.plugin.key}))
        return opinions

    def answer_verdict(self, turn: Turn, text: str) -> AnswerVerdict:
        """Accept or reject an answer; the first rejection counts, and raising rejects."""
        from massgen_bridge.verdicts import AnswerVerdict  # noqa: PLC0415 - no command that only lists needs it

        arguments = {"turn": turn, "agent_id": turn.agent_id, "text": text}
        for one in self._plugins.implementations("bridge_answer"):
            opinion = _try(one, arguments, AnswerVerdict)
            if isinstance(opinion, HookFailure):
                self._report(opinion)
                reason = f"plugin {one.plugin.key!r} failed to judge this answer"
                return AnswerVerdict(accept=False, reason=reason)
            if opinion is not None and not opinion.accept:
                return opinion
        return AnswerVerdict(accept=True)

    def tie_break(self, question: str, candidates: Sequence[AnswerInfo]) -> TieDecision | None:
        """Choose among tied answers; None leaves it to the order of the configuration."""
        labels = [one.label for one in candidates]
        arguments = {"question": question, "candidates": tuple(candidates)}
        for one in self._plugins.implementations("bridge_tie_break"):
            label = _try(one, arguments, str)
            if isinstance(label, str) and label not in labels:
                label = _failure(one, f"it chose {label!r}, which is none of {labels}")
            if isinstance(label, str):
                return TieDecision(label=label, by=one.plugin.key)
            if label is not None:
                self._report(label)
        return None

    def classify_error(self, kind: str, error: Exception) -> ErrorKind | None:
        """The kind that a plugin gives to an exception of an agent's code; None: no opinion."""
        for one in self._plugins.implementations("bridge_classify_error"):
            opinion = _try(one, {"kind": kind, "error": error}, str)
            for known in ERROR_KINDS:
                if opinion == known:
                    return known
            if isinstance(opinion, str):
                opinion = _failure(one, f"it returned {opinion!r}, which is no error kind")
            if opinion is not None:
                self._report(opinion)
        return None

    # --- observers -------------------------------------------------------------------------------

    def observers(self) -> tuple[str, ...]:
        """The plugins that observe runs: the names to call the three methods below with."""
        return tuple(one.key for one in self._plugins if not _OBSERVERS.isdisjoint(one.hooks))

    def run_started(
        self, run_id: str, started: RunStarted, *, plugin: str | None = None
    ) -> list[HookFailure]:
        """Tell one observer, or each of them, that a run began; what went wrong is returned."""
        return self._tell(plugin, "bridge_run_started", {"run_id": run_id, "started": started})

    def events(
        self, run_id: str, records: Sequence[Record], *, plugin: str | None = None
    ) -> list[HookFailure]:
        """Hand a batch of records to one observer, or to each of them."""
        return self._tell(plugin, "bridge_events", {"run_id": run_id, "records": records})

    def run_finished(
        self, run_id: str, result: RunResult, *, plugin: str | None = None
    ) -> list[HookFailure]:
        """Tell one observer, or each of them, that a run ended."""
        return self._tell(plugin, "bridge_run_finished", {"run_id": run_id, "result": result})

    def _tell(
        self, plugin: str | None, hook: str, arguments: Mapping[str, object]
    ) -> list[HookFailure]:
        failures: list[HookFailure] = []
        for one in self._plugins.implementations(hook):
            if plugin is None or one.plugin.key == plugin:
                outcome = _try(one, arguments, object)
                if isinstance(outcome, HookFailure):
                    failures.append(outcome)
        return failures


def _identity(turn: Turn) -> tuple[str, str, str]:
    return turn.run_id, turn.turn_id, turn.agent_id


def _is_complete(verdict: ToolVerdict) -> bool:
    return verdict.action != "edit" or verdict.arguments is not None


def _failure(one: Implementation, problem: str) -> HookFailure:
    return HookFailure(plugin=one.plugin.key, hook=one.hook, problem=problem)


def _try(
    one: Implementation,
    arguments: Mapping[str, object],
    expected: type[T],
    *,
    passing: type[Exception] | tuple[()] = (),
) -> T | HookFailure | None:
    """Call an implementation; what it wrongly returns, or raises but `passing`, is a failure."""
    try:
        result = one(arguments)
    except passing:
        raise
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a plugin costs only itself
        return _failure(one, one_line(error))
    if result is None or isinstance(result, expected):
        return result
    return _failure(one, f"it returned a {type(result).__name__}, not a {expected.__name__}")
