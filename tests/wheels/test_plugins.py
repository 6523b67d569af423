"""Plugins as their users get them: installed with pip, each into an environment of its own.

noxfile.py copies this folder out of the repository, makes the environments, and puts the wheels
that pip needs, and no others, beside them.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from wheels.environments import OUTSIDE, Environment

WHEELS = OUTSIDE / "dist"
# Each template: a question for its example, and the answer.
TEMPLATES = {
    "adapter": ("Why is the sky blue?", "Why is the"),
    "hook": ("Why learn Python?", "It is easy to read."),
    "tool": ("How many words?", "I have counted them:\n4 words"),
    "strategy": ("Why learn Python?", "It is easy to read."),
    "sink": ("Why learn Python?", "It is easy to read."),
    "provider": ("Why learn Python?", "Why learn Python?"),
    "model_adapter": ("Why learn Python?", "Why learn Python?"),
}
# Those that need a model, and the variable that says where it is.
MODELS = {"provider": "MY_PROVIDER_URL", "model_adapter": "MODEL_URL"}
RUN = ("massgen-bridge", "run")
QUIET = ("--display", "none", "--no-journal")


def _install(environment: Environment, project: Path, *options: str) -> None:
    wheels = ("--no-index", "--find-links", str(WHEELS), "--disable-pip-version-check")
    pip = ("python", "-m", "pip", "install", "--quiet", *wheels)
    environment(*pip, *options, f"{project}[test]", cwd=project)


def _test(environment: Environment, project: Path) -> None:
    told = environment("python", "-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=project)
    assert re.search(r"\d passed", told)
    assert not re.search(r"skipped|xfailed", told)


def _plugin(environment: Environment, name: str, cwd: Path) -> str:
    """What the doctor says of a plugin."""
    checks = json.loads(environment("massgen-bridge", "doctor", "--json", cwd=cwd))["checks"]
    (state,) = (one["state"] for one in checks if (one["group"], one["name"]) == ("plugins", name))
    return str(state)


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_new_plugin_works_once_it_is_installed(template: str, tmp_path: Path) -> None:
    environment = Environment(template)
    kind = ("adapter", "--model") if template == "model_adapter" else (template,)
    name = f"my_{template}"
    environment("massgen-bridge", "new", *kind, name, "--into", "project", cwd=tmp_path)
    project = tmp_path / "project"
    assert {".github", ".gitignore"} <= {path.name for path in project.iterdir()}
    _install(environment, project)
    shutil.move(project / "src", project / "elsewhere")  # what is installed stands alone
    _test(environment, project)
    assert _plugin(environment, name, tmp_path) == "ok"
    question, answer = TEMPLATES[template]
    command = (*RUN, str(project / "example.yaml"), question, *QUIET)
    if template in MODELS:
        server = ("python", "-m", "massgen_bridge.testing.servers")
        with environment.started(*server, cwd=tmp_path) as url:
            said = environment(*command, cwd=tmp_path, **{MODELS[template]: url})
    else:
        said = environment(*command, cwd=tmp_path)
    assert said.strip() == answer
    assert (template == "sink") == (tmp_path / "records.jsonl").exists()


def test_the_author_of_a_plugin_installs_it_as_the_command_says(tmp_path: Path) -> None:
    environment = Environment("author")
    said = environment("massgen-bridge", "new", "tool", "counter", cwd=tmp_path)
    assert "  pip install -e '.[test]'\n  pytest\n" in said
    project = tmp_path / "massgen-bridge-counter"
    _install(environment, project, "--editable")
    module = project / "src" / "massgen_bridge_counter" / "__init__.py"
    module.write_text(module.read_text().replace("} words", "} of them"))
    command = (*RUN, str(project / "example.yaml"), "How many words?", *QUIET)
    assert environment(*command, cwd=tmp_path).endswith("\n4 of them\n")


def test_the_adapter_of_the_tutorial_works_once_it_is_installed(tmp_path: Path) -> None:
    environment = Environment("tutorial")
    project = tmp_path / "tutorial_adapter"
    shutil.copytree(OUTSIDE / "examples" / "tutorial_adapter", project)
    _install(environment, project)
    (project / "massgen_bridge_calculator.py").unlink()
    _test(environment, project)
    assert _plugin(environment, "calculator", tmp_path) == "ok"
    command = (*RUN, str(project / "calculator.yaml"), "What is 12 * 3?", *QUIET)
    assert environment(*command, cwd=tmp_path).strip() == "12 * 3 = 36"


def test_plugins_of_one_file_need_no_installation(tmp_path: Path) -> None:
    for tree in ("configs", "examples"):
        shutil.copytree(OUTSIDE / tree, tmp_path / tree)
    (tmp_path / "notes.txt").write_text("Python is easy to read.")
    command = (*RUN, "configs/hooks/guard-tool-calls.yaml")
    environment = Environment("one_file")
    for question, answer in (
        ("Please read notes.txt", "Python is easy to read."),
        ("Please read .env", "hidden files may hold secrets"),
    ):
        assert answer in environment(*command, question, "--trust", *QUIET, cwd=tmp_path)
