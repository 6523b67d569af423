"""The items of an answer of Responses: what each of them says."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NamedTuple

from massgen_bridge.agent import Source
from massgen_bridge.errors import UnsupportedContent
from massgen_bridge.messages import ImagePart, json_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from massgen_bridge.messages import JsonValue

__all__ = [
    "MadeFile",
    "carried_back",
    "hosted_call",
    "item_sources",
    "item_text",
    "made_files",
    "made_picture",
    "own_action",
    "sent_back",
]


class MadeFile(NamedTuple):
    """A file in a sandbox of the provider."""

    container: str
    file_id: str
    name: str


_HOSTED: Mapping[str, tuple[str, Collection[str]]] = {
    "code_interpreter_call": ("code_execution", ("code",)),
    "file_search_call": ("file_search", ("queries",)),
    "image_generation_call": ("image_generation", ("background", "quality", "size")),
    "web_search_call": ("web_search", ()),
}
_KEPT: Mapping[str, Collection[str]] = {
    "image_generation_call": ("id", "result", "status", "type"),
}
# The client is to act on these, and the bridge has offered nothing of the kind.
_ACTIONS = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "local_shell_call",
        "mcp_approval_request",
    }
)


def item_text(item: Mapping[str, Any]) -> tuple[str, bool]:
    """The text of a message, and whether it is a refusal."""
    parts = item.get("content") or ()
    refused = any(part.get("type") == "refusal" for part in parts)
    text = "".join(part.get("text") or part.get("refusal") or "" for part in parts)
    return text, refused


def item_sources(item: Mapping[str, Any]) -> Iterator[Source]:
    """What a message cites: pages by address and title, files by name."""
    for part in item.get("content") or ():
        for cited in part.get("annotations") or ():
            match cited:
                case {"type": "url_citation", "url": str(url)}:
                    yield Source(url=url, title=cited.get("title") or "")
                case {"type": "file_citation" | "file_path"}:
                    yield Source(title=cited.get("filename") or cited.get("file_id") or "")


def made_files(item: Mapping[str, Any]) -> Iterator[MadeFile]:
    """The files that code has written and a message refers to."""
    for part in item.get("content") or ():
        for cited in part.get("annotations") or ():
            match cited:
                case {
                    "type": "container_file_citation",
                    "container_id": str(container),
                    "file_id": str(file_id),
                }:
                    name = (cited.get("filename") or file_id).rpartition("/")[2]
                    yield MadeFile(container=container, file_id=file_id, name=name)


def hosted_call(item: Mapping[str, Any]) -> tuple[str, dict[str, JsonValue]] | None:
    """Name and arguments of a tool that the provider has called; None where the item is none."""
    kind = item["type"]
    if kind == "mcp_call":
        return f"{item.get('server_label')}.{item.get('name')}", _arguments(item)
    if kind not in _HOSTED:
        named = kind.endswith("_call") and kind not in _ACTIONS
        return (kind.removesuffix("_call"), {}) if named else None
    name, told = _HOSTED[kind]
    arguments = {key: item[key] for key in told if item.get(key) is not None}
    if kind == "web_search_call":
        arguments = {key: value for key, value in (item.get("action") or {}).items() if value}
    if kind == "image_generation_call" and item.get("revised_prompt"):
        arguments["prompt"] = item["revised_prompt"]
    return name, arguments


def _arguments(item: Mapping[str, Any]) -> dict[str, JsonValue]:
    try:
        arguments = json_value(item.get("arguments") or "{}")
    except ValueError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": item.get("arguments")}


def made_picture(item: Mapping[str, Any]) -> ImagePart | None:
    """The picture of an item of image generation; None where there is none.

    Raises:
        ValueError: It is not in base64.
    """
    if not item.get("result"):
        return None
    form = item.get("output_format") or "png"
    subtype = "svg+xml" if form == "svg" else form
    return ImagePart(
        media_type=f"image/{subtype}", data=base64.b64decode(item["result"], validate=True)
    )


def own_action(item: Mapping[str, Any]) -> None:
    """Refuse an item that wants the client to act.

    Raises:
        UnsupportedContent: It wants that.
    """
    if item["type"] in _ACTIONS:
        raise UnsupportedContent(
            f"the model wants an item of type {item['type']!r} carried out, which this kind of "
            "agent cannot do; leave the tool out of 'extra_body'"
        )


def sent_back(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item in the form in which the provider takes it back, which has no nulls."""
    kept = _KEPT.get(item["type"], item.keys())
    return {name: item[name] for name in kept if item.get(name) is not None}


def carried_back(items: Iterable[Mapping[str, Any]]) -> Sequence[dict[str, Any]]:
    """An answer's items as input.

    Reasoning that came neither encrypted nor in full cannot go back: the provider has not stored
    it. Then no item may have an id, for an id stands for what was thought before it.
    """
    given = [dict(item) for item in items]
    lost = [
        item
        for item in given
        if item["type"] == "reasoning"
        and not item.get("encrypted_content")
        and not item.get("content")
    ]
    if not lost:
        return given
    return [
        {name: value for name, value in item.items() if name != "id" or _needs_id(item)}
        for item in given
        if item not in lost
    ]


def _needs_id(item: Mapping[str, Any]) -> bool:
    return item["type"] not in {"function_call", "message"}
