"""`run`: the client in code that isn't async."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Coroutine, Iterator
from linecache import getline
from types import FrameType
from typing import Any

import pytest

from relaydance_async import (
    AsyncRelayDance,
    NotFoundError,
    VideoTask,
    _blocking,  # pyright: ignore[reportPrivateUsage]
    maybe_accepted,
    run,
)
from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.calls import ask_chat
from tests.kit.probe import look_at
from tests.kit.routes import CHAT, SUBMIT


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        yield running


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[AsyncRelayDance]:
    made = AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url)
    yield made
    run(made.aclose())


def test_calls_one_after_another_share_a_connection(client: AsyncRelayDance) -> None:
    async def connections() -> int:
        return look_at(client).connections

    assert "grok-4.3" in run(client.models.list())
    assert run(client.models.retrieve("grok-4.3")).id == "grok-4.3"
    assert run(connections()) == 1


def test_what_a_call_raises_comes_out(client: AsyncRelayDance) -> None:
    with pytest.raises(NotFoundError) as caught:
        run(client.models.retrieve("nothing"))
    assert caught.value.documented_status == 404


def test_threads_may_use_it_at_once(client: AsyncRelayDance) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(len(run(client.models.list())))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


async def _run_inside(client: AsyncRelayDance) -> None:
    run(client.models.list())


def test_it_does_not_hold_up_a_running_loop(client: AsyncRelayDance) -> None:
    with pytest.raises(RuntimeError, match="use `await` here"):
        asyncio.run(_run_inside(client))


@pytest.mark.parametrize("wrong", [None, [], len])
def test_what_can_not_be_awaited_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="run\\(\\) takes what can be awaited"):
        run(wrong)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no signals for threads")
def test_ctrl_c_cancels_the_call_and_says_what_it_may_have_cost(sandbox: Sandbox, client: AsyncRelayDance) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=30.0))
    main = threading.get_ident()

    def interrupt() -> None:
        while not sandbox.ledger.entries:
            time.sleep(0.01)
        signal.pthread_kill(main, signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(client.video.submit(model="grok-imagine-video", prompt="A boat", seconds=5))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert maybe_accepted(caught.value) is True
    assert run(client.models.list())


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no signals for threads")
def test_ctrl_c_says_how_to_go_on_with_a_clip(client: AsyncRelayDance) -> None:
    main = threading.get_ident()

    def interrupt(task_id: str) -> None:
        signal.pthread_kill(main, signal.SIGINT)

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(client.video.generate(model="grok-imagine-video", prompt="A boat", on_submit=interrupt))
    finally:
        signal.signal(signal.SIGINT, previous)
    assert maybe_accepted(caught.value) is True
    assert any("resume with client.video.wait('task_" in note for note in caught.value.__notes__)


class Interrupt:
    """A Ctrl-C in the n-th line of `run`, until it has the result."""

    def __init__(self, number: int) -> None:
        self._left = number
        self.came = False

    def __call__(self, frame: FrameType, event: str, argument: object) -> Interrupt | None:
        if frame.f_code.co_filename != _blocking.__file__:
            return None
        line = getline(frame.f_code.co_filename, frame.f_lineno).strip()
        # No signal is heard between the body of a `with` and its end; a tracer is.
        if event == "line" and not line.startswith("with ") and "unpacked" not in (frame.f_code.co_name, line[12:20]):
            self._left -= 1
            if self._left == 0:
                self.came = True
                raise KeyboardInterrupt
        return self


def running(asked: Coroutine[Any, Any, object]) -> Iterator[object]:
    """`run` in a frame with exceptions of its own. What a tracer raises at the end of an `except` leaves the caught one
    as the context of all that is raised from there on (seen with CPython 3.13.0)."""
    yield run(asked)


def test_a_ctrl_c_at_any_line_ends_it_and_loses_no_paid_answer(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    asked, before = ask_chat(client), sys.gettrace()
    run(asked)
    number, known = 0, 1
    for number in range(1, 200):
        interrupt, told = Interrupt(number), None
        asked = ask_chat(client)
        sys.settrace(interrupt)
        try:
            next(running(asked))
        except KeyboardInterrupt as error:
            told = error
        finally:
            sys.settrace(before)
            asked.close()  # if it was interrupted before it was anybody's
        known += told is None or maybe_accepted(told) is True
        if not interrupt.came:
            break
    assert number > 10
    assert sys.exc_info()[1] is None
    run(client.aclose())
    assert 2 <= sandbox.ledger.billed(CHAT) <= known


class TimeIsUp(Exception):
    """As a worker's time limit raises it."""


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="there are no timers")
@pytest.mark.parametrize("raised", [TimeIsUp, SystemExit, TimeoutError, asyncio.CancelledError])
def test_whatever_a_handler_of_signals_raises_cancels_the_call(
    sandbox: Sandbox, client: AsyncRelayDance, raised: type[BaseException]
) -> None:
    sandbox.faults.add(Fault(SUBMIT, delay=30.0))

    def handle(*_: object) -> None:
        if sandbox.ledger.entries:
            raise raised

    async def permits() -> int:
        return look_at(client).permits

    previous = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(raised) as caught:
            run(client.video.submit(model="grok-imagine-video", prompt="A boat", seconds=5))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    assert maybe_accepted(caught.value) is True
    assert run(permits()) == 0


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="there are no signals for threads")
def test_an_interrupt_at_the_very_end_tells_of_the_result(client: AsyncRelayDance) -> None:
    main = threading.get_ident()
    found: list[str] = []

    async def submit() -> VideoTask:
        task = await client.video.submit(model="grok-imagine-video", prompt="A boat", seconds=5)
        found.append(task.task_id)
        signal.pthread_kill(main, signal.SIGINT)
        return task

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt) as caught:
            run(submit())
    finally:
        signal.signal(signal.SIGINT, previous)
    assert maybe_accepted(caught.value) is True
    assert caught.value.__notes__[-1].endswith(f"billed: task {found[0]}")


