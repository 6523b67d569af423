"""The text of a configuration: what is neither YAML nor JSON is told with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from massgen_bridge.config import load_config
from massgen_bridge.config.source import dotted, read_source
from massgen_bridge.errors import ConfigError
from massgen_bridge.plugins import PluginHost

HOST = PluginHost()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("version: 1\nagents:\n\t- id: a\n", "3:1: not YAML: a tab stands where spaces"),
        ("a: 1\nb: 2\na: 3\n", "3:1: the key 'a' is given twice (first in line 1)"),
        ("a: [1,\n", "2:1: not YAML: expected the node content"),
        (
            "a: {b: ${KEY}, c: 1}\n",
            "1:9: not YAML: between { and }, or [ and ], a '${NAME}' stands",
        ),
        ("a: b: c\n", "1:5: not YAML: mapping values are not allowed here"),
        ("a: 1\n---\nb: 2\n", "2:1: expected one document, but '---' begins another one"),
        ("a: *nowhere\n", "1:4: not YAML: found undefined alias 'nowhere'"),
        ("a: &x [*x]\n", "1:4: an alias stands inside what it is an alias of"),
        ("a: !!python/name:os.system x\n", "1:4: the tag 'python/name:os.system' has no meaning"),
        ("a: !!binary aGk=\n", "1:4: the tag 'binary' has no meaning here"),
        ("a: !mine {}\n", "1:4: the tag '!mine' has no meaning here"),
        ("? [1]\n: 2\n", "1:3: expected a name as key"),
        ("a: .inf\n", "1:4: expected a finite number, found .inf"),
        ("<<: 5\n", "1:5: '<<' expects a mapping"),
        ("a: \x07\n", "not YAML: unacceptable character"),
        (f"a: {'[' * 3000}\n", "1:"),
    ],
)
def test_a_text_that_is_no_yaml_is_an_error_with_its_place(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(text, HOST)
    assert str(caught.value).startswith(f"<text>:{expected}".replace(":not", ": not"))


def test_aliases_that_multiply_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    with pytest.raises(ConfigError, match="too large or nested too deeply"):
        load_config("\n".join(lines), HOST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version": 1,}', ":1:15: not JSON: "),
        ('{"a": 1, "a": 2}', ": the key 'a' is given twice in one object"),
        ('{"a": NaN}', ": expected a finite number, found NaN"),
        ("[" * 100_000, ":1:1: nested too deeply"),
        ('{"version": 1, "agents": [{"id": "\\ud83d\\ude00"}]}', ":1:"),
    ],
)
def test_a_file_that_is_no_json_is_an_error_with_its_place(
    text: str, expected: str, tmp_path: Path
) -> None:
    path = tmp_path / "team.json"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(path, HOST)
    assert str(caught.value).startswith(f"{path}{expected}")


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read '.*none\.yaml': No such file"):
        load_config(tmp_path / "none.yaml", HOST)
    with pytest.raises(ConfigError, match=r"ends with \.yaml, \.yml or \.json, not 'team\.toml'"):
        load_config("team.toml", HOST)
    (tmp_path / "latin.yaml").write_bytes("a: 1\nb: \xe9\n".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml:2: the file is not UTF-8"):
        load_config(tmp_path / "latin.yaml", HOST)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({1: "x"}, "expected a name as key, found 1"),
        ({"version": 1, "agents": [{"x": {5: 1}}]}, "agents[0].x: expected a name as key, found 5"),
        ({"version": 1, "agents": [print]}, "agents[0]: expected a value that JSON can hold"),
        ({"a": float("nan")}, "a: expected a value that JSON can hold"),
    ],
)
def test_values_from_python_are_those_of_json(value: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(value, HOST)
    assert str(caught.value).startswith(expected)


def test_every_value_and_key_has_a_place() -> None:
    source = read_source("a:\n  - b: x\n    c:\n  - [y, z]\n")
    assert source.data == {"a": [{"b": "x", "c": None}, ["y", "z"]]}
    assert source.place(("a", 0, "b")) == (2, 8)
    assert source.place(("a", 0, "b"), of_key=True) == (2, 5)
    assert source.place(("a", 0, "c")) == (3, 5)
    assert source.place(("a", 1, 1)) == (4, 9)
    assert source.place(("a", 0, "missing", "deeper")) == (2, 5)
    assert dotted(("a", 0, "b", "c")) == "a[0].b.c"


@given(st.text(alphabet="a:-[]{}&*!|>'\"\\#%@,? \n\tx1.~", max_size=60))
def test_any_text_gives_a_configuration_or_a_clear_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(f"{text}\n", HOST)
    assert "\n" not in str(caught.value)
