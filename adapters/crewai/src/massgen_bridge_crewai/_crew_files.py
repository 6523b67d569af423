"""A crew from CrewAI's own `agents.yaml` and `tasks.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from crewai import Agent, Crew, Process, Task
from crewai.llms.base_llm import BaseLLM

from massgen_bridge import ConfigError

__all__ = ["CrewFiles"]

_AGENT_KEYS = frozenset(
    {
        "allow_delegation",
        "backstory",
        "cache",
        "date_format",
        "goal",
        "inject_date",
        "llm",
        "max_execution_time",
        "max_iter",
        "max_retry_limit",
        "max_rpm",
        "planning",
        "prompt_template",
        "respect_context_window",
        "response_template",
        "role",
        "system_template",
        "use_system_prompt",
        "verbose",
    }
)
_TASK_KEYS = frozenset(
    {
        "agent",
        "async_execution",
        "context",
        "create_directory",
        "description",
        "expected_output",
        "guardrail",
        "guardrail_max_retries",
        "markdown",
        "name",
        "output_file",
    }
)
# What only the class around the files could fill in, or a person.
_OF_CODE = frozenset(
    {
        "callback",
        "callbacks",
        "function_calling_llm",
        "knowledge_sources",
        "output_json",
        "output_pydantic",
        "step_callback",
        "tools",
    }
)


class CrewFiles:
    """The files, read and checked; a crew is made of them for each turn.

    Args:
        agents: Path of the members.
        tasks: Path of the tasks.
        hierarchical: Whether a manager gives out the tasks.

    Raises:
        ConfigError: One cannot be read, or has what only code could give a meaning.
    """

    def __init__(self, agents: Path, tasks: Path, *, hierarchical: bool) -> None:
        self._agents = _read(agents, known=_AGENT_KEYS, needed=("role", "goal", "backstory"))
        self._tasks = _read(tasks, known=_TASK_KEYS, needed=("description", "expected_output"))
        self._hierarchical = hierarchical
        for name, task in self._tasks.items():
            self._check_task(name, task, file=tasks)

    def _check_task(self, name: str, task: Mapping[str, Any], *, file: Path) -> None:
        agent = task.get("agent")
        if agent not in self._agents and not (self._hierarchical and agent is None):
            raise ConfigError(
                f"task {name!r} is for the agent {agent!r}; there are: "
                f"{', '.join(map(repr, self._agents))}",
                file=str(file),
            )
        for other in task.get("context") or ():
            if other not in self._tasks:
                raise ConfigError(
                    f"task {name!r} builds on the task {other!r}; there are: "
                    f"{', '.join(map(repr, self._tasks))}",
                    file=str(file),
                )

    def crew(self, llm: BaseLLM, folder: Callable[[], Path]) -> Crew:
        """A crew whose members all speak through one model.

        Args:
            llm: The model.
            folder: Gives the folder that files of tasks are written to.
        """
        agents = {name: _agent(fields, llm) for name, fields in self._agents.items()}
        tasks: dict[str, Task] = {}
        for name, fields in self._tasks.items():
            tasks[name] = _task(name, fields, agents, folder)
        for name, fields in self._tasks.items():
            if "context" in fields:
                tasks[name].context = [tasks[other] for other in fields["context"] or ()]
        return Crew(
            agents=list(agents.values()),
            tasks=list(tasks.values()),
            process=Process.hierarchical if self._hierarchical else Process.sequential,
            manager_llm=llm if self._hierarchical else None,
            verbose=False,
            memory=False,
            tracing=False,
        )


def _agent(fields: Mapping[str, Any], llm: BaseLLM) -> Agent:
    return Agent(**{**fields, "llm": llm, "verbose": False})


def _task(
    name: str, fields: Mapping[str, Any], agents: Mapping[str, Agent], folder: Callable[[], Path]
) -> Task:
    settings = {key: value for key, value in fields.items() if key not in {"agent", "context"}}
    settings.setdefault("name", name)
    file = settings.pop("output_file", None)
    agent = fields.get("agent")
    task = Task(**settings, agent=None if agent is None else agents[agent])
    if file is not None:  # as a field, CrewAI would take the root of the path away
        task.output_file = str(folder() / Path(file).name)
    return task


def _read(path: Path, *, known: frozenset[str], needed: Sequence[str]) -> dict[str, dict[str, Any]]:
    file = str(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{error.strerror}; expected CrewAI's file", file=file) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"it is no YAML: {error}", file=file) from error
    if not isinstance(content, dict) or not content:
        raise ConfigError("expected names, each with its settings below it", file=file)
    for name, fields in content.items():
        if not isinstance(fields, dict):
            raise ConfigError(f"{name!r} has no settings", file=file)
        _check(name, fields, known=known, needed=needed, file=file)
    return {str(name): fields for name, fields in content.items()}


def _check(
    name: str, fields: Mapping[str, Any], *, known: frozenset[str], needed: Sequence[str], file: str
) -> None:
    if fields.get("human_input"):
        raise ConfigError(
            f"{name!r} asks a person by `human_input`; add an agent of kind 'human' instead",
            file=file,
        )
    unknown = sorted(fields.keys() - known - {"human_input"})
    if code := sorted(_OF_CODE & set(unknown)):
        raise ConfigError(
            f"{name!r} has {', '.join(map(repr, code))}, which name code; give the crew itself by "
            "`crew`, an import path",
            file=file,
        )
    if unknown:
        raise ConfigError(
            f"{name!r} has the unknown settings {', '.join(map(repr, unknown))}; known are: "
            f"{', '.join(sorted(known))}",
            file=file,
        )
    if missing := [key for key in needed if not fields.get(key)]:
        raise ConfigError(f"{name!r} lacks {', '.join(map(repr, missing))}", file=file)