@pytest.mark.parametrize("raised", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError])
def test_what_one_call_raises_ends_no_other(client: AsyncRelayDance, raised: type[BaseException]) -> None:
    async def fail() -> None:
        raise raised

    with pytest.raises(raised) as caught:
        run(fail())
    assert type(caught.value) is raised
    assert run(client.models.list())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_a_task_has_ended_is_begun_anew(client: AsyncRelayDance) -> None:
    async def leave() -> None:
        raise SystemExit

    async def begin() -> None:
        await asyncio.create_task(leave())

    with pytest.raises(BaseException):  # noqa: B017, PT011  (SystemExit, or the end of the loop)
        run(begin())
    assert run(client.models.list())


def test_an_error_leaves_nothing_for_the_garbage_collector(client: AsyncRelayDance) -> None:
    class Noted(Exception):
        """Of this test alone: others keep theirs."""

    async def fail() -> None:
        try:
            await client.models.retrieve("nothing")
        except NotFoundError:
            raise Noted from None

    run(client.models.list())
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            with contextlib.suppress(Noted):
                run(fail())
        assert not [None for kept in gc.get_objects() if isinstance(kept, Noted)]
    finally:
        gc.enable()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_script_ends_by_itself_and_a_forked_child_has_a_loop_of_its_own(sandbox: Sandbox) -> None:
    script = """
import os
from relaydance_async import AsyncRelayDance, run

client = AsyncRelayDance()
print(len(run(client.models.list())))
child = os.fork()
if child == 0:
    print(len(run(client.models.list())))
else:
    os.waitpid(child, 0)
    print(len(run(client.models.list())))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script],
        env={**os.environ, "RELAYDANCE_BASE_URL": sandbox.base_url, "RELAYDANCE_API_KEY": sandbox.api_key},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    # The child may print what its parent had in its buffer once more.
    assert len(done.stdout.split()) >= 3
    assert len(set(done.stdout.split())) == 1


@pytest.mark.anyio
async def test_what_is_refused_is_let_go(client: AsyncRelayDance) -> None:
    """Nothing is left that nobody awaits; a warning would be an error here."""
    for awaitable in client.models.list(), client.models.retrieve("grok-4.3"):
        with pytest.raises(RuntimeError, match="use `await` here"):
            run(awaitable)
        del awaitable
        gc.collect()
