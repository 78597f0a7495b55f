"""Programs under nest_asyncio, which notebooks use: each ends by itself, and says nothing."""

from __future__ import annotations

import pytest

from relaydance_async.sandbox import Sandbox
from tests.kit.routes import MODELS
from tests.processes.support import run_program

PATCHED = """
import faulthandler, pathlib, nest_asyncio

faulthandler.dump_traceback_later(30, exit=True)  # one that doesn't end says where it is

async def all_kinds():
    '''With threads: for the certificates, and for the file.'''
    await several()
    assert (await client.files.upload(pathlib.Path(__file__), filename="cat.jpg")).id
    async with await open_stream(client, chunks=3, delay=0) as stream:
        assert (await stream.get_final_completion()).choices[0].message.content

async def closing():
    async with client:
        await all_kinds()

async def nested(run, work):
    run(work())

def in_loop(coroutine):
    return asyncio.get_event_loop().run_until_complete(coroutine)
"""

WAYS = {
    "asyncio.run twice": "asyncio.run(closing()); asyncio.run(closing())",
    "asyncio.run twice, never closed": "asyncio.run(all_kinds()); asyncio.run(all_kinds())",
    "asyncio.run in a running loop": "asyncio.run(nested(asyncio.run, closing))",
    "asyncio.run in a running loop, never closed": "asyncio.run(nested(asyncio.run, all_kinds))",
    "run_until_complete in a running loop": "asyncio.run(nested(in_loop, closing))",
    "run_until_complete in a running loop, never closed": "asyncio.run(nested(in_loop, all_kinds))",
    "a runner": """
patched = asyncio.get_event_loop()  # which the runner would have forgotten unclosed
with asyncio.Runner() as runner:
    runner.run(all_kinds())
    runner.run(all_kinds())
patched.close()
""",
}


@pytest.mark.parametrize("transport", ["direct", "httpx"])
@pytest.mark.parametrize("way", WAYS)
def test_a_program_that_nests_its_loops_ends(sandbox: Sandbox, transport: str, way: str) -> None:
    pytest.importorskip("nest_asyncio")
    done = run_program(f"{PATCHED}nest_asyncio.apply()\n{WAYS[way]}", sandbox.base_url, transport)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LEFT = """
async def leave():
    global left
    left = [asyncio.ensure_future(all_kinds()) for _ in range(3)]
    stream = await open_stream(client)
    await anext(stream)

nest_asyncio.apply()
asyncio.run(leave())
"""


@pytest.mark.parametrize("transport", ["direct", "httpx"])
def test_a_program_that_leaves_calls_under_way_in_such_a_loop_ends(sandbox: Sandbox, transport: str) -> None:
    pytest.importorskip("nest_asyncio")
    # What it says is about generators that a loop which is not closed leaves to the interpreter.
    assert run_program(f"{PATCHED}{LEFT}", sandbox.base_url, transport).returncode == 0


NOTEBOOK = """
async def first_cell():
    await all_kinds()

async def second_cell():
    nest_asyncio.apply()
    asyncio.run(all_kinds())
    in_loop(all_kinds())

async def third_cell():
    await all_kinds()

async def kernel():
    for cell in (first_cell, second_cell, third_cell):
        await asyncio.get_running_loop().create_task(cell())
    asyncio.get_running_loop().stop()

loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
running = loop.create_task(kernel())
loop.run_forever()
print(running.done())
"""


@pytest.mark.parametrize("transport", ["direct", "httpx"])
def test_a_notebook_awaits_at_its_top_level_and_nests_loops_in_its_cells(sandbox: Sandbox, transport: str) -> None:
    pytest.importorskip("nest_asyncio")
    done = run_program(f"{PATCHED}{NOTEBOOK}", sandbox.base_url, transport)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")
    assert sandbox.ledger.accepted(MODELS) == 20
