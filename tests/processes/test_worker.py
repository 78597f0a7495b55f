"""A worker of a queue that is told to stop in the middle of a paid clip, and the one that takes over from it."""

from __future__ import annotations

import json
import signal

import pytest

from relaydance_async.sandbox import Sandbox
from tests.kit.routes import SUBMIT
from tests.processes.support import complaints, next_line, started, tell

WORKER = """
import json

async def jobs():
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)

def say(task):
    print(task.status, task.task_id, flush=True)

async def work(job):
    if "task_id" in job:
        await client.video.wait(job["task_id"], on_update=say)
    else:
        await client.video.generate(model="grok-imagine-video", prompt=job["prompt"], on_update=say)

async def main():
    working = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, working.cancel)
    try:
        async with client:
            async for job in jobs():
                await work(job)
    except asyncio.CancelledError as error:
        print(*error.__notes__, flush=True)

asyncio.run(main())
"""


def test_a_worker_stopped_in_the_middle_of_a_clip_leaves_its_id_and_the_next_one_resumes(sandbox: Sandbox) -> None:
    with started(WORKER, sandbox.base_url, "auto") as worker:
        tell(worker, json.dumps({"prompt": "A boat"}))
        status, task_id = next_line(worker).split()
        assert status in ("submitted", "running")
        worker.send_signal(signal.SIGTERM)
        stdout, stderr = worker.communicate(timeout=20)
        last = stdout.splitlines()[-1]
        assert last == f"video task {task_id} was submitted; resume with client.video.wait({task_id!r})"
        assert (worker.returncode, complaints(stderr)) == (0, "")

    with started(WORKER, sandbox.base_url, "auto") as worker:
        stdout, stderr = worker.communicate(json.dumps({"task_id": task_id}) + "\n", timeout=20)
        assert stdout.splitlines()[-1] == f"succeeded {task_id}"
        assert (worker.returncode, complaints(stderr)) == (0, "")
    assert sandbox.ledger.accepted(SUBMIT) == 1


@pytest.mark.torture
def test_a_worker_that_is_killed_has_told_the_id_before(sandbox: Sandbox) -> None:
    with started(WORKER, sandbox.base_url, "auto") as worker:
        tell(worker, json.dumps({"prompt": "A boat"}))
        _, task_id = next_line(worker).split()
        worker.kill()
        worker.communicate(timeout=20)
    with started(WORKER, sandbox.base_url, "auto") as worker:
        stdout, _ = worker.communicate(json.dumps({"task_id": task_id}) + "\n", timeout=20)
        assert stdout.splitlines()[-1] == f"succeeded {task_id}"
    assert sandbox.ledger.accepted(SUBMIT) == 1
