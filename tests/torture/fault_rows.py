"""What goes wrong, and what a call must make of it: the data of the fault matrix and of docs/faults.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Literal, TypeAlias

from relaydance_async import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BadRequestError,
    ContentRefusedError,
    DownloadError,
    IncompleteStreamError,
    InsufficientBalanceError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    RelayDanceError,
    RequestTooLargeError,
    ResponseDecodeError,
    ResponseTooLargeError,
    ServerError,
    StreamError,
    TaskTimeoutError,
)
from relaydance_async.sandbox import ConnectionFault, Fault
from relaydance_async.sandbox._strangers import Stranger

MAX_ATTEMPTS = 3
READ_TIMEOUT = 5.0
RETRY_AFTER = 7.0
"""Seconds: what a 429 asks for, and above that a deadline."""

Kind: TypeAlias = Literal["get", "balance", "post", "chat", "upload", "stream", "wait", "download"]
SMALL: frozenset[Kind] = frozenset({"chat", "stream"})
"""What costs little, and is asked by a person who waits."""
BILLED: frozenset[Kind] = frozenset[Kind]({"post", "upload"}) | SMALL
SAFE: frozenset[Kind] = frozenset({"get", "balance", "wait", "download"})

Moment: TypeAlias = Literal["first", "later", "onward", "every"]
"""Which attempts meet the fault: the first, the first of the second poll, those from there on, or all."""

BELIEVED = 3
"""Refusals in a row after which the gateway is taken at its word about a task."""


class Setting(Enum):
    """What is wrong around the gateway rather than with an answer."""

    CLOSED_PORT = "nobody listens"
    NO_NAME = "the name has no address"
    NO_TLS = "a plain server at an https URL"
    UNTRUSTED = "a certificate that nobody vouches for"


@dataclass(frozen=True)
class Row:
    """One fault. `retried` and the rest are of a call whose every attempt meets it."""

    label: str
    """As docs/faults.md has it; rows that share one share a line there."""
    fault: Fault | ConnectionFault | Setting
    error: type[RelayDanceError] | None
    retried: Literal["never", "safe", "small", "always"]
    """"safe": a GET is, a billed POST is not. "small": a GET and a chat."""
    ledger: Literal["nothing", "refused", "accepted"]
    """What the gateway saw of each such attempt."""
    ambiguous: bool = False
    """A billed POST ends with `maybe_accepted`."""
    in_body: bool = False
    """The head of the answer has come whole."""
    silent: bool = False
    """Only time ends it."""
    deadline: float | None = None
    least_wait: float = 0.0
    """Seconds until the first retry."""
    kinds: frozenset[Kind] | None = None
    """The endpoints that it can happen to; None for all."""

    @property
    def name(self) -> str:
        """For the test's id."""
        return f"{self.label} [{self.fault.label if isinstance(self.fault, Fault) else ''}]".removesuffix(" []")


def unsent(label: str, fault: Setting) -> Row:
    return Row(label, fault, APIConnectionError, "always", "nothing")


def lost(label: str, fault: ConnectionFault, error: type[RelayDanceError] = APIConnectionError, **more: Any) -> Row:
    row = Row(label, fault, error, "safe", "nothing", ambiguous=True)
    return replace(row, **more)


def answer_lost(label: str, fault: Fault | ConnectionFault, **more: Any) -> Row:
    row = Row(label, fault, APIConnectionError, "safe", "accepted", ambiguous=True)
    return replace(row, **more)


def refused(label: str, error: type[RelayDanceError], fault: Fault, *, retried: bool = False) -> Row:
    return Row(label, fault, error, "always" if retried else "never", "refused")


def unreadable(label: str, fault: Fault, error: type[RelayDanceError] = ResponseDecodeError) -> Row:
    return Row(label, replace(fault, after_accept=True), error, "never", "accepted", ambiguous=True)


def coded(error: type[RelayDanceError], status: int, *codes: str, retried: bool = False, label: str = "") -> list[Row]:
    """Errors that their code decides."""
    names = ", ".join(f"`{code}`" for code in codes)
    return [
        refused(
            label or f"{status} {names}",
            error,
            Fault(status=status, code=code, body="error", name=f"{status}-{code}"),
            retried=retried,
        )
        for code in codes
    ]


