"""Plays the response vectors of llhttp, the parser of Node, to every transport of ours.

    python -m tests.transports.answers.llhttp DIRECTORY

The directory is `test/response` of llhttp's repository (MIT licence), which is not a part of this one: whoever wants to
compare fetches it. Each vector is served over a socket, with the end of the connection after it. What llhttp's log says
of it, and what we make of it, must be the same, or be in `EXPLAINED`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from relaydance_async._transports import Transport, TransportName, build_transport
from tests.kit.transports import use_h11
from tests.kit.waiting import wait_until
from tests.transports.answers.play import Player
from tests.transports.answers.vectors import Vector
from tests.transports.support import serve

_LENIENT = "only with a flag of llhttp's, which we don't set"

_OTHER_PROTOCOL = "RFC 9112 section 4: another protocol's answer"
_CUT_OFF = "RFC 9112 section 8: the vector lacks the end of its body; over a socket it is cut off"
_EMPTY_LINE = "RFC 9112 section 2.2: only servers pass over an empty line; it may follow an earlier answer"
_TWO_READINGS = "RFC 9112 section 6.1: a Transfer-Encoding that isn't just chunked, which nobody asked for"

EXPLAINED: dict[str, str] = {
    "RTSP response": _OTHER_PROTOCOL,
    "ICE response": _OTHER_PROTOCOL,
    "HTTP version 0.9": "RFC 9112 section 2.3: no server sends it in a status line",
    "Response starting with CRLF": _EMPTY_LINE,
    "HTTP 100 first, then 400": _EMPTY_LINE,
    "Content-Length reset when no body is received": _CUT_OFF,
    "HTTP 103 first, then 200": _CUT_OFF,
    "`chunked` before other transfer-encoding": _TWO_READINGS,
    "multiple transfer-encoding where chunked is not the last one": _TWO_READINGS,
    "`chunkedchunked` transfer-encoding": _TWO_READINGS,
}
"""By a part of a vector's name: why we differ."""

_VECTOR = re.compile(
    r"^#+ (?P<name>[^\n]+)\n(?:(?!^#).)*?<!-- meta=(?P<meta>\{[^\n]*\}) -->\s*"
    r"^```http\n(?P<http>.*?)^```\n(?:(?!^```).)*?^```log\n(?P<log>.*?)^```",
    re.MULTILINE | re.DOTALL,
)
_REPEAT = re.compile(r"\$\{'(.)'\.repeat\((\d+)\)\}")


@dataclass(frozen=True)
class LlhttpVector:
    """One vector, and what llhttp makes of it.

    Attributes:
        status: of the first answer; None: it is refused.
    """

    name: str
    sent: bytes
    status: int | None
    lenient: bool


def read_vectors(directory: Path) -> Iterator[LlhttpVector]:
    """All that are there."""
    for path in sorted(directory.glob("*.md")):
        for found in _VECTOR.finditer(path.read_text()):
            name = f"{path.stem}: {found['name']}"
            yield LlhttpVector(name, _input(found["http"]), _verdict(found["log"]), "lenient" in found["meta"])


def _input(text: str) -> bytes:
    """As `test/md-test.ts` of llhttp reads it."""
    text = re.sub(r"\n\Z", "", text)
    text = re.sub(r"\\\n", "", text)
    text = text.replace("\n", "\r\n")
    for escape, meaning in (("\\r", "\r"), ("\\n", "\n"), ("\\t", "\t"), ("\\f", "\f")):
        text = text.replace(escape, meaning)
    text = re.sub(r"\\x([0-9a-fA-F]+)", lambda found: chr(int(found[1], 16)), text)
    text = re.sub(r"\\([0-7]{1,3})", lambda found: chr(int(found[1], 8)), text)
    text = _REPEAT.sub(lambda found: found[1] * int(found[2]), text)
    return text.encode("latin-1", "replace")


def _verdict(log: str) -> int | None:
    """The status of the first final answer, if it came to its end, at the latest with the connection."""
    complete = [int(status) for status in re.findall(r"headers complete[^\n]*status=(\d+)", log)]
    first = log.partition("message complete")[0]
    final = [status for status in complete if status >= 200]
    if not final:
        return None
    if "message complete" in log and "error code=" not in first.replace("error code=21", ""):
        return final[0]
    by_end = re.search(r"headers complete[^\n]*flags=([0-9a-f]+) content_length=(\d+)", log)
    until_close = by_end is not None and not int(by_end[1], 16) & 0x28
    return final[0] if until_close and "error code=" not in log.replace("error code=21", "") else None


async def compare(transport: Transport, vectors: Sequence[LlhttpVector]) -> dict[str, str]:
    """Which vectors we take otherwise than llhttp, and how."""
    found: dict[str, str] = {}
    async with serve() as server:
        player = Player(transport, server)
        for vector in vectors:
            outcome = await player.play(Vector(vector.name, vector.sent, None, "", ends=True), follow=False)
            await wait_until(lambda: transport.stats().open == 0)  # the server has closed
            ours = outcome.taken[0] if outcome.taken is not None else None
            if outcome.trouble or ours != vector.status:
                found[vector.name] = f"{outcome.trouble or ours} instead of {vector.status}"
    return found


def explain(vector: LlhttpVector, difference: str) -> str | None:
    """Why we differ there, or None."""
    if vector.lenient and difference.startswith("None instead of"):
        return _LENIENT
    return next((reason for part, reason in EXPLAINED.items() if part in vector.name), None)


async def compare_all(vectors: Sequence[LlhttpVector]) -> int:
    """Compare each transport with each parser, and print each difference; how many have no reason."""
    unexplained = 0
    names: tuple[TransportName, ...] = ("direct", "httpx")
    for name in names:
        transport = await build_transport(name, None, max_idle=10)
        differences = await compare(transport, vectors)
        await transport.aclose()
        print(f"{transport.name}: {len(differences)} are taken otherwise")
        for vector in vectors:
            if vector.name in differences:
                reason = explain(vector, differences[vector.name])
                unexplained += reason is None
                print(f"  {vector.name}: {differences[vector.name]}: {reason or 'NO REASON'}")
    return unexplained


def main(directory: str) -> int:
    """Compare all, with llhttp and with h11."""
    vectors = list(read_vectors(Path(directory)))
    print(f"{len(vectors)} vectors, of which llhttp takes {sum(vector.status is not None for vector in vectors)}")
    unexplained = anyio.run(compare_all, vectors)
    with pytest.MonkeyPatch.context() as patch:
        use_h11(patch)
        return unexplained + anyio.run(compare_all, vectors)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
