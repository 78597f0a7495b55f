"""The command line: `relaydance`, or `python -m relaydance_async.cli`. It needs the extra `[cli]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import __version__
from ..errors import RelayDanceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Its exit status is 0 when all went well, 1 when not, 2 when it could not begin."""
    options = build_parser().parse_args(argv)
    try:
        return int(options.command(options))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except CannotBeginError as error:
        print(f"relaydance: {error}", file=sys.stderr)
        return 2
    except RelayDanceError as error:
        print(f"relaydance: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


class CannotBeginError(Exception):
    """Something is missing: an extra, a key, a consent."""


def build_parser() -> argparse.ArgumentParser:
    """What can be typed."""
    parser = argparse.ArgumentParser(prog="relaydance", description="The command line of relaydance-async.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_demo(commands.add_parser("demo", help="show the whole client at work", description=_DEMO))
    return parser


_DEMO = (
    "Shows the whole client at work: models, an upload, a streamed chat, images, and many clips at once. By default "
    "against a sandbox on this machine that limits the rate and fails on purpose; with --live against RelayDance."
)


def _add_demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--clips", type=_count, metavar="N", help="clips to submit at once (default: 200; live: 2)")
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="of what goes wrong (default: %(default)s)")
    parser.add_argument("--output", metavar="DIR", help="where to keep the clips (default: they are thrown away)")
    parser.add_argument(
        "--live", action="store_true", help="use the real service, with RELAYDANCE_API_KEY; costs money"
    )
    parser.add_argument("--yes", action="store_true", help="with --live: don't ask before spending money")
    parser.set_defaults(command=_start_demo)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def _start_demo(options: argparse.Namespace) -> int:
    from ._demo import run_demo

    return run_demo(options.clips, options.seed, options.output, live=options.live, yes=options.yes)
