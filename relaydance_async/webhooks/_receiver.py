"""Verifies deliveries, and asks the gateway what is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from .._client import AsyncRelayDance
from .._sansio.webhook import SigningSecret, VerifiedCallback, build_callback_url, parse_delivery, verify_callback
from ..errors import (
    ConfigurationError,
    InvalidInputError,
    NotFoundError,
    WebhookPayloadError,
    WebhookVerificationError,
)
from ..journal import Journal, TaskNote
from ..models.video import MOST_SECONDS, VideoTask
from ..resources._task_events import OnEnd
from ._memory import Bindings, Recent

EXPIRES_IN = 48 * 3600.0
"""Seconds; twice what the gateway gives a task before it gives up."""

_MIN_SECRET = 16
"""Bytes."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery that was ours.

    Attributes:
        reference: the caller's, from the callback URL.
        task: as the gateway answered for it, not as the delivery claimed.
        duplicate: whether the same end of the same task was received before.
        early: whether the delivery claims an end that the gateway does not know of yet. Answer 503, so that it comes
            again: then the gateway knows, or it was a lie.
    """

    reference: str
    task: VideoTask
    duplicate: bool = False
    early: bool = False


class WebhookReceiver:
    """Mints callback URLs and receives what is sent to them.

    RelayDance signs no webhook. So each callback URL carries a token (HMAC-SHA256 over a reference of yours and a
    time), and of a delivery only the task's id is used: the task is fetched with the key.

    What it remembers is in this process only, and bounded. It belongs to one event loop at a time.

    Args:
        client: fetches the tasks.
        secret: at least 16 bytes, kept on the server; several, the first of which signs, while secrets are rotated.
        remember: how many ended tasks, whose repeated deliveries are then known as such and cost no fetch, and how many
            bound references are kept; the oldest are forgotten first.
        journal: the client's. A delivery then also tells that the request whose `callback_url` was minted here was
            accepted, as which task: so a request that is in doubt is decided.
        now: Unix time in seconds.

    Raises:
        ConfigurationError: a secret that is too short or is neither text nor bytes, or nothing to be remembered.
    """

    def __init__(
        self,
        client: AsyncRelayDance,
        *,
        secret: str | bytes | Sequence[str | bytes],
        remember: int = 10_000,
        journal: Journal | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        # First all are masked: the traceback of an error shows what is named here.
        given: object = secret if isinstance(secret, list | tuple) else [secret]
        self._secrets = [SigningSecret.of(value) for value in cast("list[object]", given)]
        del secret, given
        if not self._secrets or any(len(value) < _MIN_SECRET for value in self._secrets):
            raise ConfigurationError(f"a webhook secret is text or bytes, at least {_MIN_SECRET} bytes of it")
        if remember < 1:
            raise ConfigurationError(f"remember must be 1 or more, not {remember!r}")
        self._journal = journal
        self._origin = client._api.origin  # pyright: ignore[reportPrivateUsage]
        self._now = now
        self._ended: Recent[VideoTask] = Recent(remember)
        self._bindings = Bindings(remember)
        self._subscribers: dict[str, list[OnEnd]] = {}

    def __repr__(self) -> str:
        return f"<WebhookReceiver of {self._client!r}>"

    def callback_url(self, url: str, reference: str, *, expires_in: float = EXPIRES_IN) -> str:
        """The URL to give as `callback_url`.

        Args:
            url: where your server receives deliveries; its own query is kept.
            reference: comes back in the delivery; an order number, say. Anyone who sees the URL can read it.
            expires_in: seconds that the token is valid.

        Raises:
            InvalidInputError: the URL is not an absolute one, or has a token already; the reference is no text, or
                can't be sent; or `expires_in` is not a number of seconds above 0.
        """
        if not 0 < expires_in < MOST_SECONDS:
            raise InvalidInputError(f"expires_in must be more than 0 seconds, and finite, not {expires_in!r}")
        expires_at = int(self._now() + expires_in)
        return build_callback_url(url, reference, secret=self._secrets[0], expires_at=expires_at)

    def bind(self, reference: str, task: VideoTask | str) -> None:
        """Say which task a reference stands for; one reference, one task.

        Deliveries with that reference are then of this task, whatever they claim, and those with another reference
        can't be of it. Needed besides for upstreams whose deliveries name only an id of their own.

        Raises:
            InvalidInputError: the reference is no text, as that of a delivery always is.
        """
        if not isinstance(cast(object, reference), str):
            raise InvalidInputError(f"a reference is text, not {reference!r:.80}")
        self._bindings.add(reference, task if isinstance(task, str) else task.task_id)

    def verify(self, query: str) -> str:
        """The reference of a delivery, before its body is read.

        Args:
            query: the query string of the URL that was called.

        Raises:
            WebhookVerificationError: the token is missing, wrong or expired. Answer 403.
        """
        return self.verify_once(query).reference

    def verify_once(self, query: str) -> VerifiedCallback:
        """Like `verify`; the result can be given to `receive`, which then does not verify a second time."""
        return verify_callback(query, secrets=self._secrets, now=self._now())

    async def receive(self, query: str | VerifiedCallback, body: bytes) -> Delivery:
        """Take in one delivery.

        Args:
            query: the query string of the URL that was called, or the result of `verify_once` for it.
            body: of the request.

        Raises:
            WebhookVerificationError: the token is missing, wrong or expired, or of another task. Answer 403.
            WebhookPayloadError: the body is no task: answer 400. Or, with `retryable`, one that the gateway doesn't
                know: answer 503, for it may be an upstream's id that is not bound yet.
            RelayDanceError: the task could not be fetched, or not noted in the journal. Answer 503, so that the
                delivery comes again.

        Cancelling it leaves nothing behind: the next delivery of the task counts as the first.
        """
        verified = self.verify_once(query) if isinstance(query, str) else query
        reference = verified.reference
        claim = parse_delivery(body)
        task_id = self._bindings.task_id(reference)
        if task_id is None:
            task_id = claim.task_id
            if self._bindings.reference(task_id) is not None:
                raise WebhookVerificationError(f"the task {task_id!r} is bound to another reference")
        if (known := self._ended.get(task_id)) is not None:
            self._tell_subscribers(known)
            return Delivery(reference, known, duplicate=True)
        task = await self._fetch(task_id)
        await self._note(verified, task)
        if not task.is_terminal:
            return Delivery(reference, task, early=claim.is_terminal)
        self._tell_subscribers(task)
        # Another delivery may have come while this one fetched.
        return Delivery(reference, task, duplicate=not self._ended.add(task.task_id, task))

    async def _fetch(self, task_id: str) -> VideoTask:
        try:
            return await self._client.video.retrieve(task_id)
        except NotFoundError:
            raise WebhookPayloadError(
                f"the gateway knows no task {task_id!r}; bind() the reference when the upstream sends an id of its own",
                retryable=True,
            ) from None

    async def _note(self, verified: VerifiedCallback, task: VideoTask) -> None:
        """Let the journal know which task became of the request with this callback URL."""
        if self._journal is None:
            return
        answer = task.model_dump_json(exclude_unset=True)
        note = TaskNote(self._origin, task.task_id, task.status, self._now(), answer)
        await self._journal.note_callback(self._origin, verified.token_hash, note)
        if task.is_terminal:
            self._journal.note_task_soon(note)

    def forget(self, task: VideoTask | str) -> None:
        """Let the next delivery of an ended task count as the first: what was to be done about it has failed."""
        self._ended.discard(task if isinstance(task, str) else task.task_id)

    @contextmanager
    def subscribe(self, task_id: str, on_end: OnEnd) -> Generator[None, None, None]:
        """Have the function called with the ended task, each time that a delivery of its end is received. For
        `client.video.wait(receiver=…)`."""
        subscribers = self._subscribers.setdefault(task_id, [])
        subscribers.append(on_end)
        try:
            yield
        finally:
            subscribers.remove(on_end)
            if not subscribers:
                del self._subscribers[task_id]

    def _tell_subscribers(self, task: VideoTask) -> None:
        # Only of the task that was shown, whatever id it was asked for with: a cache may mix answers up.
        for on_end in list(self._subscribers.get(task.task_id, ())):
            on_end(task)
