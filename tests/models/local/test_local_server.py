from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import anyio
import pytest
from anyio.from_thread import start_blocking_portal

from massgen_bridge.errors import LocalModelError
from massgen_bridge.models.local import (
    NOTICE,
    WEIGHTS_SIZE,
    LocalServer,
    LocalServers,
    LocalSettings,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from email.message import Message

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("local_weights")]

_REPOSITORY = Path(__file__).parents[3]
_SMALL = LocalSettings(slots=3, context_per_slot=512, default_max_tokens=5)
_SERVE = """
import sys, anyio
from massgen_bridge.models.local import LocalServer
async def main():
    server = LocalServer()
    async with anyio.create_task_group() as group:
        if sys.argv[1] == "loading":
            group.start_soon(server.start)
            while server.pid is None:
                await anyio.sleep(0.001)
        else:
            await server.start()
        print(server.pid, flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""
_VOTE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["vote"],
    "properties": {"vote": {"enum": ["agent1", "agent2"]}},
}


@pytest.fixture(scope="module")
def server(local_weights: Path) -> Iterator[LocalServer]:
    assert local_weights.is_file()
    with (
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(LocalServer(_SMALL)) as running,
    ):
        yield running


class _Client:
    """Requests to one server; errors are answers like any other."""

    def __init__(self, server: LocalServer) -> None:
        self._url = server.url
        self._key: str | None = server.api_key

    def ask(
        self,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        headers: dict[str, str] | None = None,
        method: str | None = None,
    ) -> tuple[int, Message, bytes]:
        default = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        request = Request(  # noqa: S310  # loopback
            path if path.startswith("http") else f"{self._url}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers=default | (headers or {}),
            method=method,
        )
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310  # loopback
                return answer.status, answer.headers, answer.read()
        except HTTPError as error:
            with error:
                return error.code, error.headers, error.read()

    def chat(self, text: str = "Say hello.", **extra: Any) -> dict[str, Any]:
        body = {"model": "local", "messages": [{"role": "user", "content": text}], **extra}
        code, _, answer = self.ask("/chat/completions", body)
        assert code == 200, answer
        return json.loads(answer)  # type: ignore[no-any-return]


@pytest.fixture
def client(server: LocalServer) -> _Client:
    return _Client(server)


def _exists(pid: int) -> bool:
    """Whether there is such a process, be it a zombie."""
    return Path(f"/proc/{pid}").exists()


def _wait_until_ended(pid: int, seconds: float) -> None:
    """Wait for a process that is not ours; when its new parent reaps it is no matter of ours."""
    until = time.monotonic() + seconds
    while _exists(pid):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return
        if state == "Z":
            return
        assert time.monotonic() < until, f"process {pid} still runs"
        time.sleep(0.01)


def _children() -> set[str]:
    """The processes that this one has started, zombies included."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = folder.joinpath("stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has just ended
        if int(parent) == os.getpid():
            found.add(folder.name)
    return found


@pytest.fixture
def started() -> Callable[[], int]:
    """How many processes this one has now that it did not have when the test began."""
    before = _children()
    return lambda: len(_children() - before)


def test_an_answer_can_be_held_to_a_schema(client: _Client) -> None:
    shape = {"type": "json_schema", "json_schema": {"name": "vote", "schema": _VOTE}}
    answer = client.chat("Which is better?", max_tokens=64, temperature=0, response_format=shape)
    assert answer["model"] == "local"
    assert answer["choices"][0]["finish_reason"] == "stop"
    vote = json.loads(answer["choices"][0]["message"]["content"])
    assert vote in ({"vote": "agent1"}, {"vote": "agent2"})


def test_a_stream_ends_with_its_end_marker(client: _Client) -> None:
    body = {"messages": [{"role": "user", "content": "Hi."}], "stream": True}
    code, headers, answer = client.ask("/chat/completions", body)
    assert code == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    assert answer.strip().endswith(b"data: [DONE]")


def test_an_answer_without_a_limit_is_short_and_one_with_a_limit_keeps_to_it(
    client: _Client,
) -> None:
    assert client.chat(ignore_eos=True)["usage"]["completion_tokens"] == 5
    longer = client.chat(ignore_eos=True, max_tokens=12)
    assert longer["usage"]["completion_tokens"] == 12


def test_there_are_as_many_slots_of_the_size_that_was_asked_for(
    server: LocalServer, client: _Client
) -> None:
    code, _, answer = client.ask(server.url.removesuffix("/v1") + "/props")
    assert code == 200
    props = json.loads(answer)
    assert props["total_slots"] == 3
    assert props["default_generation_settings"]["n_ctx"] == 512
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda n: client.chat(f"Count to {n}."), range(3)))
    assert len({answer["id"] for answer in answers}) == 3


