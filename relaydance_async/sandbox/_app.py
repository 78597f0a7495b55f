"""The API: every request's way from the key check to the ledger."""

from __future__ import annotations

import logging
import traceback

from starlette.types import Receive, Scope, Send

from ._admin import Admin
from ._delivery import Delivery
from ._dialects import Refusal, render_console, render_refusal, render_unknown_path
from ._exchange import Answer, BodyTooLargeError, ClientGoneError, Exchange
from ._fault_answers import build_fault_answer
from ._faults import STRANGERS, Fault
from ._json import dump
from ._limits import retry_after_headers
from ._routes import Route, find_route
from ._state import State

VERSION = "v1.0.0-rc.24"

logger = logging.getLogger("relaydance_async.sandbox")


class ApiApp:
    """The ASGI app of the API's port."""

    def __init__(self, state: State, delivery: Delivery, admin: Admin) -> None:
        self._state = state
        self._delivery = delivery
        self._admin = admin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send, self._state.next_request_id())
        try:
            if exchange.path.startswith("/_sandbox"):
                await self._delivery.send(exchange, await self._admin.answer(exchange), None, [])
            else:
                await self._serve(exchange)
        except ClientGoneError:
            return

    async def _serve(self, exchange: Exchange) -> None:
        found = find_route(exchange.method, exchange.path)
        if found is None:
            await exchange.drain()
            answer = self._no_route(exchange)
            self._state.record(exchange, "UNKNOWN", answer, None)
            await self._delivery.send(exchange, answer, None, self._common_headers(exchange))
            return
        route, exchange.params = found
        answer, fault = await self._answer(exchange, route)
        headers = self._common_headers(exchange) if fault is None or fault.by is None else STRANGERS[fault.by].items()
        await self._delivery.send(exchange, answer, fault, list(headers))

    async def _answer(self, exchange: Exchange, route: Route) -> tuple[Answer, Fault | None]:
        """The answer to send and the fault that spoils it, with the ledger written."""
        fault: Fault | None = None
        try:
            await self._read(exchange, route)
            self._admit(exchange, route)
            fault = self._state.faults.choose(route.template)
            if fault is not None and fault.replaces_answer and not fault.after_accept:
                await exchange.drain()
                answer = build_fault_answer(fault, self._state.dialect, route.family, exchange.request_id)
                self._state.record(exchange, route.template, answer, fault)
                return answer, fault
            answer = await route.handler(self._state, exchange)
        except Refusal as refusal:
            await exchange.drain()
            answer = render_refusal(refusal, self._state.dialect, route.family, exchange.request_id)
            answer.accepted = False
            if exchange.wants_stream and self._state.dialect == "gateway":
                # The gateway has said text/event-stream before it knows that there will be no stream.
                answer.content_type = "text/event-stream"
            self._state.record(exchange, route.template, answer, None)
            return answer, None
        except ClientGoneError:
            raise
        except Exception:
            logger.exception("the sandbox itself failed")
            answer = Answer(500, dump({"sandbox_bug": traceback.format_exc()}), accepted=False, code="sandbox_bug")
        return self._accept(exchange, route, answer, fault), fault

    def _accept(self, exchange: Exchange, route: Route, answer: Answer, fault: Fault | None) -> Answer:
        sent = answer
        if fault is not None and fault.after_accept and fault.replaces_answer:
            sent = build_fault_answer(fault, self._state.dialect, route.family, exchange.request_id)
            sent.accepted, sent.task_id, sent.units = answer.accepted, answer.task_id, answer.units
        self._state.record(exchange, route.template, sent, fault)
        return sent

    async def _read(self, exchange: Exchange, route: Route) -> None:
        if route.multipart:
            return
        try:
            await exchange.read_body(self._state.max_body_bytes)
        except BodyTooLargeError:
            raise Refusal("too_large", "request body too large") from None
        if b'"stream"' in exchange.body:
            try:
                exchange.wants_stream = exchange.json().get("stream") is True
            except ValueError:
                exchange.wants_stream = False

    def _admit(self, exchange: Exchange, route: Route) -> None:
        """Check the key, then the rate limit."""
        if route.open_to_all:
            return
        scheme, _, key = exchange.header(b"authorization").partition(" ")
        account = self._state.wallets.find(key.strip()) if scheme.lower() == "bearer" else None
        if account is None or account.disabled:
            raise Refusal("invalid_key", "Invalid token")
        exchange.key, exchange.account = key.strip(), account
        limit = self._state.limiter.limit
        wait = self._state.limiter.wait_needed(exchange.key, route.template)
        if limit is not None and wait:
            headers = retry_after_headers(limit.retry_after, wait)
            raise Refusal("rate_limited", "rate limit exceeded", headers=headers, empty=limit.empty_body)

    def _no_route(self, exchange: Exchange) -> Answer:
        if exchange.path.startswith(("/v1", "/api")):
            answer = render_unknown_path(exchange.method, exchange.path, self._state.dialect)
            answer.accepted = False
            return answer
        return render_console()

    def _common_headers(self, exchange: Exchange) -> list[tuple[str, str]]:
        if self._state.dialect == "documented":
            return [("x-request-id", exchange.request_id)]
        return [("x-oneapi-request-id", exchange.request_id), ("x-new-api-version", VERSION)]
