"""``python -m relaydance_async.sandbox``: a local RelayDance until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from types import FrameType

from . import Fault, RateLimit, Sandbox

PROGRAM = "python -m relaydance_async.sandbox"


def build_parser(prog: str = PROGRAM) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Run a local RelayDance.")
    parser.add_argument("--host", default="127.0.0.1", help="where it listens (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="the API's port; 0 for any (default: 8080)")
    parser.add_argument("--cdn-port", type=int, default=0, help="the result host's port (default: any)")
    parser.add_argument(
        "--dialect",
        choices=("gateway", "documented"),
        default="gateway",
        help="answer as the gateway does, or as RelayDance documents it (default: gateway)",
    )
    parser.add_argument("--rate", type=float, help="calls per second and key; no limit without it")
    parser.add_argument("--burst", type=int, default=20, help="calls that may come at once (default: 20)")
    parser.add_argument(
        "--retry-after", default="1", help='what a 429 says: a value, "exact", "long", "date", "ms" or "none"'
    )
    parser.add_argument(
        "--limit",
        type=_parse_limit,
        action="append",
        default=[],
        metavar="JSON",
        help="""such as '{"policy": "fixed_window", "limit": 60, "per": "model"}'; may be repeated""",
    )
    parser.add_argument("--time-scale", type=float, default=1.0, help="how much faster tasks move (default: 1)")
    parser.add_argument("--seed", type=int, default=0, help="of ids, and of all that is random (default: 0)")
    parser.add_argument(
        "--fault",
        type=_parse_fault,
        action="append",
        default=[],
        metavar="JSON",
        help="""such as '{"route": "POST /v1/video/generations", "status": 503, "every": 5}'; may be repeated""",
    )
    return parser


def _parse_fault(text: str) -> Fault:
    try:
        return Fault.from_json(json.loads(text))
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parse_limit(text: str) -> RateLimit:
    try:
        return RateLimit.from_json(json.loads(text))
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def build_sandbox(options: argparse.Namespace) -> Sandbox:
    limits: list[RateLimit] = list(options.limit)
    if options.rate is not None:
        retry_after = None if options.retry_after == "none" else options.retry_after
        limits.append(RateLimit(options.rate, options.burst, retry_after))
    return Sandbox(
        dialect=options.dialect,
        host=options.host,
        port=options.port,
        cdn_port=options.cdn_port,
        rate_limit=limits,
        faults=options.fault,
        time_scale=options.time_scale,
        seed=options.seed,
    )


def main(argv: Sequence[str] | None = None, *, prog: str = PROGRAM) -> int:
    """Run the sandbox until SIGINT or SIGTERM.

    Args:
        argv: the arguments.
        prog: what was typed before them, for messages.
    """
    parser = build_parser(prog)
    options = parser.parse_args(argv)
    try:
        sandbox = build_sandbox(options)
    except ValueError as error:
        parser.error(str(error))
    stopping = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    try:
        sandbox.start()
    except OSError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        print(f"RelayDance sandbox ({options.dialect}) at {sandbox.base_url}, results at {sandbox.cdn_url}")
        print(f"export RELAYDANCE_BASE_URL={sandbox.base_url}")
        print(f"export RELAYDANCE_API_KEY={sandbox.api_key}")
        print(f"Ledger: {sandbox.root_url}/_sandbox/ledger    Ctrl-C ends it.", flush=True)
        stopping.wait()
    finally:
        sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
