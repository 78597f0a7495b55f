"""What goes wrong below HTTP, on which connection or request."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

from ._checks import check_number, check_whole
from ._selection import check_selection, selects

ConnectionFaultKind = Literal[
    "refuse",
    "reset_before_request",
    "reset_mid_request",
    "reset_after_request",
    "cut_response",
    "reset_mid_headers",
    "reset_mid_body",
    "black_hole",
    "black_hole_response",
    "silence_mid_body",
    "drip",
    "huge_header",
    "endless_headers",
]


@dataclass(frozen=True)
class ConnectionFault:
    """One thing that goes wrong on a connection through a `FaultyProxy`.

    - "refuse": accepted, then reset at once. The caller may notice before or after it has sent something. (For a port
      that nobody listens on, as after a crash, see `FaultyProxy.close_port`.)
    - "reset_before_request": reset when the request arrives; the target never sees it.
    - "reset_mid_request": reset when `after_bytes` (40) bytes of the request have come; the target sees no more of it.
    - "reset_after_request": the target receives the request and answers; the caller gets a reset and not one byte.
    - "cut_response": after `after_bytes` bytes of the answer a reset, or with `fin` an orderly close.
    - "reset_mid_headers": a reset within the answer's head, after `after_bytes` (20) bytes.
    - "reset_mid_body": a reset within the answer's body, after `after_bytes` (8) bytes of it.
    - "black_hole": what the caller sends is read, and nothing else ever happens.
    - "black_hole_response": the target receives the request; its answer is swallowed.
    - "silence_mid_body": `after_bytes` (8) bytes of the answer's body come, the rest is swallowed.
    - "drip": the answer in pieces of `after_bytes` (1), one every `interval` (0.05) seconds, or `rate` bytes a second.
    - "huge_header": the answer's head has one header of 10 MB. "endless_headers": header lines up to 64 MB.

    Without `at`, `every` or `probability` it meets every connection or request.
    """

    kind: ConnectionFaultKind
    _: dataclasses.KW_ONLY
    at: tuple[int, ...] = ()
    """The nth connections or requests through the proxy, from 1."""
    every: int | None = None
    probability: float | None = None
    """The chance per connection or request, seeded by the proxy."""
    after_bytes: int = 0
    rate: float | None = None
    """Bytes a second."""
    interval: float | None = None
    """Seconds."""
    fin: bool = False
    per: Literal["connection", "request"] = "connection"
    """What is counted and met. A request begins with the first bytes the caller sends after an answer began."""
    times: int | None = None
    """At most this many times."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(ConnectionFaultKind):
            raise ValueError(f"no connection fault is called {self.kind!r}")
        if self.kind == "refuse" and self.per == "request":
            raise ValueError("a connection is refused before there is a request")
        check_selection(self)
        check_whole("after_bytes", self.after_bytes)
        if self.rate is not None:
            check_number("rate", self.rate, 1e-9)
        if self.interval is not None:
            check_number("interval", self.interval, 0, 86_400)


class ConnectionFaultPlan:
    """The connection faults in force. Thread-safe; the first one that fires wins."""

    def __init__(self, faults: Iterable[ConnectionFault], seed: int) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._faults = list(faults)
        self._fired: Counter[int] = Counter()

    def add(self, fault: ConnectionFault) -> None:
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()
            self._fired.clear()

    def fired(self) -> dict[str, int]:
        with self._lock:
            total: Counter[str] = Counter()
            for index, number in self._fired.items():
                total[self._faults[index].kind] += number
            return dict(total)

    def choose(self, per: Literal["connection", "request"], n: int) -> ConnectionFault | None:
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.per != per or (fault.times is not None and self._fired[index] >= fault.times):
                    continue
                if selects(fault, n, f"{self._seed}:{index}"):
                    self._fired[index] += 1
                    return fault
        return None
