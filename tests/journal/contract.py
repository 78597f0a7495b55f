"""What every journal does. A test module of a journal takes these tests in:

from tests.journal.contract import *

and has the fixtures `journal` and `open_journal`, which opens another one over the same store.
"""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from typing import Any

import anyio
import pytest

from relaydance_async import JournalError, SubmissionInDoubtError
from relaydance_async.journal import TaskNote
from tests.journal.support import ORIGIN, SUBMIT_PATH, accepted, doubtful, refused, sending, state_of

pytestmark = pytest.mark.anyio


async def test_an_unknown_key_has_no_entry(journal: Any) -> None:
    assert await journal.find(ORIGIN, "row-1") is None
    assert [entry async for entry in journal.entries()] == []
    assert await journal.history("row-1") == []


async def test_what_is_being_sent_is_known_until_its_end(journal: Any) -> None:
    assert await journal.begin(sending()) is None
    entry = await journal.find(ORIGIN, "row-1")
    assert (entry.key, entry.attempt, entry.state, entry.origin) == ("row-1", 1, "sending", ORIGIN)
    assert (entry.route, entry.model, entry.fingerprint) == ("/video/generations", "m", "f" * 64)
    assert (entry.sent_at, entry.ended_at) == (datetime.fromtimestamp(1000, UTC), None)
    await journal.end(accepted())
    entry = await journal.find(ORIGIN, "row-1")
    assert (entry.state, entry.task_id, entry.task_status, entry.request_id) == (
        *("accepted", "task_1", "submitted", "request-1"),
    )
    assert entry.answer == '{"task_id": "task_1", "status": "submitted"}'
    assert (entry.ended_at, entry.noted_at) == (datetime.fromtimestamp(1001, UTC),) * 2


@pytest.mark.parametrize("end", [accepted(), doubtful()])
async def test_what_was_or_may_have_been_accepted_is_not_begun_again(journal: Any, end: Any) -> None:
    await journal.begin(sending())
    await journal.end(end)
    entry = await journal.begin(sending(call="call-2"))
    assert (entry.state, entry.call) == (end.state, "call-1")


async def test_one_of_two_begins_is_noted(journal: Any, open_journal: Any) -> None:
    other = open_journal()
    won: dict[str, list[str]] = {}

    async def begin(which: Any, key: str, call: str) -> None:
        if await which.begin(sending(key, call)) is None:
            won.setdefault(key, []).append(call)

    for round_ in range(20):  # they may come to lie in one commit, or in several
        async with anyio.create_task_group() as group:
            for number in range(15):
                key = f"row-{round_}-{number % 3}"
                group.start_soon(begin, journal, key, f"ours-{round_}-{number}")
                group.start_soon(begin, other, key, f"other-{round_}-{number}")
    assert len(won) == 60
    for key, calls in won.items():
        entry = await other.find(ORIGIN, key)
        assert ([entry.call], entry.state, entry.attempt) == (calls, "sending", 1)


