"""A client and its copies in forked children: no shared connection, no lock or permit that nobody gives back."""

from __future__ import annotations

import os
import time

import pytest

from relaydance_async.sandbox import FaultyProxy, Sandbox
from tests.kit.routes import CHAT, FILES, MODELS
from tests.processes.support import next_line, run_program, started, tell

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")

AFTER_USE = """
from tests.kit.inside import keep_idle_connections

keep_idle_connections(60.0)  # on a busy machine the children may take longer than 5

async def five_at_once():
    '''None ends before each has a connection.'''
    all_begun = asyncio.Barrier(5)
    async def picture():
        yield b"not a "
        await all_begun.wait()
        yield b"picture"
    await asyncio.gather(*(client.files.upload(picture(), filename="cat.jpg") for _ in range(5)))

loop = asyncio.new_event_loop()
loop.run_until_complete(five_at_once())
mine = connections()
assert len(mine) == 5
for end in (os._exit, sys.exit):
    pid = os.fork()
    if not pid:
        assert not connections(), "the child holds copies of its parent's"
        asyncio.run(five_at_once())
        end(0)
    assert os.waitpid(pid, 0)[1] == 0
loop.run_until_complete(five_at_once())
assert connections() == mine, "the parent's are still good"
loop.run_until_complete(client.aclose())
loop.close()
"""


def test_a_child_opens_connections_of_its_own_and_the_parents_stay_good(sandbox: Sandbox, transport: str) -> None:
    with FaultyProxy(sandbox.root_url) as proxy:
        done = run_program(AFTER_USE, proxy.base_url, transport)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert proxy.connections == 15
    assert sandbox.ledger.accepted(FILES) == 20


IN_FLIGHT = """
from tests.kit.probe import held

async def read(stream):
    async with stream:
        return (await stream.get_final_completion()).choices[0].message.content

async def main():
    streams = [await open_stream(client, chunks=20) for _ in range(5)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    reading = [asyncio.ensure_future(read(stream)) for stream in streams]
    await asyncio.sleep(0.01)
    pid = os.fork()
    if not pid:
        del streams, reading
        gc.collect()  # what the parent had under way is garbage here, and cleans up behind itself
        asyncio.run(several())
        gc.collect()
        os._exit(0)
    texts = await asyncio.gather(*reading)
    assert set(texts) == {"chunk " * 20}, texts
    assert os.waitpid(pid, 0)[1] == 0
    now = await held(client)
    assert (now.permits, now.streams) == (0, 0)
    await client.aclose()

asyncio.run(main())
"""


def test_a_fork_leaves_the_calls_of_the_parent_under_way(sandbox: Sandbox, transport: str) -> None:
    done = run_program(IN_FLIGHT, sandbox.base_url, transport)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (sandbox.ledger.accepted(CHAT), sandbox.ledger.accepted(MODELS)) == (5, 5)


WAITING = """
from relaydance_async._polling import ACTIVE_WAITS

async def main():
    tasks = [await client.video.submit(model="grok-imagine-video", prompt=f"cat {n}") for n in range(3)]
    seen = asyncio.Semaphore(0)
    waits = [asyncio.ensure_future(client.video.wait(task, on_update=lambda _: seen.release())) for task in tasks]
    for _ in waits:
        await seen.acquire()
    assert len(ACTIVE_WAITS) == 3
    pid = os.fork()
    if not pid:
        os._exit(len(ACTIVE_WAITS))
    assert os.waitpid(pid, 0)[1] == 0, "the child counts its parent's waits, for ever"
    assert len(ACTIVE_WAITS) == 3
    for wait in waits:
        wait.cancel()
    await asyncio.wait(waits)
    assert len(ACTIVE_WAITS) == 0
    await client.aclose()

asyncio.run(main())
"""


def test_a_child_does_not_count_the_waits_of_its_parent(transport: str) -> None:
    with Sandbox(time_scale=0) as sandbox:  # whose clips are never ready
        done = run_program(WAITING, sandbox.base_url, transport)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


