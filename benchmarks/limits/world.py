"""Virtual time: events in order, and calls that go from clients to a server and back."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any, Protocol

from relaydance_async._sansio.limiter import Verdict

from .servers import RETRY_AFTER, Meter, Server

STALL = 0.1
"""Seconds that a process stands still for, on average, when its machine is busy."""


class Client(Protocol):
    """When attempts may begin, and what follows a refusal."""

    def delay(self, now: float) -> float:
        """Seconds until the next call may begin; infinite: not before something happens."""
        ...

    def passed(self, now: float) -> Any:
        """One begins."""
        ...

    def ended(self, sent: Any, now: float, verdict: Verdict, retry_after: float | None) -> None:
        """It has an answer."""
        ...

    def backoff(self, refusals: int, retry_after: float | None, chance: random.Random) -> float | None:
        """Seconds until it is tried again; None: never."""
        ...

    @property
    def rate(self) -> float | None:
        """Calls a second that it holds itself to, for the plot."""
        ...


@dataclass
class Call:
    """One call."""

    model: str = ""
    asked_at: float = 0.0
    refusals: int = 0
    waited: float = 0.0


@dataclass
class Count:
    """What became of the attempts of one process.

    Attributes:
        accepted, refused: when.
        waits: (when it asked, seconds of waiting for its turn) of each attempt.
        under_way: (when, how many).
        most_refused: how often one call was.
        lost: calls given up.
    """

    accepted: list[float] = field(default_factory=list[float])
    refused: list[float] = field(default_factory=list[float])
    waits: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    under_way: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    rates: list[tuple[float, float | None]] = field(default_factory=list[tuple[float, float | None]])
    by_model: dict[str, int] = field(default_factory=dict[str, int])
    most_refused: int = 0
    lost: int = 0


class Process:
    """A client process with its queue, for one (route, model)."""

    def __init__(self, world: World, client: Client) -> None:
        self.world = world
        self.client = client
        self.queue: deque[Call] = deque()
        self.count = Count()
        self.flying = 0
        self.stalled_until = 0.0
        self._wakes_at = float("inf")

    def offer(self, call: Call) -> None:
        call.asked_at = self.world.now
        self.queue.append(call)
        self.pump()

    def pump(self) -> None:
        """Send all that may be sent now."""
        now, client = self.world.now, self.client
        if now < self.stalled_until:
            return
        while self.queue and self.flying < self.world.server.permits:
            wait = client.delay(now)
            if wait > 0:
                if now + wait < self._wakes_at - 1e-9 or self._wakes_at <= now:
                    self._wakes_at = now + wait
                    if wait < 1e8:
                        self.world.after(wait + 1e-9, self._wake)
                return
            call = self.queue.popleft()
            self.count.waits.append((call.asked_at, now - call.asked_at))
            self.flying += 1
            self.count.under_way.append((now, self.flying))
            self.world.send(self, call, client.passed(now))

    def _wake(self) -> None:
        if self.world.now >= self._wakes_at - 1e-6:
            self._wakes_at = float("inf")
        self.pump()

    def answered(self, call: Call, sent: Any, verdict: Verdict, retry_after: float | None) -> None:
        now = self.world.now
        if now < self.stalled_until:
            self.world.after(self.stalled_until - now, lambda: self.answered(call, sent, verdict, retry_after))
            return
        self.flying -= 1
        self.client.ended(sent, now, verdict, retry_after)
        if verdict is Verdict.ACCEPTED:
            self.count.accepted.append(now)
            self.count.by_model[call.model] = self.count.by_model.get(call.model, 0) + 1
            self.world.load.done(self, call)
        else:
            self.count.refused.append(now)
            call.refusals += 1
            self.count.most_refused = max(self.count.most_refused, call.refusals)
            wait = self.client.backoff(call.refusals, retry_after, self.world.chance)
            if wait is None:
                self.count.lost += 1
                self.world.load.done(self, call)
            else:
                self.world.after(wait, lambda: self.offer(call))
        self.pump()


class Load(Protocol):
    """Who asks for calls."""

    def begin(self, world: World) -> None: ...

    def done(self, process: Process, call: Call) -> None: ...


class World:
    """A server and the processes that use it."""

    def __init__(self, seed: int, server: Server, clients: list[Client], load: Load) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.server = server
        self.load = load
        self.processes = [Process(self, client) for client in clients]
        self._server_until = 0.0
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._says = RETRY_AFTER[server.retry_after]

    def after(self, seconds: float, do: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + seconds, next(self._order), do))

    def run(self, until: float) -> World:
        if self.server.others:
            self.after(0.0, self._other)
        self.after(0.0, lambda: self._watch(until / 400))
        if self.server.stalls:
            for process in self.processes:
                self._stall(process)
        if self.server.slow:
            self._stall_server()
        self.load.begin(self)
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, do = heapq.heappop(events)
            do()
        self.now = until
        return self

    def _watch(self, every: float) -> None:
        for process in self.processes:
            process.count.rates.append((self.now, process.client.rate))
        self.after(every, lambda: self._watch(every))

    def _stall(self, process: Process) -> None:
        seconds = self.chance.expovariate(1 / STALL)
        process.stalled_until = self.now + seconds
        self.after(seconds, process.pump)
        self.after(seconds + self.chance.expovariate(self.server.stalls / STALL), lambda: self._stall(process))

    def _stall_server(self) -> None:
        seconds = self.chance.expovariate(1 / STALL)
        self._server_until = self.now + seconds
        self.after(seconds + self.chance.expovariate(self.server.slow / STALL), self._stall_server)

    def _other(self) -> None:
        self.server.meter.take(self.now)
        self.after(self.chance.expovariate(self.server.others), self._other)

    def send(self, process: Process, call: Call, sent: Any) -> None:
        self.after(self.chance.uniform(*self.server.network), lambda: self._arrive(process, call, sent))

    def _arrive(self, process: Process, call: Call, sent: Any) -> None:
        server, now, chance = self.server, self.now, self.chance
        if now < self._server_until:
            self.after(self._server_until - now, lambda: self._arrive(process, call, sent))
            return
        begin, end = server.overload
        verdict, asked, takes = Verdict.ACCEPTED, None, 0.0
        meters: list[Meter] = []
        if begin <= now < end:
            verdict, takes = Verdict.OVERLOADED, server.refusal
        elif (share := server.noise(now)) and chance.random() < share:
            verdict, takes, asked = Verdict.REFUSED, server.refusal, self._says(1.0, now, chance)
        else:
            for meter in (server.meter, server.models.get(call.model)):
                if meter is None:
                    continue
                if wait := meter.take(now):
                    verdict, takes, asked = Verdict.REFUSED, server.refusal, self._says(wait, now, chance)
                    break
                meters.append(meter)
            else:
                takes = server.latency(chance)
        if verdict is not Verdict.ACCEPTED:
            for meter in meters:
                meter.give(now)
            meters = []

        def leave() -> None:
            if self.now < self._server_until:
                self.after(self._server_until - self.now, leave)
                return
            for meter in meters:
                meter.give(self.now)
            self.after(chance.uniform(*server.network), lambda: process.answered(call, sent, verdict, asked))

        self.after(takes, leave)


class Backlog:
    """So many calls are to be made at any time, from the begin.

    Args:
        calls: of each process.
        model: of them.
        begins: seconds in which the processes begin, each at a time of its own.
    """

    def __init__(self, calls: int = 2000, model: str = "", begins: float = 0.0) -> None:
        self._calls, self._model, self._begins = calls, model, begins

    def begin(self, world: World) -> None:
        for process in world.processes:
            if self._begins:
                world.after(world.chance.uniform(0, self._begins), partial(self._begin, process))
            else:
                self._begin(process)

    def _begin(self, process: Process) -> None:
        process.queue.extend(Call(self._model) for _ in range(self._calls))
        process.pump()

    def done(self, process: Process, call: Call) -> None:
        process.queue.append(Call(call.model, process.world.now))


class Steady:
    """So many calls a second come, evenly with a jitter, from when to when."""

    def __init__(self, rate: float, model: str = "", until: float = 1e9) -> None:
        self._gap, self._model, self._until = 1 / rate, model, until

    def begin(self, world: World) -> None:
        for process in world.processes:
            self._next(world, process)

    def _next(self, world: World, process: Process) -> None:
        if world.now < self._until:
            world.after(self._gap * world.chance.uniform(0.5, 1.5), lambda: self._next(world, process))
            process.offer(Call(self._model))

    def done(self, process: Process, call: Call) -> None:
        pass
