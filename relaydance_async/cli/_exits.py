"""How a command ends: an exception becomes a line on stderr, and an exit status that scripts can rely on."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress

from .._sansio.redact import one_line
from ..errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    DownloadError,
    IdempotencyKeyReusedError,
    InsufficientBalanceError,
    InvalidInputError,
    JournalError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayDanceError,
    ServerError,
    SubmissionInDoubtError,
    TaskTimeoutError,
)

DONE, FAILED, CANNOT_BEGIN, IN_DOUBT, STOPPED, LATER = 0, 1, 2, 3, 5, 6
"""(4 is `batch`'s: the budget is spent.)"""
FAULT, INTERRUPTED, NO_READER = 70, 130, 141

_BEGINNINGS = (ConfigurationError, InvalidInputError, IdempotencyKeyReusedError)
_STOPS = (AuthenticationError, InsufficientBalanceError, PermissionDeniedError)
_PASSING = (APIConnectionError, RateLimitError, ServerError, TaskTimeoutError)


_ADVICE: tuple[tuple[type[RelayDanceError], str], ...] = (
    (AuthenticationError, "Check the key: `relaydance doctor` tells where it comes from"),
    (InsufficientBalanceError, "Top up the account or raise the key's quota; `relaydance balance` shows what is left"),
    (NotFoundError, "Check the id; `relaydance models` shows the models that this key can use"),
    (RateLimitError, "Wait a minute, or ask for less at once"),
)


class CannotBeginError(Exception):
    """Something is missing: an extra, a key, a consent."""


def missing(module: str, extra: str = "cli") -> CannotBeginError:
    """The error of a package that isn't there."""
    return CannotBeginError(
        f'the command line needs {module}, which is not installed: pip install "relaydance-async[{extra}]"'
    )


class InterruptedBySignalError(Exception):
    """SIGINT or SIGTERM ended it, in order.

    Attributes:
        code: the exit status.
    """

    def __init__(self, code: int) -> None:
        super().__init__("interrupted")
        self.code = code


def report(error: BaseException, *, debug: bool = False) -> int:
    """Say what went wrong, in a line; the exit status.

    Args:
        debug: show where, as well.
    """
    if debug:
        with suppress(OSError):
            print(*map(one_line, "".join(traceback.format_exception(error)).splitlines()), sep="\n", file=sys.stderr)
    say(sentence_of(error))
    return code_of(error)


def say(text: str) -> None:
    """A line on stderr, whoever reads it."""
    line = one_line(text)
    with suppress(OSError):
        print(line if line == "interrupted" else f"relaydance: {line}", file=sys.stderr, flush=True)


def silence() -> int:
    """The reader of stdout has gone (`| head`): what comes now goes nowhere, the interpreter's last words included."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NO_READER


def code_of(error: BaseException) -> int:
    """Its exit status."""
    if isinstance(error, InterruptedBySignalError):
        return error.code
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return STOPPED
    if isinstance(error, CannotBeginError | OSError | EOFError) and not isinstance(error, RelayDanceError):
        return CANNOT_BEGIN
    return _code_of_ours(error) if isinstance(error, RelayDanceError) else FAULT


def _code_of_ours(error: RelayDanceError) -> int:
    if isinstance(error, _BEGINNINGS):
        return CANNOT_BEGIN
    if isinstance(error, SubmissionInDoubtError) or (error.maybe_accepted and error.task_id is None):
        return IN_DOUBT
    if isinstance(error, _STOPS) or (isinstance(error, JournalError) and error.kind != "state"):
        return STOPPED
    return LATER if isinstance(error, _PASSING) or error.retryable else FAILED


def sentence_of(error: BaseException) -> str:
    """What to say of it."""
    if isinstance(error, RelayDanceError):
        return f"{type(error).__name__}: {_told(error)}"
    if isinstance(error, KeyboardInterrupt | InterruptedBySignalError):
        return "interrupted"
    if isinstance(error, CannotBeginError | OSError):
        return str(error)
    return f"a fault of this program, {type(error).__name__}: {error} (--debug shows where; please report it)"


def _told(error: RelayDanceError) -> str:
    """Its text, with what to do said for the command and not for a program."""
    text, hint = str(error), error.hint
    ours = _advice(error)
    if ours is None:
        return text
    if hint:
        text = text.removesuffix(f" {hint}.")
    return f"{text if text.endswith('.') else f'{text}.'} {ours}."


def _advice(error: RelayDanceError) -> str | None:
    """What to type about it, where the error's own advice is for programs."""
    if isinstance(error, SubmissionInDoubtError):
        return "Look at the console, or `relaydance logs`: was it not accepted, --again sends it anew"
    if isinstance(error, TaskTimeoutError) or (error.task_id is not None and error.maybe_accepted):
        return f"The clip goes on: relaydance video wait {error.task_id or 'ID'}"
    if isinstance(error, DownloadError) and error.task_id is not None:
        return f"relaydance video download {error.task_id} goes on from what has come"
    if error.maybe_accepted:
        return "It may have been accepted and billed: look at the console, or `relaydance logs`, before you repeat it"
    if isinstance(error, NotFoundError) and error.task_id is not None:
        return error.hint
    if isinstance(error, JournalError):
        return f"{error.hint or 'It is not noted'}; --journal puts it elsewhere, --no-journal does without"
    return next((advice for kind, advice in _ADVICE if isinstance(error, kind)), None)


def options_in(tokens: Sequence[str]) -> Sequence[str]:
    """What comes before `--`, which ends the options."""
    return tokens[: tokens.index("--")] if "--" in tokens else tokens
