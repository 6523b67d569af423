"""`massgen-bridge sessions`: the conversations that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from massgen_bridge.cli._app import COMMANDS
from massgen_bridge.cli._asking import confirm
from massgen_bridge.cli._conversation import told, total
from massgen_bridge.cli._options import AsJson, Debug, new_app
from massgen_bridge.cli._output import print_json, say
from massgen_bridge.cli._tables import table
from massgen_bridge.display.text import clip, one_line
from massgen_bridge.display.words import moment
from massgen_bridge.errors import JournalError
from massgen_bridge.messages import MediaPart
from massgen_bridge.runtime.sessions import Session

if TYPE_CHECKING:
    from massgen_bridge.runtime.sessions import SessionTurn

__all__ = ["app", "delete", "list_sessions", "show"]

app = new_app(COMMANDS["sessions"])

_QUESTION = 60


@app.command("list")
def list_sessions(*, as_json: AsJson = False, _debug: Debug = False) -> None:
    """List sessions, the one that was used last first."""
    found: list[tuple[Session, tuple[SessionTurn, ...]]] = []
    for session in Session.kept():
        try:
            found.append((session, session.all_turns))
        except JournalError as error:  # one that is damaged hides none of the others
            typer.echo(f"warning: {error}", err=True)
    found.sort(key=lambda one: one[1][-1].asked_at if one[1] else 0.0, reverse=True)
    if as_json:
        print_json([_row(session, turns) for session, turns in found])
    elif found:
        lines = [_line(session, turns) for session, turns in found]
        say(table(("NAME", "TURNS", "LAST USED", "LAST QUESTION"), lines), nl=False)
    else:
        typer.echo("There are no sessions.", err=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A session's name.")],
    *,
    as_json: AsJson = False,
    _debug: Debug = False,
) -> None:
    """Show what was asked and answered in a session.

    Questions without an answer are no part of the conversation; they are marked.
    """
    session = _existing(name)
    turns = session.all_turns
    if as_json:
        used = session.used.model_dump(mode="json")
        print_json({"name": name, "turns": [_turn(turn) for turn in turns], "used": used})
    elif turns:
        say(told(turns))
        say(total(turns))
    else:
        typer.echo("Nothing was asked yet.", err=True)


@app.command()
def delete(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Sessions' names.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    _debug: Debug = False,
) -> None:
    """Delete sessions for good; the journals of their runs stay.

    `massgen-bridge runs prune` deletes those.
    """
    found = [_existing(name) for name in dict.fromkeys(names)]
    what = ", ".join(repr(session.name) for session in found)
    if not yes and not confirm(f"Delete {what}?"):
        typer.echo("Nothing was deleted.", err=True)
        return
    for session in found:
        session.delete()
        typer.echo(f"Session {session.name!r} deleted.", err=True)


def _existing(name: str) -> Session:
    session = Session(name)
    if not session.exists:
        raise JournalError(
            f"there is no session {name!r}; `massgen-bridge sessions list` shows which there are"
        )
    return session


def _line(session: Session, turns: tuple[SessionTurn, ...]) -> tuple[str, ...]:
    answered = sum(turn.answer is not None for turn in turns)
    if not turns:
        return (str(session.name), "0", "-", "")
    last = turns[-1]
    question = clip(one_line(last.question.text), _QUESTION)
    return (str(session.name), str(answered), moment(last.asked_at), question)


def _row(session: Session, turns: tuple[SessionTurn, ...]) -> dict[str, Any]:
    last = turns[-1] if turns else None
    return {
        "name": session.name,
        "turns": sum(turn.answer is not None for turn in turns),
        "last_used_at": None if last is None else last.asked_at,
        "last_question": None if last is None else last.question.text,
    }


def _turn(turn: SessionTurn) -> dict[str, Any]:
    media = [part for part in turn.question.parts if isinstance(part, MediaPart)]
    return {
        "number": turn.number,
        "run_id": turn.run_id,
        "asked_at": turn.asked_at,
        "status": turn.status,
        "question": {"text": turn.question.text, "media": [part.type for part in media]},
        "answer": turn.answer,
        "used": None if turn.used is None else turn.used.model_dump(mode="json"),
    }