def limited(label: str, least_wait: float = RETRY_AFTER, **fault: Any) -> Row:
    """A 429."""
    row = refused(label, RateLimitError, replace(Fault(status=429), **fault), retried=True)
    return replace(row, least_wait=least_wait)


CONNECTION = [
    unsent("connection refused", Setting.CLOSED_PORT),
    unsent("the host's name has no address", Setting.NO_NAME),
    unsent("no TLS at an https URL", Setting.NO_TLS),
    Row("a certificate that isn't trusted", Setting.UNTRUSTED, APIConnectionError, "never", "nothing"),
    # A billed POST is repeated or not, by when the caller hears of the reset: while it connects, or later.
    lost("reset before the request was read", ConnectionFault("refuse"), kinds=SAFE),
    # So is an upload, by whether its last piece was written before the reset came.
    lost(
        "reset before the request was read",
        ConnectionFault("reset_before_request", per="request"),
        kinds=SAFE | {"post"} | SMALL,
    ),
    lost(
        "reset within the request",
        ConnectionFault("reset_mid_request", per="request"),
        kinds=SAFE | {"post"} | SMALL,
    ),
    answer_lost("reset after the request", ConnectionFault("reset_after_request", per="request")),
    answer_lost("reset within the answer's headers", ConnectionFault("reset_mid_headers", per="request")),
    answer_lost("reset within the answer's body", ConnectionFault("reset_mid_body", per="request"), in_body=True),
    answer_lost(
        "the answer is cut off",
        Fault(cut_body_after=9),
        in_body=True,
        kinds=SAFE | {"post", "chat", "upload"},
    ),
    answer_lost("the answer is cut off", Fault(cut_stream_after=1), in_body=True, kinds=frozenset({"stream"})),
    lost(
        "silence before the request was read",
        ConnectionFault("black_hole", per="request"),
        APITimeoutError,
        silent=True,
    ),
    answer_lost(
        "silence instead of the answer",
        ConnectionFault("black_hole_response", per="request"),
        error=APITimeoutError,
        silent=True,
    ),
    answer_lost(
        "silence within the answer's body",
        ConnectionFault("silence_mid_body", per="request"),
        error=APITimeoutError,
        silent=True,
        in_body=True,
    ),
    answer_lost(
        "bytes that drip in more slowly than `timeout`",
        ConnectionFault("drip", per="request", interval=60),
        error=APITimeoutError,
        silent=True,
    ),
    Row(
        "bytes that drip in faster than `timeout`",
        ConnectionFault("drip", per="request", after_bytes=300, interval=0.001),
        None,
        "never",
        "accepted",
    ),
    Row(
        "silence until the `deadline`",
        ConnectionFault("black_hole", per="request"),
        APITimeoutError,
        "never",
        "nothing",
        ambiguous=True,
        silent=True,
        deadline=READ_TIMEOUT / 2,
    ),
    answer_lost("a header of 10 MB, headers without end", ConnectionFault("huge_header", per="request")),
    answer_lost("a header of 10 MB, headers without end", ConnectionFault("endless_headers", per="request")),
]

LIMITED = [
    limited("429 without `Retry-After`", least_wait=0.5),
    limited("429 with `Retry-After` in seconds", headers={"retry-after": f"{RETRY_AFTER:g}"}, name="429-seconds"),
    # A date has whole seconds.
    limited(
        "429 with `Retry-After` as a date", least_wait=RETRY_AFTER - 1, headers={"retry-after": "DATE"}, name="429-date"
    ),
    limited("429 with `retry-after-ms`", headers={"retry-after-ms": f"{RETRY_AFTER * 1000:g}"}, name="429-ms"),
    replace(
        limited("429 with a `Retry-After` beyond the `deadline`", headers={"retry-after": "1000"}, name="429-long"),
        retried="never",
        deadline=500.0,
        least_wait=0.0,
    ),
]

