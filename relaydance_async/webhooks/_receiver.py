"""Verifies deliveries, and asks the gateway what is true."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import anyio

from .._client import AsyncRelayDance
from .._sansio.webhook import SigningSecret, build_callback_url, parse_delivery, verify_callback
from ..errors import ConfigurationError, NotFoundError, WebhookPayloadError
from ..models.video import VideoTask

EXPIRES_IN = 48 * 3600.0
"""Seconds; twice what the gateway gives a task before it gives up."""

_MIN_SECRET = 16


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was ours.

    Attributes:
        reference: the caller's, from the callback URL.
        task: as the gateway answered for it, not as the delivery claimed.
        duplicate: whether the same end of the same task was received before.
    """

    reference: str
    task: VideoTask
    duplicate: bool


class WebhookReceiver:
    """Mints callback URLs and receives what is sent to them.

    RelayDance signs no webhook. So each callback URL carries a token (HMAC-SHA256 over a reference of yours and a
    time), and of a delivery only the task's id is used: the task is fetched with the key.

    Args:
        client: fetches the tasks.
        secret: at least 16 bytes, kept on the server; several, the first of which signs, while secrets are rotated.
        remember: ended tasks whose repeated deliveries are known as such.
        now: Unix time in seconds.

    Raises:
        ConfigurationError: a secret that is too short.
    """

    def __init__(
        self,
        client: AsyncRelayDance,
        *,
        secret: str | bytes | Sequence[str | bytes],
        remember: int = 10_000,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._secrets = [
            SigningSecret(value.encode() if isinstance(value, str) else value)
            for value in ([secret] if isinstance(secret, str | bytes) else secret)
        ]
        del secret
        if not self._secrets or any(len(value) < _MIN_SECRET for value in self._secrets):
            raise ConfigurationError(f"a webhook secret must have at least {_MIN_SECRET} bytes")
        self._remember = remember
        self._now = now
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._task_ids: OrderedDict[str, str] = OrderedDict()
        self._listeners: dict[str, set[anyio.Event]] = {}

    def __repr__(self) -> str:
        return f"<WebhookReceiver of {self._client!r}>"

    def callback_url(self, url: str, reference: str, *, expires_in: float = EXPIRES_IN) -> str:
        """The URL to give as `callback_url`.

        Args:
            url: where your server receives deliveries.
            reference: comes back in the delivery; an order number, say. Anyone who sees the URL can read it.
            expires_in: seconds that the token is valid.
        """
        expires_at = int(self._now() + expires_in)
        return build_callback_url(url, reference, secret=self._secrets[0], expires_at=expires_at)

    def bind(self, reference: str, task: VideoTask | str) -> None:
        """Say which task a reference stands for. Deliveries with that reference are then of this task, whatever they
        claim.

        Needed for upstreams whose deliveries name only an id of their own.
        """
        self._task_ids[reference] = task if isinstance(task, str) else task.task_id
        while len(self._task_ids) > self._remember:
            self._task_ids.popitem(last=False)

    async def receive(self, query: str, body: bytes) -> Delivery:
        """Take in one delivery.

        Args:
            query: the query string of the URL that was called.
            body: of the request.

        Raises:
            WebhookVerificationError: the token is missing, wrong or expired. Answer 403.
            WebhookPayloadError: the body is no task, or one that the gateway doesn't know. Answer 400.
            RelayDanceError: the task could not be fetched. Answer 503, so that the delivery comes again.
        """
        reference = verify_callback(query, secrets=self._secrets, now=self._now())
        hint = parse_delivery(body)
        task_id = self._task_ids.get(reference, hint.task_id)
        try:
            task = await self._client.video.retrieve(task_id)
        except NotFoundError:
            raise WebhookPayloadError(
                f"the gateway knows no task {task_id!r}; bind() the reference when the upstream sends an id of its own"
            ) from None
        for event in self._listeners.get(task_id, ()):
            event.set()
        return Delivery(reference, task, duplicate=task.is_terminal and not self._is_news(task))

    def forget(self, task: VideoTask | str) -> None:
        """Let the next delivery of an ended task count as the first: what was to be done about it has failed."""
        self._ended.pop(task if isinstance(task, str) else task.task_id, None)

    def _is_news(self, task: VideoTask) -> bool:
        if task.task_id in self._ended:
            return False
        self._ended[task.task_id] = None
        while len(self._ended) > self._remember:
            self._ended.popitem(last=False)
        return True

    @contextmanager
    def listen(self, task_id: str) -> Generator[Callable[[float], Awaitable[None]], None, None]:
        """For `client.video.wait(receiver=…)`: a sleep that a delivery for the task cuts short."""
        delivered = anyio.Event()
        listeners = self._listeners.setdefault(task_id, set())
        listeners.add(delivered)

        async def pause(seconds: float) -> None:
            nonlocal delivered
            with anyio.move_on_after(seconds):
                await delivered.wait()
            listeners.discard(delivered)
            delivered = anyio.Event()
            listeners.add(delivered)

        try:
            yield pause
        finally:
            listeners.discard(delivered)
            if not listeners:
                self._listeners.pop(task_id, None)
