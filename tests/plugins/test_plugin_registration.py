"""Plugins from code and from a configuration; hooks that are not what they should be."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from massgen_bridge import hookimpl
from massgen_bridge.agent import Turn
from massgen_bridge.errors import ConfigError, PluginError
from massgen_bridge.plugins import HookFailure, PluginHost
from massgen_bridge.specs import ProviderSpec, SinkSpec, StrategySpec, ToolSpec
from massgen_bridge.strategies import Consensus, ConsensusOptions


@pytest.fixture
def host() -> PluginHost:
    return PluginHost(entry_points=False)


def _fails(host: PluginHost, plugin: object, text: str) -> None:
    with pytest.raises(PluginError) as caught:
        host.register(plugin, name="mine")
    assert text in str(caught.value)
    assert host.plugins()[-1].problems, "a broken plugin is listed with its reason"
    assert not host.has("bridge_turn_prepare")


class _Strategies:
    @hookimpl
    def bridge_strategies(self) -> list[StrategySpec]:
        return [
            StrategySpec(name="mine", summary="Mine.", create=Consensus, options=ConsensusOptions)
        ]


def test_an_object_offers_what_its_methods_register(host: PluginHost) -> None:
    host.register(_Strategies())
    assert host.strategy("mine").summary == "Mine."
    assert host.strategy("consensus").name == "consensus"
    (info,) = [one for one in host.plugins() if one.source == "code"]
    assert (info.name, info.hooks, info.problems) == ("_Strategies", ("bridge_strategies",), ())


def test_a_plugin_that_comes_late_is_seen_all_the_same(host: PluginHost) -> None:
    assert "mine" not in [one.name for one in host.strategies()]
    assert not host.has("bridge_turn_prepare")
    host.register(_Strategies())

    class Prepares:
        @hookimpl
        def bridge_turn_prepare(self, turn: Turn) -> Turn:
            return turn

    host.register(Prepares())
    assert "mine" in [one.name for one in host.strategies()]
    assert host.has("bridge_turn_prepare")


def test_the_same_object_cannot_be_registered_twice(host: PluginHost) -> None:
    plugin = _Strategies()
    host.register(plugin, name="one")
    with pytest.raises(PluginError, match="'two' is registered already"):
        host.register(plugin, name="two")


def test_two_plugins_may_have_one_name_as_long_as_they_offer_different_things(
    host: PluginHost,
) -> None:
    class Tools:
        @hookimpl
        def bridge_tools(self) -> list[ToolSpec]:
            return []

    host.register(_Strategies(), name="mine")
    host.register(Tools(), name="mine")
    assert [one.name for one in host.plugins()][-2:] == ["mine", "mine"]


def test_a_hook_may_be_given_under_another_name(host: PluginHost) -> None:
    class Renamed:
        @hookimpl(specname="bridge_strategies")
        def strategies(self) -> list[StrategySpec]:
            return _Strategies().bridge_strategies()

    host.register(Renamed())
    assert host.strategy("mine").name == "mine"


def test_a_registration_may_be_a_generator(host: PluginHost) -> None:
    class Lazily:
        @hookimpl
        def bridge_strategies(self) -> Iterator[StrategySpec]:
            yield from _Strategies().bridge_strategies()

    host.register(Lazily())
    assert host.strategy("mine").name == "mine"


def test_an_unknown_hook_is_an_error_with_the_nearest_name(host: PluginHost) -> None:
    class Misspelt:
        @hookimpl
        def bridge_turn_prepared(self, turn: Turn) -> Turn:
            return turn

    _fails(host, Misspelt(), "no hook 'bridge_turn_prepared'; did you mean 'bridge_turn_prepare'?")


def test_a_hook_of_a_newer_host_may_be_marked_as_optional(host: PluginHost) -> None:
    class Newer:
        @hookimpl(optionalhook=True)
        def bridge_telepathy(self) -> None:
            """Not known here."""

    host.register(Newer())
    assert host.plugins()[-1].problems == ()


def test_a_function_that_looks_like_a_hook_but_is_not_marked_is_an_error(host: PluginHost) -> None:
    class Unmarked:
        def bridge_turn_prepare(self, turn: Turn) -> Turn:
            return turn

    _fails(host, Unmarked(), "'bridge_turn_prepare' is not marked with @massgen_bridge.hookimpl")


def test_a_misspelt_unmarked_function_is_an_error_with_the_nearest_name(host: PluginHost) -> None:
    class Unmarked:
        def bridge_tool_cal(self) -> None:
            """Meant to be a hook."""

    _fails(host, Unmarked(), "no hook 'bridge_tool_cal'; did you mean 'bridge_tool_call'?")


def test_an_unknown_argument_is_an_error_with_the_nearest_name(host: PluginHost) -> None:
    class Wrong:
        @hookimpl
        def bridge_turn_prepare(self, trun: Turn) -> Turn:
            return trun

    _fails(host, Wrong(), "no argument 'trun'; did you mean 'turn'? (arguments: turn)")


def test_an_argument_with_a_default_would_never_be_given_and_is_an_error(host: PluginHost) -> None:
    class Wrong:
        @hookimpl
        def bridge_turn_prepare(self, turn: Turn | None = None) -> Turn | None:
            return turn

    _fails(host, Wrong(), "argument 'turn' of 'bridge_turn_prepare' must be positional")


def test_collecting_arguments_would_stay_empty_and_is_an_error(host: PluginHost) -> None:
    class Wrong:
        @hookimpl
        def bridge_turn_prepare(self, **everything: Any) -> None:
            del everything

    _fails(host, Wrong(), "takes '**everything', but would get nothing through it")


def test_a_class_in_place_of_its_instance_is_an_error(host: PluginHost) -> None:
    _fails(host, _Strategies, "'bridge_strategies' needs an instance")


def test_a_wrapper_is_an_error(host: PluginHost) -> None:
    class Wrapper:
        @hookimpl(wrapper=True)
        def bridge_turn_prepare(self, turn: Turn) -> Iterator[None]:
            del turn
            yield

    _fails(host, Wrapper(), "'bridge_turn_prepare' is a wrapper")


def test_a_decision_that_is_a_generator_is_an_error(host: PluginHost) -> None:
    class Yields:
        @hookimpl
        def bridge_turn_prepare(self, turn: Turn) -> Iterator[Turn]:
            yield turn

    _fails(host, Yields(), "is a generator, so calling it would do nothing")


def test_a_registration_that_returns_other_things_is_reported(host: PluginHost) -> None:
    class Wrong:
        @hookimpl
        def bridge_providers(self) -> list[ProviderSpec]:
            return _Strategies().bridge_strategies()  # type: ignore[return-value]  # the mistake

        @hookimpl
        def bridge_sinks(self) -> list[SinkSpec]:
            return None  # type: ignore[return-value]  # the mistake

    host.register(Wrong(), name="wrong")
    assert host.provider("openai").name == "openai"
    assert host.sinks() == ()
    (info,) = [one for one in host.plugins() if one.name == "wrong"]
    assert sorted(info.problems) == [
        "bridge_providers returned a StrategySpec where a ProviderSpec is expected",
        "bridge_sinks failed: TypeError: 'NoneType' object is not iterable",
    ]


def test_a_failing_attribute_makes_a_plugin_broken_not_the_host(host: PluginHost) -> None:
    class Odd:
        def __dir__(self) -> list[str]:
            raise RuntimeError("no look inside")

    _fails(host, Odd(), "RuntimeError: no look inside")
    assert host.adapter("python").kind == "python"


# --- plugins that a configuration names -----------------------------------------------------------


TOOLS = """\
from massgen_bridge import ToolDefinition, ToolSpec, hookimpl

