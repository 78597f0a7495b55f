"""One call, from the request to its result: admission, attempts, retries, and the answer.

api          the API with the options of a client or a view: starts calls
keyed        a call with an idempotency key
call         the one loop over attempts
keys         the API keys of one client: what belongs to each
repeats      what drives it after the first failure: tenacity
deadline     when a call has to be over
attempt      one attempt and its phase
wire         what an attempt sends
answer       an answer and what it holds; an open one outlives its call (a stream)
receive      what becomes of an answer, as values: as_model, as_bytes, as_text, as_stream
raw          the answer itself beside its result: as_raw
cast         the same for what the caller names: as_cast
facts        what an attempt can tell of itself, later
failure      the error that a failed attempt ends in, built once
lesson       what a limiter learns from how an attempt ended
history      what earlier attempts left behind
watching     those who watch a call, or a wait
usage        counts tokens and calls for whoever tracks them
"""

from .answer import Answer, OpenAnswer
from .api import Api
from .call import Shared
from .cast import as_cast
from .keys import Keys
from .raw import as_raw
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
from .usage import UsageTracker
from .watching import WaitWatchers

__all__ = [
    "Accept",
    "Answer",
    "Api",
    "Kept",
    "Keys",
    "OpenAnswer",
    "Receiver",
    "Shared",
    "Signing",
    "UsageTracker",
    "WaitWatchers",
    "as_bytes",
    "as_cast",
    "as_model",
    "as_raw",
    "as_read",
    "as_stream",
    "as_text",
    "is_event_stream",
    "recalling",
    "refuse_page",
]
