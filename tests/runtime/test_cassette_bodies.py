"""Bodies in a cassette: exact where it matters, short where it can be, and without secrets."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.runtime.cassette.bodies import Cleaner, canonical, is_whole, reply_of
from massgen_bridge.runtime.secret_forms import SecretForms

KEY = "sk-canary-0123456789"
SSE = {"content-type": "text/event-stream"}
CLEANER = Cleaner(SecretForms([KEY, "4242424242"]), "run-7")


def _stream(*events: object) -> bytes:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def _delta(text: str, index: int = 0) -> dict[str, object]:
    return {"choices": [{"index": index, "delta": {"content": text}}]}


def _texts(content: bytes, *, whole: bool = True) -> str:
    reply = CLEANER.reply(200, SSE, content, whole=whole)
    events = json.loads(json.dumps(reply.events))
    return "".join(event["data"]["choices"][0]["delta"]["content"] for event in events)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"data: [DONE]\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b": comment\n\ndata: {\n\n",
        b'data: {"a": "\\ud83d"}\n\ndata: {"a": 1}\r\n\r\n',
        b'data: {"a": 1}\n\ndata: {"b": ',
        '{"a": "Grüße"}'.encode(),
        b"no JSON",
        b"\xff\xfe",
    ],
)
@pytest.mark.parametrize("headers", [SSE, {"content-type": "application/json"}])
def test_a_reply_comes_out_as_it_went_in(content: bytes, headers: dict[str, str]) -> None:
    reply = CLEANER.reply(200, headers, content, whole=True)
    again = CLEANER.reply(200, headers, reply_of(reply, "run-8"), whole=True)
    assert again == reply
    said = reply_of(reply, "run-8")
    assert said == content or json.loads(said) == json.loads(content)


@given(cuts=st.sets(st.integers(1, len(KEY) + 5), max_size=6))
def test_a_key_is_found_however_it_is_split(cuts: set[int]) -> None:
    said = f"a {KEY} b."
    places = [0, *sorted(cuts), len(said)]
    pieces = [said[a:b] for a, b in pairwise(places)]
    assert _texts(_stream(*map(_delta, pieces))) == "a [secret] b."


def test_texts_of_different_choices_are_not_put_together() -> None:
    content = _stream(_delta(KEY[:9], 0), _delta("other", 1), _delta(KEY[9:], 0))
    assert _texts(content) == "[secret]other"


def test_what_breaks_off_within_a_key_is_masked() -> None:
    content = _stream(_delta("a sk-can"), _delta("ary-0"))
    assert _texts(content, whole=False) == "a [secret]"
    assert _texts(content) == "a sk-canary-0", "an answer that is whole holds no half key"


def test_keys_of_objects_and_numbers_are_looked_through() -> None:
    request = json.dumps({KEY: 4242424242, "list": [KEY, True, None, 1.5]}).encode()
    assert CLEANER.request(request) == {
        "[secret]": "[secret]",
        "list": ["[secret]", True, None, 1.5],
    }


def test_media_are_known_by_their_hash() -> None:
    picture = "data:image/png;base64," + "QUJD" * 400
    (text,) = CLEANER.request(json.dumps([picture]).encode())
    assert text.startswith("data:image/png;base64,[1600 characters, sha256 ")
    other = CLEANER.request(json.dumps([picture[:-4] + "QUJE"]).encode())
    assert other != [text]


def test_what_a_model_sends_in_base64_stays_whole() -> None:
    body = json.dumps({"signature": "QUJD" * 400}).encode()
    reply = CLEANER.reply(200, {"content-type": "application/json"}, body, whole=True)
    assert reply_of(reply, "run-8") == body


def test_a_run_id_is_that_of_the_run() -> None:
    assert CLEANER.request(b'["run-7"]') == ["[run]"]
    reply = CLEANER.reply(200, SSE, _stream(_delta("run-7")), whole=True)
    assert b'"run-8"' in reply_of(reply, "run-8")


def test_what_is_sent_in_no_json_is_known_by_its_hash() -> None:
    assert str(CLEANER.request(b"\xff")).startswith("[1 bytes, sha256 ")


def test_only_headers_that_matter_are_kept() -> None:
    headers = {**SSE, "set-cookie": "x", "x-request-id": "1", "retry-after": "3"}
    reply = CLEANER.reply(429, headers, b"", whole=True)
    assert reply.headers == {**SSE, "retry-after": "3"}


def test_the_order_of_names_does_not_count() -> None:
    one, other = {"a": 1, "b": {"c": 2, "d": 3}}, {"b": {"d": 3, "c": 2}, "a": 1}
    assert canonical("ada", "/p", one) == canonical("ada", "/p", other)
    assert canonical("ada", "/p", one) != canonical("lin", "/p", one)


@pytest.mark.parametrize(
    ("headers", "content", "whole"),
    [
        (SSE, b"data: {}\n\ndata: [DONE]\n\n", True),
        (SSE, b'event: message_stop\ndata: {"type": "message_stop"}\n\n', True),
        (SSE, b"data: {}\n\n", False),
        ({}, b"data: [DONE]\n\n", False),
    ],
)
def test_a_stream_with_its_end_marker_is_whole(
    headers: dict[str, str], content: bytes, *, whole: bool
) -> None:
    assert is_whole(headers, content) is whole
