"""The conversation of `massgen-bridge chat`: at a prompt, or line by line."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from massgen_bridge.cli._conversation import entered, told, total
from massgen_bridge.cli._options import Output
from massgen_bridge.cli._output import DONE, FAILED, INTERRUPTED, BadUsage, Stopped
from massgen_bridge.cli._question import with_files
from massgen_bridge.cli._running import Running, with_people
from massgen_bridge.cli._shown import new_display
from massgen_bridge.cli._tables import table
from massgen_bridge.display.words import count
from massgen_bridge.errors import BridgeError
from massgen_bridge.runtime.execution import execute
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.sessions import Session

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from pathlib import Path
    from typing import BinaryIO

    from massgen_bridge.config import RunConfig
    from massgen_bridge.display import DisplayMode
    from massgen_bridge.events import Record, RunResult
    from massgen_bridge.messages import MediaPart, Message
    from massgen_bridge.plugins import PluginHost
    from massgen_bridge.runtime.plan import RunPlan

__all__ = ["Asking", "Chat"]

_PROMPT = "you> "
_MORE = "...> "
_HELP = """\
A line is a question; end it with \\ to write on in the next one. A question that begins with /
has a space before it.
  /history     what was asked and answered so far
  /new [NAME]  another conversation: a new one, or the session NAME
  /image PATH  a picture for the next question: a file, or an address
  /file PATH   a file of any kind for the next question
  /cost        what the conversation has used so far
  /team        who takes part
  /help        this list
  /quit        leave; so do Ctrl-D and Ctrl-C at the prompt"""


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How each question is put to the team; plugins and configuration are loaded once for all."""

    config: RunConfig
    host: PluginHost
    display: DisplayMode
    output: Output
    keep: bool

    def ask(self, question: Message, session: Session) -> int:
        """Make one turn of a session; its exit code.

        Raises:
            BridgeError: There is no turn: another one is under way, say, or the disk is full.
            Stopped: It was stopped.
        """
        prepared = prepare_run(self.config, host=self.host, environ=os.environ)
        shown = new_display(self.display, answer=self.output is Output.TEXT)
        prepared = with_people(prepared, shown)

        def job(listeners: Sequence[Callable[[Record], None]]) -> Awaitable[RunResult]:
            return execute(prepared, question, listeners=listeners, keep=self.keep, session=session)

        return entered(session, Running(prepared, job, shown, self.output).execute)


