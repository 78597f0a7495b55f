"""Whether the demo went as it must."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ._display import Display
from ._stage import FAIL_REASON, SUBMIT
from ._tally import Tally


def find_faults(tally: Tally, *, failing: int) -> Iterator[str]:
    """What is wrong with what the client got; `failing` clips were to fail."""
    yield from tally.problems
    if tally.submitted != tally.wanted:
        yield f"{tally.submitted} of {tally.wanted} clips were submitted"
    if tally.succeeded != tally.wanted - failing:
        yield f"{tally.succeeded} clips succeeded, not {tally.wanted - failing}"
    if len(tally.failed) != failing:
        yield f"{len(tally.failed)} clips failed, not {failing}"
    if tally.checked != tally.succeeded:
        yield f"{tally.checked} of {tally.succeeded} clips were saved whole"


def find_reason_faults(tally: Tally) -> Iterator[str]:
    """Reasons that aren't the one that the stage gave."""
    for clip, reason in tally.failed.items():
        if reason != FAIL_REASON:
            yield f"{clip} failed with another reason: {reason}"


def find_ledger_faults(ledger: dict[str, Any], wanted: int) -> Iterator[str]:
    """What the server's ledger holds against the client."""
    clips = ledger["routes"].get(SUBMIT, {})
    for name in ("accepted", "billed"):
        if clips.get(name) != wanted:
            yield f"the server {name} {clips.get(name)} clips, not {wanted}"
    if duplicates := sum(route["duplicates"] for route in ledger["routes"].values()):
        yield f"the server accepted {duplicates} requests twice"
    for route in ("POST /v1/files", "POST /v1/chat/completions", "POST /v1/images/generations"):
        if (accepted := ledger["routes"].get(route, {}).get("accepted")) != 1:
            yield f"{route} was accepted {accepted} times, not once"
    if ledger["cdn_authorizations"]:
        yield f"the key was sent to the result host {ledger['cdn_authorizations']} times"


def show_summary(display: Display, tally: Tally, output: str | None) -> None:
    """What became of the clips."""
    display.line("")
    display.line(f"Submitted   {tally.submitted}")
    display.line(f"Succeeded   {tally.succeeded}")
    display.line(f"Failed      {len(tally.failed)}")
    for clip, reason in tally.failed.items():
        display.line(f"            {clip}: {reason}")
    probed = f", {tally.probed} of them played by ffprobe" if tally.probed else ""
    display.line(f"Saved       {tally.checked} clips, {tally.bytes / 1e6:.2f} MB, all whole{probed}")
    if output is not None:
        display.line(f"            in {output}")
    display.line(f"Retries     {tally.retries.total()}")
    for what, number in tally.retries.most_common():
        display.line(f"            {what}: {number}")
    display.line(f"429s met    {tally.retries['429']}")
    display.line(f"Seconds     {tally.seconds:.1f}")


def show_ledger(display: Display, ledger: dict[str, Any], staged: dict[str, int]) -> None:
    """What the server says; `staged` is what went wrong on purpose, and how often."""
    clips = ledger["routes"].get(SUBMIT, {})
    answers_429 = sum(entry["status"] == 429 for entry in ledger["entries"])
    display.line("")
    display.line("The server's ledger")
    display.line(f"Requests    {len(ledger['entries'])}, of them answered with 429: {answers_429}")
    display.line(f"Staged      {', '.join(f'{name} {number}' for name, number in staged.items())}")
    display.line(f"Accepted    {clips.get('accepted', 0)} clips")
    display.line(f"Billed      {clips.get('billed', 0)} clips, ${ledger['charged_usd']:.2f} with all else")
    display.line(f"Refunded    ${ledger['refunded_usd']:.2f} for failed clips")
    display.line(f"Duplicates  {sum(route['duplicates'] for route in ledger['routes'].values())}")
    display.line(f"Key leaks   {ledger['cdn_authorizations']} to the result host")