@pytest.mark.parametrize("key", ["wrong", ""])
@pytest.mark.parametrize("path", ["/chat/completions", "/models", "/responses", "/messages"])
def test_without_the_key_nothing_is_answered(client: _Client, path: str, key: str) -> None:
    body = {"messages": [{"role": "user", "content": "Hi."}]} if path != "/models" else None
    code, _, answer = client.ask(path, body, headers={"Authorization": f"Bearer {key}"})
    assert code == 401
    assert b"Invalid API Key" in answer


@pytest.mark.parametrize("path", ["/", "/index.html", "/slots", "/metrics", "/tools"])
def test_there_is_no_page_and_no_view_of_the_inside(
    server: LocalServer, client: _Client, path: str
) -> None:
    code, headers, _ = client.ask(server.url.removesuffix("/v1") + path)
    assert code in {403, 404, 501}
    assert headers["Content-Type"].startswith("application/json")


def test_no_web_page_of_another_origin_may_read_an_answer(client: _Client) -> None:
    origin = {"Origin": "http://page.example", "Access-Control-Request-Method": "POST"}
    body = {"messages": [{"role": "user", "content": "Hi."}]}
    for asked, method in ((None, "OPTIONS"), (body, "POST")):
        _, headers, _ = client.ask("/chat/completions", asked, headers=origin, method=method)
        assert not headers["Access-Control-Allow-Origin"]
        assert headers["Access-Control-Allow-Credentials"] in {None, "false"}


def test_a_request_larger_than_its_slot_is_refused_with_both_sizes(client: _Client) -> None:
    body = {"messages": [{"role": "user", "content": "word " * 600}]}
    code, _, answer = client.ask("/chat/completions", body)
    assert code == 400
    error = json.loads(answer)["error"]
    assert error["type"] == "exceed_context_size_error"
    assert error["n_prompt_tokens"] > error["n_ctx"] == 512


def test_only_this_machine_reaches_it(server: LocalServer) -> None:
    port = int(server.url.split(":")[2].removesuffix("/v1"))
    socket.create_connection(("127.0.0.1", port), timeout=5).close()
    # Another loopback address: who listens on all addresses answers there, too.
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", port), timeout=5)


def test_the_process_shares_no_terminal_signals_and_shows_no_key(server: LocalServer) -> None:
    assert server.pid is not None
    assert os.getpgid(server.pid) != os.getpgid(0)
    seen = Path(f"/proc/{server.pid}/cmdline").read_text()
    seen += Path(f"/proc/{server.pid}/environ").read_text()
    assert server.api_key not in seen
    assert "OMP_WAIT_POLICY=passive" in seen
    assert server.api_key not in repr(vars(LocalSettings()))


async def test_the_environment_of_the_child_holds_no_other_secret(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "canary-of-the-environment")
    async with LocalServer(_SMALL) as server:
        seen = await anyio.Path(f"/proc/{server.pid}/environ").read_text()
    assert "HOME=" in seen
    assert "canary-of-the-environment" not in seen


async def test_agents_that_need_it_at_once_share_one_server(started: Callable[[], int]) -> None:
    servers = LocalServers(_SMALL)
    found: list[LocalServer] = []

    async def need() -> None:
        found.append(await servers.get())

    async with servers:
        assert started() == 0
        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(need)
        assert {id(server) for server in found} == {id(found[0])}
        assert started() == 1
        assert found[0].url.startswith("http://127.0.0.1:")
    assert started() == 0
    assert not found[0].alive
    with pytest.raises(LocalModelError, match="its run is over"):
        await servers.get()


async def test_a_server_that_was_killed_is_replaced_at_the_next_need(
    started: Callable[[], int],
) -> None:
    async with LocalServers(_SMALL) as servers:
        first = await servers.get()
        pid = first.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        with anyio.fail_after(30):
            while first.alive:  # noqa: ASYNC110  # that it ends by itself is the point
                await anyio.sleep(0.01)
        second = await servers.get()
        assert second is await servers.get()
        assert second.pid not in {None, pid}
    assert started() == 0


async def test_a_start_that_failed_fails_for_all_and_is_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: Callable[[], int]
) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF" + bytes(1000))
    monkeypatch.setenv("MASSGEN_BRIDGE_LOCAL_GGUF", str(broken))
    texts = set()

    async with LocalServers(_SMALL) as servers:

        async def need() -> None:
            with pytest.raises(LocalModelError) as caught:
                await servers.get()
            texts.add(str(caught.value))

        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(need)
        monkeypatch.delenv("MASSGEN_BRIDGE_LOCAL_GGUF")
        await need()
    (text,) = texts
    assert "ended with code 1" in text
    assert str(broken) in text
    assert "failed to load model" in text
    assert "\n" not in text
    assert started() == 0


