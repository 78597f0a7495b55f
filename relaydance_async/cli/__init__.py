"""The command line: `relaydance`, or `python -m relaydance_async.cli`. It needs the extra `[cli]`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..errors import RelayDanceError


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command. Its exit status is 0 when all went well, 1 when not, 2 when it could not begin.

    `batch` has more of them: see docs/batch.md.
    """
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except CannotBeginError as error:
        print(f"relaydance: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"relaydance: {error}", file=sys.stderr)
        return 2
    except RelayDanceError as error:
        print(f"relaydance: {type(error).__name__}: {error}", file=sys.stderr)
        return 1


class CannotBeginError(Exception):
    """Something is missing: an extra, a key, a consent."""


def _run(argv: Sequence[str]) -> int:
    try:
        from cyclopts import CycloptsError

        from ._app import app
    except ImportError as error:
        if (error.name or "").partition(".")[0] == "relaydance_async":
            raise
        raise missing(error.name or "cyclopts") from None
    try:
        return int(app(argv, exit_on_error=False, print_error=False) or 0)
    except CycloptsError as error:
        raise CannotBeginError(f"{error} (--help shows what there is)") from None


def missing(module: str) -> CannotBeginError:
    """The error of a package of the extra `[cli]` that isn't there."""
    return CannotBeginError(
        f'the command line needs {module}, which is not installed: pip install "relaydance-async[cli]"'
    )
