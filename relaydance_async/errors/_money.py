"""Whether something may have been accepted, and is to be paid for: asked of any exception, and told to it."""

from __future__ import annotations

from ._base import RelayDanceError

_MARK = "_relaydance_maybe_accepted"


def maybe_accepted(exception: BaseException) -> bool | None:
    """Whether a billed request that ended in this exception may have been accepted.

    It also knows of cancellations: those of a task, of `asyncio.timeout`, of `asyncio.wait_for` and of anyio's scopes.

    Args:
        exception: what was caught. Its causes, its contexts and the members of a group are looked at as well.

    Returns:
        True if one of them may have been accepted, False if none was. None if nothing is known, as of the exception
        that `gather` or a TaskGroup raises for a task that it has cancelled.
    """
    found: bool | None = None
    todo: list[BaseException | None] = [exception]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        mark = one.maybe_accepted if isinstance(one, RelayDanceError) else getattr(one, _MARK, None)
        if mark:
            return True
        found = mark if mark is not None else found
        todo += [one.__cause__, one.__context__]
        if isinstance(one, BaseExceptionGroup):
            todo += one.exceptions  # pyright: ignore[reportUnknownMemberType]
    return found


def mark_accepted(exception: BaseException, accepted: bool, *, note: str = "") -> None:
    """Let an exception say whether the billed request that it ended may have been accepted.

    Args:
        exception: a cancellation, or any other that is none of ours; of ours, only that it was.
        accepted: whether it may have been. What was said before is not taken back.
        note: what to add to the exception then.
    """
    if isinstance(exception, RelayDanceError):
        exception.maybe_accepted = exception.maybe_accepted or accepted
        exception.retryable = exception.retryable and not exception.maybe_accepted
    else:
        setattr(exception, _MARK, accepted or getattr(exception, _MARK, False))
    if accepted and note:
        exception.add_note(note)


def mark_unsent(exception: BaseException, note: str) -> None:
    """Let an exception say that the billed request, which it kept from being sent, was not accepted: whatever else may
    have been.

    Args:
        note: what to add to the exception.
    """
    if isinstance(exception, RelayDanceError):
        exception.maybe_accepted = False
    else:
        setattr(exception, _MARK, False)
    exception.add_note(note)
