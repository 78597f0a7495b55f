"""The hook that makes spans and metrics."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from ..._sansio.observer import CallInfo, CallObserver, WaitObserver
from ..._version import __version__
from ...errors import ConfigurationError
from . import names
from .attributes import cost_by_list, told_cost

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Tracer, TracerProvider

    from ...models.pricing import PriceList
    from .genai import GenAi
    from .metrics import Limiter, Metrics

_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
_SCHEMA = "https://opentelemetry.io/schemas/1.44.0"


class OpenTelemetry:
    """Spans and metrics of OpenTelemetry, by its conventions: `hooks=[OpenTelemetry()]`. The extra is `otel`.

    One span for each call, below the current one; one for each attempt, below that; one for each wait for a task. A
    stream's end when it ends. One hook can serve several clients.

    Args:
        tracer_provider: makes the spans; None: the global one.
        meter_provider: makes the metrics; None: the global one.
        content: whether prompts, answers and the gateway's words of errors are shown too. None: what
            OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT says ("true", "span_only" or "span_and_event"), else not.
        propagate: send the `traceparent` and `tracestate` headers to the API; never to another host.
        polls: whether the polls of a wait have spans too. Without them they are events of its span, and no metrics.
        prices: what `await client.account.prices()` gives: of a call whose answer doesn't tell, the cost is told by it.
            It can be set and renewed at any time: `hook.prices = …`. It is an estimate; see `PriceList.price_of`.
        cost: what a call has cost, in US dollars, from the call and its result, instead of all that.

    Raises:
        ConfigurationError: the extra is not installed.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        content: bool | None = None,
        propagate: bool = False,
        polls: bool = True,
        prices: PriceList | None = None,
        cost: Callable[[CallInfo, Any], float | None] | None = None,
    ) -> None:
        try:
            from opentelemetry import context, metrics, trace
        except ImportError:
            raise ConfigurationError(
                "OpenTelemetry() needs the extra otel: pip install 'relaydance-async[otel]'"
            ) from None
        from .genai import instruments
        from .metrics import Metrics as Instruments
        from .spans import IN_WAIT, CallSpans, WaitSpan

        self.content: bool = _asks_for_content() if content is None else content
        self.propagate: bool = propagate
        self.cost: Callable[[CallInfo, Any], float | None] = cost or self._known_cost
        self.prices = prices
        self.waiting: set[int] = set()
        self.tracer: Tracer = trace.get_tracer("relaydance_async", __version__, tracer_provider, _SCHEMA)
        meter = metrics.get_meter("relaydance_async", __version__, meter_provider, _SCHEMA)
        self.metrics: Metrics = Instruments(meter, lambda: len(self.waiting), self._limiters)
        self.genai: GenAi = instruments(meter)
        self._limits: WeakSet[Any] = WeakSet()
        self._call, self._wait = CallSpans, WaitSpan
        self._is_silent: Callable[[], object] = (lambda: None) if polls else (lambda: context.get_value(IN_WAIT))

    @property
    def prices(self) -> PriceList | None:
        """What models cost; None: not known."""
        return self._prices

    @prices.setter
    def prices(self, prices: PriceList | None) -> None:
        self._prices = prices
        self._by_model = {} if prices is None else prices.by_model()

    def _known_cost(self, call: CallInfo, result: object) -> float | None:
        told = told_cost(result)
        return cost_by_list(result, self._by_model.get(call.model or "")) if told is None else told

    def attach(self, limits: Any) -> None:
        """A client has this hook: what it knows of its limits."""
        self._limits.add(limits)

    def call_began(self, call: CallInfo) -> CallObserver | None:
        """A call begins."""
        return None if self._is_silent() else self._call(self, call)

    def wait_began(self, task_id: str) -> WaitObserver:
        """A wait for a task begins."""
        return self._wait(self, task_id)

    def _limiters(self) -> Iterator[tuple[dict[str, str], Limiter]]:
        for limits in list(self._limits):
            for owner, limiter in limits.limiters():
                yield {names.LIMITER: limiter.name, names.KEY: owner.rpartition(" ")[2]}, limiter


def _asks_for_content() -> bool:
    return os.environ.get(_CONTENT, "").strip().lower() in ("true", "1", "span_only", "span_and_event")
