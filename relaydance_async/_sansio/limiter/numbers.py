"""All numbers of the limiter, each with its reason. "Simulated" means: against the table of docs/limits.md."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Numbers:
    """Times are seconds; a *trip* is the round trip of a refusal."""

    processes: int = 1
    """That share the key. With more than one, what is learned is learned so that they come to equal parts."""

    # --- the begin: nothing is known (slow start, RFC 5681: the pace doubles) ---
    start_rate: float = 200.0
    """Calls a second. The 100th of calls made at once leaves after 0.19 s, the 2,000th after 0.52 s."""
    start_burst: float = 10.0
    """Calls at once. A quiet program never waits; a limit of one costs ten refusals."""
    start_doubling: float = 0.08
    """In which the pace doubles: about two trips to a gateway that is near."""
    open_above: float = 20_000.0
    """Calls a second above which nobody is held back: one core sends a few thousand."""
    catch_up: float = 0.05
    """An event loop that was late by so much makes up for it."""

    # --- whether a refusal is chance ---
    believed: float = 4.0
    """Refusals, net of accepted calls, that make a limit of little noise: (3/7)^4 = 3 % false at an unknown 30 %."""
    noisy_from: float = 0.1
    """Share of refusals by chance from which on that bound grows with the noise."""
    certainty: float = 14.0
    """Then a run of refusals is believed that chance makes with e^-14 (Wald's sequential test)."""
    believed_most: float = 24.0
    noise_memory: float = 200.0
    """Calls over which the share of chance is averaged."""

    # --- judging ---
    patience: float = 2.2
    """Trips after which a call without an answer counts as accepted: answers may take 30 s, refusals don't."""
    trip_at_least: float = 0.005
    trip_guess: float = 0.1
    """Before the first refusal."""
    trip_unknown: float = 1.0
    """Before it, for judging: so the attempts that are not yet judged stay few."""

    # --- holding: a limit is reached ---
    first_probe: float = 1.2
    """Trips until the first probe: what was under way is known by then."""
    probe_growth: float = 0.8
    """The next probe comes after this share of the time that was held: 8 probes find a window of 5 s."""
    window_growth: float = 0.2
    """The same of a window whose length is known about, of the time since it opened."""
    slow_growth: float = 0.25
    """The same beyond `slow_from`, or when all was well before: an outage's overhang is a quarter of it."""
    long_growth: float = 0.4
    """The same beyond `slow_from` of what let calls pass at first: mostly a window."""
    slow_from: float = 4.0
    longest_probe: float = 15.0
    longest_retry_after: float = 60.0
    """Of a Retry-After as far as other calls wait for it: one answer of many should not stop a key for an hour."""
    early_share: float = 0.2
    """Of a Retry-After, after which two probes ask whether it is too long."""

    long_asked: float = 2.0
    """A Retry-After above this is asked about already the first time; two early probes settle it the second time."""

    # --- rounds: how much passes until the limit is reached again ---
    round_trips: float = 2.5
    """A round lasts so long: all its refusals are known before the next."""
    crowd_believed: float = 8.0
    """As `believed`, at the end of a crowd of which one was refused: then nothing passes any more."""
    round_believed: float = 3.0
    """As `believed`: a limit is expected here. So many calls ask whether there are more than at the begin."""
    round_doubted: float = 7.0
    """The same in a round of which less than half was refused."""
    round_excess: float = 3.0
    """Times as many refusals as the rounds before it had make a round one that met the limit."""
    largest_round: int = 2000
    empty_rounds: int = 5
    """Rounds that were not used by half: the demand is met, there is no limit that matters."""

    # --- telling a bucket from a window ---
    bucket_gap: float = 3.5
    """Calls. A bucket that is empty has room after one call's time, a window after all its calls'."""
    bucket_trips: float = 6.0

    # --- pace: a rate (CUBIC, RFC 9438, as botocore's adaptive mode has it, on a pace) ---
    cut: float = 0.85
    """Of the pace, at a refusal. RFC 9438 has 0.7, for a queue to drain; a limiter has none."""
    steepness: float = 0.4
    """C of CUBIC."""
    recovery: float = 6.2
    recovery_slope: float = 0.6
    """Seconds until the old pace is reached again: 6.2 / pace^0.6, 4 s at 2/s. A refusal is a larger share of a slow
    pace; but with a slope of 1 the faster of two processes would take all, with 0 slow paces are refused 12 %."""
    shared_recovery: float = 2.5
    """The same with known other processes, whatever the pace."""
    longest_recovery: float = 15.0
    shortest_recovery: float = 1.0
    """So that a limit that has doubled is found within 5 s."""
    steepest: float = 0.7
    """Of the pace, that one refusal leaves at least."""
    overrate: float = 1.2
    """The pace is cut from so much above what was measured, at most."""
    pace_burst: float = 2.0
    """Calls that a pace lets pass together after a rest."""
    rest_memory: float = 0.93
    """Refusals below this share of the known limit measure the noise; only an excess over it counts."""
    noise_most: float = 0.12
    """Of that noise. To one of many processes the others are noise, too: with more, nobody would give way."""
    in_a_row: int = 6
    """Refusals in a row, with nothing accepted: the limit has gone to nothing, or an outage began."""

    # --- window: so many in so many seconds ---
    spread: float = 0.74
    """Of the window, over which its calls are spread; the rest is to ask whether there is more."""
    tail: float = 0.84
    tail_end: float = 0.96
    many: int = 50
    """Calls of a window; a smaller one is asked every other time, for a probe is a larger share of it."""
    sure: float = 0.004
    """Of the window, within which its opening is known; then it is asked when it surely has opened."""
    sure_by_clock: float = 0.05
    """The same of a fixed one: to be late delays only that one."""
    shortest_span: float = 0.3
    """Of the window, in which its calls are spent while it isn't known when it opens."""
    tries: int = 40
    """Probes of one opening. Then what was known is wrong."""
    short_by: int = 5
    """Refusals in a row that end a window before its calls are spent."""
    short_for: float = 0.12
    """Of the window, that they last at least: a sliding one opens call by call, with the gaps of the last one."""
    cut_short: int = 3
    """Windows in a row that ended before their calls were spent: others use the key, and a pace shares better."""

    # --- under way: so many at once (AIMD) ---
    under_way_cut: float = 0.95
    """Simulated: 0.93 leaves 1 to 2 % of places empty for the same refusals, 0.97 finds a doubled limit later."""
    quiet_calls: float = 30.0
    """After a cut, until there may be one more: that search costs two or three refusals, so a tenth of the calls."""
    few: float = 2.0
    """At a limit of so many it is twice as long, for the search costs more refusals then."""
    quiet_latencies: float = 20.0
    quiet_growth: float = 1.25


NUMBERS = Numbers()
