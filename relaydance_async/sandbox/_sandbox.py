"""The sandbox itself: its options, and its life from start to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable, Mapping
from typing import ClassVar, Self

from starlette.types import ASGIApp

from ._accounts import Account, Offer, Wallets, check_offer
from ._admin import Admin
from ._app import ApiApp
from ._catalog import Kind
from ._cdn import CdnApp
from ._chat_script import ChatScript
from ._checks import check_whole
from ._clock import Clock
from ._connections import Connections
from ._delivery import Delivery
from ._dialects import Dialect
from ._faults import Fault, FaultPlan
from ._files import FileStore
from ._ledger import Ledger
from ._limits import Limiter, RateLimit
from ._server import serve
from ._sockets import bind_socket, is_loopback, origin_of
from ._state import State, WebhookShape
from ._tasks import TaskPlan, TaskStore
from ._thread import LoopThread
from ._video import clip_url
from ._webhooks import Webhooks

logger = logging.getLogger("relaydance_async.sandbox")


class Sandbox:
    """A local RelayDance. A context manager, plain or async; both run it in a background thread.

    It answers in the `dialect` "gateway" (what arrives) or "documented". Tasks, webhook retries, limits and timestamps
    follow `clock`, which runs `time_scale` times faster than real time; fault delays are real seconds.
    Its answers bear the gateway's mark (`X-Oneapi-Request-Id`, `X-New-Api-Version`) when `signed`, by default in the
    dialect "gateway" only. `ledger` keeps the last `ledger_limit` entries and exact counts. Clips have their own small
    size, or `clip_bytes`; their URLs are signed, and expire `result_seconds` of the clock later (None: never).
    """

    DEFAULT_KEY: ClassVar[str] = "sk-sandbox-0001"

    def __init__(
        self,
        *,
        dialect: Dialect = "gateway",
        host: str = "127.0.0.1",
        port: int = 0,
        cdn_port: int = 0,
        accounts: Mapping[str, Account] | None = None,
        rate_limit: RateLimit | Iterable[RateLimit] | None = None,
        faults: Iterable[Fault] | FaultPlan = (),
        tasks: TaskPlan | None = None,
        time_scale: float = 1.0,
        seed: int = 0,
        max_body_bytes: int = 128 * 2**20,
        clip_bytes: int | None = None,
        ledger_limit: int | None = 100_000,
        webhook_shape: WebhookShape | None = None,
        extra_models: Mapping[str, Kind] | None = None,
        keep_alive: int = 75,
        signed: bool | None = None,
        result_seconds: int | None = 1800,
        pricing: Offer = "on",
    ) -> None:
        if dialect not in ("gateway", "documented"):
            raise ValueError(f"dialect must be 'gateway' or 'documented', not {dialect!r}")
        self.accounts: dict[str, Account] = dict(accounts) if accounts is not None else {self.DEFAULT_KEY: Account()}
        if not self.accounts:
            raise ValueError("the sandbox needs at least one account")
        check_offer("pricing", pricing)
        check_whole("max_body_bytes", max_body_bytes, 1)
        check_whole("clip_bytes", clip_bytes or 0)
        check_whole("ledger_limit", ledger_limit or 0)
        check_whole("keep_alive", keep_alive, 0, 86_400)
        if result_seconds is not None:
            check_whole("result_seconds", result_seconds, 1, 10**9)
        self.clock: Clock = Clock(time_scale)
        self.ledger: Ledger = Ledger(ledger_limit)
        self.faults: FaultPlan = faults if isinstance(faults, FaultPlan) else FaultPlan(faults, seed)
        limits = (rate_limit,) if isinstance(rate_limit, RateLimit) else rate_limit or ()
        self._host, self._ports, self._keep_alive = host, (port, cdn_port), keep_alive
        self._state = State(
            dialect=dialect,
            signed=dialect == "gateway" if signed is None else signed,
            clock=self.clock,
            ledger=self.ledger,
            wallets=Wallets(self.accounts),
            limiter=Limiter(limits, self.clock),
            faults=self.faults,
            files=FileStore(seed),
            extra_models=dict(extra_models or {}),
            max_body_bytes=max_body_bytes,
            clip_bytes=clip_bytes,
            result_seconds=result_seconds,
            webhook_shape=webhook_shape or ("task" if dialect == "documented" else "wrapped"),
            seed=seed,
            pricing=pricing,
        )
        self._state.tasks = TaskStore(self.clock, TaskPlan() if tasks is None else tasks, seed, self._state.end_task)
        self.clock.subscribe(self._state.tasks.settle)
        self._thread: LoopThread | None = None
        self._root_url = ""

    @property
    def dialect(self) -> Dialect:
        """Which dialect it answers in."""
        return self._state.dialect

    @property
    def chat(self) -> ChatScript:
        """What the next chats answer: `sandbox.chat.reply("Hello", finish_reason="length")`."""
        return self._state.chat

    @property
    def api_key(self) -> str:
        """The first account's key."""
        return next(iter(self.accounts))

    @property
    def root_url(self) -> str:
        """The API's origin, such as "http://127.0.0.1:8080"."""
        return self._running(self._root_url)

    @property
    def base_url(self) -> str:
        """What a client takes as its base URL: the origin and "/v1"."""
        return f"{self.root_url}/v1"

    @property
    def cdn_url(self) -> str:
        """The result host's origin."""
        return self._running(self._state.cdn_url)

    def clip_url(self, task_id: str) -> str:
        """The URL of the task's clip, signed now; it is there once the task has succeeded. KeyError for no task."""
        task = self._state.tasks.any_with_id(task_id)
        if task is None:
            raise KeyError(task_id)
        self._running(self._root_url)
        return clip_url(self._state, task)

    def _running(self, url: str) -> str:
        if self._thread is None:
            raise RuntimeError("the sandbox is not running: use it in a `with` or `async with` block")
        return url

    def start(self) -> None:
        """Listen. Returns once callers can connect."""
        if self._thread is not None:
            raise RuntimeError("the sandbox is already running")
        api = bind_socket(self._host, self._ports[0])
        try:
            cdn = bind_socket(self._host, self._ports[1])
        except OSError:
            api.close()
            raise
        self._root_url, self._state.cdn_url = origin_of(api), origin_of(cdn)
        self._state.ports = (api.getsockname()[1], cdn.getsockname()[1])
        if not is_loopback(self._host):
            logger.warning(
                "the sandbox listens on %s: other machines can reach it, and its key is no secret", self._host
            )
        connections = Connections()
        delivery = Delivery(connections)
        apps: list[tuple[ASGIApp, socket.socket]] = [
            (ApiApp(self._state, delivery, Admin(self._state, self._host)), api),
            (CdnApp(self._state, delivery), cdn),
        ]
        thread = LoopThread(
            "relaydance-sandbox",
            lambda: serve(apps, connections, self._run_background, keep_alive=self._keep_alive),
        )
        thread.start()
        self._thread = thread

    def stop(self) -> None:
        """Break every connection and wait for the thread. Safe to call twice."""
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.stop()
            self._state.files.reset()

    def reset(self) -> None:
        """Forget the ledger, tasks, files and spending, and count calls for faults from 1 again. The clock stays."""
        self._state.reset()

    async def _run_background(self) -> None:
        """End tasks when they are due, whether or not anybody asks, and deliver their webhooks."""
        webhooks = Webhooks(self._state)
        self._state.on_webhook = webhooks.submit
        self._state.wake = asyncio.Event()
        try:
            while True:
                self._state.tasks.settle()
                due = self._state.tasks.next_end()
                wait = 3600.0 if due is None else max(0.0, due - self.clock.now())
                await self.clock.sleep(wait, interrupt=self._state.wake)
        finally:
            self._state.on_webhook = None
            await webhooks.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # Starting and stopping take milliseconds and must also work while the caller's task is being cancelled, so they
    # block instead of awaiting.
    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.stop()
