"""What is wrong with a plugin's hooks, found before any of them is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType, MethodType, ModuleType
from typing import Any

from massgen_bridge.hookspecs import PROJECT
from massgen_bridge.plugins.records import nearest

__all__ = ["hook_problems"]

_PREFIX = "bridge_"
_CAN_BE_HOOKS = (FunctionType, MethodType, classmethod, staticmethod)
_SPEC_MARK = f"{PROJECT}_spec"
_REGISTRATIONS = frozenset(
    {"bridge_adapters", "bridge_providers", "bridge_sinks", "bridge_strategies", "bridge_tools"}
)


def hook_problems(
    plugin: object,
    hooks: Mapping[str, tuple[str, ...]],
    options_of: Callable[[object, str], Mapping[str, Any] | None],
) -> Iterator[str]:
    """Find misspelt, unmarked, asynchronous and otherwise impossible hooks.

    Args:
        plugin: A module, a class or an object.
        hooks: The hooks that exist, with their arguments.
        options_of: Gives the options of an attribute marked with `hookimpl`, None if it is not.

    Yields:
        One line for each problem.
    """
    # Most of what a module holds can be no hook, which pluggy finds out slowly.
    values = vars(plugin) if isinstance(plugin, ModuleType) else {}
    for attribute in dir(plugin):
        if attribute in values and not isinstance(values[attribute], _CAN_BE_HOOKS):
            continue
        options = options_of(plugin, attribute)
        if options is not None:
            function = getattr(plugin, attribute)
            hook = str(options.get("specname") or attribute)
            if hook in hooks:
                yield from _implementation_problems(function, hook, options, hooks[hook])
            elif not options.get("optionalhook"):
                yield f"there is no hook {hook!r}{nearest(hook, hooks)}"
        elif attribute.startswith(_PREFIX) and _is_own_function(plugin, attribute):
            if attribute in hooks:
                yield f"{attribute!r} is not marked with @massgen_bridge.hookimpl"
            else:
                yield f"there is no hook {attribute!r}{nearest(attribute, hooks)}"


def _is_own_function(plugin: object, attribute: str) -> bool:
    value = inspect.getattr_static(plugin, attribute, None)
    value = getattr(value, "__func__", value)
    if not inspect.isfunction(value) or hasattr(value, _SPEC_MARK):
        return False
    return not isinstance(plugin, ModuleType) or value.__module__ == plugin.__name__


def _implementation_problems(
    function: Callable[..., object],
    hook: str,
    options: Mapping[str, Any],
    arguments: tuple[str, ...],
) -> Iterator[str]:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        yield f"{hook!r} is asynchronous; hooks are plain, what they return may be asynchronous"
    elif options.get("wrapper") or options.get("hookwrapper"):
        yield f"{hook!r} is a wrapper; every implementation is called by itself"
    elif inspect.isgeneratorfunction(function) and hook not in _REGISTRATIONS:
        yield f"{hook!r} is a generator, so calling it would do nothing"
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            yield f"{hook!r} takes '{stars}{parameter.name}', but would get nothing through it"
        elif parameter.name == "self":
            yield f"{hook!r} needs an instance: register one instead of the class"
        elif parameter.name not in arguments:
            allowed = ", ".join(arguments) or "none"
            yield (
                f"{hook!r} has no argument {parameter.name!r}"
                f"{nearest(parameter.name, arguments)} (arguments: {allowed})"
            )
        elif parameter.default is not parameter.empty or parameter.kind is parameter.KEYWORD_ONLY:
            yield (
                f"argument {parameter.name!r} of {hook!r} must be positional and without a default"
            )