async def _start_and_cancel(server: LocalServer, *, seconds: float) -> None:
    async with anyio.create_task_group() as group:
        group.start_soon(server.start)
        while server.pid is None:  # noqa: ASYNC110  # looked at from outside, on purpose
            await anyio.sleep(0.001)
        await anyio.sleep(seconds)
        group.cancel_scope.cancel()


@pytest.mark.parametrize("seconds", [0.0, 0.1])
async def test_cancelling_a_start_leaves_no_process(
    seconds: float, started: Callable[[], int]
) -> None:
    server = LocalServer()
    await _start_and_cancel(server, seconds=seconds)
    assert started() == 0
    assert server.pid is None


async def test_a_start_that_is_cancelled_at_once_starts_nothing(
    started: Callable[[], int],
) -> None:
    with anyio.move_on_after(0) as scope:
        await LocalServer().start()
    assert scope.cancelled_caught
    assert started() == 0


async def test_a_cancelled_start_does_not_spoil_the_next_one(started: Callable[[], int]) -> None:
    async with LocalServers(_SMALL) as servers:
        async with anyio.create_task_group() as group:
            group.start_soon(servers.get)
            while not started():  # noqa: ASYNC110  # looked at from outside, on purpose
                await anyio.sleep(0.001)
            group.cancel_scope.cancel()
        assert (await servers.get()).alive
        assert started() == 1


async def test_a_start_that_takes_too_long_is_given_up(started: Callable[[], int]) -> None:
    server = LocalServer(start_timeout_s=0.001)
    with pytest.raises(LocalModelError, match=r"not loaded within 0\.001 s"):
        await server.start()
    assert started() == 0


async def test_closing_ends_the_process_and_may_be_repeated() -> None:
    server = LocalServer(_SMALL)
    await server.start()
    pid = server.pid
    with pytest.raises(LocalModelError, match="started already"):
        await server.start()
    await server.aclose()
    assert pid is not None
    assert not _exists(pid)
    await server.aclose()
    with pytest.raises(LocalModelError, match="not started"):
        _ = server.url


@pytest.mark.parametrize("moment", ["serving", "loading"])
def test_it_dies_with_a_parent_that_is_killed(moment: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _SERVE, moment], stdout=subprocess.PIPE, cwd=_REPOSITORY
    )
    with parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _exists(pid)
        parent.kill()
    _wait_until_ended(pid, seconds=2)


def test_without_the_runtime_the_error_names_what_to_install(
    site_without: Callable[..., Path],
) -> None:
    site = site_without("xllamacpp")
    done = subprocess.run(
        [sys.executable, "-S", "-c", _SERVE, "serving"],
        env={**os.environ, "PYTHONPATH": f"{site}:{_REPOSITORY}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "pip install 'massgen-bridge[local]'" in done.stderr


def test_importing_the_package_loads_no_runtime() -> None:
    code = "import sys, massgen_bridge.models.local; print('xllamacpp' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=_REPOSITORY
    )
    assert done.stdout == "False\n"


def test_the_status_tells_what_is_there(local_weights: Path) -> None:
    found = status()
    assert found.ready
    assert found.problem is None
    assert found.runtime is not None
    assert found.runtime[:2] == "20"
    assert found.weights == local_weights
    assert found.size == WEIGHTS_SIZE
    assert not found.own


def test_the_status_tells_what_is_missing_or_broken(cache: Path, local_weights: Path) -> None:
    missing = status()
    assert (missing.ready, missing.size, missing.weights) == (False, None, cache)
    assert missing.problem is not None
    assert "massgen-bridge local install" in missing.problem
    cache.parent.mkdir(parents=True)
    shutil.copyfile(local_weights, cache)
    os.truncate(cache, 1000)
    broken = status()
    assert (broken.ready, broken.size) == (False, 1000)
    assert broken.problem is not None
    assert "has 1000 bytes" in broken.problem


@pytest.mark.parametrize(("agents", "slots"), [(0, 1), (1, 1), (3, 3), (4, 4), (9, 4)])
def test_each_of_up_to_four_agents_has_a_slot(agents: int, slots: int) -> None:
    settings = LocalSettings.for_agents(agents)
    assert settings.slots == slots
    assert settings.context_per_slot == 4096


def test_the_notice_is_one_sentence_about_what_the_model_is_for() -> None:
    assert NOTICE.count(". ") == 0
    assert "135 million" in NOTICE
