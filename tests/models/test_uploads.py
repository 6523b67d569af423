"""Which media go to a provider ahead of a request, how often, and what becomes of them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import anyio
import pytest

from massgen_bridge import BadRequest, TimedOut, UnsupportedContent
from massgen_bridge.adapting import InlineMedia, Uploads, base64_size, check_room

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


class Provider(Uploads[str]):
    """Keeps what it is sent; it loses "lost", never reads "torn" and takes for ever over "slow"."""

    def __init__(self, ready_s: float = 60.0) -> None:
        super().__init__(LookupError, ready_s=ready_s)
        self.kept: list[str] = []
        self.took: list[str] = []

    async def upload(self, data: bytes, media_type: str, name: str) -> str:
        await anyio.lowlevel.checkpoint()
        self.kept.append(name)
        self.took.append(f"{name} {media_type} {len(data)}")
        return name

    async def ready(self, uploaded: str) -> str:
        if uploaded == "torn":
            raise BadRequest("it is torn")
        if uploaded == "slow":
            await anyio.sleep_forever()
        return uploaded

    async def delete(self, uploaded: str) -> None:
        await anyio.lowlevel.checkpoint()
        if uploaded == "lost":
            raise LookupError(uploaded)
        self.kept.remove(uploaded)


def _media(
    name: str, size: int, refer: Callable[[str], None] | None = lambda _: None
) -> InlineMedia[str]:
    data = name.encode().ljust(size, b".")
    return InlineMedia(
        media_type="text/plain", name=name, size=size, read=lambda: data, refer=refer
    )


async def test_the_largest_go_ahead_until_the_rest_fits() -> None:
    provider = Provider()
    referred: list[str] = []
    media = [_media(name, size, referred.append) for name, size in (("a", 5), ("b", 9), ("c", 7))]
    await provider.send_ahead(media, room=6)
    assert referred == ["b", "c"]
    assert provider.took == ["b text/plain 9", "c text/plain 7"]


async def test_what_fits_stays_and_so_does_what_cannot_be_referred_to() -> None:
    provider = Provider()
    await provider.send_ahead([_media("a", 5), _media("b", 5)], room=10)
    assert provider.took == []
    await provider.send_ahead([_media("a", 5), _media("picture", 50, None)], room=10)
    assert provider.took == ["a text/plain 5"]


async def test_the_same_bytes_are_uploaded_once_though_turns_run_at_once() -> None:
    provider = Provider()
    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(lambda: provider.send_ahead([_media("a", 5)], room=0))
    assert provider.took == ["a text/plain 5"]


async def test_all_is_deleted_in_the_end_as_far_as_it_can_be() -> None:
    provider = Provider()
    await provider.send_ahead([_media(name, 5) for name in ("a", "lost", "b")], room=0)
    await provider.aclose()
    assert provider.kept == ["lost"]
    await provider.aclose()


async def test_what_the_provider_cannot_read_is_deleted_too() -> None:
    provider = Provider()
    with pytest.raises(BadRequest, match="it is torn"):
        await provider.send_ahead([_media("torn", 5)], room=0)
    await provider.aclose()
    assert provider.kept == []


async def test_an_upload_that_is_never_ready_is_given_up_and_deleted() -> None:
    provider = Provider(ready_s=0.01)
    with pytest.raises(TimedOut, match=r"has not made 'slow' ready in 0.01 s \('timeout_s'\)"):
        await provider.send_ahead([_media("slow", 5)], room=0)
    await provider.aclose()
    assert provider.kept == []


async def test_all_is_deleted_though_the_agent_is_cancelled() -> None:
    provider = Provider()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: provider.send_ahead([_media("slow", 5)], room=0))
            await anyio.wait_all_tasks_blocked()
            while not provider.took:
                await anyio.wait_all_tasks_blocked()
            scope.cancel()
            await provider.aclose()
    assert (provider.took, provider.kept) == (["slow text/plain 5"], [])


def test_what_cannot_be_sent_ahead_is_refused() -> None:
    check_room([_media("a", 5), _media("b", 5)], 10)
    with pytest.raises(UnsupportedContent, match=r"media of 11 bytes .* \(10 bytes\)"):
        check_room([_media("a", 5), _media("b", 6)], 10)


@pytest.mark.parametrize("size", range(5))
def test_the_size_of_a_file_is_told_from_its_base64(size: int) -> None:
    assert base64_size(base64.b64encode(bytes(size)).decode()) == size