async def test_what_was_refused_is_the_next_attempt_with_its_history(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(refused())
    assert await journal.begin(sending(call="call-2", fingerprint="e" * 64)) is None
    history = await journal.history("row-1")
    assert [(one.attempt, one.state, one.call, one.reason) for one in history] == [
        (1, "refused", "call-1", "no"),
        (2, "sending", "call-2", ""),
    ]


async def test_the_same_call_sends_again_as_the_same_attempt(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(refused())
    assert await journal.begin(sending(sent_at=1010.0)) is None
    (entry,) = await journal.history("row-1")
    assert (entry.attempt, entry.state, entry.sent_at) == (1, "sending", datetime.fromtimestamp(1010, UTC))
    assert await journal.begin(sending()) is None  # also without having been refused between


async def test_a_call_that_was_overtaken_while_it_paused_does_not_send_again(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(refused())
    await journal.begin(sending(call="call-2"))
    entry = await journal.begin(sending())
    assert (entry.call, entry.state) == ("call-2", "sending")


async def test_a_task_that_failed_is_the_next_attempt_and_one_that_goes_on_is_not(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(accepted())
    journal.note_task_soon(TaskNote(ORIGIN, "task_1", "running", 1002.0, '{"task_id": "task_1"}'))
    assert (await journal.begin(sending(call="call-2"))).task_status == "running"
    journal.note_task_soon(TaskNote(ORIGIN, "task_1", "failed", 1003.0, '{"task_id": "task_1", "status": "failed"}'))
    assert await journal.begin(sending(call="call-2")) is None
    await journal.end(accepted(call="call-2", task_id="task_2"))
    history = await journal.history("row-1")
    assert [(one.attempt, one.task_id, one.task_status) for one in history] == [
        (1, "task_1", "failed"),
        (2, "task_2", "submitted"),
    ]


async def test_a_withdrawn_attempt_leaves_no_trace(journal: Any) -> None:
    await journal.begin(sending())
    journal.withdraw_soon(ORIGIN, "row-1", "call-1")
    assert await journal.find(ORIGIN, "row-1") is None


async def test_a_withdrawn_second_attempt_leaves_the_first(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(refused())
    await journal.begin(sending(call="call-2"))
    journal.withdraw_soon(ORIGIN, "row-1", "call-2")
    (entry,) = await journal.history("row-1")
    assert (entry.attempt, entry.state, entry.call) == (1, "refused", "call-1")
    journal.withdraw_soon(ORIGIN, "row-1", "call-1")  # which has ended: there is nothing to be taken back
    assert await state_of(journal) == "refused"


async def test_what_is_ended_soon_has_ended_for_whoever_looks_next(journal: Any) -> None:
    await journal.begin(sending())
    journal.end_soon(doubtful())
    assert await state_of(journal) == "in doubt"


async def test_what_was_accepted_stays_so(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(accepted())
    for later in refused(), doubtful():
        await journal.end(later)
        assert await state_of(journal) == "accepted"


async def test_an_answer_that_comes_late_counts(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(doubtful())
    await journal.end(accepted())
    assert await state_of(journal) == "accepted"


async def test_an_answer_to_an_attempt_that_is_not_the_last_is_kept_in_the_history(journal: Any, caplog: Any) -> None:
    await journal.begin(sending())
    await journal.end(doubtful())
    await journal.release("row-1")
    await journal.begin(sending(call="call-2"))
    await journal.end(accepted())
    history = await journal.history("row-1")
    assert [(one.call, one.state, one.task_id) for one in history] == [
        ("call-1", "accepted", "task_1"),
        ("call-2", "sending", None),
    ]
    assert "an earlier request was accepted too, as task task_1" in caplog.text


async def test_many_at_once_are_kept_apart(journal: Any, open_journal: Any) -> None:
    async def one(number: int) -> None:
        key, call = f"row-{number}", f"call-{number}"
        assert await journal.begin(sending(key, call)) is None
        ends = [accepted(key, call, f"task_{number}"), refused(key, call), doubtful(key, call)]
        await journal.end(ends[number % 3])

    async with anyio.create_task_group() as group:
        for number in range(1200):
            group.start_soon(one, number)
    entries = {entry.key: entry async for entry in open_journal().entries()}
    assert len(entries) == 1200
    for number in range(1200):
        entry = entries[f"row-{number}"]
        assert entry.state == ("accepted", "refused", "in doubt")[number % 3]
        assert entry.task_id == (f"task_{number}" if number % 3 == 0 else None)


async def test_keys_of_two_apis_and_of_two_namespaces_are_apart(journal: Any, open_journal: Any) -> None:
    other = open_journal(namespace="other")
    assert await journal.begin(sending()) is None
    assert await journal.begin(sending(origin="https://b.example", call="call-2")) is None
    assert await other.begin(sending(call="call-3")) is None
    assert [entry.origin async for entry in journal.entries()] == ["https://b.example", ORIGIN]
    assert [entry.call async for entry in journal.entries(origin=ORIGIN)] == ["call-1"]
    assert [entry.call async for entry in other.entries()] == ["call-3"]


@pytest.mark.parametrize("state", ["sending", "accepted", "refused", "in doubt"])
async def test_the_entries_of_one_state(journal: Any, state: str) -> None:
    for key in "sending", "accepted", "refused", "in doubt":
        await journal.begin(sending(key, key))
    await journal.end(accepted("accepted", "accepted"))
    await journal.end(refused("refused", "refused"))
    await journal.end(doubtful("in doubt", "in doubt"))
    assert [entry.key async for entry in journal.entries(state=state)] == [state]


async def test_what_another_sends_is_being_sent_and_in_doubt_once_its_lease_is_over(open_journal: Any) -> None:
    at = [5000.0]
    journal, other = open_journal(_now=lambda: at[0], lease=20.0), open_journal(_now=lambda: at[0])
    await journal.begin(sending())
    assert await state_of(other) == "sending"
    at[0] += 19
    assert await state_of(other) == "sending"
    at[0] += 2
    entry = await other.find(ORIGIN, "row-1")
    assert (entry.state, entry.reason) == ("in doubt", "its process ended before the answer came")
    assert [one.key async for one in other.entries(state="in doubt")] == ["row-1"]
    assert await state_of(journal) == "sending"  # who sends it knows better
    await journal.begin(sending("row-2", "call-2"))  # and renews its lease
    assert await state_of(other) == "sending"


async def test_what_a_closed_journal_had_on_the_wire_is_in_doubt(open_journal: Any) -> None:
    at = [5000.0]
    journal, other = open_journal(_now=lambda: at[0]), open_journal(_now=lambda: at[0])
    await journal.begin(sending())
    await journal.aclose()
    at[0] += 30
    assert await state_of(other) == "in doubt"
    with pytest.raises(JournalError) as caught:
        await journal.begin(sending("row-2"))
    assert caught.value.kind == "closed"
    journal.end_soon(accepted())  # nobody waits for it, and nobody is told
    await journal.aclose()


# By hand, and by others.


async def test_settling_gives_a_doubtful_key_its_task(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(doubtful())
    entry = await journal.settle("row-1", task_id="task_9")
    assert (entry.state, entry.task_id, entry.task_status, entry.reason) == (
        *("accepted", "task_9", "submitted", "decided by hand"),
    )
    assert entry == await journal.settle("row-1", task_id="task_9")
    with pytest.raises(JournalError, match="was accepted, as task task_9"):
        await journal.settle("row-1", task_id="task_8")
    with pytest.raises(JournalError, match="was accepted, as task task_9"):
        await journal.release("row-1")


async def test_a_released_key_may_be_sent_again(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(doubtful())
    entry = await journal.release("row-1")
    assert (entry.state, entry.reason, entry.may_be_sent) == ("refused", "decided by hand", True)
    assert await journal.begin(sending(call="call-2")) is None


async def test_nothing_is_decided_by_hand_about_what_is_being_sent_or_unknown(journal: Any) -> None:
    await journal.begin(sending())
    for decide in journal.release("row-1"), journal.settle("row-1", task_id="task_1"):
        with pytest.raises(JournalError, match="is being sent right now"):
            await decide
    for decide in journal.release("row-9"), journal.settle("row-9", task_id="task_1"):
        with pytest.raises(JournalError, match="the journal has no key 'row-9'") as caught:
            await decide
        assert caught.value.kind == "state"
    assert await state_of(journal) == "sending"


async def test_a_key_of_two_apis_is_decided_for_the_one_that_is_named(journal: Any) -> None:
    for origin in ORIGIN, "https://b.example":
        await journal.begin(sending(origin=origin, call=origin))
        await journal.end(doubtful(origin=origin, call=origin))
    with pytest.raises(JournalError, match="pass origin=, one of https://b"):
        await journal.release("row-1")
    await journal.release("row-1", origin="https://b.example")
    assert (await state_of(journal), await state_of(journal, origin="https://b.example")) == ("in doubt", "refused")


async def test_what_has_ended_is_forgotten_and_what_has_not_stays(open_journal: Any) -> None:
    journal = open_journal(_now=lambda: 2000.0)
    for key in "sending", "accepted", "refused", "in doubt", "new":
        await journal.begin(sending(key, key))
    await journal.end(accepted("accepted", "accepted"))
    await journal.end(refused("refused", "refused"))
    await journal.end(doubtful("in doubt", "in doubt"))
    await journal.end(accepted("new", "new", ended_at=1999.0))
    await journal.begin(sending("refused", "call-2"))
    await journal.end(refused("refused", "call-2"))
    assert await journal.forget(older_than=500) == 2
    assert {entry.key async for entry in journal.entries()} == {"sending", "in doubt", "new"}
    assert await journal.history("refused") == []
    assert await journal.begin(sending("accepted")) is None


async def test_a_decision_counts_only_while_the_entry_is_as_it_was(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(doubtful())
    entry = await journal.find(ORIGIN, "row-1")
    await journal.end(accepted())
    assert await journal.decide(entry, refused()) is False
    assert await state_of(journal) == "accepted"
    await journal.begin(sending("row-2", "call-2"))
    await journal.end(doubtful("row-2", "call-2"))
    entry = await journal.find(ORIGIN, "row-2")
    assert await journal.decide(entry, refused("row-2", "call-2", reason="the books")) is True
    assert (await journal.find(ORIGIN, "row-2")).reason == "the books"


# Tasks and deliveries.


async def test_later_states_of_a_task_are_noted(journal: Any) -> None:
    await journal.begin(sending())
    await journal.end(accepted())
    answer = '{"task_id": "task_1", "status": "succeeded"}'
    journal.note_task_soon(TaskNote(ORIGIN, "task_1", "succeeded", 1100.0, answer))
    journal.note_task_soon(TaskNote(ORIGIN, "task_1", "succeeded", 1200.0, saved_to="/clips/1.mp4"))
    entry = await journal.find_task(ORIGIN, "task_1")
    assert entry == await journal.find(ORIGIN, "row-1")
    assert (entry.task_status, entry.answer, entry.saved_to) == ("succeeded", answer, "/clips/1.mp4")
    assert entry.noted_at == datetime.fromtimestamp(1100, UTC)  # when its URL was fresh
    journal.note_task_soon(TaskNote(ORIGIN, "task_9", "succeeded", 1100.0, answer))  # somebody else's
    assert await journal.find_task(ORIGIN, "task_9") is None
    assert await journal.find_task("https://b.example", "task_1") is None


async def test_a_delivery_settles_the_key_that_its_token_is_bound_to(journal: Any) -> None:
    await journal.begin(sending(callback="hash-1"))
    await journal.end(doubtful())
    note = TaskNote(ORIGIN, "task_5", "succeeded", 1100.0, '{"task_id": "task_5", "status": "succeeded"}')
    assert await journal.note_callback(ORIGIN, "hash-2", note) is None
    entry = await journal.note_callback(ORIGIN, "hash-1", note)
    assert (entry.key, entry.state, entry.task_id, entry.reason) == ("row-1", "accepted", "task_5", "a webhook told")
    assert await journal.note_callback(ORIGIN, "hash-1", note) is None  # it knows already


async def test_a_delivery_counts_while_its_request_is_on_the_wire_and_its_call_then_gives_up(journal: Any) -> None:
    await journal.begin(sending(callback="hash-1"))
    note = TaskNote(ORIGIN, "task_5", "running", 1100.0, '{"task_id": "task_5", "status": "running"}')
    assert (await journal.note_callback(ORIGIN, "hash-1", note)).state == "accepted"
    await journal.end(doubtful())
    assert await state_of(journal) == "accepted"


async def test_a_token_of_two_keys_and_a_task_of_another_key_decide_nothing(journal: Any) -> None:
    for number in 1, 2:
        await journal.begin(sending(f"row-{number}", f"call-{number}", callback="hash-1"))
        await journal.end(doubtful(f"row-{number}", f"call-{number}"))
    note = TaskNote(ORIGIN, "task_5", "succeeded", 1100.0, "{}")
    assert await journal.note_callback(ORIGIN, "hash-1", note) is None
    await journal.begin(sending("row-3", "call-3", callback="hash-3"))
    await journal.end(doubtful("row-3", "call-3"))
    await journal.begin(sending("row-4", "call-4"))
    await journal.end(accepted("row-4", "call-4", "task_5"))
    assert await journal.note_callback(ORIGIN, "hash-3", note) is None
    assert [entry.key async for entry in journal.entries(state="in doubt")] == ["row-1", "row-2", "row-3"]


async def test_the_requests_that_are_known_to_have_been_accepted(journal: Any) -> None:
    for number in range(4):
        await journal.begin(sending(f"row-{number}", f"call-{number}", sent_at=1000.0 + number))
    for number in 0, 2:
        await journal.end(accepted(f"row-{number}", f"call-{number}", request_id=f"request-{number}"))
    await journal.end(refused("row-1", "call-1", request_id="request-1"))
    await journal.end(doubtful("row-3", "call-3"))
    await journal.settle("row-3", task_id="task_3")

    async def known(since: float) -> list[Any]:
        return sorted(await journal.accepted_requests(ORIGIN, since), key=lambda one: one.sent_at)

    last = [("request-2", 1002.0, "m", SUBMIT_PATH), (None, 1003.0, "m", SUBMIT_PATH)]
    assert await known(1001.0) == last
    assert await known(0.0) == [("request-0", 1000.0, "m", SUBMIT_PATH), *last]
    assert await journal.accepted_requests("https://b.example", 0.0) == []


async def test_an_entry_shows_neither_answer_nor_request_and_its_error_pickles(journal: Any) -> None:
    await journal.begin(sending(request='{"prompt": "a secret plan"}'))
    entry = await journal.find(ORIGIN, "row-1")
    assert entry.request == '{"prompt": "a secret plan"}'
    assert "secret" not in repr(entry)
    error = pickle.loads(pickle.dumps(SubmissionInDoubtError.of(entry)))
    assert (error.entry, error.maybe_accepted, error.retryable) == (entry, True, False)
    assert "journal.settle('row-1', task_id=…)" in str(error)