async def call(arguments):
    return "done"

@hookimpl
def bridge_tools():
    definition = ToolDefinition(name="local", description="Local.", input_schema={})
    return [ToolSpec(definition=definition, call=call)]
"""


def test_a_file_is_a_plugin(host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(TOOLS)
    host.load_plugins(["./hooks.py"], tmp_path)
    assert host.tool("local").definition.description == "Local."
    (info,) = [one for one in host.plugins() if one.source == "configuration"]
    assert (info.name, info.hooks) == ("./hooks.py", ("bridge_tools",))


def test_a_plugin_that_is_named_twice_is_loaded_once(host: PluginHost, tmp_path: Path) -> None:
    (tmp_path / "hooks.py").write_text(TOOLS)
    host.load_plugins(["./hooks.py", "hooks.py"], tmp_path)
    host.load_plugins(["./hooks.py"], tmp_path)
    assert host.tool("local").definition.name == "local"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (TOOLS.replace("def bridge_tools", "def bridge_tool"), "did you mean 'bridge_tools'"),
        (TOOLS.replace("def bridge_tools", "async def bridge_tools"), "is asynchronous"),
        (TOOLS.replace("    definition =", "    unknown ="), "NameError"),
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_broken_plugin_of_a_configuration_is_an_error_of_the_configuration(
    host: PluginHost, tmp_path: Path, text: str, reason: str
) -> None:
    (tmp_path / "hooks.py").write_text(text)
    with pytest.raises(ConfigError) as caught:
        host.load_plugins(["./hooks.py"], tmp_path)
    assert reason in str(caught.value)
    assert "hooks.py" in str(caught.value)


def test_a_missing_plugin_of_a_configuration_is_an_error(host: PluginHost, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*hooks\.py"):
        host.load_plugins(["./hooks.py"], tmp_path)


def test_a_module_object_is_a_plugin_too(host: PluginHost) -> None:
    module = types.ModuleType("by_hand")
    exec(TOOLS, module.__dict__)  # noqa: S102 - a module made by hand
    host.register(module)
    assert host.tool("local").definition.name == "local"
    assert host.plugins()[-1].name == "by_hand"


def test_a_failure_reads_as_one_line() -> None:
    failure = HookFailure(plugin="mine", hook="bridge_events", problem="ValueError: no")
    assert str(failure) == "plugin 'mine': bridge_events: ValueError: no"
