"""The guards see what they are there to see."""

from __future__ import annotations

import socket
import sys
import threading
from pathlib import Path

import blockbuster
import pytest

import massgen_bridge
from massgen_bridge.testing.guards import blocking_raises

pytestmark = pytest.mark.anyio


def _sleeper(file: Path) -> dict[str, object]:
    """A function that blocks, as if it stood in `file`."""
    names: dict[str, object] = {}
    exec(compile("import time\ndef nap():\n    time.sleep(0)\n", str(file), "exec"), names)  # noqa: S102 the code is the line above
    return names


async def test_a_blocking_call_of_the_product_in_the_event_loop_raises() -> None:
    nap = _sleeper(Path(massgen_bridge.__file__).with_name("planted.py"))["nap"]
    assert callable(nap)
    with pytest.raises(blockbuster.BlockingError, match=r"time\.sleep"):
        nap()


async def test_so_does_one_that_other_code_makes_for_the_product() -> None:
    library = _sleeper(Path(__file__).with_name("planted.py"))["nap"]
    product = Path(massgen_bridge.__file__).with_name("planted.py")
    names: dict[str, object] = {"nap": library}
    exec(compile("def call():\n    nap()\n", str(product), "exec"), names)  # noqa: S102 as above
    call = names["call"]
    assert callable(call)
    with pytest.raises(blockbuster.BlockingError, match=r"time\.sleep"):
        call()


async def test_without_a_module_every_blocking_call_raises() -> None:
    nap = _sleeper(Path(__file__).with_name("planted.py"))["nap"]
    assert callable(nap)
    with blocking_raises([]), pytest.raises(blockbuster.BlockingError, match=r"time\.sleep"):
        nap()


async def test_the_code_of_a_test_may_block() -> None:
    nap = _sleeper(Path(__file__).with_name("planted.py"))["nap"]
    assert callable(nap)
    nap()


async def test_a_module_that_another_thread_imports_may_be_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_slowly.py").write_text("import time\ntime.sleep(0.5)\n")
    monkeypatch.syspath_prepend(tmp_path)
    product = Path(massgen_bridge.__file__).with_name("planted.py")
    names: dict[str, object] = {}
    exec(compile("def call():\n    import imported_slowly\n", str(product), "exec"), names)  # noqa: S102 as above
    call = names["call"]
    assert callable(call)
    other = threading.Thread(target=__import__, args=("imported_slowly",))
    other.start()
    while "imported_slowly" not in sys.modules:
        pass
    call()
    other.join()


def test_a_connection_to_another_machine_is_refused() -> None:
    with (
        socket.socket() as connection,
        pytest.raises(ConnectionRefusedError, match=r"asked for '192\.0\.2\.1'"),
    ):
        connection.connect(("192.0.2.1", 80))


def test_another_machine_is_not_even_looked_up() -> None:
    with pytest.raises(ConnectionRefusedError, match=r"asked for 'host\.example'"):
        socket.getaddrinfo("host.example", 80)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.9", "localhost"])
def test_loopback_is_open(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)):
        assert socket.getaddrinfo(host, 80)
