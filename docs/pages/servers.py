"""The page of model servers: how to start one, what it can reply, and what it saw."""

from __future__ import annotations

import dataclasses
import inspect
import json
from typing import Any, get_args

from massgen_bridge.testing import servers
from massgen_bridge.testing.servers import HttpError, RecordedRequest, RequestState, answers
from massgen_bridge.testing.servers.anthropic_messages import AnthropicMessages
from massgen_bridge.testing.servers.chat_completions import ChatCompletions
from massgen_bridge.testing.servers.scenarios import COUNTED, SCENARIOS
from massgen_bridge.testing.servers.script import Reply
from pages.markdown import docstring, table

__all__ = ["page"]

_STATUSES = (400, 401, 402, 403, 404, 413, 429, 500, 502, 503, 504, 529)

_PAGE = """\
# Model servers

A server on this machine that answers as the API of a model does, by a script that you write:
answers, tool calls, errors, streams that break. Requests come over HTTP from the real client of a
framework or an SDK, so nothing of it has to be replaced in a test. Each server speaks four
protocols at one port:

| protocol | path | base URL for its clients |
| --- | --- | --- |
| OpenAI Chat Completions | `/v1/chat/completions` | `server.url`, also `server.base_url("chat")` |
| OpenAI Responses | `/v1/responses` | `server.base_url("responses")` |
| Anthropic Messages | `/v1/messages` | `server.base_url("messages")` |
| Gemini | `/v1beta/models/MODEL:streamGenerateContent` | `server.base_url("gemini")` |

`/v1/models` and `/v1beta/models` list the models. `/v1/files` and `/v1/vector_stores` keep what
clients upload, until they delete it: a test finds it in `server.files` and `server.vector_stores`.
What a provider's own tools are to do stands in an answer's `hosted`, each a `HostedCall`, what it
cites in `sources` as `Cited`. A script says nothing of protocols: the same one serves all.

## In a test

The fixture `model_server` starts servers that end with the test. A server whose script failed, for
example by a function that raised, fails the test.

<!-- file: test_names.py -->
```python title="test_names.py"
from openai import OpenAI

from massgen_bridge.testing.fixtures import model_server
from massgen_bridge.testing.servers import HttpError, Text

ASK = {{"model": "any", "messages": [{{"role": "user", "content": "Who are you?"}}]}}


def test_the_client_tries_again(model_server):
    server = model_server([HttpError(status=429, retry_after=0), Text("I am Ada.")])
    with OpenAI(base_url=server.url, api_key="any") as client:
        answer = client.chat.completions.create(**ASK)
    assert answer.choices[0].message.content == "I am Ada."
    assert [request.status for request in server.requests] == [429, 200]
```

```console
$ pytest -q test_names.py
```

In a `conftest.py`, the same import makes the fixture known to all tests beside and below it.
`model_server` takes what `ModelServer` takes. For the tests of an adapter,
`massgen_bridge.testing.agents` makes a connection of a server (`connection_to`), an agent of that
(`make_agent`) and a turn for it (`turn`).

## From Python

```python
from openai import OpenAI

from massgen_bridge.testing.servers import ModelServer, ToolCalls

with ModelServer(ToolCalls(("lookup", {{"query": "tea"}}))) as server:
    with OpenAI(base_url=server.url, api_key="any") as client:
        answer = client.chat.completions.create(
            model="any", messages=[{{"role": "user", "content": "Look it up."}}]
        )
    print(answer.choices[0].finish_reason)
    print(server.requests[0].asked.messages[0].text)
```

The server has a thread of its own, so blocking and asynchronous code can use it alike. Its
arguments:

{arguments}

It counts what happens, as `calls`, `running_calls`, `most_running_calls`, `closed_early`,
`open_connections` and `connections_opened`. `wait_for_calls`, `wait_for_tokens`, `wait_for_close`
and `wait_for_idle` block until something has happened, `await_calls` and so on do so in
asynchronous code: a test that cancels a call in the middle of a stream needs no sleep.
`close_idle` closes the connections that wait for a request, as real servers do after a while.

A `ModelServerProcess` is the same in a process of its own, for measurements. It serves the models
under [On the command line](#on-the-command-line).

## Which reply a request gets

| the script | means |
| --- | --- |
| a reply | the reply to every request |
| a list of replies | each is given once, in order; then the default |
| a mapping of model names to replies or functions | by the model; for others the default |
| a function of a [`ModelRequest`](#modelrequest) | what it returns; for `None` the default |
| none | the default, which is `Echo()` unless `default=` says otherwise |

`server.enqueue(...)` adds replies that are given, once each, before anything else is.

## Answers

{answers}

Each answer also takes:

{common}

A `finish_reason` is one of {reasons}. It is told in each protocol's own words, or as the word that
comes nearest. A `Usage` has:

{usage}

## Errors and faults

A fault can strike any answer, the one that it is given as `answer`.

{faults}

What providers write into an `HttpError`, unless it is told otherwise:

{errors}

## What was asked

A function of the script gets a `ModelRequest`. A server keeps a `RecordedRequest` of everything
that came, in `server.requests`; its `asked` is that `ModelRequest`. Both are the same for every
protocol; `body` has what one alone says.

### ModelRequest

{model_request}

### SentMessage

{sent_message}

A `SentCall` has {sent_call}; a `SentMedia` has {sent_media}; an `OfferedTool` has {offered_tool}.

### RecordedRequest

{recorded_request}

`state` is one of {states}.

## What is refused

What a provider refuses is refused here, too, with an error 400 that says why, so that no adapter
gets through its tests with a request that fails in earnest. `strict=False` lets it pass.

- All: a tool's result that answers no call, a call that has no result, a message without a role
  that is known, no messages.
- Chat Completions: arguments of a call that are not text.
- Responses: parameters that do not exist, such as `seed`; no `model` or `input`; items and parts
  of another form; a strict schema that leaves `additionalProperties` open or a property optional;
  files that nobody uploaded; a background response that is not stored.
- Messages: no `max_tokens`; parameters that do not exist, such as `seed`; a system prompt among
  the messages; results that do not stand first in the message right after their calls; a message
  without content; an assistant's message at the end; ids, names and kinds of pictures of another
  form; a schema that says `minimum` and the like, or leaves `additionalProperties` open; thinking
  that was changed, or has no room below `max_tokens`; more than 32 MiB (error 413). A request
  without `anthropic-version` is refused in any case.
- Gemini: fields that do not exist; a conversation that does not begin and end with the user;
  kinds of media that no model takes; two schemas for one thing; calls without the thought
  signature that they came with, where the model is one that gives them; more than 20 MiB (error
  413).

## On the command line

<!-- not run: it serves until it is ended -->
```console
$ python -m massgen_bridge.testing.servers --port 8123
http://127.0.0.1:8123/v1
http://127.0.0.1:8123
```

The first line is the base URL for clients of OpenAI (Chat Completions and Responses), the second
for those of Anthropic Messages and of Gemini.
`--help` lists the options, for example `--api-key`, `--latency`, `--together` and
`--tokens-per-second`.
`GET /stats` gives the figures of the server. The model's name chooses the reply:

{scenarios}

Any other model gives an echo.
"""


