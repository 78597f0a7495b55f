"""Everything the sandbox knows while it runs, shared by its routes."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ._accounts import Account, InsufficientBalanceError, Offer, Wallets
from ._books import CHARGE, ERROR, REFUND, Books, Row
from ._catalog import MODELS, Kind
from ._chat_script import ChatScript
from ._clock import Clock
from ._dialects import Dialect, Refusal
from ._exchange import Answer, Exchange
from ._faults import Fault, FaultPlan
from ._files import FileStore
from ._ledger import Ledger, LedgerEntry
from ._limits import Limiter
from ._tasks import Task, TaskStore

RELAYED = {
    "POST /v1/chat/completions",
    "POST /v1/images/generations",
    "POST /v1/images/edits",
    "POST /v1/video/generations",
}
"""What the gateway hands on, and writes into the key's log."""
WebhookShape = Literal["task", "wrapped", "upstream"]


@dataclass
class State:
    """The sandbox's memory."""

    dialect: Dialect
    signed: bool
    clock: Clock
    ledger: Ledger
    wallets: Wallets
    limiter: Limiter
    faults: FaultPlan
    files: FileStore
    extra_models: Mapping[str, Kind]
    max_body_bytes: int
    clip_bytes: int | None
    result_seconds: int | None
    webhook_shape: WebhookShape
    seed: int
    pricing: Offer = "on"
    chat: ChatScript = field(default_factory=ChatScript)
    books: Books = field(default_factory=Books)
    tasks: TaskStore = field(init=False)
    cdn_url: str = ""
    ports: Collection[int] = ()
    """The sandbox's own."""
    on_webhook: Callable[[Task], None] | None = None
    wake: asyncio.Event | None = None
    """Set to look again for the next task to end. Both exist only while the server runs."""
    images: OrderedDict[str, None] = field(default_factory=OrderedDict[str, None])

    uploads: dict[str, str] = field(default_factory=dict[str, str])
    """What was put into the assets' store: the SHA-256 of each, by its name."""
    assets: dict[str, object] = field(default_factory=dict[str, object])

    MOST_IMAGES = 100_000

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self._started = time.strftime("%Y%m%d%H%M%S", time.gmtime())

    def next_request_id(self) -> str:
        return f"{self._started}{next(self._numbers):09d}{self.seed & 0xFFFFFFFF:08x}"

    def models(self) -> dict[str, Kind]:
        return {**MODELS, **self.extra_models}

    def check_model(self, exchange: Exchange, model: str, kind: Kind) -> None:
        """Refuse a model that the key may not use, and one that there is no route to."""
        exchange.model = model
        allowed = exchange.account.models if exchange.account is not None else None
        if allowed is not None and model not in allowed:
            raise Refusal("model_forbidden", f"该令牌无权访问模型 {model}", param="model")
        if (self.extra_models.get(model) or MODELS.get(model)) != kind:
            message = f"No available channel for model {model} under group default (distributor)"
            raise Refusal("model_unknown", message, param="model")

    def charge(self, exchange: Exchange, units: int) -> None:
        try:
            self.wallets.charge(exchange.key, units)
        except InsufficientBalanceError:
            raise Refusal("balance_short", "用户额度不足, insufficient balance") from None

    def record(self, exchange: Exchange, route: str, answer: Answer, fault: Fault | None) -> None:
        """Write `answer`, as the caller will see it, into the ledger."""
        silent = fault is not None and (fault.stall or fault.loses_answer)
        entry = LedgerEntry(
            n=0,
            at=self.clock.now(),
            method=exchange.method,
            route=route,
            path=exchange.path,
            account=exchange.account.name if exchange.account is not None else "",
            status=0 if silent else answer.status,
            code=answer.code,
            request_id=exchange.request_id,
            accepted=answer.accepted,
            fault=fault.label if fault is not None else None,
            body_sha256=exchange.body_sha256,
            body_bytes=exchange.body_bytes,
            task_id=answer.task_id,
            charge_usd=0.0,
        )
        self.ledger.record(entry, units=answer.units if answer.accepted else 0)
        # What a stranger refused, the gateway has never seen; and what its own limiter refused, it hands to nobody.
        handed_on = exchange.ticket is not None and (fault is None or fault.imitates_gateway)
        if answer.accepted and answer.units:
            self._book(exchange, CHARGE, answer.units, "")
        elif route in RELAYED and handed_on and not silent and not answer.accepted and answer.status >= 400:
            self._book(exchange, ERROR, 0, f"status_code={answer.status}, {answer.code}")

    def _book(self, exchange: Exchange, type_: int, units: int, content: str) -> None:
        row = Row(
            type_,
            self.clock.now(),
            exchange.model,
            units,
            exchange.request_id,
            exchange.path,
            exchange.wants_stream,
            content,
        )
        self.books.add(exchange.key, row)

    def end_task(self, task: Task) -> None:
        """What happens once when a task ends: money back if it failed, and the webhook."""
        if task.script.outcome == "failed":
            self.wallets.refund(task.key, task.units)
            self.ledger.record_refund(task.ends, task.account, task.units, task.task_id)
            path, content = "/v1/video/generations", f"task {task.task_id} failed"
            row = Row(REFUND, task.ends, task.model, task.units, task.request_id, path, False, content)
            self.books.add(task.key, row)
        if task.callback_url is not None and self.on_webhook is not None:
            self.on_webhook(task)

    def remember_image(self, name: str) -> str:
        """The URL of an image on the result host."""
        self.images[name] = None
        if len(self.images) > self.MOST_IMAGES:
            self.images.popitem(last=False)
        return f"{self.cdn_url}/images/{name}.png"

    def account_of(self, exchange: Exchange) -> Account:
        if exchange.account is None:
            raise RuntimeError("the key has not been checked")
        return exchange.account

    def reset(self) -> None:
        self.tasks.reset()
        self.ledger.reset()
        self.faults.reset()
        self.limiter.reset()
        self.wallets.reset()
        self.books.reset()
        self.chat.clear()
        self.files.reset()
        self.images.clear()
        self.uploads.clear()
        self.assets.clear()