BROKEN_OFF = """
async def main():
    stream = await open_stream(client)
    await anext(stream)
    pid = os.fork()
    if not pid:
        time.sleep(60)  # a worker that lives long
        os._exit(0)
    await stream.aclose()
    print("closed", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    await client.aclose()

asyncio.run(main())
"""


def test_the_gateway_sees_a_stream_end_that_the_parent_closes_while_a_child_lives(
    sandbox: Sandbox, transport: str
) -> None:
    # A stream that a child keeps open is one that the gateway goes on writing, and billing.
    with FaultyProxy(sandbox.root_url) as proxy:
        with started(BROKEN_OFF, proxy.base_url, transport) as program:
            assert next_line(program) == "closed"
            ends = time.monotonic() + 5
            while proxy.open_connections and time.monotonic() < ends:
                time.sleep(0.001)
            still_open = proxy.open_connections
            tell(program, "end")
            assert program.wait(10) == 0
        assert still_open == 0


FROM_THREADS = """
from tests.kit.inside import every_lock, make_tls_context
from tests.kit.probe import held

started, stop = threading.Event(), threading.Event()

def keep_busy():
    async def busy():
        while not stop.is_set():
            await several()
            started.set()
    asyncio.run(busy())

def hold_the_locks():
    with every_lock(client):
        locked.set()
        release.wait()

async def child():
    await several()
    await make_tls_context()
    assert (await held(client)).permits == 0

thread = threading.Thread(target=keep_busy)
thread.start()
started.wait()
for holding in (False, True) * 3:
    locked, release = threading.Event(), threading.Event()
    holder = threading.Thread(target=hold_the_locks)
    if holding:
        holder.start()
        locked.wait()
    pid = os.fork()
    if not pid:
        signal.alarm(20)  # stuck for ever is the failure
        asyncio.run(child())
        os._exit(0)
    release.set()
    assert os.waitpid(pid, 0)[1] == 0
    if holding:
        holder.join()
stop.set()
thread.join()
"""


def test_a_fork_while_other_threads_call_or_hold_a_lock_leaves_no_child_stuck(sandbox: Sandbox) -> None:
    done = run_program(FROM_THREADS, sandbox.base_url, "auto")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


FULL = """
from tests.kit.inside import close_limits, pause_of

async def main():
    global client
    client = make(max_concurrency=1)
    held = await open_stream(client)
    waiting = [asyncio.ensure_future(client.models.list()) for _ in range(3)]
    await asyncio.sleep(0.01)
    close_limits(client, 0.05)  # 429s came: nobody passes, and somebody holds the turn
    pid = os.fork()
    if not pid:
        signal.alarm(20)
        asyncio.run(several())
        assert pause_of(client) == 0
        os._exit(0)
    await held.aclose()
    assert all(await asyncio.gather(*waiting))
    assert os.waitpid(pid, 0)[1] == 0
    await client.aclose()

asyncio.run(main())
"""


def test_a_child_has_all_permits_and_passes_the_pace_of_a_parent_that_had_none_left(sandbox: Sandbox) -> None:
    done = run_program(FULL, sandbox.base_url, "auto")
    assert (done.returncode, done.stdout) == (0, "")
    assert [line.partition(":")[0] for line in done.stderr.splitlines()] == ["a call has to wait"]


POOLS = """
import pickle

def job(number):
    return len(asyncio.run(client.models.list()).data)

def job_with(client):
    raise AssertionError("it can't arrive")

if __name__ == "__main__":
    assert job(0) > 0
    method = sys.argv[1]
    context = multiprocessing.get_context(method)
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        assert all(number > 0 for number in pool.map(job, range(6)))
        try:
            pool.submit(job_with, client).result()
        except TypeError as error:
            print(error)
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_client_made_at_import_serves_the_children_of_multiprocessing_and_refuses_to_be_pickled(
    sandbox: Sandbox, method: str
) -> None:
    done = run_program(POOLS, sandbox.base_url, "auto", method)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "a client is not pickled; make it in each process, such as at import\n"
    assert sandbox.ledger.accepted(MODELS) == 7
