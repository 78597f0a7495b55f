"""What a limit of the gateway, or of a provider behind it, lets pass: learned from what becomes of the calls.

    Begin      No limit is known. A refusal may be chance (`chance`).
    Hold       A limit is reached. One probe at a time asks whether it is open again.
    Rounds     It is. Growing rounds of calls show how much it lets pass.
    Pace       It is a rate: a token bucket, or a window that others use too. CUBIC on a pace.
    Window     It is a window: so many calls in so many seconds. `openings` knows when it opens.
    UnderWay   It counts what is under way.

`limiter` drives them, `moves` says which follows which, `facts` is what all of them know, `numbers` holds every number.
"""

from .facts import Sent, Verdict
from .learned import Learned
from .limiter import Limiter
from .numbers import NUMBERS, Numbers

__all__ = ["NUMBERS", "Learned", "Limiter", "Numbers", "Sent", "Verdict"]
