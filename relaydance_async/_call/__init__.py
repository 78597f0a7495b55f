"""One call, from the request to its result: admission, attempts, retries, and the answer.

controller   starts calls, with what all calls of a client share
keyed        a call with an idempotency key
errand       work that may outlive its caller's cancellation
call         the one loop over attempts, driven by tenacity
attempt      one attempt and its phase
answer       an answer and what it holds; an open one outlives its call (a stream)
receive      what becomes of an answer, as values: as_model, as_bytes, as_text, as_stream
failure      the error that a failed attempt ends in, built once
history      what earlier attempts left behind
watching     those who watch a call
"""

from .answer import Answer, OpenAnswer
from .call import Shared
from .controller import Api, Controller
from .receive import (
    Accept,
    Kept,
    Receiver,
    as_bytes,
    as_model,
    as_read,
    as_stream,
    as_text,
    is_event_stream,
    recalling,
    refuse_page,
)
from .signing import Signing

__all__ = [
    "Accept",
    "Answer",
    "Api",
    "Controller",
    "Kept",
    "OpenAnswer",
    "Receiver",
    "Shared",
    "Signing",
    "as_bytes",
    "as_model",
    "as_read",
    "as_stream",
    "as_text",
    "is_event_stream",
    "recalling",
    "refuse_page",
]
