"""The receiver as an ASGI app: to be served alone, or as a route of Starlette or FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio

from .._sansio.redact import one_line
from .._sansio.webhook import VerifiedCallback
from ..errors import RelayDanceError, WebhookPayloadError, WebhookVerificationError
from ._receiver import Delivery, WebhookReceiver

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers: TypeAlias = list[tuple[bytes, bytes]]

log = logging.getLogger("relaydance_async")


class _Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Handling:
    """A delivery that `on_task` is at work on."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.failed = True


class WebhookApp:
    """An ASGI app that receives deliveries and hands each ended task on, once.

    It answers 204 when the delivery is done with (also for a duplicate), 403 when its token is not ours, 400, 405, 408,
    413 and 415 when it can't be read (no task, not a POST, too slow, too large, compressed), 503 when the task could
    not be fetched, is not known, or has not ended although the delivery says so, and 500 when `on_task` raised: then
    the gateway delivers again. The token is checked before the body is read. A duplicate that comes while `on_task` is
    still at work waits for it and gets the same answer.

    Args:
        receiver: verifies.
        on_task: awaited with each delivery of an ended task that is not a duplicate, several at once for different
            tasks. None when the deliveries only end waits (`client.video.wait(receiver=…)`).
        max_body_bytes: of a delivery.
        body_timeout: seconds in which its body must have come.
    """

    def __init__(
        self,
        receiver: WebhookReceiver,
        on_task: Callable[[Delivery], Awaitable[None]] | None = None,
        *,
        max_body_bytes: int = 1024 * 1024,
        body_timeout: float = 10.0,
    ) -> None:
        self._receiver = receiver
        self._on_task = on_task
        self._max_body_bytes = max_body_bytes
        self._body_timeout = body_timeout
        self._handlings: dict[str, _Handling] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close"})
        else:
            status, unread = await self._answer(scope, receive)
            headers: Headers = [(b"content-length", b"0")]
            if status == 405:
                headers.append((b"allow", b"POST"))
            if unread and scope.get("http_version", "1.1").startswith("1"):
                headers.append((b"connection", b"close"))  # rather than wait for what nobody reads
            if status != 204:
                headers.append((b"cache-control", b"no-store"))
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[int, bool]:
        """The status, and whether the body was left unread."""
        unread = True
        try:
            verified = self._check_head(scope)
            body = await self._read(receive)
            unread = False
            await self._hand_on(await self._receiver.receive(verified, body))
        except _Refused as refusal:
            return refusal.status, unread
        except WebhookVerificationError:
            return 403, unread
        except WebhookPayloadError as error:
            return (503 if error.retryable else 400), unread
        except RelayDanceError as error:
            log.warning("a webhook's task could not be fetched: %s", one_line(str(error)))
            return 503, unread
        return 204, unread

    def _check_head(self, scope: Scope) -> VerifiedCallback:
        """All that can be said before the body is read."""
        if scope["method"] != "POST":
            raise _Refused(405)
        verified = self._receiver.verify_once(scope["query_string"].decode("latin-1"))
        headers: dict[bytes, bytes] = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise _Refused(415)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and (len(length) > 18 or int(length) > self._max_body_bytes):
            raise _Refused(413)
        return verified

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        with anyio.move_on_after(self._body_timeout):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _Refused(400)
                body += message.get("body", b"")
                if len(body) > self._max_body_bytes:
                    raise _Refused(413)
                if not message.get("more_body", False):
                    return bytes(body)
        raise _Refused(408)

    async def _hand_on(self, delivery: Delivery) -> None:
        if delivery.early:
            raise _Refused(503)
        if not delivery.task.is_terminal or self._on_task is None:
            return
        # The receiver may have forgotten one that is still at work.
        if (handling := self._handlings.get(delivery.task.task_id)) is not None:
            await handling.ended.wait()
            if handling.failed:
                raise _Refused(500)
        elif not delivery.duplicate:
            await self._handle(delivery, self._on_task)

    async def _handle(self, delivery: Delivery, on_task: Callable[[Delivery], Awaitable[None]]) -> None:
        task_id = delivery.task.task_id
        handling = self._handlings[task_id] = _Handling()
        try:
            await on_task(delivery)
            handling.failed = False
        except Exception as error:
            log.exception("on_task raised for task %s", task_id)
            raise _Refused(500) from error
        finally:
            del self._handlings[task_id]
            if handling.failed:
                self._receiver.forget(task_id)
            handling.ended.set()


async def _live(receive: Receive, send: Send) -> None:
    """The lifespan of a server that serves nothing else: there is nothing to start or to stop."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
