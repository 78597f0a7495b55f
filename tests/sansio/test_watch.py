"""What a wait knows and does next, without a clock or a socket."""

from __future__ import annotations

from typing import Any

import pytest

from relaydance_async import (
    APIConnectionError,
    RelayDanceError,
    ResponseDecodeError,
    ResponseMeta,
    TaskFailedError,
    TaskTimeoutError,
    VideoTask,
)
from relaydance_async._sansio.envelope import decode_status_error
from relaydance_async._sansio.polling import Place, next_poll
from relaydance_async._sansio.watch import BELIEVED_AT, LONGEST_ASKED, STRANGERS_FOR, Watch, check_success

PLACE = Place(0.25, 3)


def watch(**options: Any) -> Watch:
    return Watch("task_1", begun=1000.0, place=PLACE, **options)


def task(status: str = "running", **fields: Any) -> VideoTask:
    return VideoTask.model_validate({"task_id": "task_1", "status": status, **fields})


SIGNED = {"x-oneapi-request-id": "id-1"}
NO_TASK = b'{"code": "task_not_exist", "message": "no such task"}'
REFUSED = b'{"error": {"message": "not with this key"}}'
PAGE = b"<html>log in first</html>"


def answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> RelayDanceError:
    return decode_status_error(ResponseMeta(status_code=status, headers=headers or {}), body, origin_signs=True)


def passing() -> RelayDanceError:
    return APIConnectionError("the connection broke", retryable=True)


def missing() -> RelayDanceError:
    return answer(400, NO_TASK, SIGNED)


def unreadable() -> RelayDanceError:
    return ResponseDecodeError("a page")


def untrusted() -> RelayDanceError:
    return APIConnectionError("the certificate isn't trusted")


STRANGERS: list[RelayDanceError] = [
    unreadable(),
    *(answer(status, PAGE) for status in (302, 400, 401, 403, 404, 405, 407, 418, 451)),
    *(answer(status, b"") for status in (401, 403)),
    answer(401, PAGE, SIGNED),
    answer(403, b"", SIGNED),
    answer(403, b"{}", SIGNED),
    answer(401, REFUSED),  # an envelope without the mark, though the gateway signs
    answer(404, NO_TASK),
    answer(200, REFUSED),
]


def errors_of(seen: Watch, *errors: RelayDanceError, now: float = 1001.0) -> list[bool]:
    return [seen.record_error(error, now) for error in errors]


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
    seen = watch()
    assert all(seen.record_error(passing(), 1000.0 + number * 15) for number in range(1000))


def test_the_gateways_own_401_ends_a_wait_at_once() -> None:
    seen = watch()
    assert errors_of(seen, answer(401, REFUSED, SIGNED)) == [False]
    assert seen.last_error is None


@pytest.mark.parametrize(
    "denial", [answer(400, NO_TASK, SIGNED), answer(404, REFUSED, SIGNED), answer(403, REFUSED, SIGNED)]
)
def test_the_gateways_own_refusal_is_believed_at_the_third_in_a_row(denial: RelayDanceError) -> None:
    assert errors_of(watch(), *[denial] * BELIEVED_AT) == [True, True, False]


def test_an_unsigned_refusal_of_a_gateway_that_never_signs_is_its_own() -> None:
    denial = decode_status_error(ResponseMeta(status_code=404), NO_TASK)
    assert errors_of(watch(), *[denial] * BELIEVED_AT) == [True, True, False]


def test_a_task_that_is_seen_ends_the_row_of_denials() -> None:
    seen = watch()
    for _ in range(5):
        assert errors_of(seen, missing(), missing()) == [True, True]
        seen.record(task())


def test_what_says_nothing_ends_no_row_of_denials() -> None:
    row = (missing(), passing(), missing(), unreadable(), *STRANGERS, missing())
    assert errors_of(watch(), *row) == [*[True] * (len(row) - 1), False]


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_a_stranger_never_ends_a_wait_that_has_a_deadline(stranger: RelayDanceError) -> None:
    seen = watch(deadline=1e6)
    assert all(seen.record_error(stranger, 1000.0 + number * 15) for number in range(1000))
    assert seen.last_error is stranger


@pytest.mark.parametrize("stranger", STRANGERS, ids=str)
def test_without_a_deadline_a_wait_ends_after_10_minutes_of_nothing_but_strangers(stranger: RelayDanceError) -> None:
    seen = watch()
    assert errors_of(seen, stranger, now=1000.0) == [True]
    assert errors_of(seen, passing(), stranger, now=1000.0 + STRANGERS_FOR - 1) == [True, True]
    with pytest.raises(TaskTimeoutError, match="for 10 minutes") as caught:
        seen.record_error(stranger, 1000.0 + STRANGERS_FOR)
    assert caught.value.__cause__ is stranger
    assert stranger.message[:50] in str(caught.value)
    assert "may go on: resume with" in str(caught.value)