STATUSES = [
    *(
        refused("500, 502, 503, 504", ServerError, Fault(status=status), retried=True)
        for status in (500, 502, 503, 504)
    ),
    refused("500 with an empty body", ServerError, Fault(status=500, body="empty"), retried=True),
    refused("408", APIStatusError, Fault(status=408), retried=True),
    *coded(
        ServerError,
        503,
        "system_cpu_overloaded",
        "system_memory_overloaded",
        "system_disk_overloaded",
        retried=True,
    ),
    *coded(
        ServerError,
        500,
        "get_channel_failed",
        "bad_response_status_code",
        "bad_response",
        "bad_response_body",
        "empty_response",
        "do_request_failed",
        "fail_to_fetch_task",
        retried=True,
    ),
    refused("400, 422", BadRequestError, Fault(status=400)),
    refused("400, 422", BadRequestError, Fault(status=422)),
    refused("401", AuthenticationError, Fault(status=401)),
    refused("403", PermissionDeniedError, Fault(status=403)),
    refused("404", NotFoundError, Fault(status=404)),
    refused("413", RequestTooLargeError, Fault(status=413)),
    refused("another 4xx", APIStatusError, Fault(status=409)),
    refused("another 4xx", APIStatusError, Fault(status=451, body="empty")),
    *coded(NotFoundError, 503, "model_not_found"),
    *coded(NotFoundError, 400, "task_not_exist"),
    *coded(BadRequestError, 500, "invalid_request"),
    *coded(BadRequestError, 400, "model_price_error"),
    *coded(ContentRefusedError, 500, "sensitive_words_detected", "prompt_blocked", "violation_fee.video"),
    *coded(InsufficientBalanceError, 403, "insufficient_user_quota", "pre_consume_token_quota_failed"),
    *coded(PermissionDeniedError, 403, "access_denied"),
    *coded(RequestTooLargeError, 413, "read_request_body_failed"),
]


def stranger(
    label: str,
    error: type[RelayDanceError],
    retried: Literal["never", "safe", "small"],
    status: int,
    by: Stranger,
    body: str = "auto",
) -> Row:
    """Somebody in between gives up on a request that the gateway goes on to accept."""
    fault = Fault(status=status, stranger=by, body=body, after_accept=True, name=f"{status}-{by}-{body}")
    return Row(label, fault, error, retried, "accepted", ambiguous=True)


STRANGERS = [
    *(
        stranger("500, 502, 503 of nginx, envoy or AWS", ServerError, "small", status, by)
        for status in (500, 502, 503)
        for by in ("nginx", "envoy", "alb")
    ),
    stranger("500, 502, 503 of LiteLLM, with an envelope", ServerError, "small", 500, "litellm", "error"),
    *(
        stranger("504, 520, 522, 524, 527 of a CDN or a proxy", ServerError, "safe", status, "cloudflare")
        for status in (504, 520, 522, 524, 527)
    ),
    stranger("504 with an envelope", ServerError, "safe", 504, "litellm", "error"),
    stranger("504 with an envelope", ServerError, "safe", 504, "nginx", "flat"),
    stranger("408 of a load balancer, or with an envelope", APIStatusError, "safe", 408, "alb", "empty"),
    stranger("408 of a load balancer, or with an envelope", APIStatusError, "safe", 408, "litellm", "error"),
    stranger("499 and other odd statuses of a proxy", APIStatusError, "never", 499, "nginx"),
    stranger("499 and other odd statuses of a proxy", APIStatusError, "never", 409, "nginx"),
    *(
        refused(
            "521, 523, 525, 526, 530 of a CDN",
            ServerError,
            Fault(status=status, stranger="cloudflare"),
            retried=True,
        )
        for status in (521, 523, 525, 526, 530)
    ),
    refused("429 of a CDN", RateLimitError, Fault(status=429, stranger="cloudflare"), retried=True),
    refused("403 of a CDN", PermissionDeniedError, Fault(status=403, stranger="cloudflare")),
    refused("a redirect, also to another host", APIStatusError, Fault(redirect_to="ELSEWHERE")),
]


def inside(label: str, error: type[RelayDanceError], code: str, retried: Literal["never", "safe"]) -> Row:
    """An error with a good status."""
    fault = Fault(status=200, code=code, body="error", after_accept=True, name=f"200-{code}")
    return Row(label, fault, error, retried, "accepted", ambiguous=True)


