"""What the documents show is run: one test a page, its blocks in order, in a folder of its own.

A fenced block is treated by its language, and by the comments right above it:

- `python` is run as a script. `console` is a terminal: each line that starts with `$ ` is run.
- `json`, `toml` and `yaml` have to be well-formed.
- `<!-- config -->`: the YAML below is a configuration that `config validate` accepts.
- `<!-- from: PATH -->`: the block below is that file of the repository, to the letter;
  `python docs/generate.py` copies it. It is not run; with `file` as well, it is there for what
  follows.
- `<!-- file: NAME -->`: the block below is that file, for the blocks that follow it.
- `<!-- continues -->`: the Python below goes on where the page's last Python block ended.
- `<!-- exit: N -->`: the command below ends with this exit code, not with 0.
- `<!-- output -->`: the lines below each command are what it prints; `...` stands for any lines,
  and ` ...` at the end of a line for the rest of it.
- `<!-- not run: REASON -->`: the block below is only shown.

Other shell blocks cannot be run as they stand and need such a reason, as README's set-up lines do
not: tests/test_repository.py holds them.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted(ROOT.glob("adapters/*/README.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
SECONDS = 120

MARKER = re.compile(r"\s*<!-- (?P<name>[a-z ]+?)(?:: (?P<value>.+?))? -->\s*")
FENCE = re.compile(r"(?P<indent>\s*)(?P<ticks>`{3,})(?P<language>[\w+-]*)(?P<rest>.*)")
MARKERS = {"config", "continues", "exit", "file", "from", "not run", "output"}
SHOWN_ONLY = {"text", "mermaid", "diff"}
SHELLS = {"bash", "powershell", "sh", "shell", "zsh"}
SET_UP = ("python3 -m venv .venv && .venv/bin/pip install ",)

# A reader has these; keys and settings of whoever runs the tests stay out.
KEPT = ("LANG", "SSL_CERT_FILE", "TMPDIR", "UV_CACHE_DIR")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block of a page."""

    line: int
    language: str
    text: str
    markers: dict[str, str] = field(default_factory=dict)


def blocks_of(page: str) -> list[Block]:
    """Every fenced block of a page's Markdown, with the comments right above it."""
    blocks: list[Block] = []
    markers: dict[str, str] = {}
    lines = page.splitlines()
    at = 0
    while at < len(lines):
        if marker := MARKER.fullmatch(lines[at]):
            markers[marker["name"]] = marker["value"] or ""
        elif fence := FENCE.fullmatch(lines[at]):
            start = at
            at += 1
            while lines[at].strip() != fence["ticks"]:
                at += 1
            text = dedent("\n".join(lines[start + 1 : at])) + "\n"
            blocks.append(
                Block(line=start + 1, language=fence["language"], text=text, markers=markers)
            )
            markers = {}
        else:
            assert not markers, f"line {at + 1}: {sorted(markers)} stands above no block"
        at += 1
    return blocks


def commands_of(text: str) -> list[tuple[str, str]]:
    """Each command of a terminal block, and what is shown below it."""
    commands: list[tuple[str, list[str]]] = []
    lines = text.replace("\\\n", "").splitlines()
    for line in lines:
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            assert commands, "a console block starts with `$ ` and a command"
            commands[-1][1].append(line)
    return [(command, "\n".join(shown)) for command, shown in commands]


def output_matches(shown: str, printed: str) -> bool:
    """Whether a command printed what a page shows, where `...` stands for what is not shown."""
    parts = [
        re.sub(r"\\ \\\.\\\.\\\.(?=\\?$)", r"[^\n]*", re.escape(part.strip()), flags=re.MULTILINE)
        for part in re.split(r"^\s*\.\.\.$", shown, flags=re.MULTILINE)
    ]
    return re.fullmatch(r"\s*" + ".*".join(parts) + r"\s*", printed, re.DOTALL) is not None


@dataclass(kw_only=True)
class Reader:
    """Follows a page to the letter, in a folder with the configurations and the examples."""

    folder: Path
    home: Path
    python: str = ""

    def start(self, command: list[str], *, where: str, code: int) -> str:
        """Run a command to its end.

        Returns:
            What it printed.
        """
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**kept, "PATH": path, "HOME": str(self.home), "COLUMNS": "100", "NO_COLOR": "1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == code, f"{where}: {command[-1]}\nexit {done.returncode}\n{said}"
        return done.stdout

    def follow(self, block: Block, *, where: str) -> None:
        """Do what one block says."""
        code = int(block.markers.get("exit", "0"))
        if name := block.markers.get("file"):
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.text)
        if "config" in block.markers:
            shown = self.folder / "shown.yaml"
            shown.write_text(block.text)
            validate = ["massgen-bridge", "config", "validate", "shown.yaml"]
            self.start(validate, where=where, code=code)
        elif block.language == "console":
            for command, output in commands_of(block.text):
                printed = self.start(["bash", "-c", command], where=where, code=code)
                if "output" in block.markers:
                    assert output_matches(output, printed), f"{where}: $ {command}\n{printed}"
        elif block.language == "python" and not name:
            self.python = (self.python if "continues" in block.markers else "") + block.text
            script = [sys.executable, "-W", "error", "-c", self.python]
            self.start(script, where=where, code=code)


