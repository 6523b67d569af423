"""A plugin with one of everything, as somebody outside the project would write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge import (
    AdapterSpec,
    Agent,
    AgentContext,
    NoOptions,
    ProviderSpec,
    SinkSpec,
    ToolDefinition,
    ToolSpec,
    TurnResult,
    assistant,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from massgen_bridge import Emit, JsonValue, Record, Turn


class EchoOptions(NoOptions):
    """Options of the kind `echo`."""

    loud: bool = False
    code: str | None = None


class _Echo:
    def __init__(self, context: AgentContext) -> None:
        self._loud = context.options.loud

    async def run(self, turn: Turn, emit: Emit) -> TurnResult:
        del emit
        text = turn.question
        return TurnResult(message=assistant(text.upper() if self._loud else text))

    async def aclose(self) -> None:
        pass


def _create(context: AgentContext) -> Agent:
    return _Echo(context)


@hookimpl
def bridge_adapters() -> list[AdapterSpec]:
    return [
        AdapterSpec(
            kind="echo",
            summary="Says what it hears.",
            factory=_create,
            options=EchoOptions,
            imports_code=("code",),
        )
    ]


async def _reverse(arguments: Mapping[str, JsonValue]) -> str:
    return str(arguments["text"])[::-1]


@hookimpl
def bridge_tools() -> list[ToolSpec]:
    schema = {"type": "object", "properties": {"text": {"type": "string"}}}
    definition = ToolDefinition(name="reverse", description="Reverse.", input_schema=schema)
    return [ToolSpec(definition=definition, call=_reverse)]


class ListOptions(NoOptions):
    """Options of the sink `lines`."""

    path: str


class _Lines:
    def __init__(self, path: Path) -> None:
        self._stream = path.open("w", encoding="utf-8")

    def write(self, records: Sequence[Record]) -> None:
        for record in records:
            self._stream.write(record.model_dump_json() + "\n")

    def close(self) -> None:
        self._stream.close()


def _open(options: ListOptions) -> _Lines:
    from pathlib import Path  # noqa: PLC0415 - a plugin is cheap to import

    return _Lines(Path(options.path))


@hookimpl
def bridge_sinks() -> list[SinkSpec]:
    return [SinkSpec(name="lines", summary="JSON lines.", create=_open, options=ListOptions)]


@hookimpl
def bridge_providers() -> list[ProviderSpec]:
    return [
        ProviderSpec(
            name="nowhere", summary="Nowhere.", base_urls={"chat": "http://127.0.0.1:9/v1"}
        )
    ]
