"""Webhooks: delivered in every shape, retried on the sandbox's clock, never sent off this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from relaydance_async.sandbox import TaskPlan, TaskScript
from tests.kit.waiting import block_until
from tests.sandbox.support import Starter


class Receiver:
    """Takes POSTs; answers with `statuses` in order, then 200."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.bodies.append(json.loads(body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.005})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hook?token=t"

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
@pytest.mark.parametrize("shape", [None, "task", "wrapped", "upstream"])
def test_the_final_task_is_posted_once(start: Starter, receiver: Receiver, shape: Any, outcome: Any) -> None:
    plan = TaskPlan(TaskScript(1, 4, outcome, "no"))
    caller = start(dialect="documented", tasks=plan, time_scale=0, webhook_shape=shape)
    task_id = caller.submitted(metadata={"callback_url": receiver.url})
    caller.sandbox.clock.advance(4.9)
    assert caller.sandbox.ledger.webhooks == []
    caller.sandbox.clock.advance(0.2)
    block_until(lambda: bool(caller.sandbox.ledger.webhooks))
    (body,) = receiver.bodies
    if shape == "upstream":
        assert body["id"].startswith("cgt-")
        assert body["status"] == outcome
        assert ("content" in body) == (outcome == "succeeded")
    elif shape == "wrapped":
        assert body["data"]["task_id"] == task_id
        assert body["data"]["status"] == ("SUCCESS" if outcome == "succeeded" else "FAILURE")
    else:
        assert (body["task_id"], body["status"]) == (task_id, outcome)
    (delivery,) = caller.sandbox.ledger.webhooks
    assert (delivery.task_id, delivery.attempt, delivery.status) == (task_id, 1, 200)


def test_the_gateway_posts_its_own_shape(start: Starter, receiver: Receiver) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=0)
    caller.submitted(metadata={"callback_url": receiver.url})
    caller.sandbox.clock.advance(1)
    block_until(lambda: len(caller.sandbox.ledger.webhooks) == 1)
    assert receiver.bodies[0]["code"] == "success"


def test_a_failed_delivery_is_retried_on_the_sandbox_clock(start: Starter, receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=0)
    caller.submitted(metadata={"callback_url": receiver.url})
    caller.sandbox.clock.advance(1)
    for n, wait in ((1, 1), (2, 2), (3, 0)):
        block_until(lambda n=n: len(caller.sandbox.ledger.webhooks) == n)  # type: ignore[misc]
        caller.sandbox.clock.advance(wait)
    deliveries = caller.sandbox.ledger.webhooks
    assert [(delivery.attempt, delivery.status) for delivery in deliveries] == [(1, 500), (2, 503), (3, 200)]


def test_delivery_is_given_up_after_five_attempts(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=100_000)
    caller.submitted(metadata={"callback_url": "http://127.0.0.1:1/nobody"})
    block_until(lambda: len(caller.sandbox.ledger.webhooks) == 5)
    assert {delivery.status for delivery in caller.sandbox.ledger.webhooks} == {0}
    assert "Connect" in caller.sandbox.ledger.webhooks[0].error


@pytest.mark.parametrize("url", ["https://example.com/hook", "http://10.0.0.1/", "ftp://127.0.0.1/", "nonsense"])
def test_nothing_is_sent_off_this_machine(start: Starter, url: str) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=0)
    caller.submitted(metadata={"callback_url": url})
    caller.sandbox.clock.advance(1)
    block_until(lambda: bool(caller.sandbox.ledger.webhooks))
    (delivery,) = caller.sandbox.ledger.webhooks
    assert delivery.status == 0
    assert "this machine" in delivery.error


def test_a_task_ends_by_itself_when_nobody_asks(start: Starter, receiver: Receiver) -> None:
    caller = start(tasks=TaskPlan(TaskScript(10, 10)), time_scale=2000)
    caller.submitted(metadata={"callback_url": receiver.url})
    block_until(lambda: len(receiver.bodies) == 1)


def test_a_delivery_in_progress_does_not_keep_the_sandbox_from_stopping(start: Starter) -> None:
    caller = start(tasks=TaskPlan(TaskScript(0, 1)), time_scale=0)
    caller.submitted(metadata={"callback_url": "http://127.0.0.1:1/nobody"})
    caller.sandbox.clock.advance(1)
    block_until(lambda: bool(caller.sandbox.ledger.webhooks))
    caller.sandbox.stop()
    assert len(caller.sandbox.ledger.webhooks) == 1
