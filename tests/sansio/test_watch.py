"""What a wait knows and does next, without a clock or a socket."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    AuthenticationError,
    NotFoundError,
    RelayDanceError,
    ResponseDecodeError,
    TaskFailedError,
    VideoTask,
)
from relaydance_async._sansio.polling import Place, next_poll
from relaydance_async._sansio.watch import BELIEVED_AT, Watch, check_success

PLACE = Place(0.25, 3)


def watch(*, known: bool = True, **options: Any) -> Watch:
    return Watch("task_1", known=known, begun=1000.0, place=PLACE, **options)


def task(status: str = "running", **fields: Any) -> VideoTask:
    return VideoTask.model_validate({"task_id": "task_1", "status": status, **fields})


def passing() -> RelayDanceError:
    return APIConnectionError("the connection broke", retryable=True)


def missing() -> RelayDanceError:
    return NotFoundError("no such task")


def unreadable() -> RelayDanceError:
    return ResponseDecodeError("a page")


def test_a_task_has_changed_when_it_is_first_seen_and_when_its_word_or_progress_differs() -> None:
    seen = watch()
    assert seen.record(task())
    assert not seen.record(task(metadata={"seed": 7}))
    assert seen.record(task(progress=10))
    assert not seen.record(task(progress=10))
    assert seen.record(task("in_progress", progress=10))  # the same status in another word
    assert seen.last_seen == task("in_progress", progress=10)


def test_a_task_that_was_told_already_has_not_changed() -> None:
    seen = watch(last_seen=task("submitted"))
    assert not seen.record(task("submitted"))
    assert seen.record(task("running"))


def test_an_error_that_may_pass_never_ends_a_wait() -> None:
    seen = watch(known=False)
    assert all(seen.record_error(passing()) for _ in range(1000))


def test_a_refused_key_ends_a_wait_at_once() -> None:
    refused = AuthenticationError("the key is refused")
    seen = watch()
    assert not seen.record_error(refused)
    assert seen.last_error is None


@pytest.mark.parametrize("denial", [missing, unreadable])
def test_the_third_denial_in_a_row_ends_a_wait_for_a_known_task(denial: Any) -> None:
    seen = watch()
    assert [seen.record_error(denial()) for _ in range(BELIEVED_AT)] == [True, True, False]


@pytest.mark.parametrize("denial", [missing, unreadable])
def test_the_first_denial_ends_a_wait_for_a_task_that_was_never_seen(denial: Any) -> None:
    assert not watch(known=False).record_error(denial())


def test_a_task_that_is_seen_is_known_from_then_on_and_ends_the_row_of_denials() -> None:
    seen = watch(known=False)
    seen.record(task())
    for _ in range(5):
        assert seen.record_error(missing())
        assert seen.record_error(unreadable())
        seen.record(task())


def test_an_error_that_may_pass_is_no_denial_and_ends_no_row() -> None:
    seen = watch()
    assert [seen.record_error(error()) for error in (missing, passing, missing, passing, missing)] == [
        True,
        True,
        True,
        True,
        False,
    ]


def test_the_last_error_is_kept_without_its_frames_until_a_poll_succeeds() -> None:
    seen = watch()
    with pytest.raises(RelayDanceError) as caught:
        raise passing()
    assert seen.record_error(caught.value)
    assert seen.last_error is not None
    assert seen.last_error.__traceback__ is None
    seen.record(task())
    assert seen.last_error is None


@pytest.mark.parametrize("waits", [1, 10_000, 50_000])
def test_the_next_poll_is_the_schedules(waits: int) -> None:
    assert watch().next_poll(1012.5, waits) == next_poll(12.5, PLACE, waits)


def test_a_task_that_succeeded_is_given_and_one_that_failed_is_raised() -> None:
    assert check_success(task("succeeded")) == task("succeeded")
    failed = task("failed", error={"message": "too dark", "code": "dark"})
    with pytest.raises(TaskFailedError, match="task task_1 failed: too dark") as caught:
        check_success(failed)
    assert (caught.value.task, caught.value.task_id, caught.value.code) == (failed, "task_1", "dark")
    with pytest.raises(TaskFailedError, match="no reason given"):
        check_success(task("failed"))
