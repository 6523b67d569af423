"""Answers with pictures: saved, shown to the others by their bytes, and part of the result."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from pictures import png
from runtime.teams import kept, of

from massgen_bridge.agent import Capabilities, TurnResult
from massgen_bridge.events import Answered, LogLine, RunFinished
from massgen_bridge.messages import ImagePart, Message, TextPart, assistant
from massgen_bridge.runtime.gallery import _cited
from massgen_bridge.runtime.index import RunIndex
from massgen_bridge.runtime.sessions import Session
from massgen_bridge.team import Team

if TYPE_CHECKING:
    from massgen_bridge import RunResult
    from massgen_bridge.agent import Emit, Turn
    from massgen_bridge.events import Record

pytestmark = pytest.mark.anyio

RED, GREEN, BLUE = png(), png(0, 200, 0), png(0, 0, 200)
ABLE = Capabilities(structured=True, inputs=frozenset({"image"}))


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MASSGEN_BRIDGE_DATA", str(tmp_path / "data"))
    return tmp_path


class Painter:
    """Answers with a text and pictures of its own, writes files, and votes for the first answer."""

    def __init__(self, said: str, *pictures: bytes, **files: bytes) -> None:
        self.turns: list[Turn] = []
        self._text = said
        self._pictures = pictures
        self._files = files

    async def run(self, turn: Turn, _emit: Emit) -> TurnResult:
        self.turns.append(turn)
        if turn.output_schema is not None:
            ballot = {"vote": "agent1", "reason": "seen"}
            return TurnResult(message=assistant(json.dumps(ballot)), structured=ballot)
        folder = RunIndex().files(turn.run_id) / turn.agent_id
        for name, content in self._files.items():
            await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
            await anyio.Path(folder / f"{name}.png").write_bytes(content)
        text = [TextPart(text=self._text)] if self._text else []
        made = [ImagePart(media_type="image/png", data=one) for one in self._pictures]
        return TurnResult(message=Message(role="assistant", parts=(*text, *made)))

    async def aclose(self) -> None:
        pass

    def seen(self, number: int) -> list[str | bytes | None]:
        """What its last message of a turn showed: the texts, and the bytes of pictures."""
        parts = self.turns[number].messages[-1].parts
        return [getattr(one, "data" if isinstance(one, ImagePart) else "text", "") for one in parts]


def _team(**agents: Painter | Team) -> Team:
    team = Team(strategy={"type": "consensus", "presentation": "never"})
    for name, agent in agents.items():
        team.add(name, agent, capabilities=None if isinstance(agent, Team) else ABLE)
    return team


async def _run(team: Team, **how: object) -> tuple[RunResult, list[Record]]:
    records: list[Record] = []
    result = await team.arun("Paint!", on_record=records.append, **how)  # type: ignore[arg-type]
    return result, records


def _shown(result: RunResult) -> list[bytes | None]:
    return [part.data for part in result.media]


async def test_what_one_makes_is_seen_by_the_others_saved_and_part_of_the_result() -> None:
    ann, ben = Painter("A red square.", RED), Painter("No idea.")
    result, records = await _run(_team(ann=ann, ben=ben))

    seen = ben.seen(1)
    at = seen.index(RED)
    before, after = str(seen[at - 1]), str(seen[at + 1])
    assert before.endswith(">\nA red square.\n[image 1 of agent1: agent1.1-1.png]\n")
    assert after.startswith("\n</answer-")

    (part,) = result.media
    file = RunIndex().files(result.run_id) / "ann" / "media" / "agent1.1-1.png"
    assert (part.data, part.path) == (RED, str(file))
    assert await anyio.Path(file).read_bytes() == RED
    assert [one.media for one in result.answers] == [(part,), ()]
    (finished,) = of(await kept(result.run_id), RunFinished)
    assert finished.result == result
    (row,) = await anyio.to_thread.run_sync(RunIndex().list)
    assert (row.media_in, row.media_out) == (0, 1)
    told = {one.agent_id: one.media for one in of(records, Answered)}
    assert told == {"ann": (part,), "ben": ()}


async def test_a_picture_that_is_cited_is_seen_where_it_is_a_file_of_the_run(data: Path) -> None:
    (data / "secret.png").write_bytes(BLUE)
    outside = str(data / "secret.png")
    text = (
        f"See ![the plot](plot%201.png) or [this](<green.png>), not {outside}, not"
        " ![x](../../../secret.png), not `gone.png`, not ![y](text.png), and ann/third.png."
        " Not https://a.b/c.png."
    )
    files = {"plot 1": RED, "green": GREEN, "third": BLUE, "text": b"no picture"}
    ann, ben = Painter(text, **files), Painter("No idea.")
    result, records = await _run(_team(ann=ann, ben=ben))

    assert [[part.data for part in one.media] for one in result.answers] == [[RED, GREEN, BLUE], []]
    assert [one for one in ben.seen(1) if isinstance(one, bytes)] == [RED, GREEN, BLUE]
    (note,) = of(records, LogLine)
    assert "the answer cites what is no picture for the others" in note.text


async def test_a_link_that_leads_out_of_the_run_is_not_followed(data: Path) -> None:
    (data / "secret.png").write_bytes(BLUE)

    class Linker(Painter):
        async def run(self, turn: Turn, emit: Emit) -> TurnResult:
            folder = anyio.Path(RunIndex().files(turn.run_id) / turn.agent_id)
            await folder.mkdir(parents=True, exist_ok=True)
            await (folder / "link.png").symlink_to(data / "secret.png")
            return await super().run(turn, emit)

    result, _ = await _run(_team(ann=Linker("![see](link.png)")))

    assert _shown(result) == []


async def test_a_picture_alone_is_an_answer_and_only_equal_ones_merge() -> None:
    team = _team(ann=Painter("", RED), ben=Painter("", RED), cy=Painter("", BLUE))
    result, _ = await _run(team)

    assert [(one.authors, one.media[0].data) for one in result.answers] == [
        (("ann", "ben"), RED),
        (("cy",), BLUE),
    ]
    assert (result.answer, _shown(result)) == ("", [RED])


async def test_what_a_team_paints_is_the_answer_of_the_team() -> None:
    ann = Painter("Nothing.")
    inner = _team(inner=Painter("A blue square.", BLUE))
    result, _ = await _run(_team(crew=inner, ann=ann))

    assert (result.winner, _shown(result)) == ("crew", [BLUE])
    assert BLUE in ann.seen(1)
    path = Path(str(result.media[0].path))
    assert await anyio.Path(path).read_bytes() == BLUE
    assert path.is_relative_to(RunIndex().files(result.run_id) / "crew" / "inner")


async def test_the_next_question_shows_the_pictures_of_the_last_answer() -> None:
    session = Session("art")
    await _run(_team(ann=Painter("A red square.", RED)), session=session)
    (turn,) = await anyio.to_thread.run_sync(lambda: Session("art").turns)
    ann = Painter("Then green.")
    await _run(_team(ann=ann), session=session)

    assert [part.data for part in turn.media] == [RED]
    said, asked = ann.turns[0].messages[-2:]
    assert said == assistant("A red square.\n[image 'agent1.1-1.png', image/png]")
    assert ann.seen(0) == ["[image 'agent1.1-1.png' of your last reply]\n", RED, "\n\n", "Paint!"]
    assert asked.text.endswith("Paint!")


async def test_a_run_that_is_not_kept_leaves_no_files_and_gives_the_bytes(data: Path) -> None:
    result, _ = await _run(_team(ann=Painter("A red square.", RED)), keep=False)

    assert [(part.data, part.path) for part in result.media] == [(RED, None)]
    assert not [one async for one in anyio.Path(data).rglob("*.png")]


def test_long_texts_are_searched_in_time() -> None:
    for text in ("a" * 300_000, "[" * 300_000, "](" * 150_000, "![" * 100_000 + "](x.png)"):
        assert len(list(_cited(text))) <= 1


async def test_who_cannot_see_is_told_in_words_what_there_is() -> None:
    ann, ben = Painter("A red square.", RED), Painter("No idea.")
    team = Team(strategy={"type": "consensus", "presentation": "never"})
    team.add("ann", ann, capabilities=ABLE)
    team.add("ben", ben, capabilities=Capabilities(structured=True))
    result, _ = await _run(team)

    assert (result.status, result.errors) == ("answered", ())
    assert not [one for one in ben.seen(1) if isinstance(one, bytes)]
    assert "agent1.1-1.png" in str(ben.seen(1))
