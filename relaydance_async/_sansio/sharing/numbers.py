"""All numbers of shared limits, each with its reason. The script for Redis gets them from here.

"Simulated" means: in `benchmarks/limits`, processes on buckets, windows and calls under way.
"""

from __future__ import annotations

LEASE = 2.0
"""Seconds. A process that dies holds its part for so long."""
EVERY = 0.25
"""Seconds between two renewals: a stall of several is no reason to let go."""

LEAST = 1e-6
MOST = 1e6
"""Of a limit, in calls or calls a second: what lies beyond was written by somebody else."""

# --- finding the limit ---
GATHER = 0.6
"""Seconds in which all processes have reported."""
MEMORY = 10.0
"""Seconds over which accepted calls are averaged; of a window, its own."""
PATIENCE = 3.0
"""Seconds that the limit of some waits for what others find."""
SOON = 1.0
"""Seconds in which a scout has learned nothing yet: calls of others that end by then have misled nobody."""
BURST = 1.25
"""Times what passed since a scout began, that a rate may be: a window that opens in parts shows more."""
LONG = 60.0
"""Seconds that a scout waits for the ends of others' calls, and until a lost limit or a noise is tried again."""

# --- whether a limit is the key's ---
BELIEVED = 6
"""Refusals, net of accepted calls of all gates."""
EACH = 2
"""Of them at least, from each of two gates."""
CERTAINTY = 12.0
"""A limit of the key refuses by chance one gate alone with e^-12: then it is that gate's own (Wald's test)."""
ANSWERS = 1000
"""Calls over which that is counted: 17 refusals of one of two gates, at two in a hundred calls."""

# --- growing ---
SLOWEST = 4.0
"""Seconds in which the growth doubles at least. At a slow limit: those of `CALLS` calls; of a window: its seconds."""
SLOW = 30.0
"""Seconds of those that a slow limit waits at most."""
CALLS = 100.0
"""A search costs two or three refusals, which are then one or two of a hundred calls."""
GROWTH = 0.02
"""Of the limit, in the first such time."""
FASTEST = 0.25
"""Of the limit, that it grows in a second at most."""
WINDOWS = 0.15
"""The same of a window, in each, until it was cut: how long it lasts is found late rather than early."""

# --- cutting ---
CUT = 0.03
"""Of the limit, at a refusal: it was known well before, and is searched slowly."""
KNOWN_AFTER = 0.6
"""Seconds after which all processes have heard of a change, and their refusals have come back."""
FAST = 40.0
"""Calls a second. There four refusals are nothing."""
MEASURED = 12
"""Calls that tell a rate."""
FADES = 0.99
"""Of what is known to pass, at each cut: a limit may have changed."""
STILL = 0.9
"""Of what passed on average in the last seconds, that is left at a cut: so much did not become less at once."""
GONE = 0.6
"""Of the most places: with fewer it is none of places but a rate."""
ALL = 2
"""Refusals with nothing accepted are no chance."""
IN_A_ROW = 6
"""Refusals with nothing accepted: the limit has gone to nothing, or is none of its kind."""

# --- noise: refusals by chance ---
LOW = 0.93
"""Of what is known to pass: refusals below that measure the noise."""
LEAST_NOISE = 0.01
"""Of all calls, that may always be refused: a search costs so much."""
NOISE_MOST = 0.12
NOISY = 0.02
"""From here on it is tried whether it is noise: of noise, less brings no less."""
QUIET = 0.005
"""Below that it was none."""
TEST = 0.85
"""Of the limit, while that is tried."""
