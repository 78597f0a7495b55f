"""Deliveries over a real server: genuine, repeated, early, and of tasks that are somebody else's."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import json
import logging
from functools import partial
from typing import Any

import anyio
import pytest

from relaydance_async import AsyncRelayDance
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from relaydance_async.webhooks import Delivery, WebhookApp, WebhookReceiver
from tests.kit.clocks import HandClock
from tests.kit.routes import FETCH
from tests.kit.waiting import wait_until
from tests.webhooks.support import SECRET, Handler, body_of, finished, post, query_of, serving, submitted

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
@pytest.mark.parametrize("shape", ["task", "wrapped", "upstream"])
async def test_the_gateways_own_delivery_arrives_in_every_shape(shape: Any, outcome: Any, handler: Handler) -> None:
    plan = TaskPlan(TaskScript(outcome=outcome, reason="a person is shown"))
    with Sandbox(time_scale=0, webhook_shape=shape, tasks=plan) as sandbox:
        async with AsyncRelayDance(sandbox.api_key, base_url=sandbox.base_url) as client:
            receiver = WebhookReceiver(client, secret=SECRET)
            async with serving(WebhookApp(receiver, handler)) as hooks:
                task_id = await submitted(client, callback_url=receiver.callback_url(hooks, "order 17 – ö&=?"))
                receiver.bind("order 17 – ö&=?", task_id)
                sandbox.clock.advance(1000)
                await wait_until(lambda: bool(handler.deliveries))
                (delivery,) = handler.deliveries
                assert (delivery.reference, delivery.task.task_id) == ("order 17 – ö&=?", task_id)
                assert delivery.task.status == outcome
                await wait_until(lambda: bool(sandbox.ledger.webhooks))
                assert sandbox.ledger.webhooks[0].status == 204


async def test_what_a_delivery_claims_is_not_believed(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    task_id = await finished(client, sandbox)
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id, status="failed")) == 204
    task = handler.deliveries[0].task
    assert task.status == "succeeded"
    assert task.url is not None
    assert task.url.startswith(sandbox.cdn_url)


async def test_an_end_that_the_gateway_does_not_know_of_yet_comes_again(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    task_id = await submitted(client)
    url = receiver.callback_url(hooks, "r")
    assert await post(url, body_of(task_id)) == 503
    assert handler.deliveries == []
    sandbox.clock.advance(1000)
    assert await post(url, body_of(task_id)) == 204
    assert len(handler.deliveries) == 1


async def test_a_delivery_that_claims_no_end_is_taken_note_of(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await submitted(client)
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id, status="running")) == 204
    assert handler.deliveries == []


async def test_a_delivery_may_come_before_the_answer_to_the_submit(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    url = receiver.callback_url(hooks, "order")
    upstream = json.dumps({"id": "cgt-7", "status": "succeeded", "content": {"video_url": "https://x.example/y"}})
    assert await post(url, upstream.encode()) == 503  # nobody knows yet which task that is: it comes again
    task_id = await finished(client, sandbox)
    receiver.bind("order", task_id)
    assert await post(url, upstream.encode()) == 204
    assert [delivery.task.task_id for delivery in handler.deliveries] == [task_id]


@pytest.mark.parametrize("whose", ["nobody", "another account"])
async def test_a_task_that_is_not_of_this_key_calls_nobody(
    receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox, whose: str
) -> None:
    task_id = "task_unknown"
    if whose == "another account":
        sandbox.accounts["sk-other"] = type(sandbox.accounts[sandbox.api_key])()
        async with AsyncRelayDance("sk-other", base_url=sandbox.base_url) as other:
            task_id = await finished(other, sandbox)
    assert await post(receiver.callback_url(hooks, "r"), body_of(task_id)) == 503
    assert handler.deliveries == []


async def test_a_bound_reference_decides_which_task_is_meant(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    mine, other = await finished(client, sandbox), await finished(client, sandbox)
    receiver.bind("order", mine)
    assert await post(receiver.callback_url(f"{hooks}?x=1", "order"), body_of(other)) == 204
    assert [delivery.task.task_id for delivery in handler.deliveries] == [mine]


async def test_a_token_for_another_reference_does_not_open_a_bound_task(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    receiver.bind("order of Ada", task_id)
    asked = sandbox.ledger.count(FETCH)
    assert await post(receiver.callback_url(hooks, "order of Eve"), body_of(task_id)) == 403
    assert sandbox.ledger.count(FETCH) == asked
    assert handler.deliveries == []


async def test_an_expired_url_is_refused(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, clock: HandClock
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r", expires_in=60)
    clock.advance(60)
    assert await post(url, body_of(task_id)) == 204
    clock.advance(1)
    assert await post(url, body_of(task_id)) == 403


async def test_a_replayed_delivery_is_handled_once_and_costs_one_fetch(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    asked = sandbox.ledger.count(FETCH)
    url = receiver.callback_url(hooks, "r")
    assert [await post(url, body_of(task_id)) for _ in range(3)] == [204, 204, 204]
    assert len(handler.deliveries) == 1
    assert sandbox.ledger.count(FETCH) == asked + 1


async def test_many_deliveries_of_one_task_at_once_are_handled_once(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r")
    answers: list[int] = []

    async def deliver() -> None:
        answers.append(await post(url, body_of(task_id)))

    async with anyio.create_task_group() as group:
        for _ in range(10):
            group.start_soon(deliver)
    assert answers == [204] * 10
    assert len(handler.deliveries) == 1


@pytest.mark.parametrize(("failures", "status", "handled"), [(0, 204, 1), (1, 500, 0)])
async def test_a_duplicate_waits_for_the_handler_and_gets_the_same_answer(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    receiver: WebhookReceiver,
    app: WebhookApp,
    hooks: str,
    handler: Handler,
    failures: int,
    status: int,
    handled: int,
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r")
    handler.go_on = anyio.Event()
    handler.failures = failures
    answers: list[int] = []

    async def deliver() -> None:
        answers.append(await post(url, body_of(task_id)))

    async with anyio.create_task_group() as group:
        group.start_soon(deliver)
        with anyio.fail_after(10):
            await handler.called.wait()
        group.start_soon(deliver)
        await wait_until(lambda: app._handlings[task_id].ended.statistics().tasks_waiting == 1)
        assert answers == []  # 204 for the duplicate would be the last that is heard of the task if the handler failed
        handler.go_on.set()
    assert answers == [status, status]
    assert len(handler.deliveries) == handled
    assert await post(url, body_of(task_id)) == 204
    assert len(handler.deliveries) == 1


async def test_a_handler_that_failed_gets_the_next_delivery_and_its_error_is_logged(
    client: AsyncRelayDance,
    sandbox: Sandbox,
    receiver: WebhookReceiver,
    hooks: str,
    handler: Handler,
    caplog: pytest.LogCaptureFixture,
) -> None:
    task_id = await finished(client, sandbox)
    handler.failures = 1
    url = receiver.callback_url(hooks, "r")
    with caplog.at_level(logging.ERROR, "relaydance_async"):
        assert [await post(url, body_of(task_id)) for _ in range(2)] == [500, 204]
    assert len(handler.deliveries) == 1
    assert "the database is down" in caplog.text
    assert sandbox.api_key not in caplog.text


async def test_a_handler_that_was_cancelled_gets_the_next_delivery(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, app: WebhookApp, handler: Handler
) -> None:
    task_id = await finished(client, sandbox)
    query = query_of(receiver.callback_url("https://shop.example/", "r"))
    scope: dict[str, Any] = {"type": "http", "method": "POST", "query_string": query.encode(), "headers": []}
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body_of(task_id)}

    async def send(message: Any) -> None:
        sent.append(message)

    handler.go_on = anyio.Event()
    async with anyio.create_task_group() as group:
        group.start_soon(app, scope, receive, send)
        with anyio.fail_after(10):
            await handler.called.wait()
        group.cancel_scope.cancel()
    assert sent == []
    handler.go_on.set()
    await app(scope, receive, send)
    assert sent[0]["status"] == 204
    assert len(handler.deliveries) == 1


async def test_handlers_of_different_tasks_run_side_by_side(
    client: AsyncRelayDance, sandbox: Sandbox, receiver: WebhookReceiver, hooks: str, handler: Handler
) -> None:
    task_ids = [await submitted(client) for _ in range(5)]
    sandbox.clock.advance(1000)
    handler.go_on = anyio.Event()
    async with anyio.create_task_group() as group:
        for number, task_id in enumerate(task_ids):
            group.start_soon(post, receiver.callback_url(hooks, f"r{number}"), body_of(task_id))
        await wait_until(lambda: handler.at_work == 5)
        handler.go_on.set()
    assert {delivery.task.task_id for delivery in handler.deliveries} == set(task_ids)


async def test_when_the_task_can_not_be_fetched_the_gateway_delivers_again_until_it_can(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    sandbox.faults.add(Fault(FETCH, status=503, times=2))
    task_id = await submitted(client, callback_url=receiver.callback_url(hooks, "r"))
    sandbox.clock.advance(1000)
    for attempt, wait in enumerate((1.0, 2.0, 0.0), start=1):
        await wait_until(lambda attempt=attempt: len(sandbox.ledger.webhooks) == attempt)  # type: ignore[misc]
        sandbox.clock.advance(wait)
    assert [delivery.status for delivery in sandbox.ledger.webhooks] == [503, 503, 204]
    assert [delivery.task.task_id for delivery in handler.deliveries] == [task_id]


async def test_what_is_logged_of_a_fetch_that_fails_is_one_line(
    client: AsyncRelayDance,
    receiver: WebhookReceiver,
    hooks: str,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sandbox.faults.add(Fault(FETCH, status=503, body=b'{"error": {"message": "no\\nERROR forged"}}', times=1))
    await submitted(client, callback_url=receiver.callback_url(hooks, "r"))
    sandbox.clock.advance(1000)
    await wait_until(lambda: len(sandbox.ledger.webhooks) == 1)
    (entry,) = [text for text in caplog.messages if "could not be fetched" in text]
    assert "no\\nERROR forged" in entry
    assert "\n" not in entry


async def test_a_refused_key_is_no_reason_to_lose_a_delivery(
    client: AsyncRelayDance, receiver: WebhookReceiver, hooks: str, handler: Handler, sandbox: Sandbox
) -> None:
    task_id = await finished(client, sandbox)
    url = receiver.callback_url(hooks, "r")
    sandbox.accounts[sandbox.api_key].disabled = True
    assert await post(url, body_of(task_id)) == 503
    sandbox.accounts[sandbox.api_key].disabled = False
    assert await post(url, body_of(task_id)) == 204
    assert len(handler.deliveries) == 1


@pytest.mark.parametrize("fails", [False, True])
async def test_one_that_was_forgotten_while_it_is_at_work_is_not_begun_again(
    client: AsyncRelayDance, sandbox: Sandbox, handler: Handler, fails: bool
) -> None:
    receiver = WebhookReceiver(client, secret=SECRET, remember=1)
    first, second = [await submitted(client) for _ in range(2)]
    sandbox.clock.advance(1000)
    handler.go_on = anyio.Event()
    handler.failures = int(fails)
    answers: list[int] = []
    async with serving(WebhookApp(receiver, handler)) as hooks, anyio.create_task_group() as group:
        url = receiver.callback_url(hooks, "r")

        async def deliver(task_id: str) -> None:
            answers.append(await post(url, body_of(task_id)))

        def is_remembered(task_id: str) -> bool:
            return receiver._ended.get(task_id) is not None

        for task_id in (first, second, first):
            group.start_soon(deliver, task_id)
            # In the same step it is handed on.
            await wait_until(partial(is_remembered, task_id))
        handler.go_on.set()
    assert sorted(answers) == ([204, 500, 500] if fails else [204] * 3)
    assert handler.most_at_work == 2
    assert len(handler.deliveries) == 2 - fails


async def test_what_is_remembered_is_bounded(client: AsyncRelayDance, sandbox: Sandbox) -> None:
    receiver = WebhookReceiver(client, secret=SECRET, remember=3)
    task_ids = [await submitted(client) for _ in range(8)]
    sandbox.clock.advance(1000)

    async def deliver(number: int) -> Delivery:
        query = query_of(receiver.callback_url("https://shop.example/", f"r{number}"))
        return await receiver.receive(query, body_of(task_ids[number]))

    for number, task_id in enumerate(task_ids):
        receiver.bind(f"r{number}", task_id)
        assert not (await deliver(number)).duplicate
    assert (len(receiver._ended), len(receiver._bindings)) == (3, 3)
    assert [(await deliver(number)).duplicate for number in (7, 6, 5, 4)] == [True, True, True, False]
