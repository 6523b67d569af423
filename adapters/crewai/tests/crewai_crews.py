"""Crews and flows as users write them."""

from __future__ import annotations

import os
import time
from typing import Any

from crewai import LLM, Agent, Crew, Flow, Process, Task
from crewai.flow.flow import listen, start
from crewai.llms.base_llm import BaseLLM
from crewai.project import CrewBase, agent, crew, task
from crewai.tools import tool
from pydantic import BaseModel, PrivateAttr


@tool("lookup")
def lookup(query: str) -> str:
    """Look something up."""
    return f"found {query}"


def _own_model() -> LLM:
    address = os.environ["CREWS_MODEL_ADDRESS"]
    return LLM(model="openai/gpt-4o", base_url=address, api_key="own", stream=True, max_retries=0)


def make_crew(llm: Any) -> Crew:
    """A crew of one writer."""
    writer = Agent(role="Writer", goal="Write well", backstory="You write.", llm=llm)
    job = Task(description="Write about: {topic}", expected_output="A text.", agent=writer)
    return Crew(agents=[writer], tasks=[job])


class Parrot(BaseLLM):
    """A model of the user's own making: it repeats its last message."""

    def call(self, messages: Any, *_args: Any, **_more: Any) -> str:
        return f"You asked: {messages[-1]['content']}"


def make_parrot() -> Crew:
    """A crew that needs no provider."""
    return make_crew(Parrot(model="parrot"))


class Sleeper(BaseLLM):
    """A model that nobody can stop: its second answer takes a minute."""

    _calls: int = PrivateAttr(default=0)

    def call(self, *_args: Any, **_more: Any) -> str:
        self._calls += 1
        time.sleep(60 if self._calls > 1 else 0)
        return "I slept."


_SLEEPER = Sleeper(model="sleeper")


def make_sleeper() -> Crew:
    """A crew that only the end of its process stops."""
    return make_crew(_SLEEPER)


def make_own() -> Crew:
    """A crew with a model and a tool of its own."""
    scout = Agent(
        role="Scout", goal="Find", backstory="You find.", llm=_own_model(), tools=[lookup]
    )
    job = Task(description="Find {topic}", expected_output="A text.", agent=scout)
    return Crew(agents=[scout], tasks=[job])


def make_streaming() -> Crew:
    """A crew whose `kickoff` gives a stream."""
    made = make_own()
    made.stream = True
    return made


def make_two_inputs() -> Crew:
    """A crew that asks for two inputs."""
    made = make_own()
    made.tasks[0].description = "Find {what} for {whom}"
    return made


def make_no_input() -> Crew:
    """A crew that asks for none."""
    made = make_own()
    made.tasks[0].description = "Do your job."
    return made


def make_asking() -> Crew:
    """A crew that wants a person's feedback."""
    made = make_own()
    made.tasks[0].human_input = True
    return made


def make_nothing() -> str:
    """No crew at all."""
    return "nothing"


def make_broken() -> Crew:
    """A function that fails."""
    raise ValueError("no crew today")


def make_needy(color: str) -> Crew:
    """A function that wants what nobody gives it."""
    raise AssertionError(color)


@CrewBase
class Team:
    """A crew as CrewAI's templates have it."""

    agents_config: Any = "crew/agents.yaml"
    tasks_config: Any = "crew/tasks.yaml"

    @agent
    def writer(self) -> Agent:
        return Agent(config=self.agents_config["writer"], llm=_own_model())

    @task
    def answer(self) -> Task:
        settings: Any = {"config": self.tasks_config["answer"]}
        return Task(**settings)

    @crew
    def crew(self) -> Crew:
        members: Any = self
        return Crew(agents=members.agents, tasks=members.tasks, process=Process.sequential)


class Echo(Flow[dict[str, Any]]):
    """A flow that calls no model."""

    @start()
    def begin(self) -> str:
        return f"You asked: {self.state['task']}"

    @listen(begin)
    def end(self, said: str) -> str:
        return said


class Forgetful(Flow[dict[str, Any]]):
    """The same without a memory, as CrewAI's own flows are: it takes seconds to import."""

    _skip_auto_memory: bool = True

    @start()
    def begin(self) -> str:
        return f"You asked: {self.state['task']}"


class Draft(BaseModel):
    """The state of a flow."""

    topic: str = ""
    length: int = 1
    text: str = ""


class Writing(Flow[Draft]):
    """A flow whose answer stands in its state."""

    @start()
    def write(self) -> None:
        self.state.text = f"{self.state.topic} " * self.state.length


class Calling(Flow[dict[str, Any]]):
    """A flow that calls a model of its own."""

    @start()
    def begin(self) -> str:
        return str(_own_model().call(self.state["task"]))
