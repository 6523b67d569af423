"""Every kind of answer of Responses, read by the real OpenAI SDK, and what is refused."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import openai
import pytest
from openai import BadRequestError, OpenAI

from massgen_bridge.testing.servers import (
    Cited,
    EndsEarly,
    ErrorEvent,
    HostedCall,
    HttpError,
    ModelServer,
    Refusal,
    Structured,
    Text,
    ToolCalls,
    Usage,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from openai.types.responses import Response

TOOL: Any = {
    "type": "function",
    "name": "lookup",
    "parameters": {"type": "object", "properties": {"query": {"type": "string"}}},
    "strict": False,
}
SEALED: Any = ["reasoning.encrypted_content"]


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with ModelServer() as running:
        yield running


@pytest.fixture
def client(server: ModelServer) -> Iterator[OpenAI]:
    with OpenAI(base_url=server.base_url("responses"), api_key="k", max_retries=0) as made:
        yield made


def _streamed(client: OpenAI, **request: Any) -> tuple[list[Any], Response]:
    events = list(client.responses.create(model="m", **{"input": "hi", **request}, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    return events, events[-1].response


def test_a_text_streams_as_the_events_of_one_message(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Text("Tea, of course."))
    events, response = _streamed(client)
    assert [kind for kind, _ in groupby(event.type for event in events)] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(deltas) == response.output_text == "Tea, of course."
    assert response.usage is not None
    assert response.usage.output_tokens == len(deltas)


def test_a_text_comes_whole(server: ModelServer, client: OpenAI) -> None:
    counted = Usage(input_tokens=9, output_tokens=4, cached_tokens=3, cache_write_tokens=2)
    server.enqueue(Text("Tea.", usage=counted), Text("Uncounted.", usage="absent"))
    response = client.responses.create(model="m", input="hi", temperature=0.5)
    assert (response.output_text, response.status, response.temperature) == (
        "Tea.",
        "completed",
        0.5,
    )
    assert response.usage is not None
    assert response.usage.input_tokens_details.cached_tokens == 3
    assert response.usage.input_tokens_details.cache_write_tokens == 2
    assert client.responses.create(model="m", input="hi").usage is None


@pytest.mark.parametrize("stream", [True, False])
def test_tools_are_called(server: ModelServer, client: OpenAI, stream: bool) -> None:  # noqa: FBT001 - a parameter of the test
    server.enqueue(ToolCalls(("lookup", {"query": "größer"}), ("lookup", "{no json")))
    if stream:
        response = _streamed(client, tools=[TOOL])[1]
    else:
        response = client.responses.create(model="m", input="hi", tools=[TOOL])
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, call.arguments) for call in calls] == [
        ("lookup", '{"query":"größer"}'),
        ("lookup", "{no json"),
    ]
    assert len({call.call_id for call in calls}) == 2


def test_the_limit_cuts_the_answer_off(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(*[Text("one two three four")] * 2, Text("I", finish_reason="content_filter"))
    whole = client.responses.create(model="m", input="hi", max_output_tokens=2)
    events, streamed = _streamed(client, max_output_tokens=2)
    for response in (whole, streamed):
        assert (response.output_text, response.status) == ("one two", "incomplete")
        assert response.incomplete_details is not None
        assert response.incomplete_details.reason == "max_output_tokens"
    assert events[-1].type == "response.incomplete"
    filtered = _streamed(client)[1]
    assert filtered.incomplete_details is not None
    assert filtered.incomplete_details.reason == "content_filter"


def test_a_refusal_and_a_schema_have_their_forms(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(Refusal("I will not."), Structured({"vote": "b"}))
    refused = _streamed(client)[1].output[0]
    assert refused.type == "message"
    assert refused.content[0].type == "refusal"
    schema = {"type": "object", "properties": {"vote": {"type": "string"}}}
    form: Any = {"format": {"type": "json_schema", "name": "answer", "schema": schema}}
    assert client.responses.create(model="m", input="hi", text=form).output_text == '{"vote":"b"}'
    asked = server.requests[-1].asked
    assert asked is not None
    assert asked.output_schema == schema


def test_reasoning_is_shown_in_full_in_summary_and_sealed(
    server: ModelServer, client: OpenAI
) -> None:
    server.enqueue(*[Text("Tea.", reasoning="Coffee wakes. Tea, too.")] * 2)
    events, response = _streamed(client, reasoning={"summary": "auto"}, include=SEALED)
    told = [e.delta for e in events if e.type == "response.reasoning_summary_text.delta"]
    thought = response.output[0]
    assert thought.type == "reasoning"
    assert "".join(told) == thought.summary[0].text == "Coffee wakes. Tea, too."
    assert thought.encrypted_content
    events, response = _streamed(client)
    told = [event.delta for event in events if event.type == "response.reasoning_text.delta"]
    assert "".join(told) == "Coffee wakes. Tea, too."
    assert response.output[0].type == "reasoning"
    assert response.output[0].encrypted_content is None


def test_hosted_tools_and_what_they_found_are_told(server: ModelServer, client: OpenAI) -> None:
    hosted = (
        HostedCall("web_search", '{"query": "tea"}'),
        HostedCall("code_execution", '{"code": "1+1"}', output="2"),
        HostedCall("file_search", '{"queries": ["tea"]}'),
        HostedCall("image_generation", '{"prompt": "a cup"}', image=b"PNG"),
    )
    sources = (Cited(url="https://tea.example", title="Tea"), Cited(title="tea.txt"))
    server.enqueue(Text("Tea.", hosted=hosted, sources=sources))
    *items, message = _streamed(client)[1].output
    assert [item.type for item in items] == [
        "web_search_call",
        "code_interpreter_call",
        "file_search_call",
        "image_generation_call",
    ]
    assert message.type == "message"
    text = message.content[0]
    assert text.type == "output_text"
    assert [cited.type for cited in text.annotations] == ["url_citation", "file_citation"]


def test_a_stream_breaks_off_or_fails(server: ModelServer, client: OpenAI) -> None:
    server.enqueue(EndsEarly(), ErrorEvent(), ErrorEvent(error=HttpError(status=529)))
    kinds = [
        [event.type for event in client.responses.create(model="m", input="hi", stream=True)]
        for _ in range(3)
    ]
    assert kinds[0][-1] == "response.output_text.delta"
    assert kinds[1][-1] == "response.failed"
    assert kinds[2][-1] == "error"


def _reasoned(**fields: Any) -> list[Any]:
    thought = {"type": "reasoning", "id": "rs_1", "summary": [], **fields}
    said = {"type": "message", "id": "msg_1", "role": "assistant", "content": "So."}
    return [thought, said, {"role": "user", "content": "And?"}]


_CALL = {"type": "function_call", "call_id": "c1", "name": "lookup", "arguments": "{}"}
_OPEN = {"type": "object", "properties": {"a": {"type": "string"}}}


@pytest.mark.parametrize(
    ("request_", "fault"),
    [
        ({"messages": []}, "Unknown parameter: 'messages'"),
        ({"seed": 1}, "Unknown parameter: 'seed'"),
        ({"input": [_CALL]}, "No tool output found for function call c1"),
        (
            {"input": [{"type": "function_call_output", "call_id": "c1", "output": ""}]},
            "No tool call found for function call output with call_id c1",
        ),
        (
            {"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "Supported values are: output_text, refusal",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "output_text", "text": "x"}]}]},
            "Supported values are: input_file, input_image, input_text",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "no"}]}]},
            "No file was found with id 'no'",
        ),
        ({"input": [{"type": "thinking"}]}, "Invalid value: 'thinking'"),
        ({"input": _reasoned()}, "Items are not persisted"),
        ({"input": _reasoned(encrypted_content="x")}, "could not be verified"),
        (
            {"input": _reasoned(encrypted_content="sealed:rs_1")[::2]},
            "without its required following item",
        ),
        ({"reasoning": {"effort": "huge"}}, "'reasoning.effort'"),
        ({"include": ["everything"]}, "Invalid value: 'everything' for 'include'"),
        ({"background": True, "store": False}, "have to be stored"),
        ({"tools": [{"type": "function", "function": {}}]}, "Unknown parameter"),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": _OPEN}]},
            "'additionalProperties' is required",
        ),
        ({"tools": [{"type": "file_search"}]}, r"'tools\[0\].vector_store_ids'"),
        ({"text": {"format": {"type": "json_schema"}}}, "'text.format.name'"),
        (
            {
                "text": {
                    "format": {"type": "json_schema", "name": "a", "schema": _OPEN, "strict": True}
                }
            },
            "'additionalProperties' is required",
        ),
    ],
)
def test_what_openai_refuses_is_refused(
    client: OpenAI, request_: dict[str, Any], fault: str
) -> None:
    body = {"model": "m", "input": "hi", **request_}
    with pytest.raises(BadRequestError, match=fault):
        client.post("/responses", cast_to=object, body=body)


def test_a_server_that_is_not_strict_takes_it(client: OpenAI) -> None:
    with ModelServer(Text("Yes."), strict=False) as server:
        lax = client.with_options(base_url=server.base_url("responses"))
        lax.post("/responses", cast_to=object, body={"model": "m", "input": [_CALL], "seed": 1})
    assert server.calls == 1


def test_what_the_items_say_is_read(server: ModelServer, client: OpenAI) -> None:
    stored = server.files.put("a.pdf", "application/pdf", b"%PDF", {})
    png = "data:image/png;base64,UE5H"
    sent: Any = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look."},
                {"type": "input_image", "image_url": png},
                {"type": "input_file", "file_id": stored.file_id},
            ],
        },
        *_reasoned(encrypted_content="sealed:rs_1")[:2],
        _CALL,
        {
            "type": "function_call_output",
            "call_id": "c1",
            "output": [
                {"type": "input_text", "text": "17"},
                {"type": "input_image", "image_url": png},
            ],
        },
    ]
    client.responses.create(model="m", input=sent, instructions="Say all.")
    asked = server.requests[-1].asked
    assert asked is not None
    assert asked.ends_with_tool_result
    assert [(one.role, one.text, len(one.calls), one.answers) for one in asked.messages] == [
        ("system", "Say all.", 0, None),
        ("system", "Be brief.", 0, None),
        ("user", "Look.", 0, None),
        ("assistant", "So.", 1, None),
        ("tool", "17", 0, "c1"),
    ]
    assert [media.data for media in asked.messages[2].media] == [b"PNG", b"%PDF"]
    assert [media.data for media in asked.messages[4].media] == [b"PNG"]


def test_vector_stores_hold_files_until_they_are_deleted(
    server: ModelServer, client: OpenAI
) -> None:
    file = client.files.create(file=("a.txt", b"tea\r\n\x00"), purpose="user_data")
    assert [(one.name, one.data) for one in server.files.files] == [("a.txt", b"tea\r\n\x00")]
    made = client.vector_stores.create(file_ids=[file.id])
    assert made.status == "in_progress"
    assert client.vector_stores.retrieve(made.id).status == "completed"
    assert [store.file_ids for store in server.vector_stores.stores] == [(file.id,)]
    client.vector_stores.delete(made.id)
    assert server.vector_stores.stores == ()
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.retrieve(made.id)
    with pytest.raises(openai.NotFoundError):
        client.vector_stores.create(file_ids=["file_unknown"])


def test_what_code_has_made_is_fetched_by_its_ids(server: ModelServer, client: OpenAI) -> None:
    server.vector_stores.made["cntr_1", "cfile_1"] = b"PNG"
    content = client.containers.files.content.retrieve("cfile_1", container_id="cntr_1")
    assert content.read() == b"PNG"
    with pytest.raises(openai.NotFoundError):
        client.containers.files.content.retrieve("cfile_2", container_id="cntr_1")
