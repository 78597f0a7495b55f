"""Answers as they stand, served over a socket to a transport, and what the transport makes of each."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from relaydance_async import APIConnectionError, APITimeoutError, RelayDanceError
from relaydance_async._sansio.timeout import Timeout
from relaydance_async._transports import Transport
from tests.transports.answers.vectors import Vector
from tests.transports.support import Gone, Peer, Server, fetch, serve

NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
PATIENCE = 1.0
"""Seconds; whatever is refused is refused at once."""


@dataclass(frozen=True)
class Outcome:
    """What became of an answer.

    Attributes:
        taken: status and body; None: it was refused.
        kept: whether the next request came on the same connection.
        trouble: what must not be, whatever the answer: it hung, or the next request was given what is not its answer.
    """

    taken: tuple[int, bytes] | None
    kept: bool
    trouble: str = ""

    def fits(self, vector: Vector) -> bool:
        """Whether it is what the table says."""
        return not self.trouble and self.taken == vector.taken and vector.kept in (None, self.kept)


class Player:
    """Plays answers, each to a request of its own, and then has another request ask for something else."""

    def __init__(self, transport: Transport, server: Server) -> None:
        self._transport = transport
        self._server = server
        self._vector: Vector | None = None
        self._used: list[Peer] = []
        server.run = self._answer

    async def _answer(self, peer: Peer) -> None:
        while True:
            head = await peer.read_head()
            await peer.read_body(head)
            vector, self._vector = self._vector, None
            self._used.append(peer)
            if vector is None:
                await peer.send(NEXT)
                continue
            await peer.send(vector.sent)
            if vector.ends:
                await peer.close()
                raise Gone

    async def play(self, vector: Vector, *, follow: bool = True) -> Outcome:
        """Play one answer, and unless told otherwise have another request follow."""
        self._vector = vector
        self._used.clear()
        try:
            taken, trouble = await self._ask(vector.method)
            if not follow:
                return Outcome(taken, False, trouble)
            following, more = await self._ask("GET")
        except RelayDanceError as error:
            return Outcome(None, False, f"{type(error).__name__}: {error}")
        if following != (200, b"next"):
            trouble = f"the next request got {following} {more}"
        return Outcome(taken, self._used[0] is self._used[-1], trouble)

    async def _ask(self, method: str) -> tuple[tuple[int, bytes] | None, str]:
        timeout = Timeout(5.0, PATIENCE, 5.0)
        body = b"{}" if method == "POST" else None
        headers = {"content-length": "2"} if body else None
        try:
            with anyio.fail_after(3 * PATIENCE):
                return await fetch(
                    self._transport, self._server.url, method, headers=headers, body=body, timeout=timeout
                ), ""
        except APITimeoutError:
            return None, "it waited for more"
        except TimeoutError:
            return None, "it hung"
        except APIConnectionError as error:
            return None, "" if error.maybe_accepted else "it says that the request wasn't accepted"


async def differences(transport: Transport, vectors: dict[str, Vector]) -> dict[str, str]:
    """Which answers are not taken, or refused, as the table says; and how they were."""
    found: dict[str, str] = {}
    async with serve() as server:
        player = Player(transport, server)
        for name, vector in vectors.items():
            outcome = await player.play(vector)
            if not outcome.fits(vector):
                found[name] = f"{outcome} instead of {vector.taken}, kept={vector.kept}: {vector.rule}"
    return found
