"""A user's own agents, group chats and patterns."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from massgen_bridge_ag2_classic import bridge_adapters
from pydantic import ValidationError

from massgen_bridge import (
    AgentCrashed,
    ConfigError,
    ImagePart,
    LimitReached,
    Limits,
    Message,
    ModelCallFinished,
    Question,
    Reply,
    ServerFailed,
    TextDelta,
    TextPart,
    ToolCallFinished,
    Truncated,
    UnsupportedContent,
    Written,
    assistant,
    system,
    user,
)
from massgen_bridge.testing.agents import collect, connection_to, make_agent, turn
from massgen_bridge.testing.servers import (
    EndsEarly,
    HttpError,
    ModelRequest,
    ModelServer,
    Text,
    ToolCalls,
)
from massgen_bridge.testing.servers import (
    Reply as ServerReply,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from massgen_bridge import Agent, Connection
    from massgen_bridge.testing.fixtures import StartModelServer

pytestmark = pytest.mark.anyio

CHATS = runpy.run_path(str(Path(__file__).with_name("ag2_classic_chats.py")))
"""Users' files are loaded once, as the host does it."""


def own(name: str, connection: Connection | None = None, **options: Any) -> Agent:
    (spec,) = bridge_adapters()
    given = {"chat": f"chats.py:{name}", **options}
    return make_agent(spec, given, connection, load=lambda path: CHATS[path.partition(":")[2]])


@pytest.fixture
def serve(
    model_server: StartModelServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., ModelServer]:
    """Starts a server that the agents' own models are at."""

    def start(script: Any = None, **options: Any) -> ModelServer:
        server = model_server(script, **options)
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url("chat"))
        monkeypatch.setenv("OPENAI_API_KEY", "own-key")
        return server

    return start


async def test_a_single_agent_answers_by_its_own_model(serve: Callable[..., ModelServer]) -> None:
    server, events = serve([Text("Forty-two.")]), collect()
    result = await own("single").run(turn("What is it?"), events)
    assert result.text == "Forty-two."
    assert [(one.text, one.source) for one in events.of(TextDelta)] == [("Forty-two.", "helper")]
    (request,) = server.requests
    assert request.body["model"] == "own-model"
    assert request.api_key == "own-key"
    assert [message["role"] for message in request.body["messages"]] == ["system", "user"]
    (counted,) = events.of(ModelCallFinished)
    assert counted.usage is not None
    assert counted.usage == result.usage


async def test_words_of_a_streaming_model_are_told_as_they_come(
    serve: Callable[..., ModelServer],
) -> None:
    serve([Text.of_tokens(5)])
    events = collect()
    result = await own("streaming").run(turn("Speak."), events)
    deltas = events.of(TextDelta)
    assert "".join(one.text for one in deltas) == result.text == Text.of_tokens(5).text
    assert len(deltas) > 1
    assert {one.source for one in deltas} == {"helper"}


async def test_the_conversation_so_far_comes_as_one_text(
    serve: Callable[..., ModelServer],
) -> None:
    server = serve([Text("Two.")])
    history = (system("Be brief."), user("First?"), assistant("One."), user("And then?"))
    await own("single").run(turn(*history), collect())
    told = server.requests[0].body["messages"][-1]["content"]
    assert told == "Be brief.\n\nuser: First?\n\nassistant: One.\n\nuser: And then?"


async def test_a_tool_of_the_agent_is_called_and_told_of(
    serve: Callable[..., ModelServer],
) -> None:
    serve([ToolCalls(("add", {"left": 19, "right": 23})), Text("It is 42.")])
    events = collect()
    result = await own("with_tool").run(turn("Add."), events)
    assert result.text == "It is 42."
    (told,) = events.of(ToolCallFinished)
    assert (told.result.name, told.result.content) == ("add", "42")


async def test_a_picture_reaches_the_agents_model(serve: Callable[..., ModelServer]) -> None:
    server = serve([Text("A dot.")])
    picture = ImagePart(media_type="image/png", data=b"\x89PNG\r\n")
    shown = turn(Message(role="user", parts=(TextPart(text="What is it?"), picture)))
    await own("single").run(shown, collect())
    parts = server.requests[0].body["messages"][-1]["content"]
    assert [part["type"] for part in parts] == ["text", "image_url"]