@pytest.mark.parametrize("between", [missing, None])
def test_an_answer_of_the_gateway_begins_the_10_minutes_anew(between: Any) -> None:
    seen = watch()
    for number in range(5):
        now = 1000.0 + number * STRANGERS_FOR * 0.6
        assert errors_of(seen, unreadable(), now=now) == [True]
        if between is None:
            seen.record(task())
        elif number < BELIEVED_AT - 1:
            assert errors_of(seen, between(), now=now) == [True]
        else:
            break


def test_a_connection_that_can_not_be_trusted_ends_a_wait_unless_it_has_worked_before() -> None:
    assert errors_of(watch(), untrusted()) == [False]
    seen = watch()
    seen.record(task())
    assert errors_of(seen, untrusted()) == [True]


def test_a_task_with_another_id_says_nothing() -> None:
    assert watch().check(task()) == task()
    with pytest.raises(ResponseDecodeError, match="another task: 'task_2'"):
        watch().check(VideoTask(task_id="task_2", status="succeeded"))


def test_the_last_error_is_kept_without_its_frames_until_a_poll_succeeds() -> None:
    seen = watch()
    with pytest.raises(RelayDanceError) as caught:
        raise passing()
    assert errors_of(seen, caught.value) == [True]
    assert seen.last_error is not None
    assert seen.last_error.__traceback__ is None
    seen.record(task())
    assert seen.last_error is None


def test_the_deadlines_error_says_what_the_last_poll_saw() -> None:
    seen = watch(deadline=30.0)
    assert str(seen.out_of_time()).startswith("task task_1 was not ready within 30 s. The task may go on")
    seen.record(task())
    assert "The task goes on" in str(seen.out_of_time())
    errors_of(seen, answer(403, PAGE, {"server": "portal"}))
    error = seen.out_of_time()
    assert "HTTP 403" in str(error)
    assert "log in first" in str(error)
    assert "answered by a proxy (Server portal)" in str(error)


@pytest.mark.parametrize("waits", [1, 10_000, 50_000])
def test_the_next_poll_is_the_schedules(waits: int) -> None:
    assert watch().next_poll(1012.5, waits) == next_poll(12.5, PLACE, waits)


def test_a_wait_looks_once_just_before_its_deadline() -> None:
    seen = watch(deadline=30.0)
    asked = [0.0]
    while asked[-1] < 60:
        asked.append(asked[-1] + seen.next_poll(1000.0 + asked[-1], 1))
    schedule = [at for at in asked if at < 28]
    assert [at for at in asked if 28 <= at < 30] == [pytest.approx(29.0, abs=0.001)]
    free = watch()
    at = 0.0
    for expected in schedule[1:]:
        at += free.next_poll(1000.0 + at, 1)
        assert at == pytest.approx(expected)


def test_a_poll_that_ended_too_late_for_the_last_look_is_followed_by_it_at_once() -> None:
    seen = watch(deadline=30.0)
    seen.polled(4.0)
    assert seen.next_poll(1029.0, 1) == 0.0
    assert seen.next_poll(1029.1, 1) > 1.0


def test_a_task_that_succeeded_is_given_and_one_that_failed_is_raised() -> None:
    assert check_success(task("succeeded")) == task("succeeded")
    failed = task("failed", error={"message": "too dark", "code": "dark"})
    with pytest.raises(TaskFailedError, match="task task_1 failed: too dark") as caught:
        check_success(failed)
    assert (caught.value.task, caught.value.task_id, caught.value.code) == (failed, "task_1", "dark")
    with pytest.raises(TaskFailedError, match="no reason given"):
        check_success(task("failed"))


# How long the last answer asked to wait.


def limited(seconds: int) -> RelayDanceError:
    return decode_status_error(ResponseMeta(status_code=429, headers=SIGNED), b"", retry_after=seconds)


def test_no_poll_comes_sooner_than_the_last_answer_asked() -> None:
    seen = watch(deadline=500.0)
    assert seen.record_error(limited(100), 1010.0)
    assert seen.next_poll(1010.0, 1) == 100.0
    assert seen.next_poll(1050.0, 1) == 60.0
    seen.record(task())
    assert seen.next_poll(1120.0, 1) < 60.0


def test_an_answer_that_asks_for_more_than_the_deadline_leaves_no_last_look() -> None:
    seen = watch(deadline=500.0)
    assert seen.record_error(limited(1000), 1010.0)
    assert 1010.0 + seen.next_poll(1010.0, 1) > 1500.0


def test_a_wait_without_a_deadline_asks_again_after_a_bounded_time() -> None:
    seen = watch()
    assert seen.record_error(limited(1000), 1010.0)
    assert seen.next_poll(1010.0, 1) == LONGEST_ASKED
