"""`massgen-bridge chat`: a conversation with a team, question by question."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from massgen_bridge.cli._asking import asker
from massgen_bridge.cli._budgets import BudgetOption, with_budget
from massgen_bridge.cli._chat import Asking, Chat
from massgen_bridge.cli._conversation import SessionName, note_unfinished
from massgen_bridge.cli._offer import BuildMissing, offer_environments
from massgen_bridge.cli._options import Debug, Output, Timeout, Trust, new_app
from massgen_bridge.cli._output import BadUsage
from massgen_bridge.cli._plugins import plugin_host
from massgen_bridge.cli._question import Files, Images, attached
from massgen_bridge.cli._running import with_timeout
from massgen_bridge.cli._shown import DisplayChoice
from massgen_bridge.cli._weights import note_local_model
from massgen_bridge.config import open_config
from massgen_bridge.runtime.planning import prepare_run
from massgen_bridge.runtime.sessions import Session

__all__ = ["app", "chat"]

app = new_app()


@app.command()
def chat(
    config: Annotated[
        Path, typer.Argument(metavar="CONFIG", help="The configuration, a YAML or JSON file.")
    ],
    *,
    image: Images = None,
    file: Files = None,
    session: SessionName = None,
    output: Annotated[
        Output,
        typer.Option(
            "--output", help="On stdout: the answers, a JSON object for each, or all records."
        ),
    ] = Output.TEXT,
    display: Annotated[
        DisplayChoice | None,
        typer.Option("--display", help="How runs are shown on stderr. Default: `ui.display`."),
    ] = None,
    timeout: Timeout = None,
    budget: BudgetOption = None,
    trust: Trust = False,
    yes: BuildMissing = False,
    no_journal: Annotated[
        bool, typer.Option("--no-journal", help="Keep nothing: neither runs nor the conversation.")
    ] = False,
    _debug: Debug = False,
) -> int:
    """Talk with a team; each question goes on from those before. Files go with the first one.

    At a terminal it prompts; /help lists what else can be typed. Ctrl-C stops the team and comes
    back to the prompt; there, Ctrl-C or Ctrl-D leaves. The conversation is kept, under a name of
    its own unless --session gives one. Where stdin is no terminal, each line of it is a question.

    Exit codes: 0 left, or every line answered; 1 a line without an answer; 2 bad usage or
    configuration; 130 interrupted while reading lines.
    """
    if session is not None and no_journal:
        raise BadUsage("--session keeps what --no-journal says not to keep: use one of them")
    talk = None if session is None else Session(session)
    files = attached(image, file)
    host = plugin_host()
    opened = open_config(config, host, trust=trust, ask=asker(config))
    asking = Asking(
        config=with_budget(with_timeout(opened, timeout), budget),
        host=host,
        display=display.value if display else opened.ui.display,
        output=output,
        keep=not no_journal,
    )
    prepared = prepare_run(asking.config, host=host, environ=os.environ)
    offer_environments(prepared, yes=yes)
    note_local_model(prepared)
    if talk is not None:
        note_unfinished(talk)
    own = Chat(asking, prepared.plan, config, talk, files=files)
    return own.prompt() if sys.stdin.isatty() else own.read(sys.stdin.buffer)
