"""Whole programs: loops of every kind, and every way to end without closing the client. None may leave a word."""

from __future__ import annotations

import signal

import pytest

from relaydance_async.sandbox import Fault, Sandbox
from tests.kit.routes import MODELS, SUBMIT
from tests.processes.support import run_program

LOOPS = {
    "one asyncio.run after another": """
for _ in range(3):
    asyncio.run(several())
    gc.collect()
""",
    "a runner": """
with asyncio.Runner() as runner:
    for _ in range(3):
        runner.run(several())
""",
    "a loop in each of several threads": """
def run():
    together.wait()
    for _ in range(3):
        asyncio.run(several())

together = threading.Barrier(4)
with concurrent.futures.ThreadPoolExecutor(4) as threads:
    for done in [threads.submit(run) for _ in range(4)]:
        done.result()
""",
    "a loop per job of a pool of threads": """
with concurrent.futures.ThreadPoolExecutor(3) as threads:
    list(threads.map(lambda _: asyncio.run(once()), range(12)))
""",
    "loops that are closed without their generators": """
for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(several())
    close_bare(loop)
    gc.collect()
""",
    "a client per job, in loops that are closed without their generators": """
async def job():
    await make().models.list()

for _ in range(3):
    loop = asyncio.new_event_loop()
    loop.run_until_complete(job())
    close_bare(loop)
    gc.collect()
""",
    "a client per job that is part of a cycle": """
async def job():
    client = make()
    client.itself = client
    await client.models.list()
    del client
    gc.collect()
    await asyncio.sleep(0)

for _ in range(3):
    asyncio.run(job())
    gc.collect()
""",
    "anyio in a thread under anyio": """
async def outer():
    await once()
    await anyio.to_thread.run_sync(anyio.run, several)
    await once()

anyio.run(outer)
""",
}


def test_a_client_made_at_import_serves_loops_of_every_kind(sandbox: Sandbox, transport: str) -> None:
    program = "".join(f"print({name!r}){code}gc.collect()\n" for name, code in LOOPS.items())
    done = run_program(program, sandbox.base_url, transport)
    assert (done.stderr, done.stdout.splitlines(), done.returncode) == ("", list(LOOPS), 0)


LEAVING_ALL_OPEN = """
async def main():
    read, unread = await open_stream(client), await open_stream(client)
    await anext(read)
    task = asyncio.create_task(client.video.submit(model="grok-imagine-video", prompt="a cat"))
    await asyncio.sleep(0.02)
    assert not task.done()
    await end()

async def end():
    {end}

asyncio.run(main())
"""

ENDS = {
    "its last line": ("return", 0),
    "sys.exit": ("sys.exit(3)", 3),
    "Ctrl-C": ("os.kill(os.getpid(), signal.SIGINT); await asyncio.sleep(60)", -signal.SIGINT),
}


@pytest.mark.parametrize(("end", "code"), ENDS.values(), ids=ENDS)
def test_a_program_ends_at_once_and_quietly_with_everything_open(
    sandbox: Sandbox, transport: str, end: str, code: int
) -> None:
    sandbox.faults.add(Fault(SUBMIT, stall=True))
    done = run_program(LEAVING_ALL_OPEN.format(end=end), sandbox.base_url, transport)
    own_words = "KeyboardInterrupt\n" if code < 0 else ""
    assert (done.returncode, done.stdout, done.stderr[-len(own_words) or None :]) == (code, "", own_words)
    assert "Warning" not in done.stderr


MANY_LOOPS = """
from tests.kit.probe import loops_of

def held():
    gc.collect()
    return loops_of(client), len(os.listdir("/proc/self/fd"))

def old_style():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(once())
    close_bare(loop)

for run in (lambda: asyncio.run(once()), old_style):
    for number in range(int(sys.argv[1])):
        run()
        if number == 10:
            warm = held()
    assert warm[0] <= 1
    assert held() == warm, (warm, held())
"""


def check_many_loops(sandbox: Sandbox, transport: str, loops: int) -> None:
    done = run_program(MANY_LOOPS, sandbox.base_url, transport, str(loops))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert sandbox.ledger.accepted(MODELS) == 2 * loops


def test_thirty_loops_hold_no_more_than_ten_did(sandbox: Sandbox, transport: str) -> None:
    check_many_loops(sandbox, transport, 30)


@pytest.mark.torture
def test_three_hundred_loops_hold_no_more_than_ten_did(sandbox: Sandbox, transport: str) -> None:
    check_many_loops(sandbox, transport, 300)
