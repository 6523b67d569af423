"""The page of the YAML: every key, from the models that check it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from massgen_bridge.config.models import Document
from massgen_bridge.config.schema import options_schema
from massgen_bridge.plugins import PluginHost, catalogue
from pages.markdown import table

__all__ = ["options_tables", "page"]

Schema = Mapping[str, Any]
_NULL = {"type": "null"}

_TOP = """\
# YAML

A configuration is a YAML file with `version: 1` (JSON works as well). `massgen-bridge config
validate FILE` names every mistake with its line and column; `massgen-bridge config schema` prints
the JSON Schema for editors. An unknown key is an error.

<!-- config -->
```yaml
version: 1

models:
  strong: {provider: openai, model: gpt-5-mini, temperature: 0.3}

agents:
  - id: ada
    system_message: You are a careful teacher.
    backend: {type: openai, model: strong}
  - id: lin
    backend: {type: langchain, model: openrouter/openai/gpt-5-mini}

strategy:
  type: consensus
  max_rounds: 2
timeout_settings:
  orchestrator_timeout_seconds: 600
```

- Files of code (`plugins`, import paths) are relative to the folder of the file.
- `${NAME}` stands for an environment variable. It works in `models:` and `providers:` alone: in
  `base_url`, `base_urls`, `api_key` and `headers`. Keys written out in the file are refused.
- A file without `version: 1` is read as [one of MassGen](../how-to/use-massgen-files.md). In a file
  that has it, MassGen's `mcp_servers` and `orchestrator` are refused: they are not supported yet.
- A file that names code needs trust before it runs. A terminal asks for it, and remembers a yes
  until the file or that code changes; `--trust` gives it for one run.
