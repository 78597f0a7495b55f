"""The sandbox's own routes under /_sandbox: what a test in another process or language looks at and turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from ._chat_script import ChatReply
from ._exchange import Answer, Exchange
from ._faults import Fault
from ._json import Json, as_list, as_object, dump, parse
from ._sockets import is_loopback
from ._state import State


class Admin:
    """Answers /_sandbox/… without a key: to callers on this machine, and to no web page that their browser shows."""

    def __init__(self, state: State, host: str) -> None:
        self._state = state
        self._host = host
        self._routes: dict[str, Callable[[Any], Json]] = {
            "GET /_sandbox/ledger": self._ledger,
            "GET /_sandbox/tasks": self._tasks,
            "POST /_sandbox/clock": self._clock,
            "POST /_sandbox/chat": self._chat,
            "POST /_sandbox/faults": self._faults,
            "POST /_sandbox/reset": self._reset,
        }

    async def answer(self, exchange: Exchange) -> Answer:
        await exchange.read_body(2**20)
        if (reason := self._why_refused(exchange)) is not None:
            return Answer(403, dump({"error": reason}))
        route = self._routes.get(f"{exchange.method} {exchange.path}")
        if route is None:
            return Answer(404, dump({"error": "no such route", "routes": sorted(self._routes)}))
        try:
            return Answer(200, dump(route(parse(exchange.body or b"{}"))))
        except (TypeError, ValueError) as error:
            return Answer(400, dump({"error": str(error)}))

    def _why_refused(self, exchange: Exchange) -> str | None:
        client = exchange.scope["client"]
        if client is not None and not is_loopback(client[0]):
            return "only from this machine"
        # A page of any site can have the browser send a POST here; the browser then names the page's origin.
        if b"origin" in exchange.headers:
            return "not from a web page: the request has an Origin"
        # And a site can give its own name the address 127.0.0.1, but the browser still sends that name.
        host = _hostname(exchange.header(b"host"))
        if host not in ("", self._host) and not is_loopback(host):
            return "not under this name: the Host must be an address of this machine"
        return None

    def _ledger(self, body: object) -> Json:
        self._state.tasks.settle()
        return self._state.ledger.to_json()

    def _tasks(self, body: object) -> Json:
        self._state.tasks.settle()
        now = self._state.clock.now()
        tasks = [
            {
                "n": task.n,
                "task_id": task.task_id,
                "account": task.account,
                "model": task.model,
                "phase": task.phase(now),
                "progress": task.progress(now),
                "created": task.created,
                "reason": task.script.reason if task.phase(now) == "failed" else None,
                "callback_url": task.callback_url,
            }
            for task in self._state.tasks.all()
        ]
        return {"now": now, "tasks": tasks}

    def _clock(self, body: object) -> Json:
        self._state.clock.advance(as_object(body).get("advance", 0.0))
        return {"now": self._state.clock.now()}

    def _chat(self, body: object) -> Json:
        """One reply, an array of them, or `{"clear": true}`."""
        script = self._state.chat
        if as_object(body).get("clear") is True:
            script.clear()
        else:
            script.add(*[ChatReply.from_json(item) for item in (as_list(body) or [body])])
        return {"left": script.left}

    def _faults(self, body: object) -> Json:
        """One fault, an array of them, or `{"clear": true}`."""
        plan = self._state.faults
        if as_object(body).get("clear") is True:
            plan.clear()
        else:
            for fault in [Fault.from_json(item) for item in (as_list(body) or [body])]:
                plan.add(fault)
        return {"fired": plan.fired}

    def _reset(self, body: object) -> Json:
        self._state.reset()
        return {"ok": True}


def _hostname(header: str) -> str:
    try:
        return urlsplit(f"//{header}").hostname or ""
    except ValueError:
        return "?"
