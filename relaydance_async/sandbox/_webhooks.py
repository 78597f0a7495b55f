"""Webhooks: the final task POSTed to its callback URL, with retries."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httpx

from ._json import Json, dump
from ._ledger import WebhookDelivery
from ._sockets import is_loopback
from ._state import State
from ._task_shapes import build_documented, build_upstream_task, build_wrapped
from ._tasks import Task
from ._video import links_of

WAITS = (1.0, 2.0, 4.0, 8.0)
"""Sandbox seconds before each retry."""
TIMEOUT = 5.0


class Webhooks:
    """Delivers from the server's loop."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._loop = asyncio.get_running_loop()
        self._deliveries: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None

    def submit(self, task: Task) -> None:
        """Start delivering; may be called from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._start, task)

    def _start(self, task: Task) -> None:
        delivery = asyncio.ensure_future(self._deliver(task))
        self._deliveries.add(delivery)
        delivery.add_done_callback(self._deliveries.discard)

    async def close(self) -> None:
        for delivery in list(self._deliveries):
            delivery.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    async def _deliver(self, task: Task) -> None:
        url = task.callback_url or ""
        if (reason := self._why_refused(url)) is not None:
            self._record(task, 1, 0, reason)
            return
        body = dump(build_webhook(self._state, task))
        for attempt in range(1, len(WAITS) + 2):
            status, error = await self._post(url, body)
            self._record(task, attempt, status, error)
            if 200 <= status < 300 or attempt > len(WAITS):
                return
            await self._state.clock.sleep(WAITS[attempt - 1])

    def _why_refused(self, url: str) -> str | None:
        try:
            parts = urlsplit(url)
            port = parts.port or 80
        except ValueError:
            return "the callback URL cannot be read"
        if parts.scheme not in ("http", "https") or not is_loopback(parts.hostname or ""):
            return "the sandbox only calls back to this machine"
        if port in self._state.ports:
            # Its own routes take a POST from this machine without a key: a task must not reach them.
            return "the sandbox does not call itself"
        return None

    async def _post(self, url: str, body: bytes) -> tuple[int, str]:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT, trust_env=False)
        headers = {"content-type": "application/json", "user-agent": "RelayDance-Sandbox-Webhook"}
        try:
            response = await self._client.post(url, content=body, headers=headers)
        except httpx.HTTPError as error:
            return 0, f"{type(error).__name__}: {error}"
        return response.status_code, ""

    def _record(self, task: Task, attempt: int, status: int, error: str) -> None:
        now = self._state.clock.now()
        delivery = WebhookDelivery(now, task.task_id, task.callback_url or "", attempt, status, error)
        self._state.ledger.record_webhook(delivery)


def build_webhook(state: State, task: Task) -> Json:
    links = links_of(state, task)
    if state.webhook_shape == "task":
        return build_documented(task, task.ends, links)
    if state.webhook_shape == "upstream":
        return build_upstream_task(task, task.ends, links)
    return build_wrapped(task, task.ends, links)