def check_form(block: Block, *, where: str) -> None:
    """Fail where a block has no known language, a misspelt comment, or is not well-formed."""
    assert set(block.markers) <= MARKERS, f"{where}: unknown comment in {sorted(block.markers)}"
    match block.language:
        case "json":
            json.loads(block.text)
        case "toml":
            tomllib.loads(block.text)
        case "yaml":
            YAML(typ="safe").load(block.text)
        case "console" | "python":
            pass
        case language if language in SHELLS:
            assert block.text.startswith(SET_UP), f"{where}: show commands in a `console` block"
        case language:
            assert language in SHOWN_ONLY, f"{where}: what is {language!r}? Plain text is `text`"


def test_there_are_pages_with_something_to_run() -> None:
    assert len(PAGES) > 5
    run = [b for page in PAGES for b in blocks_of(page.read_text()) if "not run" not in b.markers]
    assert {"console", "python", "yaml"} <= {block.language for block in run}


@pytest.mark.timeout(10 * SECONDS)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_shows_what_works(page: Path, tmp_path: Path, home: Path) -> None:
    reader = Reader(folder=tmp_path / "page", home=home)
    for folder in ("configs", "examples"):
        shutil.copytree(ROOT / folder, reader.folder / folder)
    for block in blocks_of(page.read_text()):
        where = f"{page.relative_to(ROOT)}:{block.line}"
        if "not run" in block.markers:
            assert len(block.markers["not run"].split()) > 2, f"{where}: give a reason"
            continue
        check_form(block, where=where)
        if name := block.markers.get("from"):
            assert block.text == (ROOT / name).read_text(), f"{where}: run docs/generate.py"
        if not name or "file" in block.markers:
            reader.follow(block, where=where)


def test_a_page_is_read_as_it_is_written() -> None:
    page = dedent("""\
        Text.
        <!-- exit: 2 -->
        <!-- output -->
        ```console
        $ false \\
            --now
        no
        $ true
        ```

        1. In a list:

            ```python title="a.py"
            if True:
                print(1)
            ```
        """)
    terminal, script = blocks_of(page)
    assert (terminal.line, terminal.markers) == (4, {"exit": "2", "output": ""})
    assert commands_of(terminal.text) == [("false     --now", "no"), ("true", "")]
    assert (script.language, script.text) == ("python", "if True:\n    print(1)\n")


@pytest.mark.parametrize(
    "block",
    [
        Block(line=1, language="", text="x"),
        Block(line=1, language="bash", text="pip install x"),
        Block(line=1, language="json", text="{"),
        Block(line=1, language="python", text="", markers={"continue": ""}),
    ],
)
def test_a_malformed_block_is_refused(block: Block) -> None:
    with pytest.raises((AssertionError, json.JSONDecodeError)):
        check_form(block, where="page.md:1")


def test_a_reader_notices_what_does_not_work(tmp_path: Path, home: Path) -> None:
    reader = Reader(folder=tmp_path / "page", home=home)
    reader.folder.mkdir()
    reader.follow(Block(line=1, language="python", text="x = 1\n"), where="page.md:1")
    goes_on = Block(line=1, language="python", text="assert x\n", markers={"continues": ""})
    reader.follow(goes_on, where="page.md:2")
    for wrong in (
        Block(line=1, language="python", text="raise ValueError\n"),
        Block(line=1, language="console", text="$ true\n$ exit 3\n"),
        Block(line=1, language="console", text="$ echo b\na\n", markers={"output": ""}),
        Block(line=1, language="console", text="$ true\n", markers={"exit": "2"}),
    ):
        with pytest.raises(AssertionError, match=r"page\.md:9"):
            reader.follow(wrong, where="page.md:9")


@pytest.mark.parametrize(
    ("shown", "printed", "same"),
    [
        ("a\nb", "a\nb\n", True),
        ("a\n...\nc", "a\nb\nb\nc\n", True),
        ("a\n...", "a\nb\n", True),
        ("a b ...\nc ...", "a b (7)\nc d\n", True),
        ("a ...", "a b\nc\n", False),
        ("a", "a\nb\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_dots_stand_for_what_is_not_shown(shown: str, printed: str, *, same: bool) -> None:
    assert output_matches(shown, printed) is same
