"""The instruments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Protocol

from opentelemetry.metrics import CallbackOptions, Counter, Histogram, Meter, Observation

SECONDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
HTTP_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]


class Limiter(Protocol):
    """What is known of one limit; see `LimiterSnapshot`."""

    @property
    def name(self) -> str: ...

    @property
    def rate(self) -> float | None: ...

    @property
    def in_flight_limit(self) -> float | None: ...


class Metrics:
    """The instruments of HTTP, and our own.

    Args:
        meter: makes them.
        waiting: how many attempts wait for their turn.
        limiters: what is known of limits, of all clients.
    """

    def __init__(
        self, meter: Meter, waiting: Callable[[], int], limiters: Callable[[], Iterable[tuple[Any, Limiter]]]
    ) -> None:
        def seconds(name: str, what: str, buckets: list[float] = SECONDS) -> Histogram:
            return meter.create_histogram(name, "s", what, explicit_bucket_boundaries_advisory=buckets)

        self.http: Histogram = seconds(
            "http.client.request.duration", "Duration of HTTP client requests.", HTTP_SECONDS
        )
        self.queued: Histogram = seconds(
            "relaydance.client.queue.duration", "Time that attempts waited for their turn."
        )
        self.retries: Counter = meter.create_counter(
            "relaydance.client.retries", "{attempt}", "Attempts that are repeated."
        )
        self.cost: Counter = meter.create_counter(
            "relaydance.client.cost", "{USD}", "What calls have cost, where it is known."
        )

        def length(_: CallbackOptions) -> Iterator[Observation]:
            yield Observation(waiting())

        def limits(value_of: Callable[[Limiter], float | None]) -> Callable[[CallbackOptions], list[Observation]]:
            def observe(_: CallbackOptions) -> list[Observation]:
                found: list[Observation] = []
                with suppress(RuntimeError):  # another thread has just learned a new one; the next look finds it
                    for attributes, limiter in limiters():
                        if (value := value_of(limiter)) is not None:
                            found.append(Observation(value, attributes))
                return found

            return observe

        meter.create_observable_up_down_counter(
            "relaydance.client.queue.length", [length], "{attempt}", "Attempts that wait for their turn."
        )
        meter.create_observable_gauge(
            "relaydance.client.limit.rate",
            [limits(lambda limiter: limiter.rate)],
            "{request}/s",
            "The rate limit, as learned.",
        )
        meter.create_observable_gauge(
            "relaydance.client.limit.in_flight",
            [limits(lambda limiter: limiter.in_flight_limit)],
            "{request}",
            "How many requests may be under way, as learned.",
        )
