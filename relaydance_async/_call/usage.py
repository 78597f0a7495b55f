"""What the calls of a stretch of a program used: counted where a call ends, by whoever tracks it in its context."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar, Token
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from pydantic import BaseModel

from .._sansio.request import PreparedRequest
from .._sansio.target import ApiTarget
from .._sansio.usage import items_of, tokens_of, total_tokens_of
from ..errors import InvalidInputError, maybe_accepted
from ..models.usage import ModelUsage, UsageCost, UsageTotals
from .receive import Receiver

if TYPE_CHECKING:
    from ..models.pricing import PriceList

T = TypeVar("T")


class UsageTracker(UsageTotals):
    """Counts what is billed of the calls that begin within its `with`, in this task and in those that it starts.

    It counts calls of the client and of its views. Trackers may lie in one another: each counts for itself. A call that
    goes on after the `with` is counted when it ends, a stream at its end. What a journal replays is not counted: it
    was paid for before.

    Args:
        owner: whose calls are counted: what is known of the limits of the same key.
        prices: gets the price list.
    """

    def __init__(self, owner: object, prices: Callable[[], Awaitable[PriceList]]) -> None:
        super().__init__()
        self._owner = owner
        self._prices = prices
        self._lock = threading.Lock()
        self._token: Token[tuple[UsageTracker, ...]] | None = None

    def __enter__(self) -> Self:
        if self._token is not None:
            raise InvalidInputError("a tracker is entered once; call track_usage() again")
        self._token = _TRACKERS.set((*_TRACKERS.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Not `reset`, which fails in another context: a fixture may be left in one.
        _TRACKERS.set(tuple(each for each in _TRACKERS.get() if each is not self))

    async def cost(self) -> UsageCost:
        """What it costs by the gateway's price list, which is asked for (`GET /api/pricing`).

        An estimate: by the price of the dearest group that may use the model, and without discounts for cached tokens.
        A clip whose task fails later is given back; it is still in here.

        Raises:
            NotFoundError: the gateway doesn't tell its prices.
            RelayDanceError: they could not be read now.
        """
        return self.priced(await self._prices())

    def counts(self, owner: object) -> bool:
        """Whether it counts the calls of that client."""
        return self._owner is owner

    def add(
        self,
        model: str,
        *,
        requests: int = 0,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        total_tokens: int = 0,
        untold: int = 0,
        items: int = 0,
    ) -> None:
        """Count something of a model: see `ModelUsage`. Thread-safe."""
        with self._lock:
            used = self.by_model.setdefault(model, ModelUsage())
            used.requests += requests
            used.prompt_tokens += prompt_tokens
            used.completion_tokens += completion_tokens
            used.total_tokens += total_tokens
            used.untold += untold
            used.items += items


_TRACKERS: ContextVar[tuple[UsageTracker, ...]] = ContextVar("relaydance_usage", default=())


tracking = _TRACKERS.get
"""All who count something here."""


def trackers_of(owner: object, request: PreparedRequest) -> tuple[UsageTracker, ...]:
    """Who counts what that call uses."""
    found = tracking()
    if not found or not request.safety.billed or request.model is None:
        return ()
    return tuple(each for each in found if each.counts(owner))


async def counted(
    call: Coroutine[Any, Any, T], request: PreparedRequest, receive: Receiver[T], trackers: tuple[UsageTracker, ...]
) -> T:
    """Make the call, and count it."""
    model = request.model or ""
    try:
        result = await call
    except BaseException as error:
        if maybe_accepted(error):
            _add(trackers, model, requests=1, untold=1)
        raise
    if getattr(getattr(result, "meta", None), "replayed", False):
        return result
    # A stream tells at its end, if it comes to that.
    _add(trackers, model, requests=1, untold=1)
    by_call = _is_billed_by_call(request)

    async def told(answer: BaseModel) -> None:
        _add(trackers, model, **_numbers(answer, by_call=by_call))

    if receive.kept is not None:
        await receive.kept.keep(result, told)
    else:
        _add(trackers, model, untold=-1 if by_call else 0, items=1)
    return result


def _is_billed_by_call(request: PreparedRequest) -> bool:
    """Whether it is billed without tokens (API documentation, "Billing")."""
    return isinstance(request.target, ApiTarget) and request.target.route.startswith(("/images/", "/video"))


def _add(trackers: tuple[UsageTracker, ...], model: str, **numbers: int) -> None:
    for tracker in trackers:
        tracker.add(model, **numbers)


def _numbers(answer: BaseModel, *, by_call: bool) -> dict[str, int]:
    """What an answer says of its own usage. One of any endpoint may be a dict."""
    items, (prompt, completion) = items_of(answer), tokens_of(answer)
    if prompt is None and completion is None:
        return {"items": items, "untold": -1 if by_call else 0}
    tokens = {"prompt_tokens": prompt or 0, "completion_tokens": completion or 0}
    total = total_tokens_of(answer)
    return {"items": items, "untold": -1, **tokens, "total_tokens": sum(tokens.values()) if total is None else total}