async def test_an_earlier_picture_is_refused(serve: Callable[..., ModelServer]) -> None:
    server = serve()
    picture = ImagePart(media_type="image/png", data=b"\x89PNG\r\n")
    history = (Message(role="user", parts=(picture,)), assistant("A dot."), user("Sure?"))
    with pytest.raises(UnsupportedContent, match="image"):
        await own("single").run(turn(*history), collect())
    assert server.calls == 0


async def test_a_round_robin_pattern_is_attributed_word_by_word(
    serve: Callable[..., ModelServer],
) -> None:
    serve([Text("One two."), Text("Three four."), Text("Five six.")])
    events = collect()
    result = await own("round_robin", max_turns=3).run(turn("Go."), events)
    by = [(one.source, one.text) for one in events.of(TextDelta)]
    texts: dict[str | None, str] = {}
    for source, text in by:
        texts[source] = texts.get(source, "") + text
    assert texts == {"first": "One two.Five six.", "second": "Three four."}
    assert result.text == "Five six."
    assert [(m.name, m.text) for m in result.new_messages] == [
        ("first", "One two."),
        ("second", "Three four."),
        ("first", "Five six."),
    ]


async def test_a_random_pattern_ends_by_the_cap(serve: Callable[..., ModelServer]) -> None:
    server = serve(default=Text("Again."))
    result = await own("random_pattern", max_turns=4).run(turn("Go."), collect())
    assert server.calls == len(result.new_messages) == 4


async def test_an_auto_pattern_whose_model_names_nobody_ends(
    serve: Callable[..., ModelServer],
) -> None:
    """AG2 asks its manager's model again and again, and then a person: nobody is there."""
    server = serve(default=Text("Hm."))
    result = await own("auto", max_turns=3).run(turn("Go."), collect())
    assert result.text == "Hm."
    assert server.calls < 20


async def test_an_auto_pattern_follows_the_model(serve: Callable[..., ModelServer]) -> None:
    def script(request: ModelRequest) -> ServerReply:
        choosing = "Read the above conversation" in request.last_text
        return Text("third") if choosing else Text(f"{request.messages[0].text} TERMINATE")

    serve(script)
    result = await own("auto", max_turns=2).run(turn("Go."), collect())
    assert [m.name for m in result.new_messages] == ["first", "third"]
    assert result.text == "You are third."


async def test_a_manual_pattern_without_a_person_ends(serve: Callable[..., ModelServer]) -> None:
    serve(default=Text("Here."))
    result = await own("manual", max_turns=4).run(turn("Go."), collect())
    assert [m.name for m in result.new_messages] == ["first"]


async def test_a_handoff_with_context_variables_works(serve: Callable[..., ModelServer]) -> None:
    def script(request: ModelRequest) -> ServerReply:
        if "repairs" in request.messages[0].text:
            return Text("Mended.")
        names = [tool.name for tool in request.tools]
        if request.ends_with_tool_result:
            handoff = next(name for name in names if name != "note")
            return ToolCalls((handoff, {}))
        return ToolCalls(("note", {"topic": "the printer"}))

    serve(script)
    events = collect()
    result = await own("support").run(turn("It is broken."), events)
    assert result.text == "Mended."
    assert events.of(ToolCallFinished)[0].result.content.startswith("noted")


async def test_a_group_chat_with_its_proxy_works(serve: Callable[..., ModelServer]) -> None:
    serve([Text("One."), Text("Two.")])
    result = await own("group_chat").run(turn("Go."), collect())
    assert [(m.name, m.text) for m in result.new_messages] == [
        ("first", "One."),
        ("second", "Two."),
    ]


async def test_a_manager_chooses_by_its_own_model(serve: Callable[..., ModelServer]) -> None:
    def script(request: ModelRequest) -> ServerReply:
        choosing = "Read the above conversation" in request.last_text
        return Text("second" if choosing else "Said.")

    serve(script)
    result = await own("manager").run(turn("Go."), collect())
    assert {m.name for m in result.new_messages} == {"second"}


