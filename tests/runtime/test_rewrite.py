"""Every record can be written, and its texts replaced without breaking it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError
from runtime.records import delta, one_of_each, record
from values import values_of

from massgen_bridge.events import Record, ToolCallStarted
from massgen_bridge.messages import ToolCall
from massgen_bridge.runtime.deltas import Joined
from massgen_bridge.runtime.rewrite import encode, rewrite


def _call(arguments: dict[str, Any]) -> Record:
    call = ToolCall.model_construct(call_id="c", name="n", arguments=arguments)
    return record(1, ToolCallStarted.model_construct(call=call))


def _arguments(line: str) -> Any:
    return json.loads(line)["event"]["call"]["arguments"]


@settings(max_examples=50, suppress_health_check=list(HealthCheck), deadline=None)
@given(values_of(Record))
def test_a_record_reads_back_as_it_was(kept: Record) -> None:
    assert Record.model_validate_json(encode(kept)) == kept


def test_a_joined_delta_is_written_like_the_record_it_stands_for() -> None:
    assert encode(Joined(delta(1, "a"), 'a\n"ü')) == encode(delta(1, 'a\n"ü'))


def test_half_a_surrogate_pair_becomes_a_replacement_character() -> None:
    assert json.loads(encode(delta(1, "a\ud83d")))["event"]["text"] == "a\ufffd"


def test_a_surrogate_pair_that_deltas_split_is_joined_again() -> None:
    line = encode(Joined(delta(1, "\ud83d"), "\ud83d\ude00!"))

    assert json.loads(line)["event"]["text"] == "😀!"


def test_arguments_of_a_type_that_json_does_not_know_are_shown() -> None:
    assert _arguments(encode(_call({"a": 1j, "b": [slice(2)]}))) == {
        "a": "1j",
        "b": ["slice(None, 2, None)"],
    }


def test_arguments_that_contain_themselves_are_cut_off() -> None:
    arguments: dict[str, Any] = {"a": 1}
    arguments["self"] = arguments

    assert _arguments(encode(_call(arguments))) == {"a": 1, "self": "[cut off]"}


def test_arguments_that_nest_without_end_are_cut_off() -> None:
    arguments: dict[str, Any] = {}
    for _ in range(5000):
        arguments = {"deeper": arguments}

    assert "[cut off]" in encode(_call(arguments))


@pytest.mark.parametrize("kept", one_of_each(), ids=lambda kept: kept.event.type)
def test_texts_are_replaced_wherever_they_stand(kept: Record) -> None:
    assert rewrite(kept, lambda text: text) == kept
    changed = rewrite(kept, lambda text: text.replace("42", "43"))
    assert encode(changed) == encode(kept).replace('"42"', '"43"')


def test_words_of_the_schema_stay() -> None:
    kept = one_of_each()[1]

    changed = rewrite(kept, lambda text: text.replace("text", "x").replace("user", "y"))

    assert changed == kept


def test_media_are_replaced_as_bytes() -> None:
    kept = one_of_each()[1]

    changed = rewrite(kept, str, lambda data: data.replace(b"PNG", b"GIF"))

    assert b"iUdJRg" in encode(changed).encode()
    assert b"iVBORw" in encode(kept).encode()


def test_a_text_that_breaks_a_rule_of_the_schema_is_an_error() -> None:
    with pytest.raises(ValidationError):
        rewrite(one_of_each()[1], lambda text: text.replace("image/png", "?"))