ANSWERS = [
    inside("200 with an upstream's error inside", ServerError, "bad_response", "safe"),
    inside("200 with an upstream's error inside", ServerError, "do_request_failed", "safe"),
    inside("200 with `model_not_found` inside", NotFoundError, "model_not_found", "never"),
    unreadable("200 with an empty body", Fault(body="empty", name="empty")),
    unreadable("200 with a web page", Fault(body="html", name="html")),
    unreadable("200 with JSON that is cut off", Fault(body="truncated", name="truncated")),
    unreadable("200 with JSON of another shape", Fault(body='["not", "what", "was", "asked", "for"]', name="array")),
    unreadable("200 with JSON of another shape", Fault(body='"a string"', name="string")),
    unreadable("a body that claims to be gzip", Fault(gzip_garbage=True)),
    unreadable("a body larger than `max_response_bytes`", Fault(endless_body=True), ResponseTooLargeError),
]

OF_A_STREAM = frozenset[Kind]({"stream"})
STREAMS = [
    replace(row, kinds=OF_A_STREAM, in_body=True, ledger="accepted", ambiguous=True)
    for row in (
        Row("an error event", Fault(stream_error_after=1), StreamError, "never", "accepted"),
        Row(
            "`[DONE]` without a `finish_reason`",
            Fault(truncate_stream_after=1),
            IncompleteStreamError,
            "never",
            "accepted",
        ),
        Row(
            "an event of more than 16 MiB",
            Fault(endless_body=True, content_type="text/event-stream", after_accept=True, name="endless-event"),
            StreamError,
            "never",
            "accepted",
        ),
    )
]

CLIPS = [
    Row(
        "a clip larger than `max_bytes`",
        Fault(endless_body=True, content_type="video/mp4", name="endless-clip"),
        DownloadError,
        "never",
        "refused",
        kinds=frozenset({"download"}),
    )
]

_UNSENT = (
    "connection refused",
    "the host's name has no address",
    "no TLS at an https URL",
    "reset before the request was read",
)
"""Rows in which an attempt may have no connection."""

GROUPS = {
    "Network": CONNECTION,
    "Status: the gateway's own": [*LIMITED, *STATUSES],
    "Status: who answered": STRANGERS,
    "Body": ANSWERS,
}
"""As docs/faults.md has them."""
ROWS = [row for rows in GROUPS.values() for row in rows]
"""What can happen to every call."""
ALL_ROWS = [*ROWS, *STREAMS, *CLIPS]


@dataclass(frozen=True)
class Outcome:
    """How a call ended and what the gateway saw of it. None: as it happens."""

    error: type[RelayDanceError] | None
    maybe_accepted: bool
    attempts: int | None
    seen: int | None
    accepted: int | None

    def as_far_as(self, expected: Outcome) -> Outcome:
        """Without what is not expected to be anything."""
        return replace(
            self,
            attempts=None if expected.attempts is None else self.attempts,
            seen=None if expected.seen is None else self.seen,
            accepted=None if expected.accepted is None else self.accepted,
        )


def moments(row: Row, kind: Kind) -> list[Moment]:
    """When the fault can make a difference."""
    if is_doubted(row, kind):
        return ["first", "later", "onward", "every"]
    if kind == "wait":
        return (
            ["first", "every"]
            if isinstance(row.fault, Setting) or _is_of_connection(row)
            else ["first", "later", "every"]
        )
    return ["every"] if row.retried == "never" and kind not in ("balance", "download") else ["first", "every"]


def _is_of_connection(row: Row) -> bool:
    return isinstance(row.fault, ConnectionFault) and row.fault.per == "connection"


def is_doubted(row: Row, kind: Kind) -> bool:
    """Whether a wait doubts it: a refusal of the gateway's own, unless the key is refused."""
    if (
        kind != "wait"
        or row.retried != "never"
        or is_strange(row)
        or row.error in (AuthenticationError, RateLimitError)
    ):
        return False
    return row.error is not None and issubclass(row.error, APIStatusError)


def is_strange(row: Row) -> bool:
    """Whether it says nothing about a task: somebody else answered, or nothing that can be read came."""
    if row.error is not None and issubclass(row.error, ResponseDecodeError):
        return True
    return bool(
        isinstance(row.fault, Fault)
        and row.retried == "never"
        and (row.fault.body in ("html", "empty") or row.fault.stranger or row.fault.redirect_to is not None)
    )


