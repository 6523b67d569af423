"""What an answer of Chat Completions is put together from, for every adapter that reads some."""

from __future__ import annotations

from typing import TYPE_CHECKING

from massgen_bridge.errors import ServerFailed, Truncated
from massgen_bridge.models.answers import tool_call_from_json

if TYPE_CHECKING:
    from massgen_bridge.messages import ToolCall

__all__ = ["StreamedToolCalls", "check_finish"]

_FAILURES = frozenset({"abort", "cancelled", "error", "insufficient_system_resource"})


class _Pieces:
    __slots__ = ("arguments", "call_id", "name")

    def __init__(self, call_id: str, name: str) -> None:
        self.call_id = call_id
        self.name = name
        self.arguments: list[str] = []


class StreamedToolCalls:
    """The tool calls of one answer, put together from what a stream gives of them."""

    __slots__ = ("_by_index", "_calls")

    def __init__(self) -> None:
        self._calls: list[_Pieces] = []
        self._by_index: dict[int | str, _Pieces] = {}

    def take(
        self,
        *,
        index: int | str | None,
        call_id: str | None,
        name: str | None,
        arguments: str | None,
    ) -> None:
        """Take one piece, of which the server may have left out anything.

        Args:
            index: Says which call it belongs to; without one, it is the last.
            call_id: The call's id.
            name: The tool's name.
            arguments: What comes next of the arguments' JSON.
        """
        index = max(len(self._calls) - 1, 0) if index is None else index
        call = self._by_index.get(index)
        # Some servers give every call the same index, others repeat or change the id of one.
        if call is None or (name and call_id and call_id != call.call_id):
            call = self._by_index[index] = _Pieces(call_id or "", name or "")
            self._calls.append(call)
        if arguments:
            call.arguments.append(arguments)

    def joined(self) -> tuple[ToolCall, ...]:
        """The calls, in the order in which they began; one without an id gets one.

        Raises:
            ProtocolFailed: One has no name.
        """
        return tuple(
            tool_call_from_json(
                call_id=call.call_id, name=call.name, arguments="".join(call.arguments)
            )
            for call in self._calls
        )


def check_finish(finish: str | None) -> str:
    """The reason that a stream gave for its end, if it is one to go on with.

    Args:
        finish: The server's word for it; None where the stream has ended without one.

    Raises:
        Truncated: There is none.
        ServerFailed: The server says that it gave up.
    """
    if finish is None:
        raise Truncated("the stream ended before the model had finished its answer")
    if finish in _FAILURES:
        raise ServerFailed(f"the server stopped the answer: {finish!r}")
    return finish
