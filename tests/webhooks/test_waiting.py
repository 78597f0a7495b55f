"""`client.video.wait(receiver=…)`: the webhook or a poll, whichever is first."""

# pyright: reportPrivateUsage=false

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import TaskGroup

from relaydance_async import AsyncRelayDance, ConfigurationError, TaskFailedError, TaskTimeoutError, VideoTask
from relaydance_async.errors import InvalidInputError
from relaydance_async.sandbox import Fault, Sandbox, TaskPlan, TaskScript
from relaydance_async.webhooks import WebhookApp, WebhookReceiver
from tests.kit.clocks import HandClock
from tests.kit.inside import make_client
from tests.kit.routes import FETCH
from tests.kit.waiting import wait_until
from tests.webhooks.support import SECRET, body_of, query_of, serving, submitted

pytestmark = pytest.mark.anyio


class Still:
    """A sandbox and a client whose clocks both stand still, so that no wait polls twice by itself."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.clock = HandClock()
        self.client = make_client(sandbox.api_key, base_url=sandbox.base_url, clock=self.clock.clock)
        self.receiver = WebhookReceiver(self.client, secret=SECRET)

    async def deliver(self, task_id: str) -> None:
        query = query_of(self.receiver.callback_url("https://shop.example/", "r"))
        await self.receiver.receive(query, body_of(task_id))

    async def fall_asleep(self, group: TaskGroup, task_id: str) -> None:
        """Begin a wait, up to its first sleep."""
        group.start_soon(lambda: self.client.video.wait(task_id, receiver=self.receiver))
        await wait_until(lambda: self.clock.sleeping == 1)

    @property
    def listening(self) -> int:
        return sum(map(len, self.receiver._subscribers.values()))


@pytest.fixture
async def still(sandbox: Sandbox) -> Still:
    return Still(sandbox)


async def test_a_delivery_ends_a_wait_that_is_asleep_without_another_poll(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        ended: list[VideoTask] = []
        seen: list[VideoTask] = []

        async def wait() -> None:
            ended.append(await client.video.wait(task_id, receiver=still.receiver, on_update=seen.append))

        async with anyio.create_task_group() as group:
            group.start_soon(wait)
            await wait_until(lambda: still.clock.sleeping == 1)
            still.sandbox.clock.advance(1000)
            await still.deliver(task_id)
        assert ended[0].status == "succeeded"
        assert seen[-1] == ended[0]
        assert still.sandbox.ledger.count(FETCH) == 2  # the first poll, and the receiver's
        assert still.listening == still.clock.sleeping == 0


async def test_a_delivery_ends_a_wait_whose_poll_hangs(still: Still) -> None:
    still.sandbox.faults.add(Fault(FETCH, stall=True, times=1))
    async with still.client as client:
        task_id = await submitted(client)
        async with anyio.create_task_group() as group:
            group.start_soon(lambda: client.video.wait(task_id, receiver=still.receiver))
            await wait_until(lambda: still.sandbox.faults.fired != {})
            still.sandbox.clock.advance(1000)
            with anyio.fail_after(5):
                await still.deliver(task_id)
        assert still.listening == 0


async def test_every_wait_for_the_task_ends_and_no_other(still: Still) -> None:
    async with still.client as client:
        one, other = await submitted(client), await submitted(client)
        ended: list[str] = []

        async def wait(task_id: str) -> None:
            ended.append((await client.video.wait(task_id, receiver=still.receiver)).task_id)

        async with anyio.create_task_group() as group:
            for task_id in (one, one, other):
                group.start_soon(wait, task_id)
            await wait_until(lambda: still.clock.sleeping == 3)
            still.sandbox.clock.advance(1000)
            await still.deliver(one)
            await wait_until(lambda: len(ended) == 2)
            assert (ended, still.listening) == ([one, one], 1)
            await still.deliver(other)
        assert still.listening == 0


async def test_a_delivery_for_which_the_gateway_shows_another_task_ends_no_wait(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        async with anyio.create_task_group() as group:
            await still.fall_asleep(group, task_id)
            still.sandbox.faults.add(Fault(FETCH, body='{"task_id": "task_2", "status": "failed"}', times=1))
            await still.deliver(task_id)
            await anyio.lowlevel.checkpoint()
            assert still.listening == still.clock.sleeping == 1
            group.cancel_scope.cancel()


async def test_a_poll_ends_it_when_no_delivery_comes(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        async with anyio.create_task_group() as group:
            await still.fall_asleep(group, task_id)
            still.sandbox.clock.advance(1000)
            still.clock.advance(5)
        assert still.listening == 0


async def test_a_delivery_that_came_before_the_wait_needs_no_other(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        still.sandbox.clock.advance(1000)
        await still.deliver(task_id)
        assert (await client.video.wait(task_id, receiver=still.receiver)).status == "succeeded"


async def test_a_delivery_of_a_failure_ends_it_in_the_error() -> None:
    plan = TaskPlan(TaskScript(outcome="failed", reason="a person is shown"))
    with Sandbox(time_scale=0, tasks=plan) as sandbox:
        still = Still(sandbox)
        async with still.client as client:
            task_id = await submitted(client)
            caught: list[TaskFailedError] = []

            async def wait() -> None:
                with pytest.raises(TaskFailedError, match="a person is shown") as error:
                    await client.video.wait(task_id, receiver=still.receiver)
                caught.append(error.value)

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                await wait_until(lambda: still.clock.sleeping == 1)
                sandbox.clock.advance(1000)
                await still.deliver(task_id)
            assert caught[0].task_id == task_id


async def test_a_delivery_of_a_task_that_has_not_ended_does_not_end_it(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        async with anyio.create_task_group() as group:
            await still.fall_asleep(group, task_id)
            await still.deliver(task_id)
            await anyio.lowlevel.checkpoint()
            assert (still.listening, still.clock.sleeping) == (1, 1)
            group.cancel_scope.cancel()
        assert (still.listening, still.clock.sleeping) == (0, 0)


async def test_a_deadline_and_a_cancellation_leave_no_listener(still: Still) -> None:
    async with still.client as client:
        task_id = await submitted(client)
        with pytest.raises(TaskTimeoutError):
            await client.video.wait(task_id, receiver=still.receiver, deadline=0.05)
        assert still.receiver._subscribers == {}
        with anyio.move_on_after(0.05) as scope:
            await client.video.wait(task_id, receiver=still.receiver)
        assert scope.cancelled_caught
        assert still.receiver._subscribers == {}


async def test_generate_ends_on_the_gateways_own_webhook(still: Still) -> None:
    """From the submit to the clip over real sockets, with no poll after the first."""
    async with still.client as client, serving(WebhookApp(still.receiver)) as hooks:
        done: list[VideoTask] = []

        async def generate() -> None:
            done.append(
                await client.video.generate(
                    model="happyhorse-1.0-t2v",
                    prompt="a horse",
                    callback_url=still.receiver.callback_url(hooks, "order 17"),
                    receiver=still.receiver,
                )
            )

        async with anyio.create_task_group() as group:
            group.start_soon(generate)
            await wait_until(lambda: still.clock.sleeping == 1)
            still.sandbox.clock.advance(1000)
        assert done[0].status == "succeeded"
        await wait_until(lambda: bool(still.sandbox.ledger.webhooks))
        assert [delivery.status for delivery in still.sandbox.ledger.webhooks] == [204]
        assert still.sandbox.ledger.count(FETCH) == 2


@pytest.mark.parametrize("secret", ["short", b"", [], ["long enough to be a secret", "short"]])
async def test_a_weak_secret_is_refused(client: AsyncRelayDance, secret: str) -> None:
    with pytest.raises(ConfigurationError):
        WebhookReceiver(client, secret=secret)


async def test_a_receiver_that_remembers_nothing_is_refused(client: AsyncRelayDance) -> None:
    with pytest.raises(ConfigurationError, match="remember"):
        WebhookReceiver(client, secret=SECRET, remember=0)


@pytest.mark.parametrize("expires_in", [0, -1, float("nan"), float("inf"), 1e300])
async def test_a_token_that_never_or_always_expires_is_refused(receiver: WebhookReceiver, expires_in: float) -> None:
    with pytest.raises(InvalidInputError, match="expires_in"):
        receiver.callback_url("https://shop.example/", "r", expires_in=expires_in)


async def test_neither_key_nor_secret_is_in_its_repr(receiver: WebhookReceiver, sandbox: Sandbox) -> None:
    assert SECRET not in repr(receiver)
    assert sandbox.api_key not in repr(receiver)