def page() -> str:
    """The page."""
    given = get_args(answers.Answer)
    others = [one for one in get_args(Reply) if one not in given]
    plain = [one for one in others if one.__name__ in {"Echo", "AutoToolCall"}]
    return _PAGE.format(
        arguments=_rows(docstring(servers.ModelServer).items, ("argument", "meaning")),
        answers=_replies([*given, *plain]),
        common=_rows(docstring(given[0].__mro__[1]).items, ("argument", "meaning")),
        reasons=_words(get_args(answers.FinishReason)),
        usage=_rows(docstring(servers.Usage).items, ("argument", "meaning")),
        faults=_replies([one for one in others if one not in plain]),
        errors=_errors(),
        model_request=_fields(servers.ModelRequest),
        sent_message=_fields(servers.SentMessage),
        sent_call=_words(_names(servers.SentCall)),
        sent_media=_words(_names(servers.SentMedia)),
        offered_tool=_words(_names(servers.OfferedTool)),
        recorded_request=_fields(RecordedRequest),
        states=_words([f"RequestState.{state.name}" for state in RequestState]),
        scenarios=_scenarios(),
    )


def _words(words: Any) -> str:
    *most, last = [f"`{word}`" for word in words]
    return f"{', '.join(most)} and {last}"


def _rows(items: Any, head: tuple[str, str]) -> str:
    return table(head, [(f"`{name}`", meaning) for name, meaning in items.items()])


def _names(one: type[Any]) -> list[str]:
    return [field.name for field in dataclasses.fields(one)]


def _replies(replies: list[type[Any]]) -> str:
    answer = get_args(answers.Answer)[0].__mro__[1]
    return table(
        ("reply", "what happens", "arguments"),
        [(_call(one, answer), docstring(one).text, _arguments(one)) for one in replies],
    )


def _call(one: type[Any], answer: type[Any]) -> str:
    # What each answer takes is told once, for all of them.
    common = _names(answer) if issubclass(one, answer) else []
    parameters = [
        str(parameter.replace(annotation=inspect.Parameter.empty))
        for name, parameter in inspect.signature(one).parameters.items()
        if name not in common
    ]
    # A default that is a reply of its own is too long to be shown.
    return f"`{one.__name__}({', '.join(one.partition('=')[0] for one in parameters)})`"


def _arguments(one: type[Any]) -> str:
    return " ".join(f"`{name}`: {told}" for name, told in docstring(one).items.items())


def _fields(one: type[Any]) -> str:
    told = docstring(one).items
    named: dict[str, str] = {
        name: told[name] for name in told if name != "read_messages" and name in _names(one)
    }
    for name, attribute in vars(one).items():
        getter = getattr(attribute, "fget", None) or getattr(attribute, "func", None)
        if getter is not None:
            named[name] = docstring(getter).text.split("\n")[0]
    return _rows(named, ("attribute", "meaning"))


def _errors() -> str:
    chat, messages = ChatCompletions(), AnthropicMessages()
    rows = []
    for status in _STATUSES:
        one = json.loads(chat.error_document(HttpError(status=status)))["error"]
        other = json.loads(messages.error_document(HttpError(status=status)))["error"]
        code = f", code `{one['code']}`" if one["code"] else ""
        rows.append((f"`{status}`", f"`{one['type']}`{code}", f"`{other['type']}`"))
    return table(("status", "type in Chat Completions", "type in Messages"), rows)


def _scenarios() -> str:
    rows = [(f"`{name}`", f"`{_code(reply)}`") for name, reply in SCENARIOS.items()]
    rows += [(f"`{name}`", meaning) for name, meaning in COUNTED.items()]
    return table(("model", "reply"), rows)


def _code(value: Any) -> str:
    """A reply as one writes it; arguments that have their default are left out."""
    if not dataclasses.is_dataclass(value):
        return repr(value)
    written = []
    for field in dataclasses.fields(value):
        given = getattr(value, field.name)
        if given != field.default and field.name != "chunks":
            named = "" if field.name == "text" else f"{field.name}="
            written.append((bool(named), f"{named}{_code(given)}"))
    written.sort(key=lambda one: one[0])
    return f"{type(value).__name__}({', '.join(text for _, text in written)})"
