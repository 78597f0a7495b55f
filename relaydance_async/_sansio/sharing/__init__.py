"""One limit that several processes share, and the part of it that each holds as a lease.

    messages   What a process says when it asks for a lease, and what it gets.
    part       What a process does with it: it lets calls pass. `key_part` is that of the whole key.
    rule       What is done at each report: tell whether it is the `whole` key's, `find`, `adjust` and `divide` it.
    numbers    All numbers.

`rule` is the rule in Python. `_limits/exchange.lua` is the same for Redis; a test holds both to the same answers.
"""

from .kept import Kept
from .key_part import KeyPart
from .messages import Grant, Report
from .numbers import EVERY, LEASE
from .part import Part
from .rule import exchange

__all__ = ["EVERY", "LEASE", "Grant", "Kept", "KeyPart", "Part", "Report", "exchange"]
