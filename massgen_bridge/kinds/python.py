"""Your own code as an agent: any function, found by import path.

The function is called with what it asks for by name: `question` (str), `turn`, `emit`,
`connection`; a single parameter of any other name gets the question. It may be a plain function
(run in a thread), a coroutine function, or an async generator of pieces of text.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from pydantic import Field

from massgen_bridge.agent import Agent, Capabilities, Turn, TurnResult
from massgen_bridge.errors import AgentCrashed, ConfigError, ProtocolFailed
from massgen_bridge.hookspecs import hookimpl
from massgen_bridge.messages import assistant
from massgen_bridge.specs import AdapterSpec, AgentContext, NoOptions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from massgen_bridge.agent import Emit
    from massgen_bridge.connection import ModelTraits

__all__ = ["PythonAgent", "PythonOptions", "bridge_adapters"]

_OFFERED = ("question", "turn", "emit", "connection")


class PythonOptions(NoOptions):
    """Where your code is."""

    function: str = Field(
        description="Import path `module:attribute` or `file.py:attribute` of the function that "
        "answers; relative to the configuration file."
    )
    vote: str | None = Field(
        default=None,
        description="Import path of a function `vote(task, answers)` that gets the task's text "
        "and a dict of label → answer, and returns a label, or all labels as a list, the best "
        "first (a ranking needs that), or either with a reason, as a tuple.",
    )
    structured: bool = Field(
        default=False,
        description="Whether the function honours `turn.output_schema` and returns a dict then.",
    )


@hookimpl
def bridge_adapters() -> Iterable[AdapterSpec]:
    """The kind `python`."""
    return (
        AdapterSpec(
            kind="python",
            summary="Your own code: any async or sync function by import path.",
            factory=_make,
            options=PythonOptions,
            capabilities=Capabilities(
                structured=True, inputs=frozenset({"image", "audio", "video", "document"})
            ),
            refine=_refine,
            protocols=("chat", "messages", "responses", "gemini"),
            imports_code=("function", "vote"),
        ),
    )


def _refine(options: PythonOptions, _traits: ModelTraits | None) -> Capabilities:
    return Capabilities(
        structured=options.structured or options.vote is not None,
        inputs=frozenset({"image", "audio", "video", "document"}),
    )


def _make(context: AgentContext) -> Agent:
    options: PythonOptions = context.options
    function = context.load(options.function)
    vote = context.load(options.vote) if options.vote else None
    for path, found in ((options.function, function), (options.vote, vote)):
        if found is not None and not callable(found):
            raise ConfigError(f"agent {context.agent_id!r}: {path!r} is not callable")
    able = _refine(options, None)
    return PythonAgent(function, vote, connection=context.connection, able=able)


class PythonAgent:
    """Calls a function for each turn."""

    def __init__(
        self,
        function: Callable[..., Any],
        vote: Callable[..., Any] | None = None,
        *,
        connection: object = None,
        able: Capabilities | None = None,
    ) -> None:
        self._able = able
        self._function = function
        self._vote = vote
        self._connection = connection
        self._takes = _parameters(function)

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        """Call the function (or, on a ballot, `vote`) and take what it returns.

        Raises:
            AgentError: The function raised it itself.
            UnsupportedContent: The turn wants more than the configuration says it can do.
            ProtocolFailed: It returned something that is no answer.
        """
        if self._able is not None:
            self._able.check(turn)
        if self._vote is not None and turn.shown and turn.output_schema is not None:
            return await self._cast(self._vote, turn)
        offered = {
            "question": turn.question,
            "turn": turn,
            "emit": emit,
            "connection": self._connection,
        }
        arguments = {name: offered[source] for name, source in self._takes.items()}
        value = await _call(self._function, arguments)
        if isinstance(value, AsyncGenerator):
            return _result(await _stream(value, emit), self._function)
        result = _result(value, self._function)
        if "emit" not in self._takes and result.text:
            # Whoever takes `emit` tells of it himself.
            await _tell(result.text, emit)
        return result

    async def aclose(self) -> None:
        """The function holds whatever it holds; nothing of it is ours."""

    async def _cast(self, vote: Callable[..., Any], turn: Turn) -> TurnResult:
        task = turn.task.text if turn.task else turn.question
        answers = {answer.label: answer.text for answer in turn.shown}
        value = await _call(vote, {"task": task, "answers": answers})
        chosen, reason = value if isinstance(value, tuple) else (value, "")
        schema: Any = turn.output_schema
        if "ranking" in schema.get("properties", {}):
            return _result({"ranking": chosen, "reason": reason}, vote)
        # Whoever puts all in order votes for the first.
        label = chosen[0] if isinstance(chosen, list) and chosen else chosen
        return _result({"vote": label, "reason": reason}, vote)


def _parameters(function: Callable[..., Any]) -> dict[str, str]:
    """Which parameter gets what: by name, or the question for the only one without a default."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{function!r} has no signature to call it by: {error}") from error
    takes = {p.name: p.name for p in parameters if p.name in _OFFERED}
    needed = [
        p.name
        for p in parameters
        if p.default is p.empty
        and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and p.name not in takes
    ]
    if not takes and len(needed) == 1:
        return {needed[0]: "question"}
    if needed:
        raise ConfigError(
            f"{function!r} needs {', '.join(needed)}; an agent's function can take "
            f"{', '.join(_OFFERED)}"
        )
    return takes


async def _call(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    if inspect.isasyncgenfunction(function) or inspect.iscoroutinefunction(function):
        value = function(**arguments)
    else:
        from anyio import to_thread  # noqa: PLC0415 - a kind is cheap to import

        # A thread cannot be stopped: on cancellation its result is left behind.
        value = await to_thread.run_sync(lambda: function(**arguments), abandon_on_cancel=True)
    return await value if inspect.isawaitable(value) else value


async def _stream(pieces: AsyncGenerator[str], emit: Emit) -> str:
    text: list[str] = []
    async with aclosing(pieces):
        async for piece in pieces:
            text.append(piece)
            await _tell(piece, emit)
    return "".join(text)


def _result(value: Any, function: Callable[..., Any]) -> TurnResult:
    match value:
        case TurnResult():
            return value
        case str():
            message = assistant(value)
            return TurnResult(message=message, new_messages=(message,))
        case Mapping():
            return _structured(dict(value), function)
        case _:
            raise ProtocolFailed(
                f"{function!r} returned {type(value).__name__}; expected str, dict or TurnResult"
            )


def _structured(value: dict[str, Any], function: Callable[..., Any]) -> TurnResult:
    try:
        message = assistant(json.dumps(value))
    except TypeError as error:
        raise AgentCrashed(f"{function!r} returned a dict that is no JSON: {error}") from error
    return TurnResult(message=message, new_messages=(message,), structured=value)


async def _tell(text: str, emit: Emit) -> None:
    from massgen_bridge.events import TextDelta  # noqa: PLC0415 - a kind is cheap to import

    await emit(TextDelta(text=text))
