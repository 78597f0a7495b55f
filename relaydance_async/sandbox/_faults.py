"""What goes wrong, on which call: the fault plan."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from ._checks import check_number, check_type, check_whole
from ._selection import check_selection, selects
from ._strangers import STRANGERS, Stranger

BODY_KINDS = frozenset(
    (
        "auto",
        "error",
        "flat",
        "api",
        "empty",
        "html",
        "text",
        "truncated",
        "error_string",
        "message",
        "msg",
        "detail",
        "sse",
    )
)

CUTS = ("cut_body_after", "cut_stream_after", "truncate_stream_after", "stream_error_after")
MOST_DELAY = 86_400.0


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong on `route`. Times are real seconds.

    Without `at`, `every` or `probability` it meets every matching call. Calls are counted once they have passed the
    key check and the rate limit. A fault that gives an answer of its own (a status, a body, a redirect, a stall)
    keeps the request from being processed, unless `after_accept` is set.
    """

    route: str = "*"
    """A route template such as "POST /v1/video/generations" or "CDN /clips/{name}"; "*" for every route."""
    _: dataclasses.KW_ONLY
    status: int | None = None
    """The status answered instead. Without one, a `body` of its own comes with 200."""
    code: str | None = None
    message: str | None = None
    body: str | bytes = "auto"
    """A kind ("auto", "error", "flat", "api", "empty", "html", "text", "truncated", "error_string", "message", "msg",
    "detail", "sse"), or the very body to answer with."""
    content_type: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    """Added to whatever answer goes out."""
    retry_after: str | None = None
    """As in `RateLimit.retry_after`."""
    delay: float = 0.0
    """Seconds before the answer. On its own it only delays the real one, which has been accepted by then."""
    stall: bool = False
    """Never answer; ends when the caller goes or the sandbox stops."""
    at: tuple[int, ...] = ()
    """The nth matching calls, from 1."""
    every: int | None = None
    """Every nth matching call."""
    probability: float | None = None
    """The chance per matching call, seeded by the plan."""
    times: int | None = None
    """At most this many times."""
    after_accept: bool = False
    """Process, accept and bill the request first, then answer with the fault; alone: reset instead of answering."""
    cut_body_after: int | None = None
    """Send the real headers, Content-Length included, and this many bytes of the body, then close."""
    cut_stream_after: int | None = None
    """Send this many events of the real stream, then close the connection."""
    truncate_stream_after: int | None = None
    """Send this many events, then [DONE] without a finish_reason, as when the upstream breaks off."""
    stream_error_after: int | None = None
    """Send this many events, then an error event and nothing more."""
    redirect_to: str | None = None
    """Answer with a redirect (307, or `status`) to this URL."""
    gzip_garbage: bool = False
    """Answer with a body that claims to be gzip and is not."""
    endless_body: bool = False
    """Answer with a body that does not end (it stops at 64 MiB or 10 s)."""
    encoding: str | None = None
    """Send the real body gzip- or deflate-encoded; any other name is only claimed."""
    stranger: Stranger | None = None
    """Answer as another program: its headers and its page for `status` (without one, its usual timeout), and no mark of
    the gateway. A `body` of your own goes out under its headers."""
    signed: bool | None = None
    """Whether the answer bears the gateway's mark. None: as the sandbox's answers, but pages ("html", "text")
    don't."""
    name: str | None = None
    """How the ledger calls it."""

    def __post_init__(self) -> None:
        check_selection(self)
        if self.stranger is not None and self.stranger not in STRANGERS:
            raise ValueError(f"a stranger must be one of {', '.join(STRANGERS)}, not {self.stranger!r}")
        if self.stranger is not None and self.signed:
            raise ValueError("a stranger must be unsigned: only the gateway itself has the mark")
        check_number("delay", self.delay, 0, MOST_DELAY)
        if self.status is not None:
            check_whole("status", self.status, 200, 599)
        for name in ("times", *CUTS):
            if getattr(self, name) is not None:
                check_whole(name, getattr(self, name))

    @property
    def replaces_answer(self) -> bool:
        """Whether it has an answer (or a silence) of its own."""
        return (
            self.status is not None
            or self.stranger is not None
            or (self.code is not None and not self.alters_answer)
            or self.body != "auto"
            or self.redirect_to is not None
            or self.stall
            or self.gzip_garbage
            or self.endless_body
        )

    @property
    def loses_answer(self) -> bool:
        return self.after_accept and not self.replaces_answer and not self.alters_answer

    @property
    def alters_answer(self) -> bool:
        """Whether it spoils the real answer."""
        return any(getattr(self, cut) is not None for cut in CUTS) or self.encoding is not None

    @property
    def imitates_gateway(self) -> bool:
        """Whether its answer could be one of the gateway itself."""
        return self.stranger is None and self.body not in ("html", "text")

    @property
    def label(self) -> str:
        """Its name in the ledger."""
        if self.name is not None:
            return self.name
        if self.stranger is not None:
            return self.stranger if self.status is None else f"{self.stranger}-{self.status}"
        if self.status is not None:
            return f"status-{self.status}"
        for flag in ("stall", "gzip_garbage", "endless_body", "redirect_to", "encoding", "after_accept"):
            if getattr(self, flag):
                return flag
        for cut in CUTS:
            if getattr(self, cut) is not None:
                return cut
        return "delay" if self.delay else "fault"

    @classmethod
    def from_json(cls, value: object) -> Fault:
        """From a JSON object with these fields; `at` is an array."""
        if not isinstance(value, dict):
            raise ValueError("a fault is a JSON object")
        fields = dict(cast("dict[str, Any]", value))
        known = {f.name for f in dataclasses.fields(cls)} - {"_"}
        if unknown := sorted(set(fields) - known):
            raise ValueError(f"a fault has no {', '.join(unknown)}")
        at: Any = fields.pop("at", ())
        return cls(at=(at,) if isinstance(at, int) else tuple(at), **fields)


class FaultPlan:
    """The faults in force. Thread-safe; the first one that fires on a call wins."""

    def __init__(self, faults: Iterable[Fault] = (), seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._seed = seed
        self._faults: list[Fault] = []
        self._matched: Counter[int] = Counter()
        self._fired: Counter[int] = Counter()
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Put another fault in force; its count of calls starts now."""
        check_type("a fault", fault, Fault)
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Drop every fault."""
        with self._lock:
            self._faults.clear()
            self._reset_counts()

    def reset(self) -> None:
        """Keep the faults, and count calls from 1 again."""
        with self._lock:
            self._reset_counts()

    def _reset_counts(self) -> None:
        self._matched.clear()
        self._fired.clear()

    @property
    def fired(self) -> dict[str, int]:
        """How often each fault has fired, by its name."""
        with self._lock:
            total: Counter[str] = Counter()
            for index, number in self._fired.items():
                total[self._faults[index].label] += number
            return dict(total)

    def choose(self, route: str) -> Fault | None:
        """The fault for this call, which counts it for every fault on the route."""
        if not self._faults:
            return None
        chosen: Fault | None = None
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.route not in ("*", route):
                    continue
                self._matched[index] += 1
                if chosen is None and self._fires(index, fault):
                    self._fired[index] += 1
                    chosen = fault
        return chosen

    def _fires(self, index: int, fault: Fault) -> bool:
        if fault.times is not None and self._fired[index] >= fault.times:
            return False
        return selects(fault, self._matched[index], f"{self._seed}:{index}")
