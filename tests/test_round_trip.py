"""Every value of the contract survives a JSON round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from values import values_of

from massgen_bridge import agent, connection, errors, events, messages, strategy, verdicts
from massgen_bridge.events import Event, Record, TextDelta

if TYPE_CHECKING:
    from types import ModuleType


def _models(*modules: ModuleType) -> list[type[BaseModel]]:
    return [
        value
        for module in modules
        for name in module.__all__
        if isinstance(value := getattr(module, name), type) and issubclass(value, BaseModel)
        # A connection holds its key as a secret, which JSON must not show.
        if value is not connection.Connection and value is not messages.Frozen
    ]


MODELS = _models(messages, agent, connection, events, strategy, verdicts)


def test_the_contract_has_values() -> None:
    assert len(MODELS) > 50
    assert {Record, TextDelta} <= set(MODELS)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
@settings(max_examples=20, suppress_health_check=list(HealthCheck), deadline=None)
@given(data=st.data())
def test_a_value_comes_back_from_json_as_it_was(
    model: type[BaseModel], data: st.DataObject
) -> None:
    value = data.draw(values_of(model))

    assert model.model_validate_json(value.model_dump_json()) == value


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_value_is_frozen_and_refuses_unknown_fields(model: type[BaseModel]) -> None:
    assert model.model_config.get("frozen")
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({"surely_no_field": 1})


def test_every_event_has_a_type_of_its_own() -> None:
    kinds = [event.model_fields["type"].default for event in get_args(get_args(Event)[0])]

    assert len(kinds) == len(set(kinds)) > 20


def test_a_secret_key_does_not_show_in_json() -> None:
    made = connection.Connection(
        name="x", provider="x", protocol="chat", model="m", base_url="http://h", api_key="canary"
    )

    assert "canary" not in made.model_dump_json()
    assert "canary" not in repr(made)


@pytest.mark.parametrize("kind", errors.ERROR_KINDS)
def test_every_kind_of_error_has_one_class(kind: errors.ErrorKind) -> None:
    assert errors.error_of_kind(kind).kind == kind


def test_the_drawn_error_tree_is_the_real_one() -> None:
    drawn = [
        line.split("──", 1)[-1].split()[0]
        for line in (errors.__doc__ or "").splitlines()
        if line.strip().startswith(("├", "└", "│", "Bridge"))
    ]
    real = [
        name
        for name in errors.__all__
        if isinstance(kind := getattr(errors, name), type) and issubclass(kind, errors.BridgeError)
    ]

    assert sorted(drawn) == sorted(real)