class Chat:
    """A conversation.

    Args:
        asking: How a question is asked.
        plan: Who takes part.
        config: The file that says so.
        session: What it goes on with; a new one where there is none.
        files: What goes along with the first question.
    """

    def __init__(
        self,
        asking: Asking,
        plan: RunPlan,
        config: Path,
        session: Session | None,
        *,
        files: Iterable[MediaPart] = (),
    ) -> None:
        self._asking = asking
        self._plan = plan
        self._config = config
        self._session = session or self._new()
        self._is_left = False
        self._files = list(files)

    # --- at a terminal --------------------------------------------------------------------------

    def prompt(self) -> int:
        """Ask for questions until the user leaves; the exit code."""
        self._prepare_prompt()
        _tell(f"{self._who()}. /help lists what can be typed; Ctrl-D leaves.")
        while not self._is_left:
            line = _typed()
            if line is None:
                break
            self._take(line)
            _tell("")
        self._say_where_it_is()
        return DONE

    def _take(self, line: str) -> None:
        """Do what was typed; whatever goes wrong, the conversation goes on."""
        try:
            if line.startswith("/"):
                self._obey(line)
            elif line.strip():
                self._asking.ask(self._question(line.strip()), self._session)
        except Stopped as stopped:
            if stopped.code != INTERRUPTED:
                raise
        except KeyboardInterrupt:  # before the run began, or after its end
            pass
        except BridgeError as error:
            _tell(f"Error: {error}")

    def _obey(self, line: str) -> None:
        command, *rest = line.split()
        match command:
            case "/help":
                _tell(_HELP)
            case "/quit" | "/exit":
                self._is_left = True
            case "/history":
                _tell(told(self._session.all_turns).rstrip("\n") or "Nothing was asked yet.")
            case "/cost":
                _tell(total(self._session.all_turns))
            case "/team":
                _tell(self._team().rstrip("\n"))
            case "/image" | "/file":
                self._attach(command, line.removeprefix(command).strip())
            case "/new":
                self._begin(*rest)
            case _:
                _tell(f"There is no {command!r}; /help lists what can be typed.")

    def _attach(self, command: str, name: str) -> None:
        """Take a file along with the next question."""
        if not name:
            raise BadUsage(f"{command}: expected the path of a file, or an address")
        from massgen_bridge.media.given import part_of  # noqa: PLC0415 - most questions have none

        part = part_of(name, kind="image" if command == "/image" else None)
        self._files.append(part)
        _tell(f"The next question takes {part.name or name} ({part.media_type}) along.")

    def _begin(self, name: str | None = None, *more: str) -> None:
        """Turn to another conversation."""
        if more:
            raise BadUsage(
                f"/new: expected one name at most, found {' '.join((name or '', *more))!r}"
            )
        if name is not None and not self._asking.keep:
            raise BadUsage("--no-journal keeps no conversation, so none has a name")
        session = self._new() if name is None else Session(name)
        turns = len(session.turns)  # a session that cannot be used is found here
        self._say_where_it_is()
        self._session = session
        _tell(
            f"Session {name!r}: {count(turns, 'turn')} so far." if name else "A new conversation."
        )

    def _new(self) -> Session:
        """A conversation under a name that is free."""
        if not self._asking.keep:
            return Session()
        name = time.strftime("chat-%Y%m%d-%H%M%S")
        taken = {session.name for session in Session.kept()}
        number = 1
        while (free := name if number == 1 else f"{name}-{number}") in taken:
            number += 1
        return Session(free)

    def _prepare_prompt(self) -> None:
        with suppress(ImportError):  # not everywhere; the prompt works without
            import readline  # noqa: PLC0415 - for a person at a terminal alone

            for turn in self._session.turns:
                readline.add_history(turn.question.text)

    def _who(self) -> str:
        agents = [agent.seat.agent_id for agent in self._plan.agents]
        some = ", ".join(agents[:5]) + (", …" if len(agents) > 5 else "")  # noqa: PLR2004 - enough to know the team
        said = f"{count(len(agents), 'agent')} ({some}), strategy {self._plan.strategy_name}"
        turns = len(self._session.turns)
        return said if not turns else f"{said}; {count(turns, 'turn')} so far"

    def _team(self) -> str:
        rows = [
            (seat.agent_id, seat.label, seat.kind, seat.model or "-")
            for seat in (agent.seat for agent in self._plan.agents)
        ]
        head = table(("AGENT", "LABEL", "KIND", "MODEL"), rows)
        return f"{head}Strategy: {self._plan.strategy_name}\n"

    def _say_where_it_is(self) -> None:
        if self._session.name is not None and self._session.turns:
            name = self._session.name
            _tell(total(self._session.all_turns))
            _tell(f"To go on: massgen-bridge chat {self._config} --session {name}")

    # --- elsewhere ------------------------------------------------------------------------------

    def read(self, lines: BinaryIO) -> int:
        """Ask each line; the exit code.

        Raises:
            BadUsage: A line is not UTF-8.
            BridgeError: A turn could not be made.
            Stopped: It was stopped.
        """
        code = DONE
        for number, line in enumerate(iter(lines.readline, b""), 1):
            try:
                question = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
            except UnicodeDecodeError:
                raise BadUsage(f"line {number} on stdin is not UTF-8") from None
            if not question:
                continue
            if self._asking.ask(self._question(question), self._session) != DONE:
                code = FAILED
        return code

    def _question(self, text: str) -> Message:
        """A question, with the files that wait for the next one."""
        files, self._files = self._files, []
        return with_files(text, files)


def _typed() -> str | None:
    """A question or a command; None where the user leaves."""
    lines: list[str] = []
    try:
        while True:
            line = input(_MORE if lines else _PROMPT)
            if not line.endswith("\\"):
                return "\n".join((*lines, line))
            lines.append(line.removesuffix("\\").rstrip())
    except (EOFError, KeyboardInterrupt):
        _tell("")
        return None
    except UnicodeDecodeError:
        _tell("Error: that is not UTF-8")
        return ""


def _tell(text: str) -> None:
    typer.echo(text, err=True)
