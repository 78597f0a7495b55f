"""The receiver as an ASGI app: to be served alone, or mounted in Starlette or FastAPI."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

import anyio

from ..errors import RelayDanceError, WebhookPayloadError, WebhookVerificationError
from ._receiver import Delivery, WebhookReceiver

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

log = logging.getLogger("relaydance_async")


class _Refused(Exception):
    """An answer other than success."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class WebhookApp:
    """An ASGI app that receives deliveries and hands each ended task on, once.

    It answers 204 when the delivery is done with (also for a duplicate, and for a task that has not ended), 400 or 403
    when it is refused, 408 and 413 for a body that is too slow or too large, 503 when the task could not be fetched,
    and 500 when `on_task`
    raised: then the gateway delivers again.

    Args:
        receiver: verifies.
        on_task: awaited with each delivery of an ended task that is not a duplicate.
        max_body_bytes: of a delivery.
        body_timeout: seconds in which its body must have come.
    """

    def __init__(
        self,
        receiver: WebhookReceiver,
        on_task: Callable[[Delivery], Awaitable[None]],
        *,
        max_body_bytes: int = 1024 * 1024,
        body_timeout: float = 10.0,
    ) -> None:
        self._receiver = receiver
        self._on_task = on_task
        self._max_body_bytes = max_body_bytes
        self._body_timeout = body_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The ASGI entry point."""
        if scope["type"] != "http":
            return
        status = 204
        try:
            if scope["method"] != "POST":
                raise _Refused(405)
            await self._handle(scope["query_string"].decode("latin-1"), await self._read(receive))
        except _Refused as refusal:
            status = refusal.status
        except WebhookVerificationError:
            status = 403
        except WebhookPayloadError:
            status = 400
        except RelayDanceError as error:
            log.warning("a webhook's task could not be fetched: %s", error)
            status = 503
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    async def _handle(self, query: str, body: bytes) -> None:
        delivery = await self._receiver.receive(query, body)
        if delivery.duplicate or not delivery.task.is_terminal:
            return
        try:
            await self._on_task(delivery)
        except Exception as error:
            self._receiver.forget(delivery.task)
            log.exception("on_task raised for task %s", delivery.task.task_id)
            raise _Refused(500) from error
        except BaseException:
            self._receiver.forget(delivery.task)
            raise

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