def is_retried(row: Row, kind: Kind) -> bool:
    """Whether a call of that kind is repeated."""
    if kind == "stream" and row.in_body:
        return False
    if kind == "download" and isinstance(row.fault, Fault) and row.fault.code and (row.fault.status or 0) >= 500:
        return True  # of another host than the API only the status counts
    repeated = {"never": frozenset[Kind](), "safe": SAFE, "small": SAFE | SMALL, "always": SAFE | BILLED}
    return kind in repeated[row.retried]


def expect(row: Row, kind: Kind, moment: Moment) -> Outcome:
    """How it ends."""
    retried = is_retried(row, kind)
    healed = moment != "every"
    attempts = 1 if not retried else 2 if healed else MAX_ATTEMPTS
    succeeds = row.error is None or (retried and healed)
    met = attempts - 1 if succeeds and row.error is not None else attempts
    whole = 1 if succeeds and row.error is not None else 0
    outcome = Outcome(
        error=None if succeeds else row.error,
        maybe_accepted=not succeeds and row.ambiguous and kind in BILLED,
        attempts=attempts,
        seen=whole + (met if row.ledger != "nothing" else 0),
        accepted=whole + (met if row.ledger == "accepted" else 0),
    )
    if moment == "every" and row.label in _UNSENT:
        outcome = replace(outcome, attempts=None)  # what is not sent is tried for longer
    special = {"stream": _of_stream, "wait": _of_wait, "download": _of_download, "balance": _of_balance}
    return special[kind](row, moment, outcome) if kind in special else outcome


def _of_stream(row: Row, moment: Moment, outcome: Outcome) -> Outcome:
    """Once it is open, it breaks as a stream."""
    if row.in_body and outcome.error is not None and not issubclass(outcome.error, StreamError):
        return replace(outcome, error=StreamError)
    return outcome


def _of_wait(row: Row, moment: Moment, outcome: Outcome) -> Outcome:
    """A poll that may succeed later ends nothing: it is asked again until the wait's own deadline."""
    outcome = replace(outcome, seen=None, accepted=None if row.ledger == "accepted" or moment != "every" else 0)
    if row.error is None:
        return outcome
    beyond = row.deadline is not None
    if is_strange(row):
        return replace(outcome, error=TaskTimeoutError if moment == "every" else None, attempts=None)
    if is_doubted(row, "wait"):
        if moment in ("first", "later"):
            return replace(outcome, error=None)
        return replace(outcome, seen=BELIEVED + (moment == "onward"))
    if row.retried == "never" and not beyond:
        return outcome
    if beyond and row.error is APITimeoutError and moment != "every":
        return replace(outcome, error=None)  # the next poll goes through
    if moment == "every" or beyond:
        return replace(outcome, error=TaskTimeoutError, attempts=None)
    return outcome


def _of_download(row: Row, moment: Moment, outcome: Outcome) -> Outcome:
    """Every failure is a DownloadError, redirects are followed, and a URL that may have expired is renewed once."""
    if isinstance(row.fault, Fault) and row.fault.status in (403, 404):
        return Outcome(None, False, 1, 2, 1) if moment == "first" else Outcome(DownloadError, False, 1, 2, 0)
    if isinstance(row.fault, Fault) and row.fault.redirect_to is not None:
        ended = None if moment == "first" else DownloadError
        return Outcome(ended, False, 1, 2 if moment == "first" else 6, 1 if moment == "first" else 0)
    if isinstance(row.fault, Fault) and row.fault.replaces_answer and row.ledger == "accepted":
        # The result host bills nothing, and counts what it has given.
        outcome = replace(outcome, accepted=1 if outcome.error is None else 0)
    if row.error is RateLimitError and row.deadline is not None:
        outcome = replace(outcome, attempts=None)  # its deadline is of the whole, not of one request
    return outcome if outcome.error is None else replace(outcome, error=DownloadError)


def _of_balance(row: Row, moment: Moment, outcome: Outcome) -> Outcome:
    """A form of the balance that is not offered is not the only one."""
    offered = (AuthenticationError, RateLimitError, ServerError, APIConnectionError)
    if outcome.error is None or row.retried != "never" or issubclass(outcome.error, offered):
        return outcome
    if moment == "first":
        return replace(outcome, error=None, seen=3, accepted=3 if row.ledger == "accepted" else 2)
    return replace(outcome, error=NotFoundError, seen=2, accepted=2 if row.ledger == "accepted" else 0)
