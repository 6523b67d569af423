"""The loopback model server on the command line."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from contextlib import ExitStack, suppress

from massgen_bridge.testing.servers.answers import Text
from massgen_bridge.testing.servers.scenarios import COUNTED, SCENARIOS, reply_by_model
from massgen_bridge.testing.servers.script import Echo
from massgen_bridge.testing.servers.server import ModelServer

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; the URLs are printed when connections are taken."""
    parser = _parser()
    options = parser.parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    server = ModelServer(
        reply_by_model,
        default=Echo() if options.tokens is None else Text.of_tokens(options.tokens),
        latency_s=options.latency,
        together=options.together,
        tokens_per_second=options.tokens_per_second,
        models=tuple(SCENARIOS),
        api_key=options.api_key,
        keep_requests=0,
        host=options.host,
        port=options.port,
    )
    with suppress(KeyboardInterrupt), ExitStack() as serving:
        try:
            serving.enter_context(server)
        except (OSError, OverflowError) as error:
            parser.error(f"cannot listen at {options.host}:{options.port}: {error}")
        sys.stdout.write(f"{server.base_url('chat')}\n{server.base_url('messages')}\n")
        sys.stdout.flush()
        if options.while_stdin_is_open:
            sys.stdin.read()
        else:
            threading.Event().wait()


def _parser() -> argparse.ArgumentParser:
    counted = ", ".join(f"{name} for {meaning}" for name, meaning in COUNTED.items())
    parser = argparse.ArgumentParser(
        prog="python -m massgen_bridge.testing.servers",
        description="A model server on this machine that answers by script. The model's name "
        "chooses the reply; any other name gives the default, an echo. It prints two base URLs: "
        "for clients of OpenAI, and for those of Anthropic Messages or of Gemini.",
        epilog=f"Models: {', '.join(SCENARIOS)}. With a number in place of N: {counted}.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at")
    parser.add_argument("--port", type=int, default=0, help="0 for any that is free (default)")
    parser.add_argument(
        "--latency", type=float, default=0.0, metavar="S", help="seconds before the first byte"
    )
    parser.add_argument(
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="begin no reply before N calls have run at one time",
    )
    parser.add_argument(
        "--tokens-per-second", type=float, metavar="N", help="pace of streams; default: no pauses"
    )
    parser.add_argument(
        "--tokens", type=int, metavar="N", help="the default reply has N tokens instead of an echo"
    )
    parser.add_argument("--api-key", metavar="KEY", help="answer any other key with 401")
    parser.add_argument(
        "--while-stdin-is-open",
        action="store_true",
        help="end also when standard input does, so that no server outlives its parent",
    )
    return parser


if __name__ == "__main__":
    main()
