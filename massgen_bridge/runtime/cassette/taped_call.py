"""A request that is being recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from massgen_bridge.runtime.cassette.bodies import is_whole
from massgen_bridge.runtime.cassette.lines import Call, Failure

if TYPE_CHECKING:
    from massgen_bridge.runtime.cassette.bodies import Cleaner

__all__ = ["TapedCall"]


class TapedCall:
    """One request and what has come back of it so far.

    Args:
        call: The call, without what came of it.
    """

    def __init__(self, call: Call) -> None:
        self.call = call
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.content = bytearray()
        self.is_closed = False

    def answered(self, response: Any) -> None:
        """Take the head of the response."""
        self.status = response.status_code
        self.headers = {name.lower(): value for name, value in response.headers.items()}

    def line(self, cleaner: Cleaner, error: BaseException | None, *, left: bool) -> Call:
        """What is written down of it."""
        content = bytes(self.content)
        left = left and not is_whole(self.headers, content)
        reply = failure = None
        if self.status is not None:
            whole = error is None and not left
            reply = cleaner.reply(self.status, self.headers, content, whole=whole)
        if error is not None:
            failure = Failure(type=type(error).__name__, message=cleaner.text(str(error)))
        return self.call.model_copy(update={"reply": reply, "error": failure, "left": left})