async def test_an_input_request_ends_clearly(serve: Callable[..., ModelServer]) -> None:
    serve()
    with pytest.raises(AgentCrashed, match="human_input: ask"):
        await own("asks_person").run(turn("Go."), collect())


async def test_an_input_request_is_put_to_a_person_where_that_is_wanted(
    serve: Callable[..., ModelServer],
) -> None:
    serve(default=Text("Here."))
    asked: list[Question] = []
    replies: list[Reply | None] = [Written(text="By hand.")]

    async def ask(question: Question, /) -> Reply | None:
        asked.append(question)
        return replies.pop(0) if replies else None

    (spec,) = bridge_adapters()
    for name, said in (("asks_person", "By hand."), ("manual", "Here.")):
        given = {"chat": f"chats.py:{name}", "human_input": "ask", "max_turns": 3}
        agent = make_agent(
            spec, given, None, load=lambda path: CHATS[path.partition(":")[2]], ask=ask
        )
        result = await agent.run(turn("Go."), collect())
        assert result.text == said
    assert len(asked) >= 2
    assert all(one.kind == "answer" and one.wish for one in asked)


async def test_agents_without_a_model_are_agents_too() -> None:
    for name in ("without_model", "PARROT"):
        agent = own(name)
        for number in range(2):
            asked = turn(f"Question {number}", turn_id=f"turn-{number}")
            assert (await agent.run(asked, collect())).text == "Polly!"


async def test_a_function_may_ask_for_the_model(model_server: StartModelServer) -> None:
    server = model_server([Text("By yours.")])
    agent = own("from_model", connection_to(server))
    assert (await agent.run(turn("Go."), collect())).text == "By yours."
    assert server.requests[0].body["model"] == "scripted"


@pytest.mark.parametrize(
    ("name", "said"),
    [("NUMBER", "is a 'int'"), ("needs_more", "needs 'path'"), ("from_model", "`model`")],
)
def test_what_is_no_chat_is_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        own(name)


@pytest.mark.parametrize(
    ("name", "said"), [("raises", "no such table"), ("makes_nothing", "returned 'an agent'")]
)
async def test_what_a_function_does_wrong_is_told(name: str, said: str) -> None:
    with pytest.raises(AgentCrashed, match=said):
        await own(name).run(turn("Go."), collect())


async def test_an_error_of_the_provider_is_mapped(serve: Callable[..., ModelServer]) -> None:
    serve([HttpError(status=500)])
    with pytest.raises(ServerFailed, match=r"chats\.py:single"):
        await own("single").run(turn("Go."), collect())


async def test_an_answer_that_was_cut_off_fails(serve: Callable[..., ModelServer]) -> None:
    """AG2 takes a stream that ends too early for a whole answer."""
    serve([EndsEarly()])
    with pytest.raises(Truncated):
        await own("streaming").run(turn("Go."), collect())


async def test_the_limit_of_model_calls_holds(serve: Callable[..., ModelServer]) -> None:
    server = serve(default=Text("Again."))
    asked = turn("Go.", limits=Limits(max_model_calls=3))
    with pytest.raises(LimitReached, match="3 model calls"):
        await own("round_robin", max_turns=20).run(asked, collect())
    assert server.calls == 3


async def test_nothing_is_printed(
    serve: Callable[..., ModelServer], capfd: pytest.CaptureFixture[str]
) -> None:
    serve(default=Text("Said."))
    await own("round_robin", max_turns=2).run(turn("Go."), collect())
    out, err = capfd.readouterr()
    assert (out, err) == ("", "")


def test_options_of_another_form_are_refused() -> None:
    (spec,) = bridge_adapters()
    for given in (
        {"models": "gateway"},
        {"max_turns": 3},
        {"chat": "a:b", "agent_config": {"name": "x"}},
        {"chat": "a:b", "max_tokens_parameter": "max_tokens"},
    ):
        with pytest.raises(ValidationError):
            spec.options.model_validate(given)