"""

_SECTIONS = (
    ("models.NAME", "ModelConfig", "A connection to a model, by a name of your own."),
    ("models.NAME.retry", "RetryPolicy", ""),
    ("models.NAME.image_limits", "ImageLimits", ""),
    ("models.NAME.quirks", "Quirks", ""),
    (
        "providers.NAME",
        "ProviderConfig",
        (
            "A provider of models, by a name of your own: see "
            "[add a provider in five lines](../how-to/add-a-provider-in-yaml.md)."
        ),
    ),
    ("agents[]", "AgentConfig", ""),
    ("agents[].backend", "BackendConfig", "Beside these keys stand those of the kind, see below."),
    ("agents[].limits", "Limits", ""),
    (
        "budget",
        "Budget",
        (
            "How much the run may use in all; then it ends with the best answer so far, which its "
            "status and `budget` in the result say. See [set a budget](../how-to/set-a-budget.md). "
            "An agent's `budget` has the same keys: what all its turns may use."
        ),
    ),
    ("timeout_settings", "TimeoutSettings", ""),
    (
        "sinks[]",
        "SinkConfig",
        "A sink's name, or a mapping with `type` and the sink's own keys. Sinks come from plugins.",
    ),
    ("ui", "UiConfig", ""),
)


def page() -> str:
    """The page."""
    schema = Document.model_json_schema()
    definitions = schema["$defs"]
    parts = [_TOP, "## Top level", _keys(schema)]
    for title, name, said in _SECTIONS:
        text = said or definitions[name]["description"].split("\n\n")[0]
        parts += [f"## {title}", text, _keys(definitions[name])]
    parts += ["## Kinds of agents", _kinds(), "## Strategies", _strategies()]
    return "\n\n".join(part.strip() for part in parts)


def _kinds() -> str:
    parts = ["Values of `backend.type`. Plugins may add more; `massgen-bridge adapters` lists all."]
    planned = []
    told: dict[str, tuple[str, Schema]] = {}
    for kind, entry in catalogue().items():
        if entry.status == "planned":
            planned.append(f"`{kind}`")
            continue
        built_in = "Built in." if entry.install is None else f"Install: `{entry.install}`."
        needs = " Needs a `model`." if entry.needs_model else ""
        parts += [f"### {kind}", f"{_sentence(entry.summary)} {built_in}{needs}"]
        if entry.aliases:
            parts.append("Other names: " + "; ".join(_aliases(entry.aliases)) + ".")
        definitions = entry.options.get("$defs", {})
        new = {name: one for name, one in definitions.items() if told.get(name, ("", {}))[1] != one}
        parts += options_tables({**entry.options, "$defs": new})
        parts += _repeated({name: told[name][0] for name in definitions if name not in new})
        told |= {name: (kind, one) for name, one in new.items()}
    parts.append(f"Planned, not available yet: {', '.join(planned)}.")
    return "\n\n".join(parts)


def _repeated(kinds: Mapping[str, str]) -> Iterator[str]:
    """Where mappings are explained that more than one kind has, by their names."""
    for kind in dict.fromkeys(kinds.values()):
        names = ", ".join(f"`{name}`" for name, one in kinds.items() if one == kind)
        yield f"Keys of {names}: those [of {kind}](#{kind})."


def _aliases(aliases: Mapping[str, str]) -> list[str]:
    return [f"`{name}`, {said}" for name, said in aliases.items()]


def _strategies() -> str:
    host = PluginHost(entry_points=False)
    parts = ["Values of `strategy`, or of `strategy.type` beside the strategy's own keys."]
    for info in host.strategies():
        schema = options_schema(host.strategy(info.name).options)
        parts += [f"### {info.name}", _sentence(info.summary)]
        parts += options_tables(schema) if schema["properties"] else ["It has no keys of its own."]
    return "\n\n".join(parts)


def _sentence(text: str) -> str:
    return text if text.endswith(".") else f"{text}."


def options_tables(options: Schema) -> list[str]:
    """The table of some options, and one for each mapping within them.

    Args:
        options: Their JSON Schema.
    """
    parts = [_keys(options, {})]
    for name, definition in options.get("$defs", {}).items():
        said = " ".join(definition.get("description", "").split("\n\n")[0].split())
        parts += [f"Keys of `{name}`: {said[:1].lower()}{said[1:]}", _keys(definition, {})]
    return parts


def _keys(schema: Schema, links: Mapping[str, str] | None = None) -> str:
    required = schema.get("required", ())
    return table(
        ("key", "type", "default", "meaning"),
        [
            (
                f"`{name}`",
                _type(one, _LINKS if links is None else links),
                "**required**" if name in required else _default(one),
                one.get("description", ""),
            )
            for name, one in schema["properties"].items()
            if name != "options"
        ],
    )


_LINKS = {
    "AgentConfig": "[agents](#agents)",
    "Budget": "[budget](#budget)",
    "BackendConfig": "[backend](#agentsbackend)",
    "Limits": "[limits](#agentslimits)",
    "ModelConfig": "[connection](#modelsname)",
    "ImageLimits": "[limits](#modelsnameimage_limits)",
    "ProviderConfig": "[provider](#providersname)",
    "Quirks": "[quirks](#modelsnamequirks)",
    "RetryPolicy": "[retry](#modelsnameretry)",
    "SinkConfig": "[sink](#sinks)",
    "StrategyConfig": "[strategy](#strategies)",
    "TimeoutSettings": "[timeouts](#timeout_settings)",
    "UiConfig": "[ui](#ui)",
}


def _type(schema: Schema, links: Mapping[str, str]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return links.get(name, f"`{name}`")
    if "anyOf" in schema:
        # Where null is the default, leaving the key out says the same.
        kept = [one for one in schema["anyOf"] if one != _NULL or schema.get("default") is not None]
        return " or ".join(_type(one, links) for one in kept)
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'], links)}"
        case "object":
            values = schema.get("additionalProperties")
            inner = f" of names to {_type(values, links)}" if isinstance(values, dict) else ""
            return f"mapping{inner}"
        case "null":
            return "`null`"
        case None:
            return "any value"
        case name:
            return f"{name}{_bounds(schema)}"


def _bounds(schema: Schema) -> str:
    signs = (
        ("minimum", "≥"),
        ("exclusiveMinimum", ">"),
        ("maximum", "≤"),
        ("exclusiveMaximum", "<"),
    )
    found = [f"{sign} {schema[key]:g}" for key, sign in signs if key in schema]
    return f" {' and '.join(found)}" if found else ""


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if "$ref" in schema or isinstance(default, dict):
        return "its defaults" if default != {} else ""
    if default in (None, [], ()):
        return ""
    if isinstance(default, float):
        return f"`{default:g}`"
    return f"`{json.dumps(default, ensure_ascii=False)}`"
