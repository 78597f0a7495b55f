"""The command line: `relaydance`, or `python -m relaydance_async.cli`. It needs the extra `[cli]`.

_app         what can be typed, and what holds everywhere: --profile, --base-url, --output, --debug
_session     what was typed there, the profile and the environment -> a client
_profiles    the file of profiles
_key         where the key comes from
_play        runs a command's work; Ctrl-C
_journal     what was paid for: nothing twice by mistake
_output      table, JSON, JSON lines
_progress    how far it is, and what it waits for
_exits       an exception -> a line and an exit status
_account     models, balance, logs, limits
_chat _image _video (_clip_options) _files _raw _doctor _sandbox _login     the other commands
batch        a file of rows
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from ._exits import CannotBeginError, missing, options_in, report, silence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit status. They are listed in docs/command.md, those of `batch` in docs/batch.md."""
    tokens = sys.argv[1:] if argv is None else list(argv)
    _open_streams()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a character that a terminal hasn't got must not lose the answer
    try:
        code = _run(tokens)
        sys.stdout.flush()  # here, so that a reader who has gone is noticed
        return code
    except BrokenPipeError:
        return silence()
    except (KeyboardInterrupt, Exception) as error:
        return report(error, debug="--debug" in options_in(tokens))


def _open_streams() -> None:
    """Those that were closed (`>&-`, some supervisors) go nowhere: a file that is opened must not get their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.dup2(null := os.open(os.devnull, os.O_RDWR), number)
                if null > number:
                    os.close(null)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _run(tokens: Sequence[str]) -> int:
    try:
        from cyclopts import CycloptsError

        from ._app import start

        try:
            return int(start(tokens) or 0)
        except CycloptsError as error:
            raise CannotBeginError(f"{error} (--help shows what there is)") from None
    except ImportError as error:
        name = (error.name or "cyclopts").partition(".")[0]
        if name == "relaydance_async":
            raise
        raise missing(name) from None
